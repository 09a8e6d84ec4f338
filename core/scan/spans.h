/* SPDX-License-Identifier: MIT */
/* What a scan goes over: regions that touch as one span, cut into chunks of about one size. */
#ifndef SONDE_SCAN_SPANS_H
#define SONDE_SCAN_SPANS_H

#include <sonde/space.h>
#include <stdbool.h>

struct span {
	uint64_t first, last; /* inclusive */
};

struct spans {
	struct span *at; /* [n], by address, not touching */
	size_t n, cap;
	uint64_t total;     /* bytes; UINT64_MAX for more    */
	size_t next;        /* the chunk after the last taken begins in this span ... */
	uint64_t next_addr; /* ... here, where next < n      */
};

/* The part of a span that belongs to a chunk. */
struct chunk {
	size_t span;   /* the first      */
	uint64_t addr; /* ... from here  */
	uint64_t len;  /* bytes, > 0; they go on through the spans that follow */
};

/*
 * The regions of space in first..last that have all of flags; where it cannot list them, the range as it is.
 * Returns 0; SONDE_E_NO_MEMORY, what sonde_space_regions says. spans_finish either way.
 */
int spans_init(struct spans *spans, struct sonde_space *space, uint64_t first, uint64_t last,
	       uint32_t flags);
void spans_finish(struct spans *spans);

/* The next chunk, of at most len bytes; false: there is none. */
bool spans_take(struct spans *spans, uint64_t len, struct chunk *ret);

#endif
