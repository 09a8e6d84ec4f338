/* SPDX-License-Identifier: MIT */
/*
 * Echo servers against each other. Each is a process of its own; the client is this one, on
 * io_uring by hand, the same for all: on each of its connections it sends a message, waits for it
 * to come back, compares, and sends the next. Processor time is the server's.
 */
#include "echo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <liburing.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "contenders.h"

#define MESSAGES 20u /* a connection and run */
#define BACKLOG 4096

struct client {
	int fd;
	uint32_t n_left;
	uint8_t sent[ECHO_BYTES], got[ECHO_BYTES];
};

struct echo {
	struct io_uring ring;
	pid_t server;
	struct client clients[ECHO_CONNECTIONS];
};

static const struct {
	const char *name;
	echo_server_fn *serve;
} servers[] = {
	{ "callbacks", echo_by_callbacks },
	{ "tasks", echo_by_tasks },
	{ "several", echo_by_hand },
	{ "single", echo_by_hand_single },
};

/* Of a listener: goes over to its connections. */
static int stream(void)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* ---- the server's process -------------------------------------------------------------------- */

static echo_server_fn *server_named(const char *name)
{
	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
		if (strcmp(servers[i].name, name) == 0)
			return servers[i].serve;
	}
	return NULL;
}

static int listen_here(struct sockaddr_in *at)
{
	socklen_t len = sizeof(*at);
	int fd = stream();

	*at = (struct sockaddr_in){ .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (fd >= 0 && bind(fd, (struct sockaddr *)at, len) == 0 && listen(fd, BACKLOG) == 0 &&
	    getsockname(fd, (struct sockaddr *)at, &len) == 0)
		return fd;
	return -errno;
}

/* With nothing open but its listener, and no longer there than this process. */
static pid_t start_server(echo_server_fn *serve, int listener)
{
	pid_t child = fork();

	if (child != 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	listener = dup2(listener, STDERR_FILENO + 1);
	close_range((unsigned)listener + 1, ~0U, 0);
	_exit(-serve(listener));
}

static void stop_server(const struct echo *echo)
{
	kill(echo->server, SIGKILL);
	while (waitpid(echo->server, NULL, 0) < 0 && errno == EINTR)
		;
}

static double cpu_of(pid_t pid)
{
	struct timespec ts = { 0 };
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) == 0)
		clock_gettime(clock, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* ---- the client ------------------------------------------------------------------------------ */

/* A send, of which only a failure is told, and the receive of what comes back. */
static void ask(struct echo *echo, struct client *c)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&echo->ring);

	memcpy(c->sent, &c->n_left, sizeof(c->n_left));
	io_uring_prep_send(sqe, c->fd, c->sent, ECHO_BYTES, MSG_NOSIGNAL);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	sqe = io_uring_get_sqe(&echo->ring);
	io_uring_prep_recv(sqe, c->fd, c->got, ECHO_BYTES, MSG_WAITALL);
	sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
	sqe->user_data = (uintptr_t)c;
}

/* Returns how many connections have had all, -errno. */
static int came_back(struct echo *echo, const struct io_uring_cqe *cqe)
{
	struct client *c = io_uring_cqe_get_data(cqe);

	if (!c || cqe->res != (int)ECHO_BYTES)
		return cqe->res < 0 ? cqe->res : -EPIPE;
	if (memcmp(c->sent, c->got, ECHO_BYTES) != 0)
		return -EILSEQ;
	if (--c->n_left == 0)
		return 1;
	ask(echo, c);
	return 0;
}

static int exchange(struct echo *echo, uint32_t n_messages)
{
	uint32_t n_ended = 0;
	int r = 0;

	for (uint32_t i = 0; i < ECHO_CONNECTIONS; i++) {
		echo->clients[i].n_left = n_messages;
		ask(echo, &echo->clients[i]);
	}
	while (n_ended < ECHO_CONNECTIONS && r >= 0) {
		struct io_uring_cqe *cqe;
		unsigned head, n = 0;
		r = io_uring_submit_and_wait(&echo->ring, 1);
		io_uring_for_each_cqe(&echo->ring, head, cqe)
		{
			int ended = came_back(echo, cqe);
			r = ended < 0 ? ended : r;
			n_ended += ended > 0;
			n++;
		}
		io_uring_cq_advance(&echo->ring, n);
	}
	return r < 0 ? r : 0;
}

static int connect_all(struct echo *echo, const struct sockaddr_in *at)
{
	for (uint32_t i = 0; i < ECHO_CONNECTIONS; i++)
		echo->clients[i].fd = -1;
	for (uint32_t i = 0; i < ECHO_CONNECTIONS; i++) {
		struct client *c = &echo->clients[i];
		memset(c->sent, (int)i, ECHO_BYTES);
		c->fd = stream();
		if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)at, sizeof(*at)) < 0)
			return -errno;
	}
	return 0;
}

/* ---- the contender --------------------------------------------------------------------------- */

static void close_echo(void *state)
{
	struct echo *echo = state;

	stop_server(echo);
	for (uint32_t i = 0; i < ECHO_CONNECTIONS; i++) {
		if (echo->clients[i].fd >= 0)
			close(echo->clients[i].fd);
	}
	io_uring_queue_exit(&echo->ring);
	free(echo);
}

static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int open_echo(const struct contender *contender, struct work *work, void **ret)
{
	struct echo *echo = calloc(1, sizeof(*echo));
	struct sockaddr_in at;

	(void)work;
	raise_limit();
	if (!echo)
		return -ENOMEM;
	int r = io_uring_queue_init(4 * ECHO_CONNECTIONS, &echo->ring,
				    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
	if (r < 0) {
		free(echo);
		return bench_skip(contender, strerror(-r));
	}
	int listener = listen_here(&at);
	echo->server = listener < 0 ? -1 : start_server(server_named(contender->arg), listener);
	if (listener >= 0)
		close(listener);
	if (echo->server < 0) {
		io_uring_queue_exit(&echo->ring);
		free(echo);
		return -EAGAIN;
	}
	r = connect_all(echo, &at);
	if (r == 0)
		r = exchange(echo, 1);
	if (r == 0)
		*ret = echo;
	else
		close_echo(echo);
	return r == 0 ? 0 : bench_skip(contender, strerror(-r));
}

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static int measure(void *state, struct work *work, struct sample *ret)
{
	struct echo *echo = state;
	uint32_t each = work->quick ? MESSAGES / 20 : MESSAGES;
	double cpu = cpu_of(echo->server), wall = now_ns(), n = (double)each * ECHO_CONNECTIONS;
	int r = exchange(echo, each);

	ret->wall_ns = (now_ns() - wall) / n;
	ret->cpu_ns = (cpu_of(echo->server) - cpu) / n;
	return r;
}

#define ECHO(name_, arg_)                                                                          \
	{                                                                                          \
		.name = (name_), .arg = (arg_), .open = open_echo, .measure = measure,             \
		.close = close_echo                                                                \
	}

const struct contender contenders_echo[] = {
	ECHO("echo.callbacks", "callbacks"),
	ECHO("echo.tasks", "tasks"),
	ECHO("echo.hand", "several"),
	ECHO("echo.hand.single", "single"),
	{ 0 },
};
