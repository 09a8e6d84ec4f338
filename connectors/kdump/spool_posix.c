/* SPDX-License-Identifier: MIT */
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define AT_ONCE (256u << 10)

static int write_all(int fd, const char *at, size_t len)
{
	while (len) {
		ssize_t n = write(fd, at, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

/* -errno, of the pipe or of the file: *ret_file says which. */
static int copy(int from, int to, char *buf, int *ret_file)
{
	for (;;) {
		ssize_t n = read(from, buf, AT_ONCE);
		if (n < 0 && errno == EINTR)
			continue;
		*ret_file = 0;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		*ret_file = 1;
		int r = write_all(to, buf, (size_t)n);
		if (r < 0)
			return r;
	}
}

static int open_nameless(const char *folder)
{
	char path[4096];
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	if (snprintf(path, sizeof(path), "%s/sonde-XXXXXX", folder) >= (int)sizeof(path))
		return -1;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

int spool(const struct sonde_host *host, int from, const char *name, struct sonde_error *err)
{
	const char *folder = getenv("TMPDIR");

	folder = folder && *folder ? folder : "/var/tmp";
	int fd = open_nameless(folder);
	if (fd < 0)
		return host->error_os(err, errno,
				      "kdump: '%.300s': a temporary file in '%.100s' (see TMPDIR)",
				      name, folder);
	char *buf = malloc(AT_ONCE);
	int file = 0;
	int r = buf ? copy(from, fd, buf, &file) : -ENOMEM;
	free(buf);
	if (r == 0)
		return fd;
	close(fd);
	return file ? host->error_os(err, -r,
				     "kdump: '%.300s': the temporary file in '%.100s' (see TMPDIR)",
				     name, folder)
		    : host->error_os(err, -r, "kdump: '%.300s'", name);
}
