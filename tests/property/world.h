/* SPDX-License-Identifier: MIT */
/*
 * A plan's loop and spaces. Loops, and spaces of files, are costly to make and used again by the next case
 * that wants one alike, unless the plan is fresh.
 */
#ifndef TESTS_PROPERTY_WORLD_H
#define TESTS_PROPERTY_WORLD_H

#include "base.h"
#include "layers.h"
#include "plan.h"

struct loop_kind {
	const char *name;
	uint32_t engine, depth, merge_gap;
	bool embedded;       /* in a foreign loop: waited for by its descriptor          */
	unsigned weight;     /* how often, beside the others                             */
	uint32_t past_cache; /* files are read past the page cache where they can be     */
};
extern const struct loop_kind loop_kinds[];
extern const unsigned n_loop_kinds;

/* What is used again; no two cases at a time. */
struct pool;
struct pool *pool_create(void);
void pool_destroy(struct pool *pool);

struct world {
	const struct plan *plan;
	struct pool *pool, *own_pool; /* own: of a fresh plan */
	const struct loop_kind *kind;
	struct sonde_loop *loop;
	struct base *bases[NODES_MAX]; /* NULL: another kind of node */
	struct sonde_space *spaces[NODES_MAX];
	struct layer layers[NODES_MAX];
	size_t n_room; /* bytes that were handed out */
	bool walking;  /* the oracle reads page tables at the moment */
};

/* False: the plan makes no sense (a shrunk one may not), or the host has no such loop. */
bool world_open(struct world *world, struct pool *pool, const struct plan *plan);
/* Close all that lies over the bases. */
void world_close(struct world *world);

/* Bytes for a request, of memory that loops were told of, until the case ends; NULL: there are no more. */
uint8_t *world_room(struct world *world, size_t len);

/* Was any file of it cut? */
bool world_is_cut(const struct world *world);

/* Bytes of files are copied from a map where the file has them all. */
static inline bool world_maps(const struct world *world)
{
	return world->kind->engine == SONDE_ENGINE_AUTO ||
	       world->kind->engine == SONDE_ENGINE_DIRECT;
}

#endif
