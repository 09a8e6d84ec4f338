/* SPDX-License-Identifier: MIT */
/*
 * The inside of one request on a descriptor: what the library keeps in sonde_fd_io.core while it is
 * in flight.
 */
#ifndef SONDE_IO_FD_CORE_H
#define SONDE_IO_FD_CORE_H

#include <sonde/fd.h>

#include "io/engine.h"
#include "io/loop.h"

enum fd_flag {
	FD_ASKED_CANCEL = 1u << 0,
	FD_TIMED_OUT = 1u << 1, /* ... because its deadline passed                           */
	FD_BUSY = 1u << 2,      /* the engine has op                                         */
	FD_WAITS = 1u << 3,     /* the poller is to tell                                     */
	FD_HERE = 1u << 4,      /* the ring cannot: attempts here, and only polls by ring    */
	FD_PLAIN = 1u << 5,     /* of a kind that is always ready: fd_plain                  */
	FD_INSIDE = 1u << 6,    /* its accepted function runs                                */
	FD_PAUSED = 1u << 7,    /* no connection can be had; its pause timer runs            */
	FD_TOLD = 1u << 8,      /* ... and its owner knows                                   */
	FD_STUMBLED = 1u << 9,  /* the last connection was lost before it was accepted       */
	FD_CLOSES = 1u << 10,   /* CLOSE: its callback is on its way                         */
};

struct fds;

struct fd_core {
	struct fd_op op;
	struct loop_ready ready; /* carries it to its callback                       */
	struct sonde_timer deadline, pause;
	struct fds *fds;
	struct sonde_fd_io *next, *prev; /* in its lane; CLOSE: in fds->closing      */
	struct sonde_fd_io *last;        /* first of a lane: the last of it          */
	struct sonde_fd_io *below;       /* first of a lane: the next in its bucket  */
	uint32_t flags;                  /* enum fd_flag                             */
	struct loop_watch *watches;      /* who else waits for its end               */
};
_Static_assert(sizeof(struct fd_core) <= sizeof(((struct sonde_fd_io *)0)->core),
	       "struct sonde_fd_io keeps room for fd_core");

static inline struct fd_core *fd_core(struct sonde_fd_io *io)
{
	return (struct fd_core *)(void *)io->core;
}

#endif
