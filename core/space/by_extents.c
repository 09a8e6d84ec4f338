/* SPDX-License-Identifier: MIT */
/*
 * Moving bytes of which the connector only said where they live: mapped ones are copied in the
 * submitting call, under a guard where the file may shrink; those of files go through the loop's engine,
 * at most its depth at a time.
 */
#include <errno.h>
#include <sonde/error.h>
#include <string.h>

#include "base/guard.h"
#include "space/connector_space.h"

#define OP_MAX (UINT32_C(1) << 20) /* one file operation moves at most this much */

/* ---- in the submitting call ------------------------------------------------------------------ */

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

void by_extents_inline(struct sonde_space *space, struct sonde_io *list)
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

/* ---- through the engine ---------------------------------------------------------------------- */

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
	if (io_stop_code(io)) {
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

void by_extents_resume(struct loop_flush *flush)
{
	send_backlog((struct connector_space *)((char *)flush -
						offsetof(struct connector_space, resume)));
}

void by_extents_engine(struct sonde_space *space, struct sonde_io *list)
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
