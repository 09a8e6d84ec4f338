/* SPDX-License-Identifier: MIT */
/*
 * The short way through the engine: many requests of one small piece each, far apart from each other, become
 * one operation each without being cut, kept or put in order. Nearly all random access is of this kind, and an
 * operation on resident bytes costs so little that the long way would show.
 */
#include "space/feed.h"

#define FEW 32u /* of so few, neighbours are looked for in earnest */

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

/* All of the list, and most of them alone: then merging is not worth looking for. */
static bool are_singles(struct feed *feed, const struct extent *e, struct sonde_io *list)
{
	struct merge_probe probe;
	uint32_t gap = feed->cs->space.loop->merge_gap;
	uint64_t off;
	size_t n = 0;

	if (!io_core(list)->next)
		return is_single(feed->cs, list, e, &off);
	merge_probe_begin(&probe, &feed->room, MERGE_WINDOW, gap);
	for (struct sonde_io *io = list; io; io = io_core(io)->next) {
		if (n++ == MERGE_WINDOW || !is_single(feed->cs, io, e, &off))
			return false;
		merge_probe_add(&probe, off, io->xfers->len);
	}
	return gap == UINT32_MAX || (n > FEW && probe.hits < n / 4);
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
		io_core(io)->piece = 1;
		io_finish(io);
		return;
	}
	len = stretch_judge(result, 0, off, len, &err);
	go_on(feed, io, len, err);
}

static void fill_op(struct feed *feed, struct file_op *op, const struct extent *e,
		    struct sonde_io *io)
{
	const struct sonde_xfer *x = io->xfers;

	op->done = single_done;
	op->owner = feed;
	op->off = e->off + (x->addr - e->addr);
	op->buf = x->buf;
	op->len = x->len;
	op->write = 0;
	op->fd = e->fd;
	op->slot = e->slot;
	op->cargo = io;
	op->work = NULL;
	feed_count(feed, op);
}

/* A few at a time, so that the engine finds them in the nearest cache. Returns what found no operation. */
static struct sonde_io *send_some(struct feed *feed, const struct extent *e, struct sonde_io *list)
{
	struct sonde_loop *loop = feed->cs->space.loop;
	struct file_op *ops = NULL, **tail = &ops, *op;

	for (uint32_t n = 0; n < FEW && list && (op = feed_take_op(feed)); n++) {
		fill_op(feed, op, e, list);
		*tail = op;
		tail = &op->next;
		list = io_core(list)->next;
	}
	*tail = NULL;
	if (ops)
		loop->engine_ops->submit(loop->engine, ops);
	return list;
}

struct sonde_io *feed_send_singles(struct feed *feed, struct sonde_io *list)
{
	struct connector_space *cs = feed->cs;
	const struct extent *e = cs->hint < cs->extents.n ? &cs->extents.at[cs->hint] : NULL;
	struct sonde_io *before;

	if (!e || e->kind != SONDE_EXTENT_FILE || !are_singles(feed, e, list))
		return list;
	do {
		before = list;
		list = send_some(feed, e, list);
	} while (list && list != before);
	return list;
}
