/* SPDX-License-Identifier: MIT */
/*
 * Accepting one connection after another: by one operation of the ring that stays, or by attempts
 * each time the listener is ready. While no connection can be had (no descriptor is left) it pauses
 * instead of spinning.
 */
#include "io/fd_steps.h"

#include <errno.h>
#include <sonde/error.h>

#define ACCEPTS_MAX 64u             /* in one go, then others have their turn           */
#define PAUSE_NS UINT64_C(50000000) /* between two accepts while no descriptor is free */

bool fd_start_stream(struct sonde_fd_io *io)
{
	enum fd_step step = fd_ring_step(io);

	if (step != FD_STEPS) {
		fd_prepare_step(io);
		fd_give(io, step);
		return false;
	}
	/* Not attempted here: connections are told of inside the loop only. */
	int r = fd_wait_ready(io);
	return r < 0 && fd_fail(io, r);
}

static void pause_over(struct sonde_timer *timer)
{
	struct sonde_fd_io *io = timer->user;

	fd_core(io)->flags &= ~(uint32_t)FD_PAUSED;
	if (fd_start_stream(io))
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
		return fd_fail(io, r);
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
bool fd_accept_here(struct sonde_fd_io *io)
{
	for (unsigned n = 0; n < ACCEPTS_MAX; n++) {
		fd_prepare_step(io);
		int32_t r = fd_try_step(io);
		if (r == -EAGAIN)
			break;
		if (take_connection(io, r))
			return true;
		if (fd_asked_cancel(io))
			return fd_stopped(io);
		if (fd_core(io)->flags & FD_PAUSED)
			return false;
	}
	int r = fd_wait_ready(io);
	return r < 0 && fd_fail(io, r);
}

/* The ring may still have it: then more connections come, or the end that was asked for. */
static bool stream_goes_on(struct sonde_fd_io *io)
{
	uint32_t flags = fd_core(io)->flags;

	if (flags & FD_BUSY)
		return false;
	if (flags & FD_ASKED_CANCEL)
		return fd_stopped(io);
	return !(flags & FD_PAUSED) && fd_start_stream(io);
}

bool fd_stream_came_back(struct sonde_fd_io *io, const struct fd_op *op)
{
	int32_t r = op->result;

	if (fd_asked_cancel(io) && (r < 0 || op->step == FD_POLL))
		return !op->more && fd_stopped(io);
	if (op->step == FD_POLL)
		return r < 0 && r != -EINTR ? fd_fail(io, r) : fd_accept_here(io);
	if (r == -EAGAIN)
		fd_core(io)->flags |= FD_HERE;
	else if (r != -EINTR && take_connection(io, r))
		return true;
	return stream_goes_on(io);
}
