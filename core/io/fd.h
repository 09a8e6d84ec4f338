/* SPDX-License-Identifier: MIT */
/*
 * Requests on descriptors without offsets: what a loop keeps for all of them (fd_core.h: for each).
 * fd.c moves them, fd_table.c knows who waits in which order, fd_try.h attempts, an engine's ring
 * or the poller waits.
 */
#ifndef SONDE_IO_FD_H
#define SONDE_IO_FD_H

#include "io/fd_core.h"
#include "io/fd_table.h"
#include "io/fd_try.h"
#include "io/loop.h"
#include "io/poller.h"

/* A loop's, made with its first request. */
struct fds {
	struct loop_source source; /* its fd is the poller; first: the loop knows it as this     */
	struct sonde_loop *loop;
	uint32_t steps; /* bit s set: the engine takes enum fd_step s; 0: the poller waits       */
	struct poller poller;
	int handling; /* the descriptor whose event is looked into, armed afterwards; -1: none */
	struct sonde_fd_io *closing; /* CLOSE requests                                           */
	struct fd_hints hints;
	struct fd_table table;
};

/* NULL: out of memory. */
struct fds *fds_of(struct sonde_loop *loop);

/* As sonde_fd_cancel, with CANCELLED or TIMED_OUT for a reason; the first one stands. */
int fd_stop(struct sonde_fd_io *io, int code);

#endif
