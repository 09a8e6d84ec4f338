/* SPDX-License-Identifier: MIT */
/* Memory by pieces from one stretch, first fit; neighbours that are free become one. */
#ifndef SONDE_BARE_HEAP_H
#define SONDE_BARE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_chunk;

struct heap {
	struct heap_chunk *free; /* the latest first */
	size_t total, used, most_used;
};

/* False: too small. */
bool heap_init(struct heap *heap, void *memory, size_t len);

/* Aligned to 16; what it holds is anything. NULL: there is none. */
void *heap_take(struct heap *heap, size_t len);
void heap_give(struct heap *heap, void *at);
/* How many bytes are there at what heap_take gave: as many as were asked for, or a few more. */
size_t heap_room(const void *at);

#endif
