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

/* The next n hits, n > 0. Any result but 0 ends the search, and is its own. */
typedef int stream_hits_fn(void *user, const struct sonde_scan_hit *hits, size_t n);

struct stream {
	const struct find *finds; /* [n], n <= SONDE_PATTERNS_MAX                    */
	size_t n;
	uint32_t longest;
	uint64_t last; /* hits behind this address are somebody else's */
	stream_hits_fn *hits;
	void *user;
	bool again;                           /* what was told before is not told again */
	bool told;                            /* there was a hit                        */
	struct sonde_scan_hit tell;           /* ... the last                           */
	struct sonde_scan_hit out[FOUND_MAX]; /* [n_out] found, to be told now          */
	uint32_t n_out;
	uint64_t held_addr; /* of the first byte held                       */
	uint32_t n_held;    /* less than longest                            */
	struct found found[SONDE_PATTERNS_MAX];
	uint8_t held[2 *
		     SONDE_PATTERN_MAX]; /* the end of what came, and a beginning of what comes */
};

/* Begin from an address on that has to do with nothing before it. */
static inline void stream_start(struct stream *stream)
{
	stream->n_held = stream->n_out = 0;
	stream->again = stream->told = false;
}

/* Begin once more where it was started: only what was not told yet is. */
static inline void stream_restart(struct stream *stream)
{
	stream->n_held = stream->n_out = 0;
	stream->again = true;
}

/*
 * The next len bytes, at addr. guarded: they may fault. Returns 0, STREAM_FAULT (stream_restart, or never
 * again) or what hits returned.
 */
int stream_feed(struct stream *stream, const uint8_t *bytes, size_t len, uint64_t addr,
		bool guarded);

/* There is a hole, or the end: what is held is looked at for the patterns that fit. As stream_feed. */
int stream_flush(struct stream *stream);

#endif
