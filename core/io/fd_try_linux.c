/* SPDX-License-Identifier: MIT */
/*
 * Attempts on Linux. Sockets have flags for it. Pipes, and most of what is read without an offset,
 * take RWF_NOWAIT (pipes since linux 6.4); the rest is asked with poll(2) first. SIGPIPE is refused
 * by flag (RWF_NOSIGNAL, linux 6.18), else held back while the call lasts.
 */
#include "io/fd_try.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "io/engine.h"

/* Source: linux v6.18 include/uapi/linux/fs.h. */
#ifndef RWF_NOWAIT
#define RWF_NOWAIT 0x00000008
#endif
#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x00000100
#endif

static int32_t outcome(ssize_t r)
{
	return r < 0 ? -errno : (int32_t)r;
}

/* 0: not now; else the events. */
static int poll_now(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	int r;

	do
		r = poll(&p, 1, 0);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return p.revents & POLLNVAL ? -EBADF : p.revents;
}

/* ---- not sockets ----------------------------------------------------------------------------- */

static bool is_unknown(int32_t r)
{
	return r == -EOPNOTSUPP || r == -ENOSYS;
}

static int32_t read_nowait(struct fd_hints *hints, const struct fd_op *op)
{
	struct iovec v = { op->buf, op->len };

	if (hints->no_nowait)
		return -EOPNOTSUPP;
	int32_t r = outcome(preadv2(op->fd, &v, 1, -1, RWF_NOWAIT));
	hints->no_nowait = r == -ENOSYS;
	return r;
}

static int32_t read_polled(const struct fd_op *op)
{
	int events = poll_now(op->fd, POLLIN);
	if (events <= 0)
		return events ? events : -EAGAIN;
	return outcome(read(op->fd, op->buf, op->len));
}

/* A pipe that polls writable has room for PIPE_BUF bytes: so much, and no more, does not wait. */
static int32_t write_polled(const struct fd_op *op)
{
	int events = poll_now(op->fd, POLLOUT);

	if (events <= 0)
		return events ? events : -EAGAIN;
	return outcome(write(op->fd, op->buf, op->len < PIPE_BUF ? op->len : PIPE_BUF));
}

static int32_t write_nowait(struct fd_hints *hints, const struct fd_op *op, int flags)
{
	struct iovec v = { op->buf, op->len };

	return hints->no_nowait ? -EOPNOTSUPP
				: outcome(pwritev2(op->fd, &v, 1, -1, RWF_NOWAIT | flags));
}

/* A SIGPIPE that waited before is somebody else's and stays. */
static int32_t hold_sigpipe(struct fd_hints *hints, const struct fd_op *op,
			    int32_t (*move)(struct fd_hints *hints, const struct fd_op *op))
{
	const struct timespec at_once = { 0, 0 };
	sigset_t pipe, old, waiting;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	sigemptyset(&waiting);
	pthread_sigmask(SIG_BLOCK, &pipe, &old);
	if (sigismember(&old, SIGPIPE))
		sigpending(&waiting);
	int32_t r = move(hints, op);
	if (r == -EPIPE && !sigismember(&waiting, SIGPIPE)) {
		while (sigtimedwait(&pipe, NULL, &at_once) < 0 && errno == EINTR)
			;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

static int32_t write_signalling(struct fd_hints *hints, const struct fd_op *op)
{
	int32_t r = write_nowait(hints, op, 0);

	if (is_unknown(r))
		return write_polled(op);
	hints->no_nosignal = true;
	return r;
}

static int32_t write_plain(struct fd_hints *hints, const struct fd_op *op)
{
	(void)hints;
	return outcome(write(op->fd, op->buf, op->len));
}

int32_t fd_plain(const struct fd_op *op)
{
	int32_t r;

	do
		r = op->step == FD_WRITE ? hold_sigpipe(NULL, op, write_plain)
					 : outcome(read(op->fd, op->buf, op->len));
	while (r == -EINTR);
	return r;
}

/* ---- sockets --------------------------------------------------------------------------------- */

/* -ENOTSOCK: it is none; the hint says so from now on. */
static int32_t try_socket(struct fd_hints *hints, const struct fd_op *op, bool write)
{
	int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
	int32_t r = outcome(write ? send(op->fd, op->buf, op->len, flags)
				  : recv(op->fd, op->buf, op->len, flags));

	*fd_hint(hints, op->fd) = r == -ENOTSOCK ? FD_NO_SOCKET : FD_SOCKET;
	return r;
}

/*
 * What a new kernel takes for every kind of descriptor; -EOPNOTSUPP: not this one, or not for this
 * kind.
 */
static int32_t try_any(struct fd_hints *hints, const struct fd_op *op, bool write)
{
	if (!write)
		return read_nowait(hints, op);
	return hints->no_nosignal ? -EOPNOTSUPP : write_nowait(hints, op, RWF_NOSIGNAL);
}

static int32_t try_move(struct fd_hints *hints, const struct fd_op *op, bool write)
{
	const uint8_t *hint = fd_hint(hints, op->fd);
	int32_t r = *hint == FD_SOCKET ? try_socket(hints, op, write) : -ENOTSOCK;

	if (r == -ENOTSOCK)
		r = try_any(hints, op, write);
	if (is_unknown(r) && *hint == FD_UNKNOWN)
		r = try_socket(hints, op, write);
	if (!is_unknown(r) && r != -ENOTSOCK)
		return r;
	return write ? hold_sigpipe(hints, op, write_signalling) : read_polled(op);
}

int32_t fd_listens(int fd)
{
	int listens = 0;
	socklen_t len = sizeof(listens);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len))
		return -errno;
	return listens ? 0 : -EINVAL;
}

/* A blocking listener is polled first. Where others accept from it as well, one may be faster. */
static int32_t try_accept(int fd)
{
	int events = poll_now(fd, POLLIN);

	if (events <= 0)
		return events ? events : -EAGAIN;
	return outcome(accept4(fd, NULL, NULL, SOCK_CLOEXEC));
}

int32_t fd_connected(int fd)
{
	int events = poll_now(fd, POLLOUT), error = 0;
	socklen_t len = sizeof(error);
	struct sockaddr_storage peer;

	if (events <= 0)
		return events ? events : -EAGAIN;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len))
		return -errno;
	len = sizeof(peer);
	return error ? -error : outcome(getpeername(fd, (struct sockaddr *)&peer, &len));
}

int32_t fd_no_more(int fd)
{
	return outcome(shutdown(fd, SHUT_WR));
}

int32_t fd_try(struct fd_hints *hints, const struct fd_op *op)
{
	int32_t r;

	do {
		switch (op->step) {
		case FD_READ:
		case FD_RECV:
			r = try_move(hints, op, false);
			break;
		case FD_WRITE:
		case FD_SEND:
			r = try_move(hints, op, true);
			break;
		case FD_POLL:
			r = poll_now(op->fd, (short)op->len);
			r = r ? r : -EAGAIN;
			break;
		default:
			r = try_accept(op->fd);
		}
	} while (r == -EINTR);
	return r;
}
