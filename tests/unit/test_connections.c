/* SPDX-License-Identifier: MIT */
/*
 * Ten thousand connections on one loop: an echo server here, its clients in a process of their own.
 * Each is open at the same time as all others, and each gets its own bytes back, twice. As many
 * fewer as the limit of descriptors wants, which is said. What the server keeps a connection is
 * printed, and bounded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sonde/sonde.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WANTED = 10000, ROUNDS = 2, MESSAGE = 64, BYTES_MAX = 2048 };

struct connection {
	struct sonde_fd_io io;
	char bytes[MESSAGE];
};

static struct sonde_loop *loop;
static struct connection *connections; /* [n_wanted] */
static int n_wanted, n_accepted, n_gone, n_bad;

/* ---- the server ------------------------------------------------------------------------------ */

static void accepted(struct sonde_fd_io *io, int fd);

static void ended(struct sonde_fd_io *io)
{
	n_bad += io->result != SONDE_E_CANCELLED;
}

static struct sonde_fd_io acceptor = { .op = SONDE_FD_ACCEPT, .accepted = accepted, .done = ended };

static void moved(struct sonde_fd_io *io)
{
	if (io->result <= 0) {
		n_bad += io->result < 0 && io->result != SONDE_E_GONE;
		close(io->fd);
		if (++n_gone == n_wanted)
			sonde_fd_cancel(&acceptor);
		return;
	}
	io->op = io->op == SONDE_FD_READ_ALL ? SONDE_FD_WRITE_ALL : SONDE_FD_READ_ALL;
	n_bad += sonde_fd_submit(loop, io) < 0;
}

/* Who ends between two messages has asked for nothing more: TRUNCATED of no byte. */
static void read_or_gone(struct sonde_fd_io *io)
{
	if (io->result == SONDE_E_TRUNCATED && io->moved == 0)
		io->result = 0;
	moved(io);
}

static void accepted(struct sonde_fd_io *io, int fd)
{
	(void)io;
	if (fd < 0 || n_accepted == n_wanted) {
		n_bad++;
		return;
	}
	struct connection *c = &connections[n_accepted++];
	c->io = (struct sonde_fd_io){ .fd = fd,
				      .op = SONDE_FD_READ_ALL,
				      .buf = c->bytes,
				      .len = MESSAGE,
				      .done = read_or_gone };
	n_bad += sonde_fd_submit(loop, &c->io) < 0;
}

/* ---- the clients, a process ------------------------------------------------------------------ */

static void fill(char *message, int client, int round)
{
	memset(message, client * 7 + round, MESSAGE);
	memcpy(message, &client, sizeof(client));
}

static int exchange(const int *fds, int round)
{
	char sent[MESSAGE], got[MESSAGE];

	for (int i = 0; i < n_wanted; i++) {
		fill(sent, i, round);
		if (sonde_fd_write_all(NULL, loop, fds[i], sent, MESSAGE) != MESSAGE)
			return 2;
	}
	for (int i = 0; i < n_wanted; i++) {
		fill(sent, i, round);
		if (sonde_fd_read_all(NULL, loop, fds[i], got, MESSAGE) != MESSAGE ||
		    memcmp(sent, got, MESSAGE) != 0)
			return 3;
	}
	return 0;
}

static int be_clients(const char *address)
{
	/* Reset, so that no port of theirs stays taken for a minute. */
	struct sonde_net_options options = { .size = sizeof(options), .flags = SONDE_NET_RESET };
	struct sonde_loop_options sync = { .size = sizeof(sync), .engine = SONDE_ENGINE_SYNC };
	int *fds = calloc((size_t)n_wanted, sizeof(*fds)), r = 0;

	alarm(150);
	if (!fds || sonde_loop_create(&sync, &loop, NULL) < 0)
		return 1;
	for (int i = 0; i < n_wanted; i++) {
		fds[i] = sonde_net_connect(NULL, loop, address, &options, NULL);
		if (fds[i] < 0)
			return 4;
	}
	for (int round = 0; round < ROUNDS && r == 0; round++)
		r = exchange(fds, round);
	return r; /* all are closed with the process */
}

/* ---- both ------------------------------------------------------------------------------------ */

/* Each side has its own limit: it is a process. */
static int may_open(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur < WANTED + 100 ? (int)limit.rlim_cur - 100 : WANTED;
}

/* Source: proc(5), statm: pages of memory this process has. */
static double resident(void)
{
	unsigned long long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f) {
		if (fscanf(f, "%*u %llu", &pages) != 1)
			pages = 0;
		fclose(f);
	}
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static void serve(const char *engine)
{
	struct sonde_loop_options options = { .size = sizeof(options) };
	char address[SONDE_NET_TEXT];
	struct sonde_error err = { 0 };
	int status = 0, listener = sonde_net_listen("127.0.0.1:0", NULL, &err);

	assert_true(listener >= 0);
	assert_int_equal(sonde_net_own(listener, address, sizeof(address)), 0);
	n_accepted = n_gone = n_bad = 0;
	connections = calloc((size_t)n_wanted, sizeof(*connections));
	assert_non_null(connections);
	pid_t child = fork();
	if (child == 0)
		_exit(be_clients(address));
	sonde_engine_parse(engine, &options.engine);
	assert_int_equal(sonde_loop_create(&options, &loop, &err), 0);
	double before = resident();
	acceptor.fd = listener;
	assert_int_equal(sonde_fd_submit(loop, &acceptor), 0);
	while (n_accepted < n_wanted && waitpid(child, &status, WNOHANG) == 0)
		sonde_loop_wait(loop, UINT64_C(1000000000));
	double bytes = (resident() - before) / n_wanted;
	if (n_accepted == n_wanted) {
		sonde_loop_run(loop);
		assert_int_equal(waitpid(child, &status, 0), child);
	}
	printf("%s: %d connections at once, %.0f bytes of memory each\n", engine, n_accepted,
	       bytes);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(n_accepted, n_wanted);
	assert_int_equal(n_gone, n_wanted);
	assert_int_equal(n_bad, 0);
	assert_true(bytes < BYTES_MAX);
	sonde_loop_destroy(loop);
	close(listener);
	free(connections);
}

static void ten_thousand_by_epoll(void **state)
{
	(void)state;
	serve("epoll");
}

static void ten_thousand_by_what_there_is(void **state)
{
	(void)state;
	serve("auto");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_thousand_by_epoll),
		cmocka_unit_test(ten_thousand_by_what_there_is),
	};

	n_wanted = may_open();
	if (n_wanted < WANTED)
		printf("only %d connections: the hard limit of descriptors (ulimit -Hn) is low\n",
		       n_wanted);
	return n_wanted < 100 ? 77 : cmocka_run_group_tests(tests, NULL, NULL);
}
