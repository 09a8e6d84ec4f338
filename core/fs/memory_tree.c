/* SPDX-License-Identifier: MIT */
/* Nodes and names, and what they may take. All names are in one table, by directory and text. */
#include "fs/memory.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

#include "base/mem.h"

#define BUCKETS_FIRST 64u

int64_t memory_now_ns(void)
{
	struct timespec now;

	timespec_get(&now, TIME_UTC);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- nodes --------------------------------------------------------------------------------------- */

int32_t memory_make(struct memory *memory, uint32_t kind, uint32_t mode, struct memory_node **ret)
{
	struct memory_node *node;

	if (memory->n_nodes >= memory->max_nodes)
		return -ENOSPC;
	node = mem_alloc(1, sizeof(*node));
	if (!node)
		return -ENOMEM;
	*node = (struct memory_node){ .kind = kind, .mode = mode, .next = memory->nodes };
	node->number = ++memory->next_number;
	node->last = &node->first;
	node->modified_ns = memory_now_ns();
	node->changed_ns = node->accessed_ns = node->created_ns = node->modified_ns;
	if (memory->nodes)
		memory->nodes->prev = node;
	memory->nodes = node;
	memory->n_nodes++;
	*ret = node;
	return 0;
}

void memory_release(struct memory *memory, struct memory_node *node)
{
	if (node->n_names || node->n_open)
		return;
	*(node->prev ? &node->prev->next : &memory->nodes) = node->next;
	if (node->next)
		node->next->prev = node->prev;
	memory->n_nodes--;
	memory->n_bytes -= node->length;
	mem_release(node->bytes);
	mem_release(node);
}

/*
 * Half as much again, so that appending costs no copy each time; and a byte, for the 0 of a text. What is
 * above that is given back: the limit of all files is one of their lengths.
 */
static int32_t reserve(struct memory_node *node, uint64_t length)
{
	uint64_t cap = length + length / 2 + 1;
	char *bytes;

	if (length <= node->cap && cap >= node->cap)
		return 0;
	if (cap < length || cap > SIZE_MAX)
		return -ENOMEM;
	bytes = mem_resize(node->bytes, (size_t)cap, 1);
	if (!bytes)
		return -ENOMEM;
	node->bytes = bytes;
	node->cap = cap;
	return 0;
}

int32_t memory_resize(struct memory *memory, struct memory_node *node, uint64_t length)
{
	if (length > node->length && length - node->length > memory->max_bytes - memory->n_bytes)
		return -ENOSPC;
	int32_t r = reserve(node, length);
	if (length > node->length) {
		if (r < 0)
			return r;
		memset(node->bytes + node->length, 0, (size_t)(length - node->length));
	}
	memory->n_bytes += length - node->length;
	node->length = length;
	node->modified_ns = node->changed_ns = memory_now_ns();
	return 0;
}

/* ---- names --------------------------------------------------------------------------------------- */

/* FNV-1a, begun with the directory. */
static struct memory_name **bucket_of(const struct memory *memory, const struct memory_node *dir,
				      const char *text, size_t len)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ dir->number;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
	return &memory->buckets[(hash ^ hash >> 32) & (memory->n_buckets - 1)];
}

struct memory_name *memory_lookup(const struct memory *memory, const struct memory_node *dir,
				  const char *text, size_t len)
{
	struct memory_name *name = *bucket_of(memory, dir, text, len);

	while (name && (name->dir != dir || name->len != len || memcmp(name->text, text, len) != 0))
		name = name->below;
	return name;
}

/* Where there is no memory for more, lists in buckets grow instead. */
static void grow_table(struct memory *memory)
{
	struct memory_name **old = memory->buckets, *name;
	size_t n_old = memory->n_buckets;
	struct memory_name **buckets = mem_alloc(2 * n_old, sizeof(*buckets));

	if (!buckets)
		return;
	memory->buckets = buckets;
	memory->n_buckets = 2 * n_old;
	for (size_t i = 0; i < n_old; i++) {
		while ((name = old[i])) {
			struct memory_name **to =
				bucket_of(memory, name->dir, name->text, name->len);
			old[i] = name->below;
			name->below = *to;
			*to = name;
		}
	}
	mem_release(old);
}

int32_t memory_add_name(struct memory *memory, struct memory_node *dir, const char *text,
			size_t len, struct memory_node *node)
{
	struct memory_name *name, **bucket;

	if (memory->n_names >= memory->max_nodes)
		return -ENOSPC;
	name = mem_alloc(1, sizeof(*name) + len + 1);
	if (!name)
		return -ENOMEM;
	if (memory->n_names >= memory->n_buckets)
		grow_table(memory);
	bucket = bucket_of(memory, dir, text, len);
	*name = (struct memory_name){ .below = *bucket, .dir = dir, .node = node, .len = len };
	memcpy(name->text, text, len);
	*bucket = name;
	name->number = ++dir->n_made;
	name->prev = dir->last;
	*dir->last = name;
	dir->last = &name->next;
	dir->modified_ns = dir->changed_ns = node->changed_ns = memory_now_ns();
	node->n_names++;
	node->nameless = false;
	if (node->kind == SONDE_KIND_DIRECTORY)
		node->parent = dir;
	memory->n_names++;
	return 0;
}

void memory_remove_name(struct memory *memory, struct memory_name *name)
{
	struct memory_name **at = bucket_of(memory, name->dir, name->text, name->len);
	struct memory_node *dir = name->dir;

	while (*at != name)
		at = &(*at)->below;
	*at = name->below;
	*name->prev = name->next;
	*(name->next ? &name->next->prev : &dir->last) = name->prev;
	dir->modified_ns = dir->changed_ns = name->node->changed_ns = memory_now_ns();
	name->node->n_names--;
	memory->n_names--;
	if (name->node->parent == dir)
		name->node->parent = NULL;
	mem_release(name);
}

/* ---- all of it ------------------------------------------------------------------------------------- */

/* The root is open for ever: it has no name. */
int32_t memory_init(struct memory *memory)
{
	memory->buckets = mem_alloc(BUCKETS_FIRST, sizeof(struct memory_name *));
	if (!memory->buckets)
		return -ENOMEM;
	memory->n_buckets = BUCKETS_FIRST;
	int32_t r = memory_make(memory, SONDE_KIND_DIRECTORY, 0755, &memory->root);
	if (r < 0)
		return r;
	memory->root->n_open = 1;
	memory->root->parent = memory->root;
	return 0;
}

void memory_finish(struct memory *memory)
{
	struct memory_node *node;
	struct memory_name *name;

	for (size_t i = 0; i < memory->n_buckets; i++) {
		while ((name = memory->buckets[i])) {
			memory->buckets[i] = name->below;
			mem_release(name);
		}
	}
	while ((node = memory->nodes)) {
		memory->nodes = node->next;
		mem_release(node->bytes);
		mem_release(node);
	}
	mem_release(memory->buckets);
	mem_release(memory->handles);
}
