/* SPDX-License-Identifier: MIT */
/*
 * Sockets that listen and that connect. Everything here is system calls that do not wait: waiting
 * for a connection is a request (fd.c), by the task and blocking doors core/task/net_connect.c.
 */
#include <sonde/net.h>
#include <stdbool.h>

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/net_address.h"

#define BACKLOG_DEFAULT 4096u

static const uint32_t known_flags =
	SONDE_NET_NODELAY | SONDE_NET_REUSE_ADDRESS | SONDE_NET_REUSE_PORT | SONDE_NET_RESET;

static int take_options(struct sonde_net_options *own, const struct sonde_net_options *given,
			struct sonde_error *err)
{
	*own = (struct sonde_net_options){ 0 };
	if (given)
		memcpy(own, given, given->size < sizeof(*own) ? given->size : sizeof(*own));
	own->size = sizeof(*own);
	if (own->flags & ~known_flags)
		return sonde_error_set(err, SONDE_E_BAD_ARG, "net: unknown flags 0x%x",
				       own->flags & ~known_flags);
	if (own->keepalive_s > 32767) /* Source: linux v6.18 include/net/tcp.h, MAX_TCP_KEEPIDLE */
		return sonde_error_set(err, SONDE_E_BAD_ARG, "net: keepalive_s is 32767 at most");
	if (own->backlog > INT32_MAX || own->receive_buffer > INT32_MAX / 2 ||
	    own->send_buffer > INT32_MAX / 2)
		return sonde_error_set(err, SONDE_E_BAD_ARG, "net: a size is out of range");
	return SONDE_OK;
}

/* ---- options --------------------------------------------------------------------------------- */

static bool set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) == 0;
}

static bool set_buffers(int fd, const struct sonde_net_options *options)
{
	return (!options->receive_buffer ||
		set_int(fd, SOL_SOCKET, SO_RCVBUF, (int)options->receive_buffer)) &&
	       (!options->send_buffer ||
		set_int(fd, SOL_SOCKET, SO_SNDBUF, (int)options->send_buffer));
}

static bool set_tcp(int fd, const struct sonde_net_options *options)
{
	if (options->flags & SONDE_NET_NODELAY && !set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1))
		return false;
	if (!options->keepalive_s)
		return true;
	return set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1) &&
	       set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)options->keepalive_s);
}

/* What goes for a connection; false: errno. */
static bool set_connection(int fd, const struct sonde_net_options *options)
{
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
	int family = AF_UNSPEC;
	socklen_t len = sizeof(family);

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len))
		return false;
	if (options->flags & SONDE_NET_RESET &&
	    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)))
		return false;
	return set_buffers(fd, options) && (family == AF_UNIX || set_tcp(fd, options));
}

static bool set_listener(int fd, const struct sonde_net_options *options)
{
	return (!(options->flags & SONDE_NET_REUSE_ADDRESS) ||
		set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1)) &&
	       (!(options->flags & SONDE_NET_REUSE_PORT) ||
		set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1));
}

int sonde_net_set(int fd, const struct sonde_net_options *options, struct sonde_error *err)
{
	struct sonde_net_options own;
	int r = take_options(&own, options, err);

	if (r < 0)
		return r;
	return set_connection(fd, &own) ? SONDE_OK : sonde_error_os(err, errno, "net: options");
}

/* ---- opening --------------------------------------------------------------------------------- */

/* What a person can do about it; "": strerror has said it all. */
static const char *remedy(const struct net_address *address, int os_code)
{
	if (os_code == EADDRINUSE && address->at.ss_family == AF_UNIX)
		return " (if nobody listens there any more, remove the file)";
	if (os_code == EACCES && address->at.ss_family != AF_UNIX)
		return " (ports below 1024 need CAP_NET_BIND_SERVICE)";
	if (os_code == EAGAIN)
		return " (its backlog is full: try again)";
	return "";
}

static int open_socket(const struct net_address *address)
{
	return socket(address->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* A socket that could not be made what it was to be. Returns the code; errno says why. */
static int give_up(int fd, const char *doing, const char *text, const struct net_address *address,
		   struct sonde_error *err)
{
	int os_code = errno, code = sonde_error_os(NULL, os_code, "net");

	if (fd >= 0)
		close(fd);
	/* A full backlog is no failure of the system's. Source: unix(7). */
	sonde_error_set(err, os_code == EAGAIN ? SONDE_E_BUSY : code, "%s '%.120s': %s%s", doing,
			text, strerror(os_code), remedy(address, os_code));
	if (err)
		err->os_code = os_code;
	return os_code == EAGAIN ? SONDE_E_BUSY : code;
}

/* What the caller asked for, checked. */
static int take(struct sonde_net_options *own, struct net_address *address, const char *text,
		const struct sonde_net_options *options, struct sonde_error *err)
{
	int r = take_options(own, options, err);

	return r < 0 ? r : net_address_parse(text, address, err);
}

int sonde_net_listen(const char *text, const struct sonde_net_options *options,
		     struct sonde_error *err)
{
	struct sonde_net_options own;
	struct net_address address;
	int r = take(&own, &address, text, options, err);

	if (r < 0)
		return r;
	int fd = open_socket(&address);
	if (fd < 0 || !set_listener(fd, &own) || !set_connection(fd, &own) ||
	    bind(fd, (struct sockaddr *)&address.at, address.len) ||
	    listen(fd, (int)(own.backlog ? own.backlog : BACKLOG_DEFAULT)))
		return give_up(fd, "listen at", text, &address, err);
	return fd;
}

int sonde_net_begin(const char *text, const struct sonde_net_options *options,
		    struct sonde_error *err)
{
	struct sonde_net_options own;
	struct net_address address;
	int r = take(&own, &address, text, options, err);

	if (r < 0)
		return r;
	int fd = open_socket(&address);
	if (fd < 0 || !set_connection(fd, &own) ||
	    (connect(fd, (struct sockaddr *)&address.at, address.len) && errno != EINPROGRESS))
		return give_up(fd, "connect to", text, &address, err);
	return fd;
}

/* ---- who is where ---------------------------------------------------------------------------- */

static int name(int fd, int (*ask)(int fd, struct sockaddr *at, socklen_t *len), char *text,
		size_t cap)
{
	struct net_address address = { .len = sizeof(address.at) };

	if (cap)
		text[0] = 0;
	if (ask(fd, (struct sockaddr *)&address.at, &address.len))
		return sonde_error_os(NULL, errno, "net");
	return net_address_text(&address, text, cap);
}

int sonde_net_own(int fd, char *text, size_t cap)
{
	return name(fd, getsockname, text, cap);
}

int sonde_net_peer(int fd, char *text, size_t cap)
{
	return name(fd, getpeername, text, cap);
}
