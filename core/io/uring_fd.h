/* SPDX-License-Identifier: MIT */
/*
 * The io_uring engine's part for descriptors without offsets (engine.h, fd_step): which steps the
 * kernel's rings take, and the way of each down and up. engine_uring.c owns the ring.
 */
#ifndef SONDE_IO_URING_FD_H
#define SONDE_IO_URING_FD_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/engine.h"

struct uring_fd {
	struct sonde_loop *loop;
	struct io_uring *ring;
	uint32_t steps; /* bit s set: enum fd_step s is taken          */
	enum { MANY_UNTRIED = 0, MANY_KNOWN, MANY_UNKNOWN } many; /* multishot accept */
	struct loop_flush flush;             /* all that was started leaves with it          */
	struct fd_op *fresh, **fresh_tail;   /* started since the last flush                 */
	struct fd_op *unsent, **unsent_tail; /* wait for a submission entry                  */
	struct fd_op *stops, **stops_tail;   /* sent, to be called off, wait for one as well */
};

/* Its completions carry this bit beside the address of an operation, or alone. */
#define URING_FD_TAG UINT64_C(2)

void uring_fd_open(struct uring_fd *fds, struct sonde_loop *loop, struct io_uring *ring,
		   const struct io_uring_probe *probe);

/* Fill submission entries. True: some found none. */
bool uring_fd_fill(struct uring_fd *fds);

/* A completion with the tag. Returns how many operations it handed back: 0 or 1. */
int uring_fd_completed(struct uring_fd *fds, uint64_t user_data, int32_t result, uint32_t flags);

/* As engine_ops' fd_start and fd_stop. */
void uring_fd_start(struct uring_fd *fds, struct fd_op *op);
bool uring_fd_stop(struct uring_fd *fds, struct fd_op *op);

#endif
