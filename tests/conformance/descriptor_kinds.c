/* SPDX-License-Identifier: MIT */
/*
 * The kinds of descriptors. Loopback only; the sockets with names are abstract ones or of port 0.
 */
#include "descriptor.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#define BACKLOG 256

static int make_pipe(int ends[2])
{
	return pipe2(ends, O_CLOEXEC);
}

static int make_socketpair(int ends[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends);
}

static int make_eventfd(int ends[2])
{
	ends[0] = ends[1] = eventfd(0, EFD_CLOEXEC);
	return ends[0] < 0 ? -1 : 0;
}

/* A terminal in raw mode, and who types. */
static int make_terminal(int ends[2])
{
	struct termios raw;
	char name[64];

	ends[1] = posix_openpt(O_RDWR | O_NOCTTY);
	if (ends[1] < 0 || grantpt(ends[1]) || unlockpt(ends[1]) ||
	    ptsname_r(ends[1], name, sizeof(name)))
		return -1;
	ends[0] = open(name, O_RDWR | O_NOCTTY);
	if (ends[0] < 0 || tcgetattr(ends[0], &raw))
		return -1;
	cfmakeraw(&raw);
	return tcsetattr(ends[0], TCSANOW, &raw);
}

static int listen_at(int family, const void *addr, socklen_t len)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && bind(fd, addr, len) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	close(fd);
	return -1;
}

static int listen_tcp(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	return listen_at(AF_INET, &addr, sizeof(addr));
}

/* Only the family: Linux picks an abstract name. */
static int listen_unix(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	return listen_at(AF_UNIX, &addr, sizeof(addr.sun_family));
}

static int connect_to(int listener, bool wait)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	if (getsockname(listener, (struct sockaddr *)&addr, &len))
		return -1;
	int fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | (wait ? 0 : SOCK_NONBLOCK), 0);
	if (fd >= 0 && (connect(fd, (struct sockaddr *)&addr, len) == 0 || !wait))
		return fd;
	close(fd);
	return -1;
}

static int make_connected(int ends[2], int listener)
{
	ends[1] = connect_to(listener, true);
	ends[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	return ends[0] < 0 || ends[1] < 0 ? -1 : 0;
}

static int make_tcp(int ends[2])
{
	int one = 1;

	if (make_connected(ends, listen_tcp()))
		return -1;
	return setsockopt(ends[1], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static int make_unix(int ends[2])
{
	return make_connected(ends, listen_unix());
}

const struct kind kinds[] = {
	{ "pipe", STREAM | ENDS, make_pipe, NULL, NULL },
	{ "socketpair", STREAM | ENDS | BOTH_WAYS, make_socketpair, NULL, NULL },
	{ "tcp", STREAM | ENDS | BOTH_WAYS | RESETS | LISTENS, make_tcp, listen_tcp, connect_to },
	{ "unix", STREAM | ENDS | BOTH_WAYS | LISTENS, make_unix, listen_unix, connect_to },
	{ "terminal", 0, make_terminal, NULL, NULL },
	{ "eventfd", BOTH_WAYS | ONE, make_eventfd, NULL, NULL },
};
const unsigned n_kinds = sizeof(kinds) / sizeof(kinds[0]);
