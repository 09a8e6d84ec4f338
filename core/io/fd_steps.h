/* SPDX-License-Identifier: MIT */
/* What fd.c and fd_steps.c ask of each other. */
#ifndef SONDE_IO_FD_STEPS_H
#define SONDE_IO_FD_STEPS_H

#include "io/fd.h"

static inline struct sonde_fd_io *fd_io(struct fd_core *core)
{
	return (struct sonde_fd_io *)(void *)((char *)core - offsetof(struct sonde_fd_io, core));
}

/* fd_steps.c. The first of a lane begins. True: that was all, its result is set and fd_end_all is due. */
bool fd_begin(struct sonde_fd_io *io);
/* Nobody is to tell of it any more. */
void fd_stop_waiting(struct sonde_fd_io *io);
/* Take back what can be; false: it comes back by itself, and is ended then. */
bool fd_recall(struct sonde_fd_io *io);
/* For op.done: the engine hands a step back. */
void fd_step_done(struct fd_op *op);
/* For the loop's source: what the poller tells. */
int fd_reap(struct loop_source *source);

/* fd.c. End it; those behind it that end at once, too. Never calls back. */
void fd_end_all(struct sonde_fd_io *io);
/* End this one; returns who is the first now, or NULL. */
struct sonde_fd_io *fd_end(struct sonde_fd_io *io);
/* CANCELLED or TIMED_OUT. */
int32_t fd_stop_code(struct sonde_fd_io *io);

#endif
