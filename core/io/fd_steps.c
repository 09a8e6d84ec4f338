/* SPDX-License-Identifier: MIT */
/*
 * How a request gets on while it is the first of its lane. With a ring each step goes there whole,
 * and comes back with its result. Without one a step is attempted at once, and only where it would
 * have to wait is the poller armed. What a ring cannot do is attempted, too, and polled for by the
 * ring.
 */
#include "io/fd_steps.h"

#include <errno.h>
#include <poll.h>
#include <sonde/error.h>

/* ---- outcomes -------------------------------------------------------------------------------- */

bool fd_fail(struct sonde_fd_io *io, int32_t r)
{
	io->os_code = -r;
	io->result = sonde_error_os(NULL, -r, "fd");
	return true;
}

bool fd_stopped(struct sonde_fd_io *io)
{
	io->result = fd_stop_code(io);
	return true;
}

static bool reads(const struct sonde_fd_io *io)
{
	return io->op == SONDE_FD_READ || io->op == SONDE_FD_READ_ALL;
}

static bool writes(const struct sonde_fd_io *io)
{
	return io->op == SONDE_FD_WRITE || io->op == SONDE_FD_WRITE_ALL;
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
	return r == 0 && fd_fail(io, -EIO);
}

bool fd_take(struct sonde_fd_io *io, int32_t r)
{
	if (r == -EAGAIN)
		return false;
	if (r < 0)
		return fd_fail(io, r);
	if (reads(io) || writes(io))
		return take_bytes(io, r);
	io->result = io->op == SONDE_FD_POLL ? public_events(r) : r;
	return true;
}

short fd_poll_events(const struct sonde_fd_io *io)
{
	if (io->op != SONDE_FD_POLL)
		return fd_lane(io) == FD_IN ? POLLIN : POLLOUT;
	return (short)((io->events & SONDE_FD_READABLE ? POLLIN : 0) |
		       (io->events & SONDE_FD_WRITABLE ? POLLOUT : 0));
}

/* ---- waiting --------------------------------------------------------------------------------- */

void fd_give(struct sonde_fd_io *io, enum fd_step step)
{
	struct fd_core *core = fd_core(io);
	struct sonde_loop *loop = core->fds->loop;

	core->op.step = step;
	core->flags |= FD_BUSY;
	loop->engine_ops->fd_start(loop->engine, &core->op);
}

int fd_wait_ready(struct sonde_fd_io *io)
{
	struct fds *fds = fd_core(io)->fds;

	if (!fds->steps)
		return fd_wait_by_poller(fds, io);
	fd_core(io)->op.len = (uint32_t)fd_poll_events(io);
	fd_give(io, FD_POLL);
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

/* ---- steps ----------------------------------------------------------------------------------- */

enum fd_step fd_ring_step(struct sonde_fd_io *io)
{
	struct fds *fds = fd_core(io)->fds;
	uint8_t hint = *fd_hint(&fds->hints, io->fd);
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

void fd_prepare_step(struct sonde_fd_io *io)
{
	struct fd_op *op = &fd_core(io)->op;

	op->fd = io->fd;
	op->buf = io->moved ? (char *)io->buf + io->moved : io->buf;
	op->len = io->len - io->moved;
	op->step = reads(io)                   ? FD_READ
		   : writes(io)                ? FD_WRITE
		   : io->op == SONDE_FD_ACCEPT ? FD_ACCEPT
					       : FD_POLL;
	if (io->op == SONDE_FD_POLL)
		op->len = (uint32_t)fd_poll_events(io);
}

int32_t fd_try_step(struct sonde_fd_io *io)
{
	struct fd_core *core = fd_core(io);

	if (core->flags & FD_PLAIN)
		return fd_plain(&core->op);
	if (io->op == SONDE_FD_CONNECT)
		return fd_connected(io->fd);
	if (io->op == SONDE_FD_SHUTDOWN)
		return fd_no_more(io->fd);
	return fd_try(&core->fds->hints, &core->op);
}

bool fd_attempt_here(struct sonde_fd_io *io)
{
	for (;;) {
		fd_prepare_step(io);
		int32_t r = fd_try_step(io);
		if (fd_take(io, r))
			return true;
		if (fd_core(io)->flags & FD_PLAIN) {
			if (r == -EAGAIN)
				return fd_fail(io, r);
			continue;
		}
		r = fd_wait_ready(io);
		if (r == 0)
			return false;
		if (r != -EPERM || !(reads(io) || writes(io)))
			return fd_fail(io, r);
		fd_core(io)->flags |= FD_PLAIN;
	}
}

static bool attempt(struct sonde_fd_io *io)
{
	enum fd_step step = fd_ring_step(io);

	if (step == FD_STEPS)
		return fd_attempt_here(io);
	fd_prepare_step(io);
	fd_give(io, step);
	return false;
}

/* ---- from the ring --------------------------------------------------------------------------- */

/*
 * What an answer says of the descriptor. True: it was "not that way", and the step has another one.
 */
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

	if (fd_asked_cancel(io))
		return fd_stopped(io);
	if ((r == -EPERM || r == -EOPNOTSUPP) && (reads(io) || writes(io)))
		core->flags |= FD_PLAIN;
	else if (r < 0 && r != -EINTR)
		return fd_fail(io, r);
	core->flags |= FD_HERE;
	return fd_attempt_here(io);
}

static bool came_back(struct sonde_fd_io *io, const struct fd_op *op)
{
	int32_t r = op->result;

	if (op->step == FD_POLL && io->op != SONDE_FD_POLL)
		return wait_came_back(io, r);
	if (fd_asked_cancel(io) && (r == -ECANCELED || r == -EINTR || r == -EAGAIN))
		return fd_stopped(io);
	if (learn(io, op))
		return fd_asked_cancel(io) ? fd_stopped(io) : attempt(io);
	if (r != -EINTR && fd_take(io, r))
		return true;
	if (fd_asked_cancel(io))
		return fd_stopped(io);
	if (r != -EAGAIN)
		return attempt(io);
	r = fd_wait_ready(io);
	return r < 0 && fd_fail(io, r);
}

void fd_step_done(struct fd_op *op)
{
	struct fd_core *core = (struct fd_core *)(void *)op;
	struct sonde_fd_io *io = fd_io(core);

	if (!op->more)
		core->flags &= ~(uint32_t)FD_BUSY;
	if (fd_is_stream(io) ? fd_stream_came_back(io, op) : came_back(io, op))
		fd_end_all(io);
}

bool fd_begin(struct sonde_fd_io *io)
{
	/* Where it is polled for, nothing else would find out before somebody connects. */
	if (io->op == SONDE_FD_ACCEPT && fd_ring_step(io) == FD_STEPS) {
		int r = fd_listens(io->fd);
		if (r < 0)
			return fd_fail(io, r);
	}
	if (fd_is_stream(io))
		return fd_start_stream(io);
	if ((reads(io) || writes(io)) && io->len == 0) {
		io->result = 0;
		return true;
	}
	return attempt(io);
}
