/* SPDX-License-Identifier: MIT */
/*
 * Who waits for which descriptor. Requests of one direction on one descriptor form a lane, and
 * the first of a lane is the one that moves. Links are in the requests, so nothing is allocated.
 *
 *   buckets[fd % N] ─▶ first of 7, in ─below─▶ first of 7, out ─below─▶ first of 4103, in
 *                          │next                  ...
 *                          ▼
 *                      second of 7, in
 */
#ifndef SONDE_IO_FD_TABLE_H
#define SONDE_IO_FD_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#define FD_BUCKETS 4096u

struct sonde_fd_io;

enum fd_lane {
	FD_IN = 0,
	FD_OUT,
	FD_POLLS, /* these do not wait for each other */
	FD_LANES
};

struct fd_table {
	struct sonde_fd_io *buckets[FD_BUCKETS];
};

/* Of a request, by its op. */
enum fd_lane fd_lane(const struct sonde_fd_io *io);

/* The first of a lane; NULL: nobody is in it. */
struct sonde_fd_io *fd_table_first(const struct fd_table *table, int fd, enum fd_lane lane);

/* Join the lane as its last. True: it is the first, too. */
bool fd_table_add(struct fd_table *table, struct sonde_fd_io *io);

/* Leave it. Returns who is the first now instead of io; NULL: nobody, or io was not the first. */
struct sonde_fd_io *fd_table_remove(struct fd_table *table, struct sonde_fd_io *io);

#endif
