/* SPDX-License-Identifier: MIT */
/*
 * A space whose bytes come from a connector, in one of three ways:
 *
 *   extents   the connector said where the bytes live; mapped ones are copied here, those
 *             of files go through the loop's engine (file_op), at most the loop's depth at a time
 *   transfer  the connector moves a batch in one blocking call, here or on a worker thread
 *   submit    the connector starts requests and they come home by host->io_done
 *
 * A request's cursor (io_core.piece, .off) is the next byte that has not been sent.
 */
#include "space/connector.h"

#include <errno.h>
#include <sonde/error.h>
#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "io/engine.h"
#include "space/backed.h"
#include "space/extents.h"
#include "space/file_map.h"
#include "space/io_list.h"
#include "space/space.h"

#define OP_MAX (UINT32_C(1) << 20) /* one file operation moves at most this much */

struct connector_space {
	struct sonde_space space;
	struct sonde_connector_ops ops;
	void *conn;
	struct extents extents;
	struct file_maps maps;
	size_t hint;
	bool guarded;                             /* copies may meet a truncated file           */
	struct loop_flush resume;                 /* runs when operations are free again        */
	struct sonde_io *backlog, **backlog_tail; /* not sent, or not taken yet            */
	struct sonde_io *working;                 /* transfer: the batch a worker thread has    */
	struct file_op work;                      /* ... and what carries it there and back     */
	size_t n_taken;                           /* submit: requests the connector has         */
	size_t took;                              /* ... and how many this offer gave it        */
	bool submitting;
};

static struct connector_space *of_space(struct sonde_space *space)
{
	return (struct connector_space *)(void *)space;
}

static void backlog_add(struct connector_space *cs, struct sonde_io *io)
{
	io_core(io)->next = NULL;
	*cs->backlog_tail = io;
	cs->backlog_tail = &io_core(io)->next;
}

static struct sonde_io *backlog_take(struct connector_space *cs)
{
	struct sonde_io *io = cs->backlog;

	if (!io)
		return NULL;
	cs->backlog = io_core(io)->next;
	if (!cs->backlog)
		cs->backlog_tail = &cs->backlog;
	return io;
}

/* ---- extents: stretches in the submitting call -------------------------------------------- */

/* The stretch at a request's cursor: as long as one extent or one hole goes on. */
struct stretch {
	const struct extent *extent; /* NULL: a hole */
	char *buf;
	uint64_t in_extent;
	uint32_t len;
};

static inline struct stretch stretch_at(struct connector_space *cs, struct sonde_io *io)
{
	const struct io_core *core = io_core(io);
	const struct sonde_xfer *x = &io->xfers[core->piece];
	struct stretch s = { .buf = (char *)x->buf + core->off, .len = x->len - core->off };
	uint64_t addr = x->addr + core->off, room = 0;

	if (addr < x->addr)
		return s; /* past 2^64: a hole to the end of the piece */
	s.extent = extents_find(&cs->extents, addr, &cs->hint, &room);
	if (s.extent) {
		s.in_extent = addr - s.extent->addr;
		room = s.extent->last - addr + 1; /* 0: 2^64 bytes, more than any piece */
	}
	if (room && s.len > room)
		s.len = (uint32_t)room;
	/* The bytes behind 2^64 are a hole even where an extent reaches up to it. */
	if (s.len - 1 > UINT64_MAX - addr)
		s.len = (uint32_t)(UINT64_MAX - addr) + 1;
	return s;
}

static inline void advance(struct sonde_io *io, uint32_t len)
{
	struct io_core *core = io_core(io);

	core->off += len;
	if (core->off == io->xfers[core->piece].len) {
		core->piece++;
		core->off = 0;
	}
}

/* Account for the stretch at the cursor and step over it. */
static inline void settle(struct sonde_io *io, uint32_t len, int32_t err)
{
	const struct io_core *core = io_core(io);

	io_account(io, core->piece, core->off, len, err);
	advance(io, len);
}

static int32_t copy(const struct sonde_io *io, const struct stretch *s)
{
	char *there = s->extent->ptr + s->in_extent;

	if (io->op == SONDE_IO_READ)
		memcpy(s->buf, there, s->len);
	else if (s->extent->ptr_read_only)
		return SONDE_E_READ_ONLY;
	else
		memcpy(there, s->buf, s->len);
	/* A fault in the copy must find the cursor where it was. */
	__asm__ volatile("" ::: "memory");
	return SONDE_OK;
}

static int32_t zero(const struct sonde_io *io, const struct stretch *s)
{
	if (io->op != SONDE_IO_READ)
		return SONDE_E_READ_ONLY;
	memset(s->buf, 0, s->len);
	return SONDE_OK;
}

static inline bool is_denied(const struct sonde_io *io, const struct extent *e)
{
	return io->op != SONDE_IO_READ && !(e->flags & SONDE_REGION_WRITE);
}

/* Settle a stretch that needs neither a copy under guard nor a file operation; false: it does. */
static inline bool settle_plain(struct sonde_io *io, const struct stretch *s)
{
	const struct extent *e = s->extent;

	if (!e)
		settle(io, s->len, SONDE_E_NOT_MAPPED);
	else if (e->kind == SONDE_EXTENT_ABSENT)
		settle(io, s->len, e->err);
	else if (is_denied(io, e))
		settle(io, s->len, SONDE_E_READ_ONLY);
	else if (e->kind == SONDE_EXTENT_ZERO)
		settle(io, s->len, zero(io, s));
	else
		return false;
	return true;
}

static bool asked_to_stop(const struct sonde_io *io)
{
	return ((const struct io_core *)(const void *)io->core)->flags & IO_ASKED_CANCEL;
}

/* How a result of a file move reads as an outcome. */
static int32_t move_error(int32_t result, uint32_t write)
{
	switch (-result) {
	case 0:
		return SONDE_E_TRUNCATED;
	case EBADF:
	case EROFS:
	case EPERM:
		return write ? SONDE_E_READ_ONLY : SONDE_E_NO_ACCESS;
	case ENODEV:
	case ENXIO:
		return SONDE_E_GONE;
	default:
		return SONDE_E_IO;
	}
}

/* An error costs the rest of its page, so that what lies behind it is still tried. */
static uint32_t rest_of_page(uint64_t off, uint32_t len)
{
	uint32_t rest = (uint32_t)(SONDE_PAGE_SIZE - (off & (SONDE_PAGE_SIZE - 1)));

	return len < rest ? len : rest;
}

/* What a finished move says of its first bytes: how many, and their outcome. */
static uint32_t judge(int32_t result, uint32_t write, uint64_t off, uint32_t len, int32_t *ret_err)
{
	if (result > 0) {
		*ret_err = SONDE_OK;
		return (uint32_t)result < len ? (uint32_t)result : len;
	}
	*ret_err = move_error(result, write);
	return result == 0 ? len : rest_of_page(off, len);
}

/* The sync engine: the reference. */
static void settle_by_pread(struct sonde_io *io, const struct stretch *s)
{
	uint64_t off = s->extent->off + s->in_extent;
	uint32_t write = io->op == SONDE_IO_WRITE, done = 0;

	while (done < s->len) {
		int32_t err;
		int32_t moved =
			file_move(s->extent->fd, write, off + done, s->buf + done, s->len - done);
		uint32_t len = judge(moved, write, off + done, s->len - done, &err);
		settle(io, len, err);
		done += len;
	}
}

#define AHEAD 8u /* pieces; so many misses are under way at once while one is copied */

static inline void prefetch_piece(const struct extent *e, const struct sonde_io *io, uint32_t i)
{
	if (i >= io->n)
		return;
	uint64_t in_extent = io->xfers[i].addr - e->addr;
	if (in_extent <= e->last - e->addr)
		__builtin_prefetch(e->ptr + in_extent);
}

/* The sizes that structures are made of are moves of a register; the rest is memcpy. */
static inline void copy_small(char *to, const char *from, uint32_t len)
{
	switch (len) {
	case 8:
		memcpy(to, from, 8);
		break;
	case 4:
		memcpy(to, from, 4);
		break;
	case 1:
		*to = *from;
		break;
	default:
		memcpy(to, from, len);
	}
}

/* Whole pieces that lie in one mapped extent, as long as they come one after the other. */
static void read_run(const struct extent *e, struct sonde_io *io)
{
	struct io_core *core = io_core(io);
	uint64_t span = e->last - e->addr;

	for (uint32_t i = 0; i < AHEAD; i++)
		prefetch_piece(e, io, core->piece + i);
	while (core->piece < io->n) {
		struct sonde_xfer *x = &io->xfers[core->piece];
		uint64_t in_extent = x->addr - e->addr;
		if (in_extent > span || x->len - 1 > span - in_extent)
			return;
		prefetch_piece(e, io, core->piece + AHEAD);
		copy_small(x->buf, e->ptr + in_extent, x->len);
		/* A fault in the copy must find the cursor, and the account, where they were. */
		__asm__ volatile("" ::: "memory");
		if (io->fragment)
			io_account(io, core->piece, 0, x->len, SONDE_OK);
		else
			x->done = x->len;
		core->piece++;
	}
}

/* Every copy in one stretch, as fast as it goes. */
static void move_unguarded(struct connector_space *cs, struct sonde_io *io)
{
	while (io_core(io)->piece < io->n) {
		struct stretch s = stretch_at(cs, io);
		if (s.extent && s.extent->ptr && io->op == SONDE_IO_READ && io_core(io)->off == 0 &&
		    s.len == io->xfers[io_core(io)->piece].len) {
			read_run(s.extent, io);
			continue;
		}
		if (s.extent && s.extent->ptr && !is_denied(io, s.extent))
			settle(io, s.len, copy(io, &s));
		else if (!settle_plain(io, &s))
			settle_by_pread(io, &s);
	}
}

static int32_t copy_guarded(const struct sonde_io *io, const struct stretch *s)
{
	struct guard guard;
	volatile int32_t err = SONDE_E_TRUNCATED;

	if (!GUARD_ENTER(&guard))
		err = copy(io, s);
	guard_leave(&guard);
	return err;
}

/*
 * Settle the stretch at the cursor if it is mapped, or as settle_plain. Page by page, each copy under a
 * guard of its own: a fault costs its page, and no watcher is called inside one.
 */
static bool settle_guarded(struct sonde_io *io, struct stretch *s)
{
	if (!s->extent || !s->extent->ptr || is_denied(io, s->extent))
		return settle_plain(io, s);
	s->len = rest_of_page((uintptr_t)(s->extent->ptr + s->in_extent), s->len);
	settle(io, s->len, copy_guarded(io, s));
	return true;
}

static void move_by_page(struct connector_space *cs, struct sonde_io *io)
{
	while (io_core(io)->piece < io->n) {
		struct stretch s = stretch_at(cs, io);
		if (!settle_guarded(io, &s))
			settle_by_pread(io, &s);
	}
}

/* One guard for the whole request; after a fault it goes on page by page from its cursor. */
static void move_guarded(struct connector_space *cs, struct sonde_io *io)
{
	struct guard guard;
	volatile bool faulted = true;

	if (!GUARD_ENTER(&guard)) {
		move_unguarded(cs, io);
		faulted = false;
	}
	guard_leave(&guard);
	if (faulted)
		move_by_page(cs, io);
}

static void submit_inline(struct sonde_space *space, struct sonde_io *list)
{
	struct connector_space *cs = of_space(space);

	while (list) {
		struct sonde_io *io = list;
		list = io_core(io)->next;
		if (!cs->guarded)
			move_unguarded(cs, io);
		else if (io->fragment)
			move_by_page(cs, io);
		else
			move_guarded(cs, io);
		io_finish(io);
	}
}

/* ---- extents: stretches through the engine ------------------------------------------------- */

static void finish_if_over(struct sonde_io *io)
{
	struct io_core *core = io_core(io);

	if (core->piece == io->n && core->pending == 0)
		io_finish(io);
}

static void op_done(struct file_op *op)
{
	struct sonde_io *io = op->owner;
	struct connector_space *cs = of_space(io_core(io)->space);
	struct sonde_loop *loop = cs->space.loop;
	int32_t err;
	uint32_t len = judge(op->result, op->write, op->off, op->len, &err);

	io_account(io, op->piece, op->piece_off, len, err);
	if (len < op->len) {
		/* Short, or a bad page: what lies behind is another move. */
		op->off += len;
		op->piece_off += len;
		op->buf = (char *)op->buf + len;
		op->len -= len;
		op->next = NULL;
		loop->engine_ops->submit(loop->engine, op);
		return;
	}
	loop_put_op(loop, op);
	io_core(io)->pending--;
	finish_if_over(io);
}

/* false: every operation is in flight. */
static bool send_stretch(struct connector_space *cs, struct sonde_io *io, struct stretch *s,
			 struct file_op ***tail)
{
	struct io_core *core = io_core(io);
	struct file_op *op = loop_get_op(cs->space.loop);

	if (!op)
		return false;
	*op = (struct file_op){
		.done = op_done,
		.owner = io,
		.off = s->extent->off + s->in_extent,
		.buf = s->buf,
		.len = s->len < OP_MAX ? s->len : OP_MAX,
		.write = io->op == SONDE_IO_WRITE,
		.fd = s->extent->fd,
		.piece = core->piece,
		.piece_off = core->off,
	};
	core->pending++;
	advance(io, op->len);
	**tail = op;
	*tail = &op->next;
	return true;
}

/* Send what can be sent of one request; false: out of operations. */
static bool send_io(struct connector_space *cs, struct sonde_io *io, struct file_op ***tail)
{
	if (asked_to_stop(io)) {
		struct io_core *core = io_core(io);
		core->pending++; /* so that the end comes from here */
		io_finish_unsent(io);
		core->pending--;
		return true;
	}
	while (io_core(io)->piece < io->n) {
		struct stretch s = stretch_at(cs, io);
		if (settle_guarded(io, &s))
			continue;
		if (!send_stretch(cs, io, &s, tail))
			return false;
	}
	return true;
}

static void send_backlog(struct connector_space *cs)
{
	struct sonde_loop *loop = cs->space.loop;
	struct file_op *list = NULL, **tail = &list;
	bool room = true;

	while (room && cs->backlog) {
		struct sonde_io *io = cs->backlog;
		/* The last operation may not end the request before the cursor has left it. */
		io_core(io)->pending++;
		room = send_io(cs, io, &tail);
		if (room)
			backlog_take(cs);
		io_core(io)->pending--;
		if (room)
			finish_if_over(io);
	}
	if (list)
		loop->engine_ops->submit(loop->engine, list);
	if (cs->backlog)
		loop_wait_op(loop, &cs->resume);
}

static void resume_sending(struct loop_flush *flush)
{
	send_backlog((struct connector_space *)((char *)flush -
						offsetof(struct connector_space, resume)));
}

static void submit_engine(struct sonde_space *space, struct sonde_io *list)
{
	struct connector_space *cs = of_space(space);

	while (list) {
		struct sonde_io *io = list;
		list = io_core(io)->next;
		backlog_add(cs, io);
	}
	if (!cs->resume.queued)
		send_backlog(cs);
}

/* ---- transfer: one blocking call a batch ---------------------------------------------------- */

static void call_transfer(void *arg, struct sonde_io *const *ios, size_t n)
{
	struct connector_space *cs = arg;

	cs->ops.transfer(cs->conn, ios, n);
}

static void finish_list(struct sonde_io *list)
{
	while (list) {
		struct sonde_io *next = io_core(list)->next;
		io_finish(list);
		list = next;
	}
}

static void submit_transfer(struct sonde_space *space, struct sonde_io *list)
{
	io_list_whole(list, call_transfer, space);
	finish_list(list);
}

/* On a worker thread. */
static void transfer_work(struct file_op *work)
{
	struct connector_space *cs = work->owner;

	io_list_whole(cs->working, call_transfer, cs);
}

static void start_transfer(struct connector_space *cs);

static void transfer_done(struct file_op *work)
{
	struct connector_space *cs = work->owner;
	struct sonde_io *list = cs->working;

	cs->working = NULL;
	start_transfer(cs);
	finish_list(list);
}

static void start_transfer(struct connector_space *cs)
{
	struct sonde_loop *loop = cs->space.loop;

	if (cs->working || !cs->backlog)
		return;
	cs->working = cs->backlog;
	cs->backlog = NULL;
	cs->backlog_tail = &cs->backlog;
	cs->work = (struct file_op){ .work = transfer_work, .done = transfer_done, .owner = cs };
	loop->engine_ops->submit(loop->engine, &cs->work);
}

static void submit_transfer_threads(struct sonde_space *space, struct sonde_io *list)
{
	struct connector_space *cs = of_space(space);

	while (list) {
		struct sonde_io *io = list;
		list = io_core(io)->next;
		backlog_add(cs, io);
	}
	start_transfer(cs);
}

/* ---- submit: the connector's own queue -------------------------------------------------------- */

static void offer(void *arg, struct sonde_io *const *ios, size_t n)
{
	struct connector_space *cs = arg;
	size_t taken;

	/* Counted first: a request may come home inside the call. */
	cs->n_taken += n;
	taken = cs->backlog ? 0 : cs->ops.submit(cs->conn, ios, n);
	if (taken > n)
		taken = n;
	cs->n_taken -= n - taken;
	cs->took += taken;
	for (size_t i = taken; i < n; i++)
		backlog_add(cs, ios[i]);
}

static struct sonde_io *take_backlog(struct connector_space *cs)
{
	struct sonde_io *list = cs->backlog;

	cs->backlog = NULL;
	cs->backlog_tail = &cs->backlog;
	return list;
}

/* What was cancelled while it waited is not offered any more. */
static void drop_cancelled(struct connector_space *cs)
{
	struct sonde_io *list = take_backlog(cs);

	while (list) {
		struct sonde_io *io = list;
		list = io_core(io)->next;
		if (asked_to_stop(io))
			io_finish_unsent(io);
		else
			backlog_add(cs, io);
	}
}

/*
 * Offer what waits, again for as long as the connector takes some and ends it at once. When nothing is
 * with it and it still takes nothing, fail the rest.
 */
static void offer_backlog(struct connector_space *cs)
{
	if (cs->submitting || !cs->backlog)
		return;
	cs->submitting = true;
	do {
		drop_cancelled(cs);
		cs->took = 0;
		if (cs->backlog)
			io_list_whole(take_backlog(cs), offer, cs);
	} while (cs->backlog && cs->n_taken == 0 && cs->took);
	cs->submitting = false;
	if (cs->n_taken == 0)
		finish_list(take_backlog(cs));
}

static void submit_async(struct sonde_space *space, struct sonde_io *list)
{
	struct connector_space *cs = of_space(space);

	while (list) {
		struct sonde_io *io = list;
		list = io_core(io)->next;
		backlog_add(cs, io);
	}
	offer_backlog(cs);
}

/* ---- the rest -------------------------------------------------------------------------------- */

struct region_visit {
	sonde_region_fn *fn;
	void *user;
	struct sonde_region open; /* grows while extents go on alike */
};

static int visit_extent(struct region_visit *visit, const struct extent *e)
{
	struct sonde_region *open = &visit->open;
	uint64_t len = e->last - e->addr + 1;
	int r = 0;

	if (len == 0)
		len = UINT64_MAX; /* all 2^64 bytes: the last one does not fit the field */
	if (open->len && open->addr + open->len == e->addr && open->flags == e->flags) {
		open->len += len;
		return 0;
	}
	if (open->len)
		r = visit->fn(visit->user, open);
	*open = (struct sonde_region){ .addr = e->addr, .len = len, .flags = e->flags, .name = "" };
	return r;
}

static int connector_regions(struct sonde_space *space, sonde_region_fn *fn, void *user)
{
	struct connector_space *cs = of_space(space);
	struct region_visit visit = { .fn = fn, .user = user };
	int r = 0;

	if (cs->ops.regions)
		return cs->ops.regions(cs->conn, fn, user);
	if (!cs->extents.n)
		return SONDE_E_UNSUPPORTED;
	for (size_t i = 0; i < cs->extents.n && r == 0; i++) {
		if (cs->extents.at[i].kind != SONDE_EXTENT_ABSENT)
			r = visit_extent(&visit, &cs->extents.at[i]);
	}
	return r == 0 && visit.open.len ? fn(user, &visit.open) : r;
}

static const void *connector_borrow(struct sonde_space *space, uint64_t addr, size_t len)
{
	struct connector_space *cs = of_space(space);
	uint64_t gap;
	const struct extent *e = extents_find(&cs->extents, addr, &cs->hint, &gap);

	if (!e || !e->ptr || len - 1 > e->last - addr)
		return NULL;
	return e->ptr + (addr - e->addr);
}

static void connector_trim(struct sonde_space *space)
{
	file_maps_trim(&of_space(space)->maps);
}

static void connector_destroy(struct sonde_space *space)
{
	struct connector_space *cs = of_space(space);

	file_maps_close(&cs->maps);
	extents_finish(&cs->extents);
	cs->ops.close(cs->conn);
	free(cs);
}

void connector_io_done(struct sonde_io *io)
{
	struct sonde_space *space = io_core(io)->space;
	struct connector_space *cs = of_space(space);
	bool ours = space->ops->submit == submit_async;

	if (ours)
		cs->n_taken--;
	io_finish(io);
	if (ours)
		offer_backlog(cs);
}

#define CONNECTOR_SPACE_OPS(how)                                                                   \
	{                                                                                          \
		.submit = how, .regions = connector_regions, .borrow = connector_borrow,           \
		.trim = connector_trim, .destroy = connector_destroy                               \
	}
static const struct space_ops inline_ops = CONNECTOR_SPACE_OPS(submit_inline);
static const struct space_ops engine_space_ops = CONNECTOR_SPACE_OPS(submit_engine);
static const struct space_ops transfer_ops = CONNECTOR_SPACE_OPS(submit_transfer);
static const struct space_ops transfer_threads_ops = CONNECTOR_SPACE_OPS(submit_transfer_threads);
static const struct space_ops async_ops = CONNECTOR_SPACE_OPS(submit_async);

/* ---- opening ------------------------------------------------------------------------------------ */

struct telling {
	struct connector_space *cs;
	struct sonde_error *err;
	int32_t good_fd; /* the last one that was asked about */
};

/* Pipes and the like have no offsets: one engine would fail on them, another wait for ever. */
static bool has_offsets(struct telling *telling, const struct sonde_extent *extent)
{
	if (extent->kind != SONDE_EXTENT_FILE)
		return true;
	if (extent->fd >= 0 && extent->fd == telling->good_fd)
		return true;
	if (!file_has_offsets(extent->fd))
		return false;
	telling->good_fd = extent->fd;
	return true;
}

static int told(void *user, const struct sonde_extent *extent)
{
	struct telling *telling = user;
	int r = extents_add(&telling->cs->extents, extent);

	if (r == 0 && !has_offsets(telling, extent))
		return sonde_error_set(telling->err, SONDE_E_BAD_ARG,
				       "descriptor %d cannot be read at an offset", extent->fd);
	if (r < 0)
		sonde_error_set(telling->err, r, "extent at 0x%llx, 0x%llx bytes: %s",
				(unsigned long long)extent->addr, (unsigned long long)extent->len,
				sonde_strerror(r));
	return r;
}

static size_t count_files(const struct extents *extents)
{
	size_t n = 0;

	for (size_t i = 0; i < extents->n; i++)
		n += extents->at[i].kind == SONDE_EXTENT_FILE;
	return n;
}

/* Maps serve the direct engine, and auto, which is direct wherever it can be. */
static int open_files(struct connector_space *cs, struct sonde_error *err)
{
	struct sonde_loop *loop = cs->space.loop;
	size_t n_files = count_files(&cs->extents);
	int left = (int)n_files;

	if (loop->kind == SONDE_ENGINE_AUTO || loop->kind == SONDE_ENGINE_DIRECT) {
		left = file_maps_open(&cs->maps, &cs->extents);
		if (left < 0)
			return sonde_error_set(err, left, "out of memory");
		cs->guarded = cs->maps.n > 0;
	}
	if (left == 0 || !loop->engine_ops) {
		space_init(&cs->space, &inline_ops, loop, true);
		return SONDE_OK;
	}
	space_init(&cs->space, &engine_space_ops, loop, false);
	return SONDE_OK;
}

static int open_extents(struct connector_space *cs, struct sonde_error *err)
{
	struct telling telling = { .cs = cs, .err = err, .good_fd = -1 };
	int r = cs->ops.extents(cs->conn, told, &telling, err);

	if (r < 0)
		return r;
	r = extents_seal(&cs->extents);
	if (r < 0)
		return sonde_error_set(err, r, "out of memory");
	return open_files(cs, err);
}

static int open_calls(struct connector_space *cs, struct sonde_error *err)
{
	struct sonde_loop *loop = cs->space.loop;

	if (!cs->ops.transfer && !cs->ops.submit)
		return sonde_error_set(err, SONDE_E_UNSUPPORTED,
				       "the connector has no way to move bytes");
	if (!cs->ops.transfer)
		space_init(&cs->space, &async_ops, loop, false);
	else if (loop->engine_ops == &engine_threads && loop->kind == SONDE_ENGINE_THREADS)
		space_init(&cs->space, &transfer_threads_ops, loop, false);
	else
		space_init(&cs->space, &transfer_ops, loop, false);
	return SONDE_OK;
}

int space_from_connector(struct sonde_loop *loop, const struct sonde_connector_ops *ops, void *conn,
			 struct sonde_space **ret, struct sonde_error *err)
{
	struct connector_space *cs = calloc(1, sizeof(*cs));
	int r = SONDE_E_UNSUPPORTED;

	if (!cs)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "out of memory");
	cs->space.loop = loop;
	cs->ops = *ops;
	cs->conn = conn;
	cs->backlog_tail = &cs->backlog;
	cs->resume.flush = resume_sending;
	if (ops->extents)
		r = open_extents(cs, err);
	if (r == SONDE_E_UNSUPPORTED) {
		extents_finish(&cs->extents);
		r = open_calls(cs, err);
	}
	if (r < 0) {
		file_maps_close(&cs->maps);
		extents_finish(&cs->extents);
		free(cs);
		return r;
	}
	*ret = &cs->space;
	return SONDE_OK;
}
