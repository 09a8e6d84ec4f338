/* SPDX-License-Identifier: MIT */
/*
 * Walking a maple tree. An encoded node pointer:
 *
 *	 63            8 7 6     3  2   1  0
 *	├ address of node ┤ ├ type ┤ 1  root 0      nodes are 256 bytes, aligned to that
 *
 * Slot i of a node holds what belongs to the indices above pivot[i-1], up to and with pivot[i]; the
 *last slot in use has the node's own maximum, and its pivot, where there is one, is that maximum or
 *0.
 */
#include "linux/maple.h"

#include <sonde/batch.h>
#include <sonde/error.h>
#include <sonde/types.h>
#include <stdlib.h>

#include "linux/addr_map.h"

#define NODE_MASK UINT64_C(255) /* MAPLE_NODE_MASK                       */
#define NODE_SIZE_MAX 512u
#define TYPE_SHIFT 3
#define TYPE_MASK 15u
#define INTERNAL_MASK 3u /* low bits of a pointer that is none: xa_is_internal, value entries */
#define INTERNAL 2u
#define RESERVED_MAX 4096u /* mt_is_reserved: internal entries that are no nodes   */

/* enum maple_type */
enum { DENSE, LEAF_64, RANGE_64, ARANGE_64 };

struct node {
	uint64_t addr, max;
	uint32_t type;
	int32_t err;
};

struct level {
	struct node *nodes;
	size_t n, cap;
};

struct maple {
	struct sonde_space *kernel;
	const struct layout *layout;
	struct sonde_batch *batch;
	struct addr_map seen;
	struct maple_entries *ret;
};

static void damaged(struct maple *m, uint64_t addr, int32_t err)
{
	if (m->ret->n_damaged++)
		return;
	m->ret->err = err;
	m->ret->err_addr = addr;
}

static int add_entry(struct maple_entries *ret, uint64_t entry)
{
	if (ret->n == ret->cap) {
		size_t cap = ret->cap ? 2 * ret->cap : 64;
		uint64_t *grown = realloc(ret->items, cap * sizeof(*grown));
		if (!grown)
			return SONDE_E_NO_MEMORY;
		ret->items = grown;
		ret->cap = cap;
	}
	ret->items[ret->n++] = entry;
	return SONDE_OK;
}

/* Put a node into the level to be read next, unless it has been met before. */
static int add_node(struct maple *m, struct level *level, uint64_t encoded, uint64_t max)
{
	uint64_t addr = encoded & ~NODE_MASK;
	uint32_t index, type = encoded >> TYPE_SHIFT & TYPE_MASK;

	if (type > ARANGE_64 || (encoded & INTERNAL_MASK & ~INTERNAL) || addr >> 63 == 0) {
		damaged(m, addr, SONDE_E_CORRUPT);
		return SONDE_OK;
	}
	int r = m->seen.n < MAPLE_NODES_MAX ? addr_map_add(&m->seen, addr, &index) : SONDE_E_LIMIT;
	if (r == 0 || r == SONDE_E_LIMIT) {
		damaged(m, addr, r == 0 ? SONDE_E_CORRUPT : r);
		return SONDE_OK;
	}
	if (r < 0)
		return r;
	if (level->n == level->cap) {
		size_t cap = level->cap ? 2 * level->cap : 16;
		struct node *grown = realloc(level->nodes, cap * sizeof(*grown));
		if (!grown)
			return SONDE_E_NO_MEMORY;
		level->nodes = grown;
		level->cap = cap;
	}
	level->nodes[level->n++] = (struct node){ .addr = addr, .max = max, .type = type };
	return SONDE_OK;
}

/* NULL, and entries that the tree keeps for itself (in the middle of a fork), are no answers. */
static int take_entry(struct maple *m, uint64_t entry)
{
	if (!entry || entry & INTERNAL_MASK)
		return SONDE_OK;
	if (m->ret->n == MAPLE_ENTRIES_MAX) {
		damaged(m, entry, SONDE_E_LIMIT);
		return SONDE_OK;
	}
	return add_entry(m->ret, entry);
}

static int take_slots(struct maple *m, const struct node *node, const uint8_t *bytes,
		      struct field slots, struct field pivots, struct level *next)
{
	uint32_t n_slots = slots.size / 8, n_pivots = pivots.size / 8;
	bool leaf = node->type <= LEAF_64, last = false;

	for (uint32_t i = 0; i < n_slots && !last; i++) {
		uint64_t max = i < n_pivots ? sonde_le64(bytes + pivots.off + 8 * i) : 0;
		uint64_t slot = sonde_le64(bytes + slots.off + 8 * i);
		last = node->type != DENSE && ((i && !max) || i >= n_pivots || max >= node->max);
		int r = leaf ? take_entry(m, slot)
			     : add_node(m, next, slot, last ? node->max : max);
		if (r < 0)
			return r;
	}
	return SONDE_OK;
}

static int take_node(struct maple *m, const struct node *node, const uint8_t *bytes,
		     struct level *next)
{
	const struct layout *l = m->layout;
	static const struct field none;

	if (node->err) {
		damaged(m, node->addr, node->err);
		return SONDE_OK;
	}
	/* A node that is its own parent was taken out of the tree (ma_dead_node) while we came
	 * down. */
	if ((sonde_le64(bytes) & ~NODE_MASK) == node->addr)
		damaged(m, node->addr, SONDE_E_CORRUPT);
	switch (node->type) {
	case DENSE:
		return take_slots(m, node, bytes, l->mn_alloc_slot, none, next);
	case ARANGE_64:
		return take_slots(m, node, bytes, l->mn_a64_slot, l->mn_a64_pivot, next);
	default:
		return take_slots(m, node, bytes, l->mn_r64_slot, l->mn_r64_pivot, next);
	}
}

static int read_level(struct maple *m, struct level *level, uint8_t *bytes, struct level *next)
{
	uint32_t size = m->layout->maple_node_size;
	int r = SONDE_OK;

	for (size_t i = 0; i < level->n && r == SONDE_OK; i++)
		r = sonde_batch_add(m->batch, m->kernel, level->nodes[i].addr, bytes + i * size,
				    size, &level->nodes[i].err);
	int run = sonde_batch_run(m->batch);
	if (r == SONDE_OK && run < 0)
		r = run;
	m->ret->levels++;
	for (size_t i = 0; i < level->n && r == SONDE_OK; i++)
		r = take_node(m, &level->nodes[i], bytes + i * size, next);
	return r;
}

static int walk(struct maple *m, uint64_t root)
{
	struct level now = { 0 }, next = { 0 };
	int r = add_node(m, &now, root & ~(uint64_t)INTERNAL, UINT64_MAX);

	while (r == SONDE_OK && now.n) {
		if (m->ret->levels == MAPLE_LEVELS_MAX) {
			damaged(m, now.nodes[0].addr, SONDE_E_LIMIT);
			break;
		}
		uint8_t *bytes = calloc(now.n, m->layout->maple_node_size);
		r = bytes ? read_level(m, &now, bytes, &next) : SONDE_E_NO_MEMORY;
		free(bytes);
		struct level used = now;
		now = next;
		next = used;
		next.n = 0;
	}
	free(now.nodes);
	free(next.nodes);
	return r;
}

static bool fits(struct field field, uint32_t size)
{
	return has(field) && field.off <= size && field.size <= size - field.off;
}

static bool layout_fits(const struct layout *l)
{
	uint32_t size = l->maple_node_size;

	return size >= NODE_MASK && size <= NODE_SIZE_MAX && fits(l->mn_r64_pivot, size) &&
	       fits(l->mn_r64_slot, size) && fits(l->mn_a64_pivot, size) &&
	       fits(l->mn_a64_slot, size) && fits(l->mn_alloc_slot, size);
}

int maple_collect(struct sonde_loop *loop, struct sonde_space *kernel, const struct layout *layout,
		  uint64_t root, struct maple_entries *ret)
{
	struct maple m = { .kernel = kernel, .layout = layout, .ret = ret };
	int r;

	*ret = (struct maple_entries){ 0 };
	if (!layout_fits(layout))
		return SONDE_E_NO_TYPES;
	/* Without a node the tree is empty, or is one entry for index 0. */
	if ((root & INTERNAL_MASK) != INTERNAL || root < RESERVED_MAX)
		return take_entry(&m, root);
	m.batch = sonde_batch_create(loop);
	r = m.batch ? walk(&m, root) : SONDE_E_NO_MEMORY;
	sonde_batch_destroy(m.batch);
	addr_map_finish(&m.seen);
	return r;
}
