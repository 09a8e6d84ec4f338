/* SPDX-License-Identifier: MIT */
/*
 * The pages a cache holds, and which of them make room. Eviction is S3-FIFO (Yang et al., "FIFO queues are
 * all you need for cache eviction", SOSP 2023, algorithm 1): new pages pass through a small queue, a tenth of
 * all; those that are asked for again there, or soon after they left it, get into the main one. A scan
 * goes through the small queue and leaves the main one alone.
 */
#ifndef CACHE_FRAMES_H
#define CACHE_FRAMES_H

#include <stddef.h>
#include <stdint.h>

enum { CACHE_PAGE = 4096 };

enum frame_place {
	FRAME_FREE = 0,
	FRAME_COMING, /* in the table, its bytes are on their way: evicted by nobody */
	FRAME_SMALL,
	FRAME_MAIN,
};

struct waiter;
struct fetch;

struct frame {
	uint64_t number;      /* address / CACHE_PAGE                            */
	uint64_t sent_ns;     /* when what brought it was sent below             */
	uint64_t epoch;       /* the cache's, then                               */
	struct frame *chain;  /* of its slot in the table                        */
	struct frame *older;  /* queue: towards its end; or the next free one    */
	struct frame *newer;  /* queue                                           */
	uint8_t *bytes;       /* [CACHE_PAGE]                                    */
	struct fetch *fetch;  /* COMING: what brings it                          */
	struct waiter *waits; /* COMING: who wants it                            */
	int32_t err;          /* nothing is there: why; FRAME_PARTLY: ask below  */
	uint8_t place;        /* enum frame_place                                */
	uint8_t uses;         /* 0..3, since it came or was passed over          */
};

#define FRAME_PARTLY 1 /* err of a page of which some bytes are there and others are not */

struct frame_queue {
	struct frame *newest, *oldest;
	uint32_t n;
};

/* A page that left the small queue not long ago. */
struct ghost {
	uint64_t number, left; /* left: how many had left before, from 1 */
};

struct frames {
	struct frame *at;          /* [n] */
	uint8_t *bytes;            /* [n * CACHE_PAGE] */
	struct frame **slots;      /* [n_slots], a power of two */
	struct ghost *ghosts;      /* [n_slots], by the slot of their number: some get lost */
	struct frame *free, *last; /* last: that was used or came */
	struct frame_queue small, main;
	uint32_t n, n_slots, n_coming, n_small_max;
	uint64_t n_left, n_evicted;
};

/* Returns 0, -1 without memory. */
int frames_init(struct frames *frames, uint32_t n);
void frames_finish(struct frames *frames);

struct frame *frames_find(const struct frames *frames, uint64_t number);

/* A frame for a page that is not in the table: COMING from now on. NULL: there is no room. */
struct frame *frames_take(struct frames *frames, uint64_t number);
/* It has come. */
void frames_arrived(struct frames *frames, struct frame *frame);
/*
 * It was asked for, and there. Time after time without another page between is one use: a scan in
 * small steps looks so, and is not to make every page it goes over a wanted one.
 */
static inline void frames_use(struct frames *frames, struct frame *frame)
{
	frame->uses += frames->last != frame && frame->uses < 3;
	frames->last = frame;
}
/* It does not count any more. Once it is asked for again it is remembered whether it was wanted. */
void frames_drop(struct frames *frames, struct frame *frame);
/* Drop all that are not coming, and give their memory back. */
void frames_trim(struct frames *frames);

static inline uint32_t frames_used(const struct frames *frames)
{
	return frames->small.n + frames->main.n;
}

#endif
