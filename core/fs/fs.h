/* SPDX-License-Identifier: MIT */
/*
 * The inside of file systems and of their requests. A map of this folder:
 *
 *   fs.c       a file system, the states of its requests, their ends
 *   check.c    what a request must be like
 *   doors.c    the task and blocking doors
 *   memory.c   files in memory; memory.h is its inside, memory_tree.c and memory_path.c the rest
 *   load.c file.c replace.c copy.c (sonde/file.h), dir.c walk.c (sonde/dir.h)
 *              what is made of requests, on any file system
 *   native.c   this machine's files, through the loop's engine (io/path_op.h)
 */
#ifndef SONDE_FS_FS_H
#define SONDE_FS_FS_H

#include <sonde/fs.h>
#include <stdbool.h>

#include "io/loop.h"

struct sonde_fs {
	struct sonde_loop *loop;
	struct sonde_fs_ops ops;
	void *impl;
};

enum fs_flag {
	FS_ASKED_CANCEL = 1u << 0,
	FS_TIMED_OUT = 1u << 1, /* ... because its deadline passed */
};

/* What the library keeps in sonde_fs_io.core while it is in flight. */
struct fs_core {
	struct sonde_fs *fs;
	struct loop_ready ready; /* carries it to its callback */
	struct sonde_timer deadline;
	uint32_t flags; /* enum fs_flag */
	uint64_t room[SONDE_FS_ROOM / 8];
};
_Static_assert(sizeof(struct fs_core) <= sizeof(((struct sonde_fs_io *)0)->core),
	       "struct sonde_fs_io keeps room for fs_core");

static inline struct fs_core *fs_core(struct sonde_fs_io *io)
{
	return (struct fs_core *)(void *)io->core;
}

/* Was its end asked for? */
static inline bool fs_asked_cancel(struct sonde_fs_io *io)
{
	return fs_core(io)->flags & FS_ASKED_CANCEL;
}

/* check.c: are all in fields in their ranges? */
bool fs_io_is_valid(const struct sonde_fs_io *io);

/* ... is its result a number of bytes, at most len? */
bool fs_moves_bytes(uint32_t op);

/* As sonde_fs_cancel, with CANCELLED or TIMED_OUT for a reason; the first one stands. */
int fs_stop(struct sonde_fs_io *io, int code);

/* As sonde_fs_finish, with a result of 0 or more, or an -errno. */
void fs_finish_os(struct sonde_fs_io *io, int32_t result);

/* doors.c: may self, or the running task where it is NULL, or plain code wait now? 0, or why not. */
int fs_may_wait(struct sonde_task *self, const struct sonde_loop *loop);

/* As sonde_fs_run, also in a task that is to end: for what has to be put in order behind it. */
int fs_run_to_end(struct sonde_fs *fs, struct sonde_fs_io *io);

#endif
