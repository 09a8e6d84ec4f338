/* SPDX-License-Identifier: MIT */
/* What the four files ask of each other: fd.c, fd_steps.c, fd_accept.c, fd_wait.c. */
#ifndef SONDE_IO_FD_STEPS_H
#define SONDE_IO_FD_STEPS_H

#include <stddef.h>

#include "io/fd.h"

static inline struct sonde_fd_io *fd_io(struct fd_core *core)
{
	return (struct sonde_fd_io *)(void *)((char *)core - offsetof(struct sonde_fd_io, core));
}

/* ---- fd.c ---- */

/* End it; those behind it that end at once, too. Never calls back. */
void fd_end_all(struct sonde_fd_io *io);
/* End this one; returns who is the first now, or NULL. */
struct sonde_fd_io *fd_end(struct sonde_fd_io *io);
/* CANCELLED or TIMED_OUT. */
int32_t fd_stop_code(struct sonde_fd_io *io);

/* ---- fd_steps.c ---- */

/* True, wherever a bool is returned: that was the end, result is set, fd_end_all is due. */

/* The first of a lane begins. */
bool fd_begin(struct sonde_fd_io *io);
/* Take back what can be; false: it comes back by itself, and is ended then. */
bool fd_recall(struct sonde_fd_io *io);
/* For op.done: the engine hands a step back. */
void fd_step_done(struct fd_op *op);
/* By attempts, until the end or until it has to wait. */
bool fd_attempt_here(struct sonde_fd_io *io);
/* What a step brought. */
bool fd_take(struct sonde_fd_io *io, int32_t r);
/* The end, with an -errno; with what cancel asked for. */
bool fd_fail(struct sonde_fd_io *io, int32_t r);
bool fd_stopped(struct sonde_fd_io *io);

/* The step the ring is to do; FD_STEPS: it cannot, or not this one. */
enum fd_step fd_ring_step(struct sonde_fd_io *io);
void fd_prepare_step(struct sonde_fd_io *io);
/* Hand it to the ring. */
void fd_give(struct sonde_fd_io *io, enum fd_step step);
/* Attempt it: its result, -EAGAIN, another -errno. */
int32_t fd_try_step(struct sonde_fd_io *io);
/* Returns 0: somebody will tell; -EPERM: it is always ready; another -errno. */
int fd_wait_ready(struct sonde_fd_io *io);
/* Of poll(2): what it waits for. */
short fd_poll_events(const struct sonde_fd_io *io);

static inline bool fd_asked_cancel(struct sonde_fd_io *io)
{
	return fd_core(io)->flags & FD_ASKED_CANCEL;
}

/* ---- fd_accept.c ---- */

static inline bool fd_is_stream(const struct sonde_fd_io *io)
{
	return io->op == SONDE_FD_ACCEPT && io->accepted;
}

bool fd_start_stream(struct sonde_fd_io *io);
/* Attempts, after the poller or the ring's poll told. */
bool fd_accept_here(struct sonde_fd_io *io);
bool fd_stream_came_back(struct sonde_fd_io *io, const struct fd_op *op);

/* ---- fd_wait.c ---- */

/* As fd_wait_ready. */
int fd_wait_by_poller(struct fds *fds, struct sonde_fd_io *io);
/* Nobody is to tell of it any more. */
void fd_stop_waiting(struct sonde_fd_io *io);
/* For the loop's source: what the poller tells. */
int fd_reap(struct loop_source *source);
bool fd_sleep(struct loop_source *source, uint64_t timeout_ns, bool *ret_woken);

#endif
