/* SPDX-License-Identifier: MIT */
/* The bench row layer.remap: what a space made of pieces of another costs. */
#ifndef BENCH_ROWS_LAYER_H
#define BENCH_ROWS_LAYER_H

#include <stdint.h>

struct layer_remap_cost {
	double remap_ns;      /* a piece through sonde_space_remap over memory             */
	double without_ns;    /* the same pieces, of the memory itself                     */
	uint64_t allocations; /* of the measured rounds: must be 0                         */
};

/*
 * Read 8-byte pieces in batches of 64 through the blocking door: of memory, and of a space made of 64
 * stretches of it in another order. Each figure is the median of rounds, the two taken in turn.
 * Returns 0, or below 0 where there was no memory for it.
 */
int bench_layer_remap(uint32_t rounds, struct layer_remap_cost *ret);

#endif
