/* SPDX-License-Identifier: MIT */
/*
 * The file system in memory, inside: nodes and the names that lead to them (memory_tree.c), the way
 * from a path to a place (memory_path.c). memory.c has the operations. Errors are -errno, those of
 * linux, for what is asked of either file system is answered alike.
 */
#ifndef SONDE_FS_MEMORY_H
#define SONDE_FS_MEMORY_H

#include <stdbool.h>

#include "fs/fs.h"

struct memory_name;

/* A file, a directory or a symbolic link. Freed when it has no name left and nobody has it open. */
struct memory_node {
	struct memory_node *next, *prev; /* of all there are      */
	uint64_t number;
	uint32_t kind; /* enum sonde_fs_kind        */
	uint32_t mode;
	uint32_t n_names, n_open;
	bool nameless; /* it was opened without a name, and may get one */
	int64_t modified_ns, changed_ns, accessed_ns, created_ns;

	char *bytes; /* file; link: its text, with a 0 behind it */
	uint64_t length, cap;

	struct memory_node *parent; /* directory: NULL when it was removed */
	struct memory_name *first, **last;
	uint64_t n_made; /* names made in it so far: the next is later in lists */
};

/* A name in a directory. */
struct memory_name {
	struct memory_name *below;        /* in its bucket                  */
	struct memory_name *next, **prev; /* in its directory, oldest first */
	struct memory_node *dir, *node;
	uint64_t number; /* in its directory, from 1 on    */
	size_t len;
	char text[];
};

struct memory_handle {
	struct memory_node *node; /* NULL: free */
	uint32_t flags;           /* enum sonde_fs_flag it was opened with */
};

struct memory {
	struct memory_node *root, *nodes;
	uint64_t n_nodes, n_names, n_bytes, next_number;
	uint64_t max_bytes, max_nodes;
	bool checks_mode;
	struct memory_name **buckets; /* [n_buckets], a power of two */
	size_t n_buckets;
	struct memory_handle *handles; /* [n_handles] */
	size_t n_handles, first_free;  /* below first_free all are in use */
};

/* ---- memory_tree.c ---- */

int32_t memory_init(struct memory *memory);
void memory_finish(struct memory *memory);
/* *ret has neither a name nor is it open: memory_release ends it. */
int32_t memory_make(struct memory *memory, uint32_t kind, uint32_t mode, struct memory_node **ret);
/* Free it where nothing holds it. */
void memory_release(struct memory *memory, struct memory_node *node);
struct memory_name *memory_lookup(const struct memory *memory, const struct memory_node *dir,
				  const char *text, size_t len);
int32_t memory_add_name(struct memory *memory, struct memory_node *dir, const char *text,
			size_t len, struct memory_node *node);
/* The node stays until memory_release. */
void memory_remove_name(struct memory *memory, struct memory_name *name);
/* To length bytes, what is new zero. */
int32_t memory_resize(struct memory *memory, struct memory_node *node, uint64_t length);
int64_t memory_now_ns(void);

/* ---- memory_path.c ---- */

/* Where a path leads. */
struct memory_place {
	struct memory_node *dir;  /* in which the last name is                  */
	struct memory_node *node; /* NULL: there is none of that name           */
	const char *text;         /* the last name; len 0: it is ".", ".." or "/" */
	size_t len;
	bool slash; /* something stood behind it: only a directory will do */
	bool dots;  /* len 0: it was ".."                         */
};

/* A symbolic link at the end: which is followed? */
enum memory_links {
	MEMORY_NAME,    /* none: the place is one to add a name to, or to take one from */
	MEMORY_ITSELF,  /* one with a slash behind it                                   */
	MEMORY_FOLLOWED /* any                                                          */
};

int32_t memory_find(const struct memory *memory, struct memory_node *dir, const char *path,
		    uint32_t flags, enum memory_links links, struct memory_place *ret);

enum memory_right { MEMORY_READ = 0400, MEMORY_WRITE = 0200, MEMORY_SEARCH = 0100 };

static inline bool memory_may(const struct memory *memory, const struct memory_node *node,
			      uint32_t rights)
{
	return !memory->checks_mode || (node->mode & rights) == rights;
}

#endif
