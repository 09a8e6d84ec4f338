/* SPDX-License-Identifier: MIT */
/*
 * How a request gets on while it is the first of its lane. With a ring each step goes there whole, and
 * comes back with its result. Without one a step is attempted at once, and only where it would have
 * to wait is the poller armed. What a ring cannot do is attempted, too, and polled for by the ring.
 */
#include "io/fd_steps.h"

#include <errno.h>
#include <poll.h>
#include <sonde/error.h>

#include "io/host.h"
#include "io/poller.h"

#define ACCEPTS_MAX 64u             /* in one go, then others have their turn          */
#define PAUSE_NS UINT64_C(50000000) /* between two accepts while no descriptor is free */

/* ---- outcomes -------------------------------------------------------------------------------- */

static bool fail(struct sonde_fd_io *io, int32_t r)
{
	io->os_code = -r;
	io->result = sonde_error_os(NULL, -r, "fd");
	return true;
}

static bool stopped(struct sonde_fd_io *io)
{
	io->result = fd_stop_code(io);
	return true;
}

static bool asked_cancel(struct sonde_fd_io *io)
{
	return fd_core(io)->flags & FD_ASKED_CANCEL;
}

static bool reads(const struct sonde_fd_io *io)
{
	return io->op == SONDE_FD_READ || io->op == SONDE_FD_READ_ALL;
}

static bool writes(const struct sonde_fd_io *io)
{
	return io->op == SONDE_FD_WRITE || io->op == SONDE_FD_WRITE_ALL;
}

static bool is_stream(const struct sonde_fd_io *io)
{
	return io->op == SONDE_FD_ACCEPT && io->accepted;
}

static int32_t public_events(int32_t events)
{
	return (events & POLLIN ? SONDE_FD_READABLE : 0) |
	       (events & POLLOUT ? SONDE_FD_WRITABLE : 0) |
	       (events & POLLHUP ? SONDE_FD_HANGUP : 0) | (events & POLLERR ? SONDE_FD_ERROR : 0);
}

static bool take_bytes(struct sonde_fd_io *io, int32_t r)
{
	io->moved += (uint32_t)r;
	if (io->op == SONDE_FD_READ || io->op == SONDE_FD_WRITE || io->moved >= io->len) {
		io->result = (int32_t)io->moved;
		return true;
	}
	if (r == 0 && io->op == SONDE_FD_READ_ALL) {
		io->result = SONDE_E_TRUNCATED;
		return true;
	}
	return r == 0 && fail(io, -EIO);
}

/* What a step brought. True: that was the end, and result is set. */
static bool take(struct sonde_fd_io *io, int32_t r)
{
	if (r == -EAGAIN)
		return false;
	if (r < 0)
		return fail(io, r);
	if (reads(io) || writes(io))
		return take_bytes(io, r);
	io->result = io->op == SONDE_FD_POLL ? public_events(r) : r;
	return true;
}

/* ---- waiting ----------------------------------------------------------------------------------- */

static short poll_events(const struct sonde_fd_io *io)
{
	if (io->op != SONDE_FD_POLL)
		return fd_lane(io) == FD_IN ? POLLIN : POLLOUT;
	return (short)((io->events & SONDE_FD_READABLE ? POLLIN : 0) |
		       (io->events & SONDE_FD_WRITABLE ? POLLOUT : 0));
}

static uint32_t waited_for(struct sonde_fd_io *io)
{
	return io && fd_core(io)->flags & FD_WAITS ? (uint32_t)poll_events(io) : 0;
}

/* All that anybody waits for on this descriptor. */
static uint32_t wanted(const struct fds *fds, int fd)
{
	struct sonde_fd_io *poll = fd_table_first(&fds->table, fd, FD_POLLS);
	uint32_t events = waited_for(fd_table_first(&fds->table, fd, FD_IN)) |
			  waited_for(fd_table_first(&fds->table, fd, FD_OUT));

	for (; poll; poll = fd_core(poll)->next)
		events |= waited_for(poll);
	return events;
}

void fd_stop_waiting(struct sonde_fd_io *io)
{
	struct fd_core *core = fd_core(io);

	if (core->flags & FD_WAITS)
		core->fds->source.n_waits--;
	core->flags &= ~(uint32_t)FD_WAITS;
	if (core->flags & FD_PAUSED)
		sonde_timer_stop(core->fds->loop, &core->pause);
	core->flags &= ~(uint32_t)FD_PAUSED;
}

static int open_poller(struct fds *fds)
{
	int r = poller_open();

	if (r < 0)
		return r;
	fds->source.fd = r;
	r = loop_source_opened(fds->loop);
	if (r < 0) {
		poller_close(fds->source.fd);
		fds->source.fd = -1;
	}
	return r;
}

static int wait_by_poller(struct fds *fds, struct sonde_fd_io *io)
{
	int r = fds->source.fd < 0 ? open_poller(fds) : 0;

	if (r < 0)
		return r;
	fd_core(io)->flags |= FD_WAITS;
	fds->source.n_waits++;
	if (fds->handling != io->fd)
		r = poller_arm(fds->source.fd, io->fd, wanted(fds, io->fd));
	if (r < 0)
		fd_stop_waiting(io);
	return r;
}

static void give(struct sonde_fd_io *io, enum fd_step step)
{
	struct fd_core *core = fd_core(io);
	struct sonde_loop *loop = core->fds->loop;

	core->op.step = step;
	core->flags |= FD_BUSY;
	loop->engine_ops->fd_start(loop->engine, &core->op);
}

/* Returns 0: somebody will tell; -EPERM: it is always ready; another -errno. */
static int wait_ready(struct sonde_fd_io *io)
{
	struct fds *fds = fd_core(io)->fds;

	if (!fds->steps)
		return wait_by_poller(fds, io);
	fd_core(io)->op.len = (uint32_t)poll_events(io);
	give(io, FD_POLL);
	return 0;
}

bool fd_recall(struct sonde_fd_io *io)
{
	struct fd_core *core = fd_core(io);
	struct sonde_loop *loop = core->fds->loop;

	if (core->flags & FD_BUSY && !loop->engine_ops->fd_stop(loop->engine, &core->op))
		return false;
	core->flags &= ~(uint32_t)FD_BUSY;
	return !(core->flags & FD_INSIDE);
}

/* ---- steps ------------------------------------------------------------------------------------- */

/* The step the ring is to do; FD_STEPS: it cannot, or not this one. */
static enum fd_step ring_step(struct sonde_fd_io *io)
{
	struct fds *fds = fd_core(io)->fds;
	enum fd_hint hint = (enum fd_hint) * fd_hint(&fds->hints, io->fd);
	enum fd_step first = FD_STEPS, second = FD_STEPS;

	if (reads(io)) {
		first = hint == FD_SOCKET ? FD_RECV : FD_READ;
		second = FD_READ;
	} else if (writes(io)) {
		first = hint != FD_NO_SOCKET     ? FD_SEND
			: fds->hints.no_nosignal ? FD_STEPS
						 : FD_WRITE;
	} else if (io->op == SONDE_FD_ACCEPT) {
		first = io->accepted ? FD_ACCEPT_MANY : FD_ACCEPT;
		second = FD_ACCEPT;
	} else if (io->op == SONDE_FD_POLL) {
		first = FD_POLL;
	}
	if (fd_core(io)->flags & FD_HERE && first != FD_POLL)
		return FD_STEPS;
	if (first != FD_STEPS && fds->steps & 1u << first)
		return first;
	return second != FD_STEPS && fds->steps & 1u << second ? second : FD_STEPS;
}

static void prepare_step(struct sonde_fd_io *io)
{
	struct fd_op *op = &fd_core(io)->op;

	op->fd = io->fd;
	op->buf = (char *)io->buf + io->moved;
	op->len = io->len - io->moved;
	op->step = reads(io)                   ? FD_READ
		   : writes(io)                ? FD_WRITE
		   : io->op == SONDE_FD_ACCEPT ? FD_ACCEPT
					       : FD_POLL;
	if (io->op == SONDE_FD_POLL)
		op->len = (uint32_t)poll_events(io);
}

static int32_t try_step(struct sonde_fd_io *io)
{
	struct fd_core *core = fd_core(io);

	if (core->flags & FD_PLAIN)
		return fd_plain(&core->op);
	if (io->op == SONDE_FD_CONNECT)
		return fd_connected(io->fd);
	return fd_try(&core->fds->hints, &core->op);
}

/* By attempts: until the end (true), or until it has to wait. */
static bool attempt_here(struct sonde_fd_io *io)
{
	for (;;) {
		prepare_step(io);
		int32_t r = try_step(io);
		if (take(io, r))
			return true;
		if (fd_core(io)->flags & FD_PLAIN) {
			if (r == -EAGAIN)
				return fail(io, r);
			continue;
		}
		r = wait_ready(io);
		if (r == 0)
			return false;
		if (r != -EPERM || !(reads(io) || writes(io)))
			return fail(io, r);
		fd_core(io)->flags |= FD_PLAIN;
	}
}

static bool attempt(struct sonde_fd_io *io)
{
	enum fd_step step = ring_step(io);

	if (step == FD_STEPS)
		return attempt_here(io);
	prepare_step(io);
	give(io, step);
	return false;
}

/* ---- accepting one after another ------------------------------------------------------------------ */

static bool start_stream(struct sonde_fd_io *io)
{
	enum fd_step step = ring_step(io);

	if (step != FD_STEPS) {
		prepare_step(io);
		give(io, step);
		return false;
	}
	/* Not attempted here: connections are told of inside the loop only. */
	int r = wait_ready(io);
	return r < 0 && fail(io, r);
}

static void pause_over(struct sonde_timer *timer)
{
	struct sonde_fd_io *io = timer->user;

	fd_core(io)->flags &= ~(uint32_t)FD_PAUSED;
	if (start_stream(io))
		fd_end_all(io);
}

static void pause_stream(struct sonde_fd_io *io)
{
	struct fd_core *core = fd_core(io);

	core->flags |= FD_PAUSED;
	core->pause = (struct sonde_timer){ .at_ns = sonde_now_ns() + PAUSE_NS,
					    .fire = pause_over,
					    .user = io };
	sonde_timer_start(core->fds->loop, &core->pause);
}

static void tell(struct sonde_fd_io *io, int fd)
{
	fd_core(io)->flags |= FD_INSIDE;
	io->accepted(io, fd);
	fd_core(io)->flags &= ~(uint32_t)FD_INSIDE;
}

static bool lacks_something(int32_t r)
{
	return r == -EMFILE || r == -ENFILE || r == -ENOBUFS || r == -ENOMEM || r == -EPERM;
}

/* Source: accept(2): errors of the connection, which is gone; the next may be better. */
static bool lost_connection(int32_t r)
{
	return r == -ECONNABORTED || r == -EPROTO || r == -ENETDOWN || r == -ENETUNREACH ||
	       r == -EHOSTDOWN || r == -EHOSTUNREACH || r == -ENONET || r == -ENOPROTOOPT;
}

/* A connection or an error. True: that was the end; else it goes on, perhaps after a pause. */
static bool take_connection(struct sonde_fd_io *io, int32_t r)
{
	struct fd_core *core = fd_core(io);

	if (r >= 0) {
		core->flags &= ~(uint32_t)(FD_TOLD | FD_STUMBLED);
		tell(io, r);
		return false;
	}
	if (lost_connection(r)) {
		if (core->flags & FD_STUMBLED)
			pause_stream(io);
		core->flags |= FD_STUMBLED;
		return false;
	}
	if (!lacks_something(r))
		return fail(io, r);
	if (!(core->flags & FD_TOLD)) {
		io->os_code = -r;
		tell(io, sonde_error_os(NULL, -r, "fd"));
		io->os_code = 0;
	}
	core->flags |= FD_TOLD;
	pause_stream(io);
	return false;
}

/* Attempts, after the poller or the ring's poll told. */
static bool accept_here(struct sonde_fd_io *io)
{
	int32_t r = 0;

	for (unsigned n = 0; n < ACCEPTS_MAX && r != -EAGAIN; n++) {
		prepare_step(io);
		r = try_step(io);
		if (r == -EAGAIN)
			break;
		if (take_connection(io, r))
			return true;
		if (asked_cancel(io))
			return stopped(io);
		if (fd_core(io)->flags & FD_PAUSED)
			return false;
	}
	r = wait_ready(io);
	return r < 0 && fail(io, r);
}

/* The ring may still have it: then more connections come, or the end that was asked for. */
static bool stream_goes_on(struct sonde_fd_io *io)
{
	uint32_t flags = fd_core(io)->flags;

	if (flags & FD_BUSY)
		return false;
	if (flags & FD_ASKED_CANCEL)
		return stopped(io);
	return !(flags & FD_PAUSED) && start_stream(io);
}

static bool stream_came_back(struct sonde_fd_io *io, const struct fd_op *op)
{
	int32_t r = op->result;

	if (asked_cancel(io) && (r < 0 || op->step == FD_POLL))
		return !op->more && stopped(io);
	if (op->step == FD_POLL)
		return r < 0 && r != -EINTR ? fail(io, r) : accept_here(io);
	if (r == -EAGAIN)
		fd_core(io)->flags |= FD_HERE;
	else if (r != -EINTR && take_connection(io, r))
		return true;
	return stream_goes_on(io);
}

/* ---- from the ring ----------------------------------------------------------------------------------- */

/* What an answer says of the descriptor. True: it was "not that way", and the step has another one. */
static bool learn(struct sonde_fd_io *io, const struct fd_op *op)
{
	struct fd_core *core = fd_core(io);
	uint8_t *hint = fd_hint(&core->fds->hints, op->fd);
	int32_t r = op->result;

	if (op->step == FD_SEND && r >= 0)
		*hint = FD_SOCKET;
	if ((op->step == FD_SEND || op->step == FD_RECV) && r == -ENOTSOCK) {
		*hint = FD_NO_SOCKET;
		return true;
	}
	if (op->step != FD_WRITE || (r != -EOPNOTSUPP && r != -EINVAL))
		return false;
	core->flags |= FD_HERE;
	return true;
}

static bool wait_came_back(struct sonde_fd_io *io, int32_t r)
{
	struct fd_core *core = fd_core(io);

	if (asked_cancel(io))
		return stopped(io);
	if ((r == -EPERM || r == -EOPNOTSUPP) && (reads(io) || writes(io)))
		core->flags |= FD_PLAIN;
	else if (r < 0 && r != -EINTR)
		return fail(io, r);
	core->flags |= FD_HERE;
	return attempt_here(io);
}

static bool came_back(struct sonde_fd_io *io, const struct fd_op *op)
{
	int32_t r = op->result;

	if (op->step == FD_POLL && io->op != SONDE_FD_POLL)
		return wait_came_back(io, r);
	if (asked_cancel(io) && (r == -ECANCELED || r == -EINTR || r == -EAGAIN))
		return stopped(io);
	if (learn(io, op))
		return asked_cancel(io) ? stopped(io) : attempt(io);
	if (r != -EINTR && take(io, r))
		return true;
	if (asked_cancel(io))
		return stopped(io);
	if (r != -EAGAIN)
		return attempt(io);
	r = wait_ready(io);
	return r < 0 && fail(io, r);
}

void fd_step_done(struct fd_op *op)
{
	struct fd_core *core = (struct fd_core *)(void *)op;
	struct sonde_fd_io *io = fd_io(core);

	if (!op->more)
		core->flags &= ~(uint32_t)FD_BUSY;
	if (is_stream(io) ? stream_came_back(io, op) : came_back(io, op))
		fd_end_all(io);
}

/* ---- from the poller ----------------------------------------------------------------------------------- */

bool fd_begin(struct sonde_fd_io *io)
{
	/* Where it is polled for, nothing else would find out before somebody connects. */
	if (io->op == SONDE_FD_ACCEPT && ring_step(io) == FD_STEPS) {
		int r = fd_listens(io->fd);
		if (r < 0)
			return fail(io, r);
	}
	if (is_stream(io))
		return start_stream(io);
	if ((reads(io) || writes(io)) && io->len == 0) {
		io->result = 0;
		return true;
	}
	return attempt(io);
}

static void lane_ready(struct fds *fds, int fd, enum fd_lane lane)
{
	struct sonde_fd_io *io = fd_table_first(&fds->table, fd, lane);

	if (!io || !(fd_core(io)->flags & FD_WAITS))
		return;
	fd_stop_waiting(io);
	if (is_stream(io) ? accept_here(io) : attempt_here(io))
		fd_end_all(io);
}

static void polls_ready(struct fds *fds, int fd, uint32_t events)
{
	struct sonde_fd_io *io = fd_table_first(&fds->table, fd, FD_POLLS), *next;

	for (; io; io = next) {
		next = fd_core(io)->next;
		if (!((uint32_t)poll_events(io) & events) && !(events & (POLLERR | POLLHUP)))
			continue;
		take(io, (int32_t)(events & ((uint32_t)poll_events(io) | POLLERR | POLLHUP)));
		fd_end_all(io);
	}
}

/* Nobody would be told any more, so nobody waits on. */
static void fail_lanes(struct fds *fds, int fd, int32_t error)
{
	for (int lane = 0; lane < FD_LANES; lane++) {
		struct sonde_fd_io *io;
		while ((io = fd_table_first(&fds->table, fd, (enum fd_lane)lane)) &&
		       fd_core(io)->flags & FD_WAITS) {
			fail(io, error);
			fd_end_all(io);
		}
	}
}

static void ready(void *user, int fd, uint32_t events)
{
	struct fds *fds = user;

	fds->handling = fd;
	if (events & (POLLIN | POLLERR | POLLHUP))
		lane_ready(fds, fd, FD_IN);
	if (events & (POLLOUT | POLLERR | POLLHUP))
		lane_ready(fds, fd, FD_OUT);
	polls_ready(fds, fd, events);
	fds->handling = -1;
	uint32_t left = wanted(fds, fd);
	int r = left ? poller_arm(fds->source.fd, fd, left) : 0;
	if (r < 0)
		fail_lanes(fds, fd, r);
}

int fd_reap(struct loop_source *source)
{
	return poller_reap(source->fd, ready, source);
}
