/* SPDX-License-Identifier: MIT */
/* The inside of the cache layer: cache.c answers reads and writes, fetch.c brings pages, frames.c keeps them. */
#ifndef CACHE_H
#define CACHE_H

#include <sonde/plugin.h>

#include "../common/detour.h"
#include "frames.h"

/* Part of a request that waits for a page. */
struct waiter {
	struct waiter *next;
	struct detour *answer;
	uint32_t piece, off, len;
	uint32_t in_page; /* where in the page it begins */
};

/* Pages on their way: one request below for all that one batch was missing. */
struct fetch {
	struct sonde_io lower; /* first */
	struct fetch *next;    /* spare, or active by next and prev */
	struct fetch *prev;
	struct cache *cache;
	struct sonde_xfer *xfers; /* [n], room for cap: a page each */
	struct frame **frames;    /* [n] */
	uint32_t n, cap;
	uint64_t sent_ns, epoch;
	int stopped; /* nobody may join: its end was asked for */
};

struct cache {
	const struct sonde_host *host;
	void *below;
	struct frames frames;
	struct detour_pool answers; /* reads: what is not taken from pages comes by their parts */
	struct detour_pool rereads; /* bytes of pages that are there in parts, for an answer     */
	struct detour_pool writes;
	struct fetch *active, *spare;
	struct waiter *spare_waiters;
	uint32_t n_spare, n_spare_waiters;
	uint64_t ms_ns; /* how long a page is good; 0: until it is invalidated */
	int given_ms;   /* ... because the user said so                       */
	uint64_t epoch; /* goes on with each invalidation, and with each write */
	uint64_t n_hits, n_misses, n_joined, n_stale, n_passed, n_aside;
};

/* ---- fetch.c ---- */

/* Put a page on the list of the batch (made where *fetch is NULL). Returns 0, -1: no memory. */
int fetch_add(struct cache *cache, struct fetch **fetch, struct frame *frame, uint64_t now);
void fetch_send(struct fetch *fetch);
/* May who asks now have what it brings? */
int fetch_joinable(const struct cache *cache, const struct fetch *fetch, uint64_t now);
/* A part of an answer waits for a page that is coming. Returns 0, -1: no memory. */
int fetch_wait(struct cache *cache, struct frame *frame, const struct waiter *waiter);
/* Take back the last fetch_wait for this page. */
void fetch_unwait(struct cache *cache, struct frame *frame);
/* The end of a request was asked for: its parts leave the pages that others wait for as well. */
void fetch_leave(struct cache *cache, const struct detour *answer, int32_t why);
void fetch_finish(struct cache *cache); /* nothing under way */

/* ---- cache.c ---- */

/* One part less is wanted of this answer; the last one ends it. */
void answer_less(struct detour *answer);
/* Bytes of a page that came, or why not, for a part of an answer. */
void answer_part(struct cache *cache, struct sonde_io *io, const struct waiter *waiter,
		 const struct frame *frame);
/* The page is there in parts: these bytes are asked for by themselves. */
void answer_reread(struct cache *cache, const struct waiter *waiter);

#endif
