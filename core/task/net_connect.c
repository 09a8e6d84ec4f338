/* SPDX-License-Identifier: MIT */
/* Connecting by the task and blocking doors: what net_posix.c begins is waited for here. */
#include <sonde/net.h>
#include <stddef.h>
#include <unistd.h>

static uint64_t deadline_of(const struct sonde_net_options *options)
{
	return options && options->size >= sizeof(*options) ? options->deadline_ns : 0;
}

static int refuse(const char *address, int r, int os_code, struct sonde_error *err)
{
	if (os_code)
		return sonde_error_os(err, os_code, "connect to '%.120s'", address);
	return sonde_error_set(err, r, "connect to '%.120s': %s", address, sonde_strerror(r));
}

int sonde_net_connect(struct sonde_task *self, struct sonde_loop *loop, const char *address,
		      const struct sonde_net_options *options, struct sonde_error *err)
{
	int fd = sonde_net_begin(address, options, err);

	if (fd < 0)
		return fd;
	struct sonde_fd_io io = { .fd = fd,
				  .op = SONDE_FD_CONNECT,
				  .deadline_ns = deadline_of(options) };
	int r = sonde_fd_run(self, loop, &io);
	if (r == SONDE_OK)
		return fd;
	close(fd);
	return refuse(address, r, io.os_code, err);
}
