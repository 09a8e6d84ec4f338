/* SPDX-License-Identifier: MIT */
/*
 * Waiting without a ring: the poller is armed for all that is wanted of a descriptor, once for each
 * time, and what it tells goes to the first of each lane.
 */
#include "io/fd_steps.h"

#include <errno.h>
#include <poll.h>

#include "io/host.h"

static uint32_t waited_for(struct sonde_fd_io *io)
{
	return io && fd_core(io)->flags & FD_WAITS ? (uint32_t)fd_poll_events(io) : 0;
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
	int r = poller_open(&fds->poller, loop_wake_fd(fds->loop));

	if (r < 0)
		return r;
	fds->source.fd = fds->poller.fd;
	r = loop_source_opened(fds->loop);
	if (r < 0) {
		poller_close(&fds->poller);
		fds->source.fd = -1;
	}
	return r;
}

int fd_wait_by_poller(struct fds *fds, struct sonde_fd_io *io)
{
	int r = fds->source.fd < 0 ? open_poller(fds) : 0;

	if (r < 0)
		return r;
	fd_core(io)->flags |= FD_WAITS;
	fds->source.n_waits++;
	if (fds->handling != io->fd)
		r = poller_arm(&fds->poller, io->fd, wanted(fds, io->fd));
	if (r < 0)
		fd_stop_waiting(io);
	return r;
}

static void lane_ready(struct fds *fds, int fd, enum fd_lane lane)
{
	struct sonde_fd_io *io = fd_table_first(&fds->table, fd, lane);

	if (!io || !(fd_core(io)->flags & FD_WAITS))
		return;
	fd_stop_waiting(io);
	if (fd_is_stream(io) ? fd_accept_here(io) : fd_attempt_here(io))
		fd_end_all(io);
}

static void polls_ready(struct fds *fds, int fd, uint32_t events)
{
	struct sonde_fd_io *io = fd_table_first(&fds->table, fd, FD_POLLS), *next;

	for (; io; io = next) {
		next = fd_core(io)->next;
		if (!((uint32_t)fd_poll_events(io) & events) && !(events & (POLLERR | POLLHUP)))
			continue;
		fd_take(io, (int32_t)(events & ((uint32_t)fd_poll_events(io) | POLLERR | POLLHUP)));
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
			fd_fail(io, error);
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
	int r = left ? poller_arm(&fds->poller, fd, left) : 0;
	if (r < 0)
		fail_lanes(fds, fd, r);
}

int fd_reap(struct loop_source *source)
{
	struct fds *fds = (struct fds *)(void *)source;

	return poller_reap(&fds->poller, ready, fds);
}

bool fd_sleep(struct loop_source *source, uint64_t timeout_ns, bool *ret_woken)
{
	struct fds *fds = (struct fds *)(void *)source;
	bool slept = poller_sleep(&fds->poller, timeout_ns, ret_woken);

	source->due |= fds->poller.n > 0;
	return slept;
}
