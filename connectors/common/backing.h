/* SPDX-License-Identifier: MIT */
/* Which file, if any, the guest's RAM is shared through: then it is read without asking QEMU. */
#ifndef BACKING_H
#define BACKING_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One mapping of the QEMU process. */
struct backing {
	uint64_t start, end; /* in the QEMU process                       */
	uint64_t off;        /* in the file                               */
	uint64_t inode;      /* 0: no file                                */
	uint32_t flags;      /* enum sonde_region_flag                    */
	int fd;              /* opened by backing_open, else -1           */
	char path[256];      /* as /proc/PID/maps has it, cut             */
};

struct backings {
	pid_t pid;
	struct backing *at; /* [n], lowest first */
	size_t n, cap;
};

/* Read the mappings of pid. Returns 0; SONDE_E_NO_ACCESS, _GONE, _NO_MEMORY. */
int backings_read(struct backings *ret, pid_t pid);
void backings_finish(struct backings *backings);

/* The mapping that holds hva; NULL none. */
struct backing *backings_find(struct backings *backings, uint64_t hva);

/*
 * Open the file of a shared mapping, whatever its name has become. Returns 1 (backing->fd is
 * open, for writing too where write is not 0), 0 where it is not shared or cannot be had.
 */
int backing_open(struct backings *backings, struct backing *backing, int write);

/* 1 where every byte of [hva, hva + len) is in shared mappings that could be opened. */
int backings_shared(struct backings *backings, uint64_t hva, uint64_t len, int write);

/* The only writable mapping of exactly size bytes that holds no code; NULL none or several. */
struct backing *backings_of_size(struct backings *backings, uint64_t size);

#endif
