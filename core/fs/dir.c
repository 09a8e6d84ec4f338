/* SPDX-License-Identifier: MIT */
/* The entries of a directory, a buffer at a time. What a file system tells is checked: it may be remote. */
#include <sonde/dir.h>
#include <sonde/error.h>
#include <stddef.h>

#include "base/mem.h"
#include "fs/fs.h"

#define ROOM (16u << 10)

struct sonde_dir {
	struct sonde_fs *fs;
	int32_t handle;
	int32_t err;       /* CORRUPT, for good                  */
	uint64_t off;      /* where the next list goes on        */
	uint32_t at, used; /* bytes of room                      */
	bool over;
	uint64_t room[ROOM / 8];
};

int sonde_dir_open(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		   uint32_t flags, struct sonde_dir **ret)
{
	int handle;
	struct sonde_dir *own;

	if (flags & ~(uint32_t)(SONDE_FS_NO_FOLLOW | SONDE_FS_BENEATH))
		return SONDE_E_BAD_ARG;
	handle = sonde_fs_open(self, fs, dir, path, SONDE_FS_DIRECTORY | flags, 0);
	if (handle < 0)
		return handle;
	own = mem_resize(NULL, 1, sizeof(*own));
	if (!own) {
		sonde_fs_close(self, fs, handle);
		return SONDE_E_NO_MEMORY;
	}
	memset(own, 0, offsetof(struct sonde_dir, room));
	own->fs = fs;
	own->handle = handle;
	*ret = own;
	return SONDE_OK;
}

void sonde_dir_close(struct sonde_task *self, struct sonde_dir *dir)
{
	if (!dir)
		return;
	sonde_fs_close(self, dir->fs, dir->handle);
	mem_release(dir);
}

int32_t sonde_dir_handle(const struct sonde_dir *dir)
{
	return dir->handle;
}

/* Returns as LIST. A list that goes on where it began would never end. */
static int fill(struct sonde_task *self, struct sonde_dir *dir)
{
	struct sonde_fs_io io = { .op = SONDE_FS_LIST,
				  .file = dir->handle,
				  .off = dir->off,
				  .buf = dir->room,
				  .len = ROOM };
	int r = sonde_fs_run(self, dir->fs, &io);

	dir->at = dir->used = 0;
	if (r > 0)
		dir->used = (uint32_t)r;
	dir->over = r == 0;
	return r;
}

static bool is_name(const char *name, size_t cap)
{
	size_t len = 0;

	while (len < cap && name[len] && name[len] != '/')
		len++;
	return len > 0 && len <= SONDE_FS_NAME_MAX && len < cap && !name[len];
}

static bool is_dots(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

/* NULL: it is none. */
static const struct sonde_fs_entry *check_entry(const struct sonde_dir *dir)
{
	const size_t head = offsetof(struct sonde_fs_entry, name);
	const struct sonde_fs_entry *entry = (const void *)((const char *)dir->room + dir->at);
	uint32_t left = dir->used - dir->at;

	if (left <= head || entry->size <= head || entry->size > left || entry->size % 8)
		return NULL;
	if (entry->next < 0 || (uint64_t)entry->next == dir->off)
		return NULL;
	return is_name(entry->name, entry->size - head) ? entry : NULL;
}

static int take_entry(struct sonde_dir *dir, const struct sonde_fs_entry **ret)
{
	const struct sonde_fs_entry *entry = check_entry(dir);

	if (!entry)
		return dir->err = SONDE_E_CORRUPT;
	dir->at += entry->size;
	dir->off = (uint64_t)entry->next;
	*ret = entry;
	return !is_dots(entry->name);
}

int sonde_dir_next(struct sonde_task *self, struct sonde_dir *dir,
		   const struct sonde_fs_entry **ret)
{
	int r = 0;

	while (r == 0) {
		if (dir->err || dir->over)
			return dir->err;
		if (dir->at == dir->used) {
			r = fill(self, dir);
			if (r <= 0)
				return r;
		}
		r = take_entry(dir, ret);
	}
	return r;
}
