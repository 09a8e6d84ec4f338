/* SPDX-License-Identifier: MIT */
/*
 * The sync engine: pread and pwrite in the submitting call. It is the reference the
 * others are compared with, and what they fall back to.
 */
#include "io/engine.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

static ssize_t move_some(int fd, uint32_t write, uint64_t off, char *buf, size_t len)
{
	return write ? pwrite(fd, buf, len, (off_t)off) : pread(fd, buf, len, (off_t)off);
}

bool file_has_offsets(int fd)
{
	return lseek(fd, 0, SEEK_CUR) >= 0;
}

int32_t file_move(int fd, uint32_t write, uint64_t off, void *buf, uint32_t len)
{
	uint32_t done = 0;

	if (off > (uint64_t)INT64_MAX - len)
		return -EINVAL;
	while (done < len) {
		ssize_t r = move_some(fd, write, off + done, (char *)buf + done, len - done);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return done ? (int32_t)done : -errno;
		if (r == 0)
			break;
		done += (uint32_t)r;
	}
	return (int32_t)done;
}
