/* SPDX-License-Identifier: MIT */
/*
 * Patterns over bytes that come in parts of any length, by rising address: what lies across two parts that touch
 * is found as if they were one. Hits come in order, each once.
 */
#ifndef SONDE_SCAN_STREAM_H
#define SONDE_SCAN_STREAM_H

#include <limits.h>

#include "scan/find.h"

#define STREAM_FAULT INT_MIN /* guarded bytes went away under the search */

/* Any result but 0 ends the search, and is below it. */
typedef int stream_hit_fn(void *user, const struct sonde_scan_hit *hit);

struct stream {
	const struct find *finds; /* [n], n <= SONDE_PATTERNS_MAX                    */
	size_t n;
	uint32_t longest;
	uint64_t last; /* hits behind this address are somebody else's */
	stream_hit_fn *hit;
	void *user;
	bool told;                  /* there was one: nothing up to it comes again */
	struct sonde_scan_hit tell; /* ... the last                                 */
	uint64_t held_addr;         /* of the first byte held                       */
	uint32_t n_held;            /* less than longest                            */
	struct found found[SONDE_PATTERNS_MAX];
	uint8_t held[2 *
		     SONDE_PATTERN_MAX]; /* the end of what came, and a beginning of what comes */
};

/* Forget what is held: what comes next is looked at for the first time. What was told stays told. */
static inline void stream_reset(struct stream *stream)
{
	stream->n_held = 0;
}

/*
 * The next len bytes, at addr. guarded: they may fault. Returns 0, STREAM_FAULT (stream_reset, then from the start
 * again or never) or what hit returned.
 */
int stream_feed(struct stream *stream, const uint8_t *bytes, size_t len, uint64_t addr,
		bool guarded);

/* There is a hole, or the end: what is held is looked at for the patterns that fit. As stream_feed. */
int stream_flush(struct stream *stream);

#endif
