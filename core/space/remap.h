/* SPDX-License-Identifier: MIT */
/*
 * The inside of a space that is made of stretches of others (sonde_space_remap), for who puts one behind
 * a table of his own: a layer that only says how its addresses map.
 *
 * Embed struct remap first, remap_init it, and let the table's slots be the functions below.
 */
#ifndef SONDE_SPACE_REMAP_H
#define SONDE_SPACE_REMAP_H

#include "space/space.h"

struct remap_op;

/* A stretch, resolved: what has to be added to an address, and to which of the spaces below it goes. */
struct remap_stretch {
	uint64_t addr, last; /* both inclusive      */
	uint64_t shift;      /* at - addr, wrapping */
	uint32_t lower;      /* index into lowers   */
};

struct remap_lower {
	struct sonde_space *space;
	struct remap_op *open; /* being filled for it, or NULL */
};

struct remap {
	struct sonde_space space;
	struct remap_stretch *stretches; /* [n_stretches], by addr, not overlapping */
	uint32_t n_stretches;
	uint64_t first, last; /* where the first one begins, the last one ends */
	uint32_t
		guide_shift; /* addresses from the first on fall into steps of 2^guide_shift bytes */
	uint32_t *guide;     /* [n_steps + 1] the first stretch that ends in a step or behind     */
	uint64_t n_steps;
	struct remap_lower *lowers; /* [n_lowers] each space below, once       */
	uint32_t n_lowers;
	bool resident;          /* of several below: all of them are        */
	bool sending;           /* send is at work further down the stack   */
	uint32_t filling;       /* enum sonde_io_op of the open ones        */
	struct remap_op *open;  /* all of lowers[].open, the newest first   */
	struct remap_op *spare; /* at hand                                  */
	struct remap_op **ops;  /* [n_ops] all there are                    */
	uint32_t n_ops;
	struct sonde_io *backlog, **backlog_tail; /* not cut to the end: its cursor says where */
};

/* As sonde_space_remap. On failure nothing is left to finish. */
int remap_init(struct remap *remap, const struct space_ops *ops, struct sonde_loop *loop,
	       const struct sonde_stretch *stretches, size_t n);
void remap_finish(struct remap *remap);

/* The slots of struct space_ops. */
void remap_submit(struct sonde_space *space, struct sonde_io *list);
void remap_cancel(struct sonde_space *space, struct sonde_io *io);
int remap_regions(struct sonde_space *space, sonde_region_fn *fn, void *user);
const void *remap_borrow(struct sonde_space *space, uint64_t addr, size_t *len);
void remap_trim(struct sonde_space *space);
void remap_invalidate(struct sonde_space *space);

#endif
