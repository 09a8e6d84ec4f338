/* SPDX-License-Identifier: MIT */
/*
 * The io_uring engine's part for operations on files that are no moves (path_op.h): which the
 * kernel's rings take, and the way of each down and up. engine_uring.c owns the ring.
 */
#ifndef SONDE_IO_URING_PATH_H
#define SONDE_IO_URING_PATH_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "io/path_op.h"

struct uring_path {
	struct io_uring *ring;
	uint32_t known; /* bit s set: rings take enum sonde_fs_op s */
};

/* Its completions carry this bit beside the address of an operation. */
#define URING_PATH_TAG UINT64_C(4)

void uring_path_open(struct uring_path *paths, struct io_uring *ring,
		     const struct io_uring_probe *probe);

/* As engine_ops' path_start. */
bool uring_path_start(struct uring_path *paths, struct path_op *op);

/* A completion with the tag. */
void uring_path_completed(uint64_t user_data, int32_t result);

#endif
