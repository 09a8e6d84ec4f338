/* SPDX-License-Identifier: MIT */
/* A walk: a directory that is open for each level, and the path that leads to where it is. */
#include <sonde/dir.h>
#include <sonde/error.h>

#include "base/mem.h"
#include "fs/fs.h"

struct level {
	struct sonde_dir *dir;
	size_t path_len; /* of the path to it */
};

struct sonde_walk {
	struct sonde_fs *fs;
	uint32_t max_depth, n;   /* levels that are open; the last is where it is */
	struct sonde_dir *below; /* of the directory that was told last: entered next */
	struct sonde_walk_entry entry;
	char *path;
	size_t path_len, path_cap;
	struct level levels[];
};

int sonde_walk_open(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		    uint32_t max_depth, struct sonde_walk **ret)
{
	struct sonde_walk *walk;
	int r;

	if (max_depth - 1 >= SONDE_WALK_DEPTH_MAX)
		return SONDE_E_BAD_ARG;
	walk = mem_alloc(1, sizeof(*walk) + max_depth * sizeof(struct level));
	if (!walk)
		return SONDE_E_NO_MEMORY;
	walk->fs = fs;
	walk->max_depth = max_depth;
	r = sonde_dir_open(self, fs, dir, path, 0, &walk->levels[0].dir);
	if (r < 0) {
		mem_release(walk);
		return r;
	}
	walk->n = 1;
	*ret = walk;
	return SONDE_OK;
}

void sonde_walk_close(struct sonde_task *self, struct sonde_walk *walk)
{
	if (!walk)
		return;
	sonde_dir_close(self, walk->below);
	while (walk->n)
		sonde_dir_close(self, walk->levels[--walk->n].dir);
	mem_release(walk->path);
	mem_release(walk);
}

/* The path to where the walk is, and a name. */
static int set_path(struct sonde_walk *walk, const char *name)
{
	size_t base = walk->levels[walk->n - 1].path_len, len = strlen(name);
	size_t need = base + len + 2;

	if (need > walk->path_cap) {
		char *path = mem_resize(walk->path, 2 * need, 1);
		if (!path)
			return SONDE_E_NO_MEMORY;
		walk->path = path;
		walk->path_cap = 2 * need;
	}
	if (base)
		walk->path[base++] = '/';
	memcpy(walk->path + base, name, len + 1);
	walk->path_len = base + len;
	walk->entry.path = walk->path;
	walk->entry.name = walk->path + base;
	return SONDE_OK;
}

/* Not told by every list. */
static int32_t find_kind(struct sonde_task *self, struct sonde_walk *walk)
{
	struct sonde_walk_entry *entry = &walk->entry;
	struct sonde_fs_info info;
	int r;

	if (entry->kind != SONDE_KIND_UNKNOWN)
		return SONDE_OK;
	r = sonde_fs_stat(self, walk->fs, entry->dir, entry->name, SONDE_FS_NO_FOLLOW, &info);
	if (r == SONDE_OK)
		entry->kind = info.kind;
	return r;
}

static int32_t open_below(struct sonde_task *self, struct sonde_walk *walk)
{
	const struct sonde_walk_entry *entry = &walk->entry;

	if (entry->kind != SONDE_KIND_DIRECTORY)
		return SONDE_OK;
	if (walk->n == walk->max_depth)
		return SONDE_E_LIMIT;
	return sonde_dir_open(self, walk->fs, entry->dir, entry->name, SONDE_FS_NO_FOLLOW,
			      &walk->below);
}

static int tell(struct sonde_task *self, struct sonde_walk *walk,
		const struct sonde_fs_entry *listed)
{
	struct sonde_walk_entry *entry = &walk->entry;

	*entry = (struct sonde_walk_entry){ .dir = sonde_dir_handle(walk->levels[walk->n - 1].dir),
					    .depth = walk->n,
					    .kind = listed->kind,
					    .node = listed->node };
	int r = set_path(walk, listed->name);
	if (r < 0)
		return r;
	entry->err = find_kind(self, walk);
	if (entry->err == SONDE_OK)
		entry->err = open_below(self, walk);
	return 1;
}

/* The list of a directory has broken off: its path, and why. The first has none, "". */
static int tell_broken(struct sonde_walk *walk, int err)
{
	size_t len = walk->levels[walk->n - 1].path_len;
	int r = walk->path ? SONDE_OK : set_path(walk, "");

	if (r < 0)
		return r;
	walk->path[len] = 0;
	walk->entry = (struct sonde_walk_entry){ .path = walk->path,
						 .name = walk->path,
						 .dir = SONDE_FS_ROOT,
						 .depth = walk->n - 1,
						 .kind = SONDE_KIND_DIRECTORY,
						 .err = err };
	return 1;
}

static void enter(struct sonde_walk *walk)
{
	walk->levels[walk->n++] = (struct level){ walk->below, walk->path_len };
	walk->below = NULL;
}

static bool is_ours(int err)
{
	return err == SONDE_E_CANCELLED || err == SONDE_E_TIMED_OUT || err == SONDE_E_BUSY ||
	       err == SONDE_E_NO_MEMORY;
}

int sonde_walk_next(struct sonde_task *self, struct sonde_walk *walk,
		    const struct sonde_walk_entry **ret)
{
	const struct sonde_fs_entry *listed;
	int r = 0;

	if (walk->below)
		enter(walk);
	*ret = &walk->entry;
	while (walk->n) {
		struct sonde_dir *dir = walk->levels[walk->n - 1].dir;
		r = sonde_dir_next(self, dir, &listed);
		if (r > 0)
			return tell(self, walk, listed);
		if (is_ours(r))
			return r;
		int told = r < 0 ? tell_broken(walk, r) : 0;
		sonde_dir_close(self, dir);
		walk->n--;
		if (told)
			return told;
	}
	return 0;
}
