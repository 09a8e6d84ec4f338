/* SPDX-License-Identifier: MIT */
/* Lanes in buckets: lists whose links are in the requests. */
#include "io/fd_table.h"

#include <stddef.h>

#include "io/fd.h"

enum fd_lane fd_lane(const struct sonde_fd_io *io)
{
	switch (io->op) {
	case SONDE_FD_READ:
	case SONDE_FD_READ_ALL:
	case SONDE_FD_ACCEPT:
		return FD_IN;
	case SONDE_FD_POLL:
		return FD_POLLS;
	default:
		return FD_OUT;
	}
}

/* Where the lane's first is, or where it would be. */
static struct sonde_fd_io **find(struct fd_table *table, int fd, enum fd_lane lane)
{
	struct sonde_fd_io **at = &table->buckets[(uint32_t)fd % FD_BUCKETS];

	while (*at && ((*at)->fd != fd || fd_lane(*at) != lane))
		at = &fd_core(*at)->below;
	return at;
}

struct sonde_fd_io *fd_table_first(const struct fd_table *table, int fd, enum fd_lane lane)
{
	return *find((struct fd_table *)table, fd, lane);
}

bool fd_table_add(struct fd_table *table, struct sonde_fd_io *io)
{
	struct sonde_fd_io **at = find(table, io->fd, fd_lane(io)), *first = *at;

	fd_core(io)->next = NULL;
	if (!first) {
		fd_core(io)->prev = fd_core(io)->below = NULL;
		fd_core(io)->last = io;
		*at = io;
		return true;
	}
	fd_core(io)->prev = fd_core(first)->last;
	fd_core(fd_core(first)->last)->next = io;
	fd_core(first)->last = io;
	return false;
}

struct sonde_fd_io *fd_table_remove(struct fd_table *table, struct sonde_fd_io *io)
{
	struct sonde_fd_io **at = find(table, io->fd, fd_lane(io)), *first = *at;
	struct sonde_fd_io *next = fd_core(io)->next, *prev = fd_core(io)->prev;

	if (prev) {
		fd_core(prev)->next = next;
		if (next)
			fd_core(next)->prev = prev;
		else
			fd_core(first)->last = prev;
		return NULL;
	}
	if (next) {
		fd_core(next)->prev = NULL;
		fd_core(next)->last = fd_core(io)->last;
		fd_core(next)->below = fd_core(io)->below;
	}
	*at = next ? next : fd_core(io)->below;
	return next;
}
