/* SPDX-License-Identifier: MIT */
/* Sockets are connected without blocking, so that a host that swallows packets costs no more than the time given. */
#include "dial.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct dialling {
	const struct sonde_host *host;
	const char *to;
	uint64_t deadline_ns;
	struct sonde_error *err;
};

static int refuse(const struct dialling *dialling, int os_code)
{
	if (os_code == ECONNREFUSED)
		return dialling->host->error_set(dialling->err, SONDE_E_GONE,
						 "gdb: '%.200s': nobody listens there: start QEMU "
						 "with -gdb or -s, or gdbserver",
						 dialling->to);
	if (os_code == ETIMEDOUT)
		return dialling->host->error_set(dialling->err, SONDE_E_TIMED_OUT,
						 "gdb: '%.200s': no answer to the connection",
						 dialling->to);
	return dialling->host->error_os(dialling->err, os_code, "gdb: '%.200s'", dialling->to);
}

/* Returns 0 or an errno. */
static int await(const struct dialling *dialling, int fd)
{
	struct pollfd poller = { .fd = fd, .events = POLLOUT };
	int os_code = 0, r = 0;
	socklen_t len = sizeof(os_code);

	while (r <= 0) {
		uint64_t now = dialling->host->now_ns();
		if (now >= dialling->deadline_ns)
			return ETIMEDOUT;
		r = poll(&poller, 1, (int)((dialling->deadline_ns - now) / 1000000) + 1);
		if (r < 0 && errno != EINTR)
			return errno;
	}
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &os_code, &len);
	return os_code;
}

/* Returns 0 and *ret_fd, or an errno. */
static int try_address(const struct dialling *dialling, const struct sockaddr *address,
		       socklen_t len, int *ret_fd)
{
	int one = 1, fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return errno;
	int os_code = connect(fd, address, len) < 0 ? errno : 0;
	if (os_code == EINPROGRESS)
		os_code = await(dialling, fd);
	if (os_code) {
		close(fd);
		return os_code == EAGAIN ? ETIMEDOUT : os_code; /* a full queue of a UNIX socket */
	}
	if (address->sa_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	*ret_fd = fd;
	return 0;
}

static int dial_unix(const struct dialling *dialling, const char *path, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		return dialling->host->error_set(
			dialling->err, SONDE_E_BAD_ARG,
			"gdb: 'unix:%.60s...': the path of a socket has %zu bytes at most", path,
			sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	int os_code = try_address(dialling, (struct sockaddr *)&address, sizeof(address), ret_fd);
	return os_code ? refuse(dialling, os_code) : 0;
}

/* "HOST:PORT" apart, brackets off. Returns 0, -1: it is not of that form. */
static int split(const char *to, char name[256], char port[8])
{
	const char *colon = strrchr(to, ':');
	size_t len = colon ? (size_t)(colon - to) : 0;

	if (!colon || len >= 256 || strlen(colon + 1) < 1 || strlen(colon + 1) > 5 ||
	    strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
	    strtoul(colon + 1, NULL, 10) > UINT16_MAX)
		return -1;
	strcpy(port, colon + 1);
	if (len >= 2 && to[0] == '[' && to[len - 1] == ']') {
		to++;
		len -= 2;
	}
	snprintf(name, 256, "%.*s", (int)len, to);
	return 0;
}

static int dial_tcp(const struct dialling *dialling, int *ret_fd)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };
	struct addrinfo *found = NULL;
	char name[256], port[8];
	int os_code = ENOENT;

	if (split(dialling->to, name, port) < 0)
		return dialling->host->error_set(
			dialling->err, SONDE_E_BAD_ARG,
			"gdb: '%.60s': write gdb:HOST:PORT, gdb:unix:PATH or gdb:qemu:NAME",
			dialling->to);
	int r = getaddrinfo(name[0] ? name : NULL, port, &hints, &found);
	if (r)
		return dialling->host->error_set(dialling->err, SONDE_E_NOT_FOUND,
						 "gdb: '%.200s': %s", dialling->to,
						 gai_strerror(r));
	for (struct addrinfo *at = found; at && os_code; at = at->ai_next)
		os_code = try_address(dialling, at->ai_addr, at->ai_addrlen, ret_fd);
	freeaddrinfo(found);
	return os_code ? refuse(dialling, os_code) : 0;
}

int dial(const struct sonde_host *host, const char *to, uint64_t timeout_ms, int *ret_fd,
	 struct sonde_error *err)
{
	struct dialling dialling = { .host = host,
				     .to = to,
				     .deadline_ns = host->now_ns() + timeout_ms * 1000000,
				     .err = err };

	if (strncmp(to, "unix:", 5) == 0)
		return dial_unix(&dialling, to + 5, ret_fd);
	return dial_tcp(&dialling, ret_fd);
}
