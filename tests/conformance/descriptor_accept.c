/* SPDX-License-Identifier: MIT */
/* Cases of accepting and connecting. */
#include "descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <sonde/error.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_MANY 100

/* What the accepted function was told; one case at a time. */
static struct {
	int fds[N_MANY + 8];
	int n, n_errors, error, os_code;
	int cancel_at; /* > 0: after so many connections, from inside */
} told;

static void note(struct sonde_fd_io *io, int fd)
{
	if (fd < 0) {
		told.n_errors++;
		told.error = fd;
		told.os_code = io->os_code;
		return;
	}
	if (told.n < N_MANY + 8)
		told.fds[told.n] = fd;
	told.n++;
	if (told.n == told.cancel_at)
		sonde_fd_cancel(io);
}

static void close_told(void)
{
	for (int i = 0; i < told.n && i < N_MANY + 8; i++)
		close(told.fds[i]);
}

static void ask_stream(struct bench *b)
{
	memset(&told, 0, sizeof(told));
	ask(b, SONDE_FD_ACCEPT, b->listener, NULL, 0);
	b->io.accepted = note;
}

static int n_open(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int connect_one(struct bench *b)
{
	int fd = b->kind->connect(b->listener, true);

	WANT(b, "connected", fd >= 0, 1);
	return fd;
}

static void connect_and_write(struct sonde_task *task, struct bench *b)
{
	settle(task);
	b->step = connect_one(b);
	WANT(b, "written", write(b->step, "hi", 2), 2);
}

static void accept_waits(struct bench *b)
{
	char got[2];

	ask(b, SONDE_FD_ACCEPT, b->listener, NULL, 0);
	int32_t fd = perform(b, connect_and_write);
	int peer = b->step;
	WANT(b, "accepted", fd >= 0, 1);
	WANT(b, "close-on-exec", fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ask(b, SONDE_FD_READ_ALL, fd, got, 2);
	WANT(b, "read", perform(b, NULL), 2);
	WANT(b, "bytes", memcmp(got, "hi", 2), 0);
	close(fd);
	close(peer);
}

static void accept_who_is_there(struct bench *b)
{
	int peers[3];

	for (int i = 0; i < 3; i++)
		peers[i] = connect_one(b);
	for (int i = 0; i < 3; i++) {
		ask(b, SONDE_FD_ACCEPT, b->listener, NULL, 0);
		int32_t fd = perform(b, NULL);
		WANT(b, "accepted", fd >= 0, 1);
		close(fd);
		close(peers[i]);
	}
}

static void cancel_it(struct sonde_task *task, struct bench *b)
{
	settle(task);
	WANT(b, "asked", sonde_fd_cancel(&b->io), 1);
}

static void cancel_an_accept(struct bench *b)
{
	int before = n_open();

	ask(b, SONDE_FD_ACCEPT, b->listener, NULL, 0);
	WANT(b, "result", perform(b, cancel_it), SONDE_E_CANCELLED);
	ask_stream(b);
	WANT(b, "result of a stream", perform(b, cancel_it), SONDE_E_CANCELLED);
	ask_stream(b);
	b->io.deadline_ns = sonde_now_ns() + 1000000;
	WANT(b, "result of a stream with a deadline", perform(b, NULL), SONDE_E_TIMED_OUT);
	WANT(b, "told", told.n + told.n_errors, 0);
	if (before >= 0 && b->text[0] == 0)
		WANT(b, "descriptors grown by no more than a poller", n_open() - before <= 1, 1);
}

static void connect_many(struct sonde_task *task, struct bench *b)
{
	for (int i = 0; i < N_MANY; i++) {
		close(connect_one(b));
		if (i % 7 == 0)
			settle(task);
	}
	while (told.n < N_MANY && !b->n_done)
		sonde_task_yield(task);
	WANT(b, "asked", sonde_fd_cancel(&b->io), 1);
}

static void accept_a_hundred(struct bench *b)
{
	ask_stream(b);
	WANT(b, "result", perform(b, connect_many), SONDE_E_CANCELLED);
	WANT(b, "accepted", told.n, N_MANY);
	WANT(b, "errors", told.n_errors, 0);
	close_told();
}

static void cancel_from_inside(struct bench *b)
{
	int peers[8];

	for (int i = 0; i < 8; i++)
		peers[i] = connect_one(b);
	ask_stream(b);
	told.cancel_at = 3;
	WANT(b, "result", perform(b, NULL), SONDE_E_CANCELLED);
	WANT(b, "told at least", told.n >= 3 && told.n <= 8, 1);
	/* What was accepted has been told of; the rest still waits in the backlog. */
	for (int i = told.n; i < 8; i++) {
		ask(b, SONDE_FD_ACCEPT, b->listener, NULL, 0);
		b->io.deadline_ns = sonde_now_ns() + UINT64_C(5000000000);
		int32_t fd = perform(b, NULL);
		WANT(b, "one of the rest", fd >= 0, 1);
		close(fd);
	}
	close_told();
	for (int i = 0; i < 8; i++)
		close(peers[i]);
}

/* Several connect and the end is asked for in the same moment: none is lost, none leaks. */
static void connect_and_cancel(struct sonde_task *task, struct bench *b)
{
	settle(task);
	for (int i = 0; i < 5; i++)
		close(connect_one(b));
	sonde_fd_cancel(&b->io);
}

static void cancel_races_with_connections(struct bench *b)
{
	int before = n_open(), n_left = 0;

	ask_stream(b);
	WANT(b, "result", perform(b, connect_and_cancel), SONDE_E_CANCELLED);
	fcntl(b->listener, F_SETFL, O_NONBLOCK);
	for (int fd; (fd = accept(b->listener, NULL, NULL)) >= 0; n_left++)
		close(fd);
	WANT(b, "told and left", told.n + n_left, 5);
	close_told();
	WANT(b, "descriptors grown by no more than a poller", n_open() - before <= 1, 1);
}

/* ---- no descriptor is left ------------------------------------------------------------------- */

#define LIMIT 200

static int fillers[LIMIT], n_fillers;

static void room_again(struct sonde_task *task, struct bench *b)
{
	while (!told.n_errors)
		sonde_task_yield(task);
	WANT(b, "error", told.error, SONDE_E_EXHAUSTED);
	WANT(b, "errno", told.os_code, EMFILE);
	sonde_task_sleep(task, 120000000); /* more than two pauses */
	WANT(b, "told of it once", told.n_errors, 1);
	while (n_fillers > 0)
		close(fillers[--n_fillers]);
	while (told.n < 2)
		sonde_task_sleep(task, 1000000);
	sonde_fd_cancel(&b->io);
}

static void accept_without_descriptors(struct bench *b)
{
	int peers[2] = { connect_one(b), connect_one(b) };
	struct rlimit limit, low;

	getrlimit(RLIMIT_NOFILE, &limit);
	low = limit;
	low.rlim_cur = LIMIT;
	setrlimit(RLIMIT_NOFILE, &low);
	while (n_fillers < LIMIT && (fillers[n_fillers] = dup(b->in)) >= 0)
		n_fillers++;
	ask_stream(b);
	WANT(b, "result", perform(b, room_again), SONDE_E_CANCELLED);
	WANT(b, "accepted", told.n, 2);
	setrlimit(RLIMIT_NOFILE, &limit);
	close_told();
	close(peers[0]);
	close(peers[1]);
}

/* ---- connecting ------------------------------------------------------------------------------ */

static void connect_and_tell(struct bench *b)
{
	int fd = b->kind->connect(b->listener, false);

	ask(b, SONDE_FD_CONNECT, fd, NULL, 0);
	WANT(b, "result", perform(b, NULL), 0);
	close(fd);
}

static void connect_to_nobody(struct bench *b)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	ask(b, SONDE_FD_CONNECT, fd, NULL, 0);
	WANT(b, "result of none", perform(b, NULL), SONDE_E_BAD_ARG);
	WANT(b, "errno of none", b->io.os_code, ENOTCONN);
	getsockname(b->listener, (struct sockaddr *)&addr, &len);
	close(b->listener);
	b->listener = -1;
	if (connect(fd, (struct sockaddr *)&addr, len) == 0 || errno != EINPROGRESS) {
		close(fd); /* refused at once: connect(2) itself said so */
		return;
	}
	ask(b, SONDE_FD_CONNECT, fd, NULL, 0);
	WANT(b, "result", perform(b, NULL), SONDE_E_REFUSED);
	WANT(b, "errno", b->io.os_code, ECONNREFUSED);
	close(fd);
}

static void accept_from_what_does_not_listen(struct bench *b)
{
	ask(b, SONDE_FD_ACCEPT, b->in, NULL, 0);
	WANT(b, "result", perform(b, NULL), SONDE_E_BAD_ARG);
	WANT(b, "errno", b->io.os_code, EINVAL);
	ask_stream(b);
	b->io.fd = b->in;
	WANT(b, "result of a stream", perform(b, NULL), SONDE_E_BAD_ARG);
	WANT(b, "errno of a stream", b->io.os_code, EINVAL);
	ask_stream(b); /* and what was learnt is not held against the others */
	WANT(b, "result", perform(b, connect_many), SONDE_E_CANCELLED);
	WANT(b, "accepted", told.n, N_MANY);
	close_told();
}

const struct descriptor_case accept_cases[] = {
	{ "accept waits", LISTENS, 0, accept_waits },
	{ "accept who is there", LISTENS, 0, accept_who_is_there },
	{ "cancel an accept", LISTENS, 0, cancel_an_accept },
	{ "accept a hundred", LISTENS, 0, accept_a_hundred },
	{ "cancel from inside", LISTENS, 0, cancel_from_inside },
	{ "cancel races with connections", LISTENS, 0, cancel_races_with_connections },
	{ "accept without descriptors", LISTENS, 0, accept_without_descriptors },
	{ "connect", LISTENS, 0, connect_and_tell },
	{ "connect to nobody", LISTENS | RESETS, 0, connect_to_nobody },
	{ "accept from what does not listen", LISTENS, 0, accept_from_what_does_not_listen },
};
const unsigned n_accept_cases = sizeof(accept_cases) / sizeof(accept_cases[0]);
