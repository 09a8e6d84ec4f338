/* SPDX-License-Identifier: MIT */
/*
 * One attempt at a step that never waits, whether the descriptor is a blocking one or not. What
 * kind a descriptor is costs a system call to learn, so the last answer for each number is kept as
 * a hint: a wrong one costs that call again, nothing else.
 */
#ifndef SONDE_IO_FD_TRY_H
#define SONDE_IO_FD_TRY_H

#include <stdbool.h>
#include <stdint.h>

struct fd_op;

#define FD_HINTS 1024u

enum fd_hint { FD_UNKNOWN = 0, FD_SOCKET, FD_NO_SOCKET };

struct fd_hints {
	uint8_t kind[FD_HINTS]; /* enum fd_hint, by number modulo FD_HINTS        */
	bool no_nowait;         /* this kernel knows no RWF_NOWAIT ...            */
	bool no_nosignal;       /* ... and no RWF_NOSIGNAL                        */
};

static inline uint8_t *fd_hint(struct fd_hints *hints, int fd)
{
	return &hints->kind[(uint32_t)fd % FD_HINTS];
}

/*
 * READ, WRITE, RECV, SEND, ACCEPT or POLL: its result, -EAGAIN where it would wait, another -errno.
 */
int32_t fd_try(struct fd_hints *hints, const struct fd_op *op);

/* READ or WRITE of what epoll does not take (regular files): it may wait, but never for long. */
int32_t fd_plain(const struct fd_op *op);

/* 0: fd is a listening socket; -errno, as accept(2) would say. */
int32_t fd_listens(int fd);

/* The end of connect(2): 0, -EAGAIN, -errno. */
int32_t fd_connected(int fd);

/* The end of what is written: 0, -errno. */
int32_t fd_no_more(int fd);

#endif
