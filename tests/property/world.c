/* SPDX-License-Identifier: MIT */
/* Making a tree of spaces, from the bottom up, out of what lies in the pool. */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "arch/paging.h"

/* Threads and foreign loops are slow beside the rest, so they are rare. */
const struct loop_kind loop_kinds[] = {
	{ "sync", SONDE_ENGINE_SYNC, 0, 0, false, 24 },
	{ "direct", SONDE_ENGINE_DIRECT, 0, 0, false, 8 },
	{ "epoll", SONDE_ENGINE_EPOLL, 0, 0, false, 4 },
	{ "auto", SONDE_ENGINE_AUTO, 0, 0, false, 12 },
	{ "auto, depth 3, gap 64, embedded", SONDE_ENGINE_AUTO, 3, 64, true, 3 },
	{ "io_uring", SONDE_ENGINE_URING, 0, 0, false, 16 },
	{ "io_uring, depth 1", SONDE_ENGINE_URING, 1, 0, false, 8 },
	{ "io_uring, depth 2, gap 1", SONDE_ENGINE_URING, 2, 1, false, 8 },
	{ "io_uring, depth 16, no merging", SONDE_ENGINE_URING, 16, UINT32_MAX, false, 8 },
	{ "io_uring, depth 4, gap 64k, embedded", SONDE_ENGINE_URING, 4, 65536, true, 3 },
	{ "io_uring, past the cache", SONDE_ENGINE_URING, 8, 0, false, 6, 1 },
	{ "threads", SONDE_ENGINE_THREADS, 0, 0, false, 3 },
	{ "threads, depth 2", SONDE_ENGINE_THREADS, 2, 0, false, 2 },
	{ "threads, no merging, embedded", SONDE_ENGINE_THREADS, 16, UINT32_MAX, true, 1 },
};
enum { N_LOOPS = sizeof(loop_kinds) / sizeof(loop_kinds[0]) };
const unsigned n_loop_kinds = N_LOOPS;

struct pool {
	struct {
		struct sonde_loop *loop;
		bool refused;
		struct base *files[LAYOUTS][2];
	} loops[N_LOOPS];
	struct base memory[NODES_MAX]; /* of the other kinds of base */
};

/* ---- the pool --------------------------------------------------------------------------------- */

struct pool *pool_create(void)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		abort();
	return pool;
}

static void free_file(struct base *base)
{
	if (!base)
		return;
	base_close(base);
	store_close(&base->store);
	free(base);
}

void pool_destroy(struct pool *pool)
{
	if (!pool)
		return;
	for (unsigned i = 0; i < N_LOOPS; i++) {
		for (unsigned layout = 0; layout < LAYOUTS; layout++) {
			free_file(pool->loops[i].files[layout][0]);
			free_file(pool->loops[i].files[layout][1]);
		}
		sonde_loop_destroy(pool->loops[i].loop);
	}
	for (unsigned i = 0; i < NODES_MAX; i++) {
		if (pool->memory[i].store.size)
			store_close(&pool->memory[i].store);
	}
	free(pool);
}

static uint8_t room[1 << 18] __attribute__((aligned(4096)));

static struct sonde_loop *pool_loop(struct pool *pool, unsigned i)
{
	struct sonde_loop_options options = { .size = sizeof(options),
					      .engine = loop_kinds[i].engine,
					      .depth = loop_kinds[i].depth,
					      .merge_gap = loop_kinds[i].merge_gap,
					      .past_cache = loop_kinds[i].past_cache,
					      .n_threads = 2 };

	if (pool->loops[i].loop || pool->loops[i].refused)
		return pool->loops[i].loop;
	pool->loops[i].refused = sonde_loop_create(&options, &pool->loops[i].loop, NULL) < 0;
	if (pool->loops[i].refused)
		return NULL;
	sonde_loop_register(pool->loops[i].loop, room, sizeof(room)); /* where it can be */
	if (loop_kinds[i].embedded)
		sonde_loop_fd(pool->loops[i].loop);
	return pool->loops[i].loop;
}

static struct base *new_file(const struct plan_node *node, struct sonde_loop *loop)
{
	unsigned layout = node->variant % LAYOUTS;
	struct base *base = calloc(1, sizeof(*base));
	uint64_t size = layout == LAYOUT_BIG ? STORE_BIG : STORE_FIRST + STORE_SECOND;
	uint64_t len = layout == LAYOUT_BIG   ? STORE_BIG
		       : layout == LAYOUT_END ? LAYOUT_END_LEN
					      : STORE_FIRST;

	/* A file in memory answers later than one on disk: it knows no reading without waiting. */
	bool on_disk = layout != 3 && layout != 6;
	if (!base || !store_open(&base->store, size, true, on_disk, len) ||
	    !base_open(base, node, loop, 0))
		abort();
	return base;
}

/* ---- a tree -------------------------------------------------------------------------------------- */

/* Two files of a layout at most: the second stands for all further ones, which would be the same. */
static bool open_file(struct world *world, unsigned i)
{
	const struct plan_node *node = &world->plan->nodes[i];
	unsigned layout = node->variant % LAYOUTS;
	struct base **at = world->pool->loops[world->plan->loop].files[layout];
	unsigned ordinal = 0;

	for (unsigned k = 0; k < i; k++)
		ordinal +=
			world->bases[k] && (world->bases[k] == at[0] || world->bases[k] == at[1]);
	if (ordinal > 1)
		return false;
	if (!at[ordinal])
		at[ordinal] = new_file(node, world->loop);
	world->bases[i] = at[ordinal];
	world->bases[i]->node = node;
	world->spaces[i] = at[ordinal]->space;
	return true;
}

static bool open_memory(struct world *world, unsigned i)
{
	struct base *base = &world->pool->memory[i];

	if (!base->store.size &&
	    !store_open(&base->store, STORE_FIRST + STORE_SECOND, false, false, STORE_FIRST))
		abort();
	if (!base_open(base, &world->plan->nodes[i], world->loop, world->plan->seed))
		return false;
	world->bases[i] = base;
	world->spaces[i] = base->space;
	return true;
}

static bool open_remap(struct world *world, unsigned i)
{
	const struct plan_node *node = &world->plan->nodes[i];
	struct sonde_stretch stretches[STRETCHES_MAX];

	for (unsigned k = 0; k < node->n_stretches; k++) {
		const struct plan_stretch *s = &node->stretches[k];
		if (s->node >= i)
			return false;
		stretches[k] =
			(struct sonde_stretch){ s->addr, s->len, world->spaces[s->node], s->at };
	}
	return sonde_space_remap(world->loop, stretches, node->n_stretches, &world->spaces[i]) == 0;
}

static bool open_node(struct world *world, unsigned i)
{
	const struct plan_node *node = &world->plan->nodes[i];
	unsigned levels = 4 + node->variant % 2;

	if (!node_is_base(node) && node->kind != NODE_REMAP && node->below >= i)
		return false;
	switch (node->kind) {
	case NODE_FILE:
		return open_file(world, i);
	case NODE_PAGING:
		return paging_space(world->spaces[node->below],
				    paging_map(paging_x86_64(levels), store_root(levels)), 0,
				    &world->spaces[i]) == 0;
	case NODE_REMAP:
		return open_remap(world, i);
	case NODE_LAYER:
		layer_open(&world->layers[i], node->variant % n_layer_kinds,
			   world->spaces[node->below]);
		world->spaces[i] = world->layers[i].space;
		return true;
	default:
		return open_memory(world, i);
	}
}

bool world_open(struct world *world, struct pool *pool, const struct plan *plan)
{
	*world = (struct world){ .plan = plan, .pool = pool, .kind = &loop_kinds[plan->loop] };
	if (plan->fresh)
		world->pool = world->own_pool = pool_create();
	layers_begin_case();
	world->loop = pool_loop(world->pool, plan->loop);
	bool fine = world->loop;
	for (unsigned i = 0; fine && i < plan->n_nodes; i++)
		fine = open_node(world, i);
	if (!fine)
		world_close(world);
	return fine;
}

uint8_t *world_room(struct world *world, size_t len)
{
	if (len > sizeof(room) - world->n_room)
		return NULL;
	world->n_room += len;
	return room + (world->n_room - len);
}

bool world_is_cut(const struct world *world)
{
	for (unsigned i = 0; i < world->plan->n_nodes; i++) {
		const struct base *base = world->bases[i];
		if (base && base->store.now_len != base->store.file_len)
			return true;
	}
	return false;
}

void world_close(struct world *world)
{
	for (unsigned i = world->plan->n_nodes; i-- > 0;) {
		const struct plan_node *node = &world->plan->nodes[i];
		if (!world->spaces[i] || node->kind == NODE_FILE)
			continue;
		if (world->bases[i])
			base_close(world->bases[i]);
		else if (node->kind == NODE_LAYER)
			layer_close(&world->layers[i]);
		else
			sonde_space_close(world->spaces[i]);
	}
	pool_destroy(world->own_pool);
}
