/* SPDX-License-Identifier: MIT */
/* Reading a stretch of a file whole. */
#ifndef READ_AT_H
#define READ_AT_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

/* Returns how many of len bytes at off came, fewer only where the file ends; -errno. */
static inline int64_t read_at(int fd, uint64_t off, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len && off <= INT64_MAX - done) {
		ssize_t n = pread(fd, (char *)buf + done, len - done, (off_t)(off + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (int64_t)done;
}

#endif
