/* SPDX-License-Identifier: MIT */
/*
 * From a path to a place: name by name, links on the way. Every link counts against one bound, so
 * that links to each other end, and so does the recursion into them.
 */
#include <errno.h>

#include "base/mem.h"
#include "fs/memory.h"

#define LINKS_MAX 40u /* as linux: include/linux/namei.h, MAXSYMLINKS */

struct walk {
	const struct memory *memory;
	const struct memory_node *base; /* BENEATH: nothing above it; NULL: all may be */
	uint32_t n_links;
};

static int32_t walk_path(struct walk *walk, struct memory_node *dir, const char *path,
			 enum memory_links links, struct memory_place *ret);

static int32_t go_up(const struct walk *walk, struct memory_place *at)
{
	if (at->dir == walk->base)
		return -EACCES;
	if (!at->dir->parent)
		return -ENOENT;
	at->dir = at->node = at->dir->parent;
	at->len = 0;
	at->dots = true;
	return 0;
}

/* What the name that was just found is a link to. */
static int32_t follow_link(struct walk *walk, struct memory_place *at)
{
	if (++walk->n_links > LINKS_MAX)
		return -ELOOP;
	return walk_path(walk, at->dir, at->node->bytes, MEMORY_FOLLOWED, at);
}

/* One name, of len bytes, in at->dir. */
static int32_t take_name(struct walk *walk, struct memory_place *at, const char *text, size_t len,
			 bool follow)
{
	struct memory_name *name;

	if (!memory_may(walk->memory, at->dir, MEMORY_SEARCH))
		return -EACCES;
	if (len > SONDE_FS_NAME_MAX)
		return -ENAMETOOLONG;
	at->len = 0;
	at->dots = false;
	at->node = at->dir;
	if (len == 1 && text[0] == '.')
		return 0;
	if (len == 2 && text[0] == '.' && text[1] == '.')
		return go_up(walk, at);
	name = memory_lookup(walk->memory, at->dir, text, len);
	at->node = name ? name->node : NULL;
	at->text = text;
	at->len = len;
	if (follow && at->node && at->node->kind == SONDE_KIND_SYMLINK)
		return follow_link(walk, at);
	return 0;
}

/* What was found is where the next name is looked for. */
static int32_t enter(struct memory_place *at)
{
	if (!at->node)
		return -ENOENT;
	if (at->node->kind != SONDE_KIND_DIRECTORY)
		return -ENOTDIR;
	at->dir = at->node;
	return 0;
}

static size_t name_length(const char *text)
{
	size_t len = 0;

	while (text[len] && text[len] != '/')
		len++;
	return len;
}

static const char *skip_slashes(const char *text)
{
	while (*text == '/')
		text++;
	return text;
}

static int32_t begin(const struct walk *walk, struct memory_node *dir, const char *path,
		     struct memory_place *at)
{
	if (!*path)
		return -ENOENT;
	if (*path == '/' && walk->base)
		return -EACCES;
	dir = *path == '/' ? walk->memory->root : dir;
	*at = (struct memory_place){ .dir = dir, .node = dir };
	return dir->kind == SONDE_KIND_DIRECTORY ? 0 : -ENOTDIR;
}

static int32_t walk_path(struct walk *walk, struct memory_node *dir, const char *path,
			 enum memory_links links, struct memory_place *ret)
{
	struct memory_place at = { 0 };
	int32_t r = begin(walk, dir, path, &at);

	path = skip_slashes(path);
	while (r == 0 && *path) {
		size_t len = name_length(path);
		const char *rest = skip_slashes(path + len);
		bool slash = path[len] == '/';
		at.slash = false;
		r = take_name(walk, &at, path, len,
			      *rest || links == MEMORY_FOLLOWED ||
				      (slash && links == MEMORY_ITSELF));
		at.slash |= slash;
		if (r == 0 && *rest)
			r = enter(&at);
		path = rest;
	}
	if (r == 0 && links != MEMORY_NAME && at.slash && at.node &&
	    at.node->kind != SONDE_KIND_DIRECTORY)
		r = -ENOTDIR;
	*ret = at;
	return r;
}

int32_t memory_find(const struct memory *memory, struct memory_node *dir, const char *path,
		    uint32_t flags, enum memory_links links, struct memory_place *ret)
{
	struct walk walk = { .memory = memory, .base = flags & SONDE_FS_BENEATH ? dir : NULL };
	size_t len = 0;

	while (len <= SONDE_FS_PATH_MAX && path[len])
		len++;
	if (len > SONDE_FS_PATH_MAX)
		return -ENAMETOOLONG;
	return walk_path(&walk, dir, path, links, ret);
}
