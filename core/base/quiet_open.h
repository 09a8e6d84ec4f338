/* SPDX-License-Identifier: MIT */
/*
 * Opening what is examined: its time of last access stays what it was, which is evidence. Linux lets only the owner of
 * a file and who has CAP_FOWNER ask for that; all others open it as anybody does. (open(2), O_NOATIME)
 */
#ifndef SONDE_BASE_QUIET_OPEN_H
#define SONDE_BASE_QUIET_OPEN_H

#include <errno.h>
#include <fcntl.h>

static inline int quiet_open(const char *path, int flags)
{
#ifdef O_NOATIME
	int fd = open(path, flags | O_NOATIME);

	if (fd >= 0 || errno != EPERM)
		return fd;
#endif
	return open(path, flags);
}

#endif
