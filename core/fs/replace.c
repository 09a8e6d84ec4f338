/* SPDX-License-Identifier: MIT */
/*
 * Replacing a file: a new one is written beside it, nameless where that is known, and gets the name
 * when its bytes are on the disk. A nameless file can take a free name only; where the name is taken
 * it gets one of its own first, and that is renamed.
 */
#include <sonde/error.h>
#include <sonde/file.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "fs/fs.h"

#define TRIES 100 /* for a name nobody has */

/* No secret: EXCLUSIVE and LINK refuse what is there, be it a link somebody laid out. */
static void choose_name(struct sonde_replacement *replacement, int try)
{
	uint64_t salt = sonde_now_ns() ^ (uint64_t)(uintptr_t)replacement << 16;

	snprintf(replacement->made, sizeof(replacement->made), ".sonde-%016llx",
		 (unsigned long long)((salt + (uint64_t)try) * UINT64_C(0x9e3779b97f4a7c15)));
}

static int open_named(struct sonde_task *self, struct sonde_replacement *replacement, uint32_t mode)
{
	const uint32_t flags =
		SONDE_FS_FOR_READ | SONDE_FS_FOR_WRITE | SONDE_FS_CREATE | SONDE_FS_EXCLUSIVE;
	int r = SONDE_E_EXISTS;

	for (int i = 0; i < TRIES && r == SONDE_E_EXISTS; i++) {
		choose_name(replacement, i);
		r = sonde_fs_open(self, replacement->file.fs, replacement->dir, replacement->made,
				  flags, mode);
	}
	return r;
}

/* IS_DIRECTORY: a kernel that does not know such files takes it for the directory's opening. */
static int open_new(struct sonde_task *self, struct sonde_replacement *replacement, uint32_t mode)
{
	int r = sonde_fs_open(self, replacement->file.fs, replacement->dir, ".",
			      SONDE_FS_FOR_READ | SONDE_FS_FOR_WRITE | SONDE_FS_UNNAMED, mode);

	if (r == SONDE_E_UNSUPPORTED || r == SONDE_E_IS_DIRECTORY || r == SONDE_E_BAD_ARG)
		r = open_named(self, replacement, mode);
	return r;
}

static int open_parent(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		       size_t len, uint32_t flags)
{
	char *parent = mem_alloc(len + 2, 1);

	if (!parent)
		return SONDE_E_NO_MEMORY;
	memcpy(parent, path, len);
	parent[len] = '.';
	int r = sonde_fs_open(self, fs, dir, parent,
			      SONDE_FS_DIRECTORY | (flags & SONDE_FS_BENEATH), 0);
	mem_release(parent);
	return r;
}

static int take_name(struct sonde_replacement *replacement, const char *name)
{
	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return SONDE_E_BAD_ARG;
	if (strlen(name) >= sizeof(replacement->name))
		return SONDE_E_NAME_TOO_LONG;
	strcpy(replacement->name, name);
	return SONDE_OK;
}

int sonde_replace_begin(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
			uint32_t flags, uint32_t mode, struct sonde_replacement *ret)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	struct sonde_replacement own = { .file = { .fs = fs }, .flags = flags };
	int r = take_name(&own, name);

	if (flags & ~(uint32_t)(SONDE_FS_NO_REPLACE | SONDE_FS_BENEATH))
		return SONDE_E_BAD_ARG;
	if (r < 0)
		return r;
	own.dir = open_parent(self, fs, dir, path, (size_t)(name - path), flags);
	if (own.dir < 0)
		return own.dir;
	own.file.handle = open_new(self, &own, mode);
	if (own.file.handle < 0) {
		sonde_fs_close(self, fs, own.dir);
		return own.file.handle;
	}
	*ret = own;
	return SONDE_OK;
}

/* A name of its own. */
static int name_it(struct sonde_task *self, struct sonde_replacement *replacement)
{
	int r = SONDE_E_EXISTS;

	for (int i = 0; i < TRIES && r == SONDE_E_EXISTS; i++) {
		choose_name(replacement, i);
		r = sonde_fs_link(self, replacement->file.fs, replacement->file.handle, NULL,
				  replacement->dir, replacement->made);
	}
	if (r < 0)
		*replacement->made = 0;
	return r;
}

static int put_in_place(struct sonde_task *self, struct sonde_replacement *replacement)
{
	struct sonde_fs *fs = replacement->file.fs;
	uint32_t flags = replacement->flags & SONDE_FS_NO_REPLACE;
	int r = SONDE_OK;

	if (!*replacement->made) {
		r = sonde_fs_link(self, fs, replacement->file.handle, NULL, replacement->dir,
				  replacement->name);
		if (r != SONDE_E_EXISTS || flags)
			return r;
		r = name_it(self, replacement);
	}
	if (r == SONDE_OK)
		r = sonde_fs_rename(self, fs, replacement->dir, replacement->made, replacement->dir,
				    replacement->name, flags);
	if (r == SONDE_OK)
		*replacement->made = 0;
	return r;
}

/* Handles closed, a name of its own gone: also where the task is to end. */
static int leave(struct sonde_task *self, struct sonde_replacement *replacement)
{
	struct sonde_fs *fs = replacement->file.fs;
	struct sonde_fs_io io = { .op = SONDE_FS_REMOVE,
				  .dir = replacement->dir,
				  .path = replacement->made };
	int r = sonde_file_close(self, &replacement->file);

	if (*replacement->made)
		fs_run_to_end(fs, &io);
	sonde_fs_close(self, fs, replacement->dir);
	return r;
}

int sonde_replace_commit(struct sonde_task *self, struct sonde_replacement *replacement)
{
	struct sonde_fs *fs = replacement->file.fs;
	int r = sonde_fs_sync(self, fs, replacement->file.handle, 0);

	if (r == SONDE_OK)
		r = put_in_place(self, replacement);
	if (r == SONDE_OK)
		r = sonde_fs_sync(self, fs, replacement->dir, 0);
	int closed = leave(self, replacement);
	return r < 0 ? r : closed;
}

void sonde_replace_abandon(struct sonde_task *self, struct sonde_replacement *replacement)
{
	leave(self, replacement);
}
