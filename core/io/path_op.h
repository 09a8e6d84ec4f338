/* SPDX-License-Identifier: MIT */
/*
 * Operations on files that are no move of bytes (sonde/fs.h): the one table of calls for engines
 * that wait, and what a ring takes of it. Their issuer is core/fs/native.c.
 */
#ifndef SONDE_IO_PATH_OP_H
#define SONDE_IO_PATH_OP_H

#include <errno.h>
#include <linux/openat2.h>
#include <sonde/fs.h>
#include <sys/stat.h>

#include "io/engine.h"

/* The issuer owns it; op.result is written before op.done is called: as the request's, or -errno. */
struct path_op {
	struct file_op op; /* first: engines know it as this         */
	struct sonde_fs_io *io;
	uint32_t flags;      /* enum sonde_fs_flag                      */
	int32_t dir, to_dir; /* descriptors, AT_FDCWD                   */
	bool in_engine;      /* the issuer's                            */
	union {
		struct statx stat;   /* out: STAT */
		struct open_how how; /* OPEN      */
	};
};

#define PATH_STAT_MASK (STATX_BASIC_STATS | STATX_BTIME)

/* The call itself. May block; any thread. Returns the result. */
int32_t path_call(const struct path_op *op);

/* OPEN: fills in how. */
void path_prepare_open(struct path_op *op);

/* What openat2(2) says of a path that leads out is what rename(2) says of two disks: told apart here. */
static inline int32_t path_beneath(int32_t r)
{
	return r == -EXDEV ? -EACCES : r;
}

#endif
