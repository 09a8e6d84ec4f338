/* SPDX-License-Identifier: MIT */
/*
 * The short way through the engine: many requests of one small piece each, far apart from each other, become
 * one operation each without being cut, kept or put in order. Nearly all random access is of this kind, and an
 * operation on resident bytes costs so little that the long way would show.
 */
#include <errno.h>

#include "space/feed.h"

#define FEW 32u /* of so few, neighbours are looked for in earnest */

#define SURE                                                                                       \
	8u /* so many large batches in a row, all alone or none, make it likely that the next is like them */
#define SKIP 31u /* ... and so many are not looked at */

/* The offset in the file, in *ret_off, of a request that may go this way; false: it may not. */
static inline bool is_single(const struct connector_space *cs, const struct sonde_io *io,
			     const struct extent *e, uint64_t *ret_off)
{
	const struct sonde_xfer *x = io->xfers;

	if (io->n != 1 || io->op != SONDE_IO_READ || io->fragment)
		return false;
	uint64_t in_extent = x->addr - e->addr, span = e->last - e->addr;
	*ret_off = e->off + in_extent;
	return in_extent <= span && x->len - 1 <= span - in_extent && x->len - 1 < MERGE_SPAN_MAX &&
	       (!e->ptr || !cs->choice.copies);
}

static inline struct lane lane_of(const struct extent *e)
{
	return (struct lane){ .addr = e->addr,
			      .span = e->last - e->addr,
			      .shift = e->off - e->addr,
			      .fd = e->fd,
			      .slot = e->slot,
			      .past = e->past };
}

/* What was so often enough is taken to be so for a while. */
static void note_verdict(struct feed *feed, const struct extent *e, bool alone)
{
	feed->n_alike = alone == feed->were_alone ? feed->n_alike + 1 : 0;
	feed->were_alone = alone;
	if (feed->n_alike < SURE)
		return;
	if (alone && feed->cs->space.ops->submit_at_once) {
		feed->lane = lane_of(e);
		feed->cs->space.at_once = SKIP;
	} else {
		feed->n_skip = SKIP;
	}
}

/* Do most of the list lie alone? Then merging is not worth looking for. */
static bool lie_alone(struct feed *feed, const struct extent *e, struct sonde_io *list)
{
	uint32_t gap = feed->cs->space.loop->merge_gap, n = feed->cs->space.n_leaving;
	uint32_t n_singles = 0;
	struct merge_probe probe;
	uint64_t off;

	if (gap == UINT32_MAX || !io_core(list)->next)
		return true;
	if (n <= FEW || n > MERGE_WINDOW)
		return false;
	if (feed->n_skip) {
		feed->n_skip--;
		return feed->were_alone;
	}
	merge_probe_begin(&probe, &feed->room, n, gap);
	for (struct sonde_io *io = list; io; io = io_core(io)->next) {
		if (!is_single(feed->cs, io, e, &off))
			continue;
		merge_probe_add(&probe, off, io->xfers->len);
		n_singles++;
	}
	bool alone = n_singles >= n / 2 && probe.hits < n / 4;
	note_verdict(feed, e, alone);
	return alone;
}

/* Short, or a bad page, or not at all: what lies behind goes the long way. */
static __attribute__((noinline)) void go_on(struct feed *feed, struct sonde_io *io, int32_t result)
{
	struct stretch s = stretch_at(feed->cs, io); /* all of the piece: is_single */
	uint64_t off = s.extent->off + s.in_extent;
	int32_t err;
	/* What failed past the cache is tried the ordinary way. */
	bool tries_again = result == -EAGAIN || result == -EINTR ||
			   (result < 0 && s.extent->past != PAST_CACHE_NEVER);

	if (!tries_again) {
		uint32_t len = stretch_judge(result, 0, off, s.len, &err);
		stretch_settle(io, len, err);
	}
	if (io_core(io)->piece == io->n)
		io_finish(io);
	else
		feed_go_on(feed, io);
}

static void moved(struct sonde_io *io, int32_t result)
{
	struct connector_space *cs = of_space(io_core(io)->space);

	cs->space.loop->n_moves--;
	feed_end(cs->feed);
	if (result != (int32_t)io->xfers->len) {
		go_on(cs->feed, io, result);
		return;
	}
	io->xfers->done = (uint32_t)result;
	if (space_is_single(io))
		space_call_single(cs->space.loop, io);
	else
		io_finish(io);
}

/* false: there is no room. */
static inline bool send_lone(struct connector_space *cs, const struct lane *lane,
			     struct sonde_io *io, uint64_t off)
{
	struct sonde_loop *loop = cs->space.loop;
	const struct past_file *past =
		past_cache_file(&cs->feed->past, lane->past, off, io->xfers->buf, io->xfers->len);

	if (!loop_may_move(loop) ||
	    !loop->engine_ops->read_lone(loop->engine, io, past ? past->fd : lane->fd,
					 past ? past->slot : lane->slot, off))
		return false;
	io->state = SONDE_IO_IN_FLIGHT;
	io_core(io)->moved = moved;
	loop->n_moves++;
	cs->feed->n_in_flight++;
	return true;
}

/* There is little to check of a plain read, and to set. */
int by_engine_submit_at_once(struct sonde_space *space, struct sonde_io *io)
{
	struct connector_space *cs = of_space(space);
	const struct lane *lane = &cs->feed->lane;
	struct sonde_xfer *x = io->xfers;
	uint64_t in_extent;

	if (!x || !io->done || io->n != 1 || io->op != SONDE_IO_READ ||
	    (uintptr_t)io->fragment | io->state | io->deadline_ns ||
	    (in_extent = x->addr - lane->addr) > lane->span ||
	    x->len - 1 > lane->span - in_extent || x->len - 1 >= MERGE_SPAN_MAX || !x->buf ||
	    cs->feed->stuck || !send_lone(cs, lane, io, x->addr + lane->shift))
		return space_submit(space, io);
	io_xfer_reset(x);
	io_begin(io, space_complete_by_callback);
	io_core(io)->watches = NULL;
	space->n_sent++;
	space->n_sent_bytes += x->len;
	return space_enter(space, io);
}

struct sonde_io *feed_send_singles(struct feed *feed, struct sonde_io *list)
{
	struct connector_space *cs = feed->cs;
	const struct extent *e = cs->hint < cs->extents.n ? &cs->extents.at[cs->hint] : NULL;

	if (!cs->space.loop->engine_ops->read_lone || !e || e->kind != SONDE_EXTENT_FILE ||
	    !lie_alone(feed, e, list))
		return list;
	struct sonde_io *rest = NULL, **tail = &rest;
	const struct lane lane = lane_of(e);
	while (list) {
		struct sonde_io *io = list;
		uint64_t off;
		list = io_core(io)->next;
		if (is_single(cs, io, e, &off) && send_lone(cs, &lane, io, off)) {
			cs->space.stats.moves++;
			cs->space.stats.moved += io->xfers->len;
			continue;
		}
		*tail = io;
		tail = &io_core(io)->next;
	}
	*tail = NULL;
	return rest;
}
