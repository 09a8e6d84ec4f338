/* SPDX-License-Identifier: MIT */
/*
 * 8-byte pieces at random places of some memory, made before the clock runs: what ours and memcpy read
 * alike, in batches of work->shape.depth.
 */
#ifndef BENCH_PIECES_H
#define BENCH_PIECES_H

#include <sonde/space.h>

#include "bench.h"

#define PIECES (UINT32_C(64) * 2000) /* gone over again and again */

struct pieces {
	uint8_t *memory; /* [work->len], random  */
	uint64_t addrs[PIECES];
	uint64_t values[PIECES];         /* what was read           */
	struct sonde_xfer xfers[PIECES]; /* piece i: addrs to values */
};

struct pieces *pieces_create(const struct work *work); /* NULL: out of memory */
void pieces_destroy(struct pieces *pieces);            /* NULL is allowed     */

/* The first piece of a run's batch number b. */
static inline uint32_t pieces_batch(const struct work *work, uint64_t b)
{
	return (uint32_t)(b % (PIECES / work->shape.depth)) * work->shape.depth;
}

/* After a run: put the last batch into the slots, to be compared with memory. */
void pieces_show(const struct pieces *pieces, struct work *work);

#endif
