/* SPDX-License-Identifier: MIT */
/*
 * What a space keeps for sending through the loop's engine, shared by by_engine.c (any batch) and
 * by_engine_single.c (batches of many small requests that have nothing in common).
 */
#ifndef SONDE_SPACE_FEED_H
#define SONDE_SPACE_FEED_H

#include "io/loop.h"
#include "space/merge.h"
#include "space/past_cache.h"
#include "space/stretch.h"

#define N_PARTS 4096u
#define N_BOUNCES 16u

struct bounce {
	_Alignas(SONDE_PAGE_SIZE) char bytes[MERGE_SPAN_MAX];
};

/* What is asked of an extent for a lone read that is sent as it is submitted. */
struct lane {
	uint64_t addr, span; /* last byte - addr                          */
	uint64_t shift;      /* from an address to the offset in the file */
	int32_t fd, slot;
	int16_t past;
};

struct feed {
	struct connector_space *cs;
	struct loop_flush resume; /* there is something to send, and may be room for it    */
	bool stuck;               /* something waits for an operation of ours to come back */
	bool joins;               /* some in the window may be neighbours                  */
	uint32_t n_in_flight;     /* moves                                                 */
	struct lane lane;         /* by_engine_single.c, while space.at_once                 */
	bool were_alone;          /* ... the requests of the last batch that was looked at   */
	uint32_t n_alike;         /* ... batches before it of which the same held            */
	uint32_t n_skip;          /* ... how many are taken to be like it, unlooked at        */
	struct part *free;        /* of those that were used before: parts[0 .. n_used)      */
	size_t n_used;
	struct part *alone;             /* to be sent on their own, before anything else */
	size_t at, n;                   /* window[at .. n) are not sent yet              */
	struct bounce *bounces;         /* [N_BOUNCES]             */
	struct bounce *idle[N_BOUNCES]; /* [n_idle]: the free ones */
	size_t n_idle;
	struct past_cache past; /* n 0: no file of it is read past the cache */
	struct part *window[MERGE_WINDOW];
	struct merge_room room;
	struct part parts[N_PARTS];
};

static inline struct file_op *feed_take_op(struct feed *feed)
{
	struct file_op *op = loop_get_op(feed->cs->space.loop);

	if (op)
		feed->n_in_flight++;
	return op;
}

/* A move of ours came back. */
static inline void feed_end(struct feed *feed)
{
	feed->n_in_flight--;
	if (feed->stuck)
		loop_add_flush(feed->cs->space.loop, &feed->resume);
}

static inline void feed_put_op(struct feed *feed, struct file_op *op)
{
	loop_put_op(feed->cs->space.loop, op);
	feed_end(feed);
}

/* An operation about to be sent, for the statistics. */
static inline void feed_count(struct feed *feed, const struct file_op *op)
{
	feed->cs->space.stats.moves++;
	feed->cs->space.stats.moved += op->len;
}

/* by_engine.c: this request goes on from its cursor, like any other. */
void feed_go_on(struct feed *feed, struct sonde_io *io);

/*
 * by_engine_single.c: send each read of one piece straight to its buffer, where most of the list are such and lie
 * far from each other. Returns what is left of the list, in its order.
 */
struct sonde_io *feed_send_singles(struct feed *feed, struct sonde_io *list);

#endif
