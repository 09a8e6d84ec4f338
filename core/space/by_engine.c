/* SPDX-License-Identifier: MIT */
/*
 * Sending what lies in files through the loop's engine. A batch is cut into parts (one extent's share of one
 * piece), a window of them at a time; neighbours of a window become one operation (merge.c). An operation of
 * one part moves it straight to its owner's buffer, one of several goes through a bounce buffer.
 *
 *   request ──collect──▶ window ──send──▶ in flight ──op_done──▶ accounted for
 *                           ▲                  └─ a merged move failed ─▶ alone ─┘
 *
 * Parts, window and buffers are made when the space is opened: nothing grows with the size of a batch.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "space/feed.h"

#define OP_MAX (UINT32_C(1) << 20) /* one file operation moves at most this much */

/* ---- parts ---------------------------------------------------------------------------------------- */

static bool part_is_left(const struct feed *feed)
{
	return feed->free || feed->n_used < N_PARTS;
}

/* part_is_left. A store that is never filled is never touched either. */
static struct part *part_get(struct feed *feed)
{
	struct part *part = feed->free;

	if (!part)
		return &feed->parts[feed->n_used++];
	feed->free = part->next;
	return part;
}

static void part_put(struct feed *feed, struct part *part)
{
	part->next = feed->free;
	feed->free = part;
}

/* The request ends with the last of its parts, once its cursor has left it. */
static void finish_if_over(struct sonde_io *io)
{
	struct io_core *core = io_core(io);

	if (core->piece == io->n && core->pending == 0)
		io_finish(io);
}

/* The first len bytes of a part are final; true: that was all of it, and the part is free. */
static bool part_settle(struct feed *feed, struct part *part, uint32_t len, int32_t err)
{
	struct sonde_io *io = part->io;

	io_account(io, part->piece, part->piece_off, len, err);
	if (len < part->len) {
		part->buf += len;
		part->off += len;
		part->piece_off += len;
		part->len -= len;
		return false;
	}
	part_put(feed, part);
	io_core(io)->pending--;
	finish_if_over(io);
	return true;
}

/* As part_settle where the part is all there is of its request, and all is well: most of them. false: it is not. */
static inline bool settle_whole(struct feed *feed, struct part *part)
{
	struct sonde_io *io = part->io;

	if (io->n != 1 || io->fragment || part->len != io->xfers->len || !space_is_single(io))
		return false;
	part_put(feed, part);
	io->xfers->done = io->xfers->len;
	space_finish_single(&feed->cs->space, io);
	return true;
}

/* ---- collecting ------------------------------------------------------------------------------------ */

static void part_take(struct feed *feed, struct sonde_io *io, const struct stretch *s)
{
	struct io_core *core = io_core(io);
	struct part *part = part_get(feed);

	*part = (struct part){
		.io = io,
		.buf = s->buf,
		.off = s->extent->off + s->in_extent,
		.len = s->len < OP_MAX ? s->len : OP_MAX,
		.piece = core->piece,
		.piece_off = core->off,
		.fd = s->extent->fd,
		.slot = s->extent->slot,
		.past = s->extent->past,
		.write = io->op == SONDE_IO_WRITE,
	};
	core->pending++;
	stretch_advance(io, part->len);
	feed->window[feed->n++] = part;
}

/* What nearly all of a file is. */
static inline bool is_for_engine(const struct connector_space *cs, const struct sonde_io *io,
				 const struct extent *e)
{
	return e && e->kind == SONDE_EXTENT_FILE && io->op == SONDE_IO_READ &&
	       (!e->ptr || !cs->choice.copies);
}

/* Cut one request as far as there is room; false: there is none. */
static bool collect_io(struct feed *feed, struct sonde_io *io)
{
	struct connector_space *cs = feed->cs;

	if (io_stop_code(io)) {
		io_core(io)->pending++; /* so that the end comes from collect */
		io_finish_unsent(io);
		io_core(io)->pending--;
		return true;
	}
	while (io_core(io)->piece < io->n) {
		struct stretch s = stretch_at(cs, io);
		if (!is_for_engine(cs, io, s.extent) && stretch_settle_guarded(cs, io, &s))
			continue;
		if (feed->n == MERGE_WINDOW || !part_is_left(feed))
			return false;
		part_take(feed, io, &s);
	}
	return true;
}

/* Fill the window from the requests that wait, in their order. */
static void collect(struct feed *feed)
{
	struct connector_space *cs = feed->cs;

	feed->at = feed->n = 0;
	while (cs->backlog) {
		struct sonde_io *io = cs->backlog;
		if (!collect_io(feed, io))
			break;
		backlog_take(cs);
		finish_if_over(io);
	}
	uint32_t gap = cs->space.loop->merge_gap;
	feed->joins = gap != UINT32_MAX && merge_order(feed->window, feed->n, &feed->room, gap);
}

/* ---- operations ------------------------------------------------------------------------------------- */

static void scatter(struct feed *feed, struct file_op *op, struct bounce *bounce);

/* By which descriptor, once it is known what is moved where. */
static inline void aim(struct feed *feed, struct file_op *op, const struct part *part)
{
	const struct past_file *past =
		op->write ? NULL
			  : past_cache_file(&feed->past, part->past, op->off, op->buf, op->len);

	op->fd = past ? past->fd : part->fd;
	op->slot = (int16_t)(past ? past->slot : part->slot);
}

/* Then the ordinary descriptor, at which the operation is aimed now, has the word. */
static bool failed_past_cache(struct feed *feed, struct file_op *op)
{
	const struct part *part = op->cargo;

	if (op->result >= 0 || op->fd == part->fd)
		return false;
	if (op->result == -EINVAL)
		past_cache_give_up(&feed->past, part->past);
	op->fd = part->fd;
	op->slot = (int16_t)part->slot;
	return true;
}

static void resend(struct feed *feed, struct file_op *op)
{
	struct sonde_loop *loop = feed->cs->space.loop;

	op->next = NULL;
	loop->engine_ops->submit(loop->engine, op);
}

/* Of one part, to or from its owner's buffer. Short, or a bad page: what lies behind is another move. */
static void single_done(struct file_op *op)
{
	struct part *part = op->cargo;
	struct feed *feed = op->owner;
	int32_t err;

	if (failed_past_cache(feed, op)) {
		resend(feed, op);
		return;
	}
	uint32_t len = stretch_judge(op->result, op->write, op->off, op->len, &err);
	if (len < op->len) {
		part_settle(feed, part, len, err);
		op->off = part->off;
		op->buf = part->buf;
		op->len = part->len;
		aim(feed, op, part);
		resend(feed, op);
		return;
	}
	feed_put_op(feed, op);
	part_settle(feed, part, len, err);
}

static void merged_done(struct file_op *op)
{
	struct feed *feed = op->owner;
	struct bounce *bounce = op->buf;

	if (failed_past_cache(feed, op)) {
		resend(feed, op);
		return;
	}
	scatter(feed, op, bounce);
	feed->idle[feed->n_idle++] = bounce;
	feed_put_op(feed, op);
}

/* A part that the move did not reach, or that it failed, is moved again on its own. */
static void scatter(struct feed *feed, struct file_op *op, struct bounce *bounce)
{
	uint64_t end = op->off + (op->result > 0 ? (uint32_t)op->result : 0);
	struct part *part = op->cargo;

	while (part) {
		struct part *next = part->next;
		if (part->off + part->len <= end) {
			if (!part->write)
				memcpy(part->buf, bounce->bytes + (part->off - op->off), part->len);
			if (!settle_whole(feed, part))
				part_settle(feed, part, part->len, SONDE_OK);
		} else {
			part->alone = true;
			part->next = feed->alone;
			feed->alone = part;
			feed->stuck = true;
		}
		part = next;
	}
}

/* Every field that an engine looks at but for what aim sets. */
static inline void fill_op(struct feed *feed, struct file_op *op, struct part *part)
{
	op->done = single_done;
	op->owner = feed;
	op->off = part->off;
	op->buf = part->buf;
	op->len = part->len;
	op->write = part->write;
	op->cargo = part;
	op->works = false;
}

/* Chain the parts, and bring the bytes of a write together. */
static void load_bounce(struct feed *feed, struct file_op *op, struct part **parts,
			struct merged merged)
{
	struct bounce *bounce = feed->idle[--feed->n_idle];

	op->done = merged_done;
	op->buf = bounce->bytes;
	op->len = merged.len;
	for (size_t i = 0; i < merged.n; i++) {
		parts[i]->next = i + 1 < merged.n ? parts[i + 1] : NULL;
		if (op->write)
			memcpy(bounce->bytes + (parts[i]->off - merged.off), parts[i]->buf,
			       parts[i]->len);
	}
}

/* ---- sending ----------------------------------------------------------------------------------------- */

/* Parts of requests that were cancelled meanwhile are not sent. */
static bool drop_stopped(struct feed *feed, struct part *part)
{
	int32_t stop = io_stop_code(part->io);

	if (stop)
		part_settle(feed, part, part->len, stop);
	return stop != 0;
}

static bool send_alone(struct feed *feed, struct file_op ***tail)
{
	while (feed->alone) {
		struct part *part = feed->alone;
		struct file_op *op = feed_take_op(feed);
		if (!op)
			return false;
		feed->alone = part->next;
		fill_op(feed, op, part);
		aim(feed, op, part);
		feed_count(feed, op);
		**tail = op;
		*tail = &op->next;
	}
	return true;
}

/* false: no operation, or no buffer, is free. */
static bool send_window(struct feed *feed, struct file_op ***tail)
{
	uint32_t gap = feed->cs->space.loop->merge_gap;

	while (feed->at < feed->n) {
		struct part **parts = feed->window + feed->at;
		if (drop_stopped(feed, parts[0])) {
			feed->at++;
			continue;
		}
		struct merged merged = { .n = 1 };
		if (feed->joins)
			merged = merge_front(parts, feed->n - feed->at, gap);
		if (merged.n > 1 && !feed->n_idle)
			return false;
		struct file_op *op = feed_take_op(feed);
		if (!op)
			return false;
		fill_op(feed, op, parts[0]);
		if (merged.n > 1)
			load_bounce(feed, op, parts, merged);
		aim(feed, op, parts[0]);
		feed_count(feed, op);
		feed->at += merged.n;
		**tail = op;
		*tail = &op->next;
	}
	return true;
}

/* Send all there is room for. What is left goes when an operation of ours comes back, or of somebody else. */
static void feed_send(struct feed *feed)
{
	struct sonde_loop *loop = feed->cs->space.loop;
	struct file_op *list = NULL, **tail = &list;
	bool room = send_alone(feed, &tail) && send_window(feed, &tail);

	while (room && feed->cs->backlog) {
		collect(feed);
		room = feed->n && send_window(feed, &tail);
	}
	*tail = NULL;
	feed->stuck = feed->alone || feed->at < feed->n || feed->cs->backlog;
	if (list)
		loop->engine_ops->submit(loop->engine, list);
	if (feed->stuck && !feed->n_in_flight)
		loop_wait_op(loop, &feed->resume);
}

static void resume(struct loop_flush *flush)
{
	feed_send((struct feed *)((char *)flush - offsetof(struct feed, resume)));
}

void by_engine_submit(struct sonde_space *space, struct sonde_io *list)
{
	struct connector_space *cs = of_space(space);

	if (!cs->feed->stuck)
		list = feed_send_singles(cs->feed, list);
	while (list) {
		struct sonde_io *io = list;
		list = io_core(io)->next;
		io->state = SONDE_IO_IN_FLIGHT;
		backlog_add(cs, io);
	}
	if (cs->backlog && !cs->feed->stuck)
		feed_send(cs->feed);
}

void feed_go_on(struct feed *feed, struct sonde_io *io)
{
	struct sonde_loop *loop = feed->cs->space.loop;

	backlog_add(feed->cs, io);
	feed->stuck = true;
	loop_add_flush(loop, &feed->resume);
}

/* Second descriptors, where the loop was asked for them. */
static void enter_past_cache(struct connector_space *cs)
{
	const struct engine_ops *engine_ops = cs->space.loop->engine_ops;
	struct past_cache *past = &cs->feed->past;

	for (size_t i = 0; i < cs->extents.n; i++) {
		struct extent *e = &cs->extents.at[i];
		if (e->kind == SONDE_EXTENT_FILE)
			e->past = past_cache_enter(past, e->fd);
	}
	for (size_t i = 0; i < past->n && engine_ops->add_file; i++)
		past->at[i].slot = engine_ops->add_file(cs->space.loop->engine, past->at[i].fd);
}

static void leave_past_cache(struct connector_space *cs)
{
	const struct engine_ops *engine_ops = cs->space.loop->engine_ops;
	struct past_cache *past = &cs->feed->past;

	for (size_t i = 0; i < past->n; i++) {
		if (past->at[i].slot >= 0)
			engine_ops->remove_file(cs->space.loop->engine, past->at[i].slot);
	}
	past_cache_close(past);
}

/* Descriptors that the engine knows by a slot of its own table cost less an operation. */
static int32_t slot_of(struct connector_space *cs, int32_t fd)
{
	struct sonde_loop *loop = cs->space.loop;

	for (size_t i = 0; i < cs->extents.n; i++) {
		if (cs->extents.at[i].fd == fd && cs->extents.at[i].slot >= 0)
			return cs->extents.at[i].slot;
	}
	return loop->engine_ops->add_file(loop->engine, fd);
}

static void enter_files(struct connector_space *cs)
{
	int32_t last_fd = -1, last_slot = -1;

	if (!cs->space.loop->engine_ops->add_file)
		return;
	for (size_t i = 0; i < cs->extents.n; i++) {
		struct extent *e = &cs->extents.at[i];
		if (e->kind != SONDE_EXTENT_FILE)
			continue;
		/* Thousands of extents mostly share one file; one that found no slot is not asked for again. */
		if (e->fd != last_fd) {
			last_slot = slot_of(cs, e->fd);
			last_fd = e->fd;
		}
		e->slot = last_slot;
	}
}

static void leave_files(struct connector_space *cs)
{
	uint64_t left = 0;

	for (size_t i = 0; i < cs->extents.n; i++) {
		int32_t slot = cs->extents.at[i].slot;
		if (slot < 0 || left & UINT64_C(1) << slot)
			continue;
		left |= UINT64_C(1) << slot;
		cs->space.loop->engine_ops->remove_file(cs->space.loop->engine, slot);
	}
}

int by_engine_open(struct connector_space *cs)
{
	if (cs->feed)
		return SONDE_OK;
	struct feed *feed = malloc(sizeof(*feed));
	struct bounce *bounces =
		aligned_alloc(_Alignof(struct bounce), N_BOUNCES * sizeof(*bounces));

	if (!feed || !bounces) {
		free(feed);
		free(bounces);
		return SONDE_E_NO_MEMORY;
	}
	memset(feed, 0, offsetof(struct feed, room));
	feed->cs = cs;
	feed->resume.flush = resume;
	feed->bounces = bounces;
	while (feed->n_idle < N_BOUNCES) {
		feed->idle[feed->n_idle] = &bounces[feed->n_idle];
		feed->n_idle++;
	}
	cs->feed = feed;
	enter_files(cs);
	if (cs->space.loop->past_cache)
		enter_past_cache(cs);
	return SONDE_OK;
}

void by_engine_close(struct connector_space *cs)
{
	if (!cs->feed)
		return;
	leave_files(cs);
	leave_past_cache(cs);
	free(cs->feed->bounces);
	free(cs->feed);
	cs->feed = NULL;
}
