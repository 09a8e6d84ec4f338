/* SPDX-License-Identifier: MIT */
/*
 * Requests on descriptors without offsets: checking, order, cancelling, the end of each. How one
 * gets on while it is the first of its lane is fd_steps.c.
 *
 *   IDLE ──submit──▶ QUEUED ──first of its lane──▶ IN_FLIGHT ──▶ DONE ──callback──▶ IDLE
 *                       └──────────── cancelled ────────────────▶ │
 */
#include "io/fd.h"

#include <errno.h>
#include <sonde/error.h>
#include <stddef.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/fd_steps.h"

static void check_closing(struct fds *fds, int fd);
static void close_now(struct sonde_fd_io *io);

/* ---- what a loop keeps ------------------------------------------------------------------- */

static void fds_close(struct loop_source *source)
{
	struct fds *fds = (struct fds *)(void *)source;

	poller_close(&fds->poller);
	fds->loop->source = NULL;
	mem_release(fds);
}

static uint32_t engine_steps(const struct sonde_loop *loop)
{
	const struct engine_ops *ops = loop->engine_ops;
	uint32_t steps = ops && ops->fd_steps ? ops->fd_steps(loop->engine) : 0;

	return steps & 1u << FD_POLL ? steps : 0;
}

struct fds *fds_of(struct sonde_loop *loop)
{
	struct fds *fds = (struct fds *)(void *)loop->source;

	if (fds)
		return fds;
	fds = mem_alloc(1, sizeof(*fds));
	if (!fds)
		return NULL;
	fds->source =
		(struct loop_source){ .reap = fd_reap, .sleep = fd_sleep, .close = fds_close };
	fds->source.fd = fds->poller.fd = -1;
	fds->loop = loop;
	fds->steps = engine_steps(loop);
	fds->handling = -1;
	loop->source = &fds->source;
	return fds;
}

/* ---- the end ----------------------------------------------------------------------------- */

static void run_callback(struct loop_ready *ready)
{
	struct fd_core *core =
		(struct fd_core *)(void *)((char *)ready - offsetof(struct fd_core, ready));
	struct sonde_fd_io *io = fd_io(core);

	if (io->op == SONDE_FD_CLOSE)
		close_now(io);
	io->state = SONDE_IO_IDLE;
	loop_watch_fire_all(&core->watches, SONDE_OK);
	io->done(io);
}

static void end(struct sonde_fd_io *io)
{
	struct fd_core *core = fd_core(io);
	struct sonde_loop *loop = core->fds->loop;

	if (io->deadline_ns)
		sonde_timer_stop(loop, &core->deadline);
	io->state = SONDE_IO_DONE;
	loop->n_inflight--;
	loop_add_ready(loop, &core->ready);
}

struct sonde_fd_io *fd_end(struct sonde_fd_io *io)
{
	struct fds *fds = fd_core(io)->fds;

	fd_stop_waiting(io);
	struct sonde_fd_io *next = fd_table_remove(&fds->table, io);
	end(io);
	if (fds->closing)
		check_closing(fds, io->fd);
	return io->op == SONDE_FD_POLL ? NULL : next; /* polls have all begun */
}

void fd_end_all(struct sonde_fd_io *io)
{
	/* By hand, not by recursion: a lane may be long, and all of it ready. */
	while (io) {
		io = fd_end(io);
		if (io)
			io->state = SONDE_IO_IN_FLIGHT;
		if (io && !fd_begin(io))
			io = NULL;
	}
}

/* ---- cancelling ---------------------------------------------------------------------------- */

int32_t fd_stop_code(struct sonde_fd_io *io)
{
	return fd_core(io)->flags & FD_TIMED_OUT ? SONDE_E_TIMED_OUT : SONDE_E_CANCELLED;
}

/* What the engine or the request's own accepted function has in hand ends when that comes back. */
int fd_stop(struct sonde_fd_io *io, int code)
{
	struct fd_core *core = fd_core(io);

	if ((io->state != SONDE_IO_QUEUED && io->state != SONDE_IO_IN_FLIGHT) ||
	    io->op == SONDE_FD_CLOSE)
		return 0;
	if (core->flags & FD_ASKED_CANCEL)
		return 1;
	core->flags |= FD_ASKED_CANCEL | (code == SONDE_E_TIMED_OUT ? FD_TIMED_OUT : 0);
	if (!fd_recall(io))
		return 1;
	io->result = fd_stop_code(io);
	fd_end_all(io);
	return 1;
}

int sonde_fd_cancel(struct sonde_fd_io *io)
{
	return fd_stop(io, SONDE_E_CANCELLED);
}

static void deadline_passed(struct sonde_timer *timer)
{
	fd_stop(timer->user, SONDE_E_TIMED_OUT);
}

/* ---- closing ------------------------------------------------------------------------------- */

static bool is_closing(const struct fds *fds, int fd)
{
	struct sonde_fd_io *io = fds->closing;

	while (io && io->fd != fd)
		io = fd_core(io)->next;
	return io != NULL;
}

static bool is_used(const struct fds *fds, int fd)
{
	for (int lane = 0; lane < FD_LANES; lane++) {
		if (fd_table_first(&fds->table, fd, (enum fd_lane)lane))
			return true;
	}
	return false;
}

/* Callbacks of those it ended are before it, for they are called in order. */
static void check_closing(struct fds *fds, int fd)
{
	for (struct sonde_fd_io *io = fds->closing; io; io = fd_core(io)->next) {
		if (io->fd != fd || fd_core(io)->flags & FD_CLOSES || is_used(fds, fd))
			continue;
		fd_core(io)->flags |= FD_CLOSES;
		end(io);
	}
}

static void close_now(struct sonde_fd_io *io)
{
	struct sonde_fd_io **at = &fd_core(io)->fds->closing;

	while (*at != io)
		at = &fd_core(*at)->next;
	*at = fd_core(io)->next;
	/* Linux frees the number whatever close answers. */
	if (close(io->fd) == 0 || errno == EINTR)
		return;
	io->os_code = errno;
	io->result = sonde_error_os(NULL, errno, "close");
}

static void start_close(struct fds *fds, struct sonde_fd_io *io)
{
	fd_core(io)->next = fds->closing;
	fds->closing = io;
	io->state = SONDE_IO_IN_FLIGHT;
	for (int lane = 0; lane < FD_LANES; lane++) {
		struct sonde_fd_io *at = fd_table_first(&fds->table, io->fd, (enum fd_lane)lane);
		/* From the last to the first, so that none of them moves up and begins. */
		for (at = at ? fd_core(at)->last : NULL; at;) {
			struct sonde_fd_io *prev = fd_core(at)->prev;
			fd_stop(at, SONDE_E_CANCELLED);
			at = prev;
		}
	}
	check_closing(fds, io->fd);
}

/* ---- submitting ------------------------------------------------------------------------------ */

static bool moves_bytes(const struct sonde_fd_io *io)
{
	return io->op <= SONDE_FD_WRITE_ALL;
}

static bool is_valid(const struct sonde_fd_io *io)
{
	const uint32_t events = SONDE_FD_READABLE | SONDE_FD_WRITABLE;

	if (!io->done || io->state != SONDE_IO_IDLE || io->fd < 0 || io->op > SONDE_FD_SHUTDOWN)
		return false;
	if (moves_bytes(io) && (io->len > INT32_MAX || (io->len && !io->buf)))
		return false;
	return io->op != SONDE_FD_POLL || (io->events && !(io->events & ~events));
}

static void prepare(struct fds *fds, struct sonde_fd_io *io)
{
	*fd_core(io) = (struct fd_core){ .fds = fds, .ready.run = run_callback };
	fd_core(io)->op.done = fd_step_done;
	io->result = io->os_code = 0;
	io->moved = 0;
	fds->loop->n_inflight++;
	if (!io->deadline_ns)
		return;
	fd_core(io)->deadline = (struct sonde_timer){ .at_ns = io->deadline_ns,
						      .fire = deadline_passed,
						      .user = io };
	sonde_timer_start(fds->loop, &fd_core(io)->deadline);
}

int sonde_fd_submit(struct sonde_loop *loop, struct sonde_fd_io *io)
{
	if (!is_valid(io))
		return SONDE_E_BAD_ARG;
	struct fds *fds = fds_of(loop);
	if (!fds)
		return SONDE_E_NO_MEMORY;
	if (fds->closing && is_closing(fds, io->fd))
		return SONDE_E_BUSY;
	prepare(fds, io);
	if (io->op == SONDE_FD_CLOSE) {
		start_close(fds, io);
		return SONDE_OK;
	}
	io->state = SONDE_IO_QUEUED;
	if (!fd_table_add(&fds->table, io) && io->op != SONDE_FD_POLL)
		return SONDE_OK;
	io->state = SONDE_IO_IN_FLIGHT;
	if (fd_begin(io))
		fd_end_all(io);
	return SONDE_OK;
}
