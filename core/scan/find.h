/* SPDX-License-Identifier: MIT */
/*
 * The search kernel: the places in some bytes where a pattern matches. Two bytes of the pattern, the rarest in
 * memory, are compared at many places at once; the rest of it only where both agree.
 */
#ifndef SONDE_SCAN_FIND_H
#define SONDE_SCAN_FIND_H

#include <sonde/scan.h>
#include <stdbool.h>

#define FOUND_MAX 64u

struct find {
	const uint8_t *bytes, *mask; /* [len] mask: NULL: all bits                      */
	uint32_t len;
	uint32_t align;            /* 1 and up                                        */
	uint32_t at[2];            /* the two bytes that are looked for; may be one   */
	uint8_t value[2], care[2]; /* ... and what of them has to agree               */
	bool wide;                 /* by the vectors of this processor                */
	bool enough;               /* where the two agree, all of it does             */
};

/* false: no bit of it has to agree. */
bool find_init(struct find *find, const struct sonde_pattern *pattern);

/* Places that were found, and where to go on. */
struct found {
	uint32_t n;           /* in at, rising, not taken yet: from `first` on */
	uint32_t first;       /* the next to take                              */
	size_t from;          /* no place in front of it is missing            */
	size_t at[FOUND_MAX]; /* [n]                                           */
};

/*
 * Look for places of 0..n-1 where it matches, from found->from on, until there are FOUND_MAX of them or found->from is
 * n. n + len - 1 bytes are there; addr is the address of the first.
 */
void find_some(const struct find *find, const uint8_t *bytes, size_t n, uint64_t addr,
	       struct found *found);

#endif
