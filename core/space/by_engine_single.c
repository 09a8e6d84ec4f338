/* SPDX-License-Identifier: MIT */
/*
 * The short way through the engine: many requests of one small piece each, far apart from each other, become
 * one operation each without being cut, kept or put in order. Nearly all random access is of this kind, and an
 * operation on resident bytes costs so little that the long way would show.
 */
#include "space/feed.h"

#define FEW 32u /* of so few, neighbours are looked for in earnest */

#define ALONE_SURE                                                                                 \
	8u /* so many large batches in a row without neighbours make it likely that the next has none */
#define ALONE_LOOK 4u /* ... and only one of so many is looked at */

/* The offset in the file of a request that may go this way; false: it may not. */
static inline bool is_single(const struct connector_space *cs, const struct sonde_io *io,
			     const struct extent *e, uint64_t *ret_off)
{
	const struct sonde_xfer *x = io->xfers;

	if (io->n != 1 || io->op != SONDE_IO_READ || io->fragment)
		return false;
	uint64_t in_extent = x->addr - e->addr, span = e->last - e->addr;
	*ret_off = e->off + in_extent;
	return in_extent <= span && x->len - 1 <= span - in_extent && x->len <= MERGE_SPAN_MAX &&
	       (!e->ptr || !cs->choice.copies);
}

/* Do most of the list lie alone? Then merging is not worth looking for. */
static bool lie_alone(struct feed *feed, const struct extent *e, struct sonde_io *list)
{
	uint32_t gap = feed->cs->space.loop->merge_gap, n = feed->cs->space.n_leaving;
	struct merge_probe probe;
	uint64_t off;

	if (gap == UINT32_MAX || !io_core(list)->next)
		return true;
	if (n <= FEW || n > MERGE_WINDOW)
		return false;
	if (feed->n_alone >= ALONE_SURE && feed->n_alone++ % ALONE_LOOK)
		return true;
	merge_probe_begin(&probe, &feed->room, n, gap);
	for (struct sonde_io *io = list; io; io = io_core(io)->next) {
		if (!is_single(feed->cs, io, e, &off))
			return false;
		merge_probe_add(&probe, off, io->xfers->len);
	}
	bool alone = probe.hits < n / 4;
	feed->n_alone = alone ? feed->n_alone + 1 : 0;
	return alone;
}

/* Short, or a bad page: what lies behind goes the long way. */
static void go_on(struct feed *feed, struct sonde_io *io, uint32_t len, int32_t err)
{
	stretch_settle(io, len, err);
	if (io_core(io)->piece == io->n)
		io_finish(io);
	else
		feed_go_on(feed, io);
}

static void single_done(struct file_op *op)
{
	struct feed *feed = op->owner;
	struct sonde_io *io = op->cargo;
	int32_t result = op->result, err;
	uint64_t off = op->off;
	uint32_t len = op->len;

	feed_put_op(feed, op);
	if (result == (int32_t)len) {
		io->xfers->done = len;
		if (!space_finish_single(&feed->cs->space, io))
			io_finish(io);
		return;
	}
	len = stretch_judge(result, 0, off, len, &err);
	go_on(feed, io, len, err);
}

static inline void fill_op(struct feed *feed, struct file_op *op, const struct extent *e,
			   struct sonde_io *io, uint64_t off)
{
	io->state = SONDE_IO_IN_FLIGHT;
	op->done = single_done;
	op->owner = feed;
	op->off = off;
	op->buf = io->xfers->buf;
	op->cargo = io;
	op->len = io->xfers->len;
	op->fd = e->fd;
	op->slot = (int16_t)e->slot;
	op->write = 0;
	op->works = false;
}

/* A few at a time, so that the engine finds them in the nearest cache. Returns what is of another kind, or found no operation. */
static struct sonde_io *send_some(struct feed *feed, const struct extent *e, struct sonde_io *list)
{
	struct sonde_loop *loop = feed->cs->space.loop;
	struct file_op *ops = loop->free_ops, *op = NULL, *next = ops;
	uint32_t n = 0;
	uint64_t bytes = 0;

	for (; n < FEW && list && next; n++, list = io_core(list)->next) {
		uint64_t off;
		if (!is_single(feed->cs, list, e, &off))
			break;
		op = next;
		next = op->next;
		__builtin_prefetch(next, 1);
		fill_op(feed, op, e, list, off);
		bytes += op->len;
	}
	if (n == 0)
		return list;
	loop->free_ops = next;
	loop->ops_in_use += n;
	op->next = NULL;
	feed->n_in_flight += n;
	feed->cs->space.stats.moves += n;
	feed->cs->space.stats.moved += bytes;
	loop->engine_ops->submit(loop->engine, ops);
	return list;
}

struct sonde_io *feed_send_singles(struct feed *feed, struct sonde_io *list)
{
	struct connector_space *cs = feed->cs;
	const struct extent *e = cs->hint < cs->extents.n ? &cs->extents.at[cs->hint] : NULL;
	struct sonde_io *before;

	if (!e || e->kind != SONDE_EXTENT_FILE || !lie_alone(feed, e, list))
		return list;
	do {
		before = list;
		list = send_some(feed, e, list);
	} while (list && list != before);
	return list;
}
