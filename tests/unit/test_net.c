/* SPDX-License-Identifier: MIT */
/*
 * Streams over sockets: addresses in text, options, the error of each way to fail, half-close,
 * small buffers, and back-pressure through a channel; what moves bytes on every engine. Loopback
 * only, on ports the kernel picks and abstract names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sonde/sonde.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/net_address.h"

#define SECOND UINT64_C(1000000000)

static struct sonde_loop *loop;

/* ---- addresses ------------------------------------------------------------------------------- */

static void addresses_are_what_they_were_in_text(void **state)
{
	static const char *const good[] = {
		"127.0.0.1:80",  "0.0.0.0:0",  "255.255.255.255:65535",
		"[::1]:80",      "[::]:0",     "[fe80::1%lo]:9",
		"unix:/run/x:y", "unix:@name", "unix:relative",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct net_address address;
		struct sonde_error err = { 0 };
		char text[SONDE_NET_TEXT];
		if (net_address_parse(good[i], &address, &err) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(net_address_text(&address, text, sizeof(text)), 0);
		assert_string_equal(text, good[i]);
	}
}

static void what_is_no_address_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		":",
		"80",
		"127.0.0.1",
		"127.0.0.1:",
		":80",
		"127.0.0.1:x",
		"1.2.3.4:-1",
		"1.2.3.4:+1",
		"1.2.3.4:65536",
		"1.2.3:4",
		"[::1]",
		"[::1:80",
		"::1:80",
		"[]:80",
		"[127.0.0.1]:80",
		"localhost:80",
		"unix:",
		"unix:@",
		"[::1%nowhere]:80",
		"1.2.3.4: 80",
		"1.2.3.4:000080",
		"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:1]:80",
	};
	struct net_address address;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sonde_error err = { 0 };
		if (net_address_parse(bad[i], &address, &err) != SONDE_E_BAD_ARG)
			fail_msg("'%s' was taken", bad[i]);
		assert_non_null(strstr(err.text, bad[i]));
	}
}

static void a_unix_name_has_107_bytes_at_most(void **state)
{
	char text[] = "unix:/2345678911234567892123456789312345678941234567895123456789612345678971"
		      "234567898123456789912345678901234567x";
	struct net_address address;

	(void)state;
	assert_int_equal(strlen(text), 5 + 108);
	assert_int_equal(net_address_parse(text, &address, NULL), SONDE_E_BAD_ARG);
	text[5 + 107] = 0;
	assert_int_equal(net_address_parse(text, &address, NULL), 0);
}

/* What a peer is called is the peer's choice. */
static void names_of_peers_are_printable(void **state)
{
	struct net_address address = { .len = sizeof(struct sockaddr_storage) };
	char text[SONDE_NET_TEXT], small[8] = "xxxxxxx";

	(void)state;
	address.at.ss_family = AF_UNIX;
	memset((char *)&address.at + 2, 0x1b, sizeof(address.at) - 2);
	assert_int_equal(net_address_text(&address, text, sizeof(text)), 0);
	assert_int_equal(strspn(text + 5, "?"), strlen(text + 5));
	assert_true(strlen(text) > 100);
	address.len = 2;
	assert_int_equal(net_address_text(&address, text, sizeof(text)), 0);
	assert_string_equal(text, "unix:");
	assert_int_equal(net_address_text(&address, small, sizeof(small)), SONDE_E_BAD_ARG);
	assert_string_equal(small, "");
	address.at.ss_family = AF_PACKET;
	assert_int_equal(net_address_text(&address, text, sizeof(text)), SONDE_E_UNSUPPORTED);
	address.len = 0;
	assert_int_equal(net_address_text(&address, text, sizeof(text)), SONDE_E_UNSUPPORTED);
}

/* ---- a listener and who connects ------------------------------------------------------------- */

struct pair {
	int listener, client, server;
	char at[SONDE_NET_TEXT];
};

static struct sonde_net_options options(uint32_t flags)
{
	return (struct sonde_net_options){ .size = sizeof(struct sonde_net_options),
					   .flags = flags,
					   .deadline_ns = sonde_now_ns() + 60 * SECOND };
}

static int must(int r, const struct sonde_error *err)
{
	if (r < 0)
		fail_msg("%s", err->text);
	return r;
}

static void connect_pair(struct pair *pair, const char *at, const struct sonde_net_options *o)
{
	struct sonde_error err = { 0 };

	pair->listener = must(sonde_net_listen(at, o, &err), &err);
	assert_int_equal(sonde_net_own(pair->listener, pair->at, sizeof(pair->at)), 0);
	pair->client = must(sonde_net_connect(NULL, loop, pair->at, o, &err), &err);
	pair->server = sonde_fd_accept(NULL, loop, pair->listener);
	assert_true(pair->server >= 0);
}

static void close_pair(struct pair *pair)
{
	close(pair->listener);
	if (pair->client >= 0)
		close(pair->client);
	if (pair->server >= 0)
		close(pair->server);
}

static void open_loop(uint32_t engine)
{
	struct sonde_loop_options o = { .size = sizeof(o), .engine = engine };

	assert_int_equal(sonde_loop_create(&o, &loop, NULL), 0);
}

static int setup(void **state)
{
	(void)state;
	open_loop(SONDE_ENGINE_AUTO);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sonde_loop_destroy(loop);
	return 0;
}

static void both_ends_know_who_is_where(void **state)
{
	static const char *const places[] = { "127.0.0.1:0", "[::1]:0", "unix:@sonde-test-net-%d" };
	char at[64], text[SONDE_NET_TEXT];
	struct pair pair;

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct sonde_error err = { 0 };
		snprintf(at, sizeof(at), places[i], (int)getpid());
		int probe = sonde_net_listen(at, NULL, &err);
		if (probe < 0 && i == 1)
			continue; /* a machine without IPv6 */
		close(probe);
		connect_pair(&pair, at, NULL);
		assert_int_equal(sonde_net_peer(pair.client, text, sizeof(text)), 0);
		assert_string_equal(text, pair.at);
		assert_int_equal(sonde_net_own(pair.server, text, sizeof(text)), 0);
		assert_string_equal(text, pair.at);
		assert_int_equal(sonde_net_peer(pair.listener, text, sizeof(text)),
				 SONDE_E_BAD_ARG);
		assert_string_equal(text, "");
		close_pair(&pair);
	}
}

static int int_option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

static void options_reach_listener_client_and_connection(void **state)
{
	struct sonde_net_options o = options(SONDE_NET_NODELAY | SONDE_NET_REUSE_ADDRESS |
					     SONDE_NET_REUSE_PORT | SONDE_NET_RESET);
	struct pair pair;

	(void)state;
	o.keepalive_s = 77;
	o.send_buffer = o.receive_buffer = 8192;
	connect_pair(&pair, "127.0.0.1:0", &o);
	assert_int_equal(int_option(pair.listener, SOL_SOCKET, SO_REUSEADDR), 1);
	assert_int_equal(int_option(pair.listener, SOL_SOCKET, SO_REUSEPORT), 1);
	for (int i = 0; i < 2; i++) {
		int fd = i ? pair.client : pair.server;
		struct linger linger = { 0 };
		socklen_t len = sizeof(linger);
		assert_int_equal(int_option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
		assert_int_equal(int_option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
		assert_int_equal(int_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 77);
		assert_int_equal(int_option(fd, SOL_SOCKET, SO_SNDBUF), 2 * 8192);
		assert_int_equal(int_option(fd, SOL_SOCKET, SO_RCVBUF), 2 * 8192);
		assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len), 0);
		assert_int_equal(linger.l_onoff, 1);
		assert_int_equal(linger.l_linger, 0);
	}
	close_pair(&pair);
}

static void an_open_socket_takes_options(void **state)
{
	struct sonde_net_options o = options(SONDE_NET_NODELAY);
	struct sonde_error err = { 0 };
	struct pair pair;
	int ends[2];

	(void)state;
	connect_pair(&pair, "127.0.0.1:0", NULL);
	assert_int_equal(int_option(pair.server, IPPROTO_TCP, TCP_NODELAY), 0);
	assert_int_equal(sonde_net_set(pair.server, &o, &err), 0);
	assert_int_equal(int_option(pair.server, IPPROTO_TCP, TCP_NODELAY), 1);
	close_pair(&pair);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(sonde_net_set(ends[0], &o, &err), SONDE_E_BAD_ARG);
	close(ends[0]);
	close(ends[1]);
}

static void options_out_of_range_are_refused(void **state)
{
	struct sonde_net_options o = options(1u << 31), b = options(0), k = options(0);
	struct sonde_error err = { 0 };

	(void)state;
	b.send_buffer = UINT32_MAX;
	k.keepalive_s = 40000;
	assert_int_equal(sonde_net_listen("127.0.0.1:0", &o, &err), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_net_listen("127.0.0.1:0", &b, &err), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_net_begin("127.0.0.1:1", &k, &err), SONDE_E_BAD_ARG);
	o.size = 4; /* of a program that knows no more: flags are not read */
	int fd = sonde_net_listen("127.0.0.1:0", &o, &err);
	assert_true(fd >= 0);
	close(fd);
}

/* ---- ways to fail ---------------------------------------------------------------------------- */

static void fails(int r, int want, const struct sonde_error *err, const char *text)
{
	if (r != want)
		fail_msg("got %d (%s), want %s", r, err->text, sonde_error_name(want));
	assert_int_equal(err->code, want);
	if (!strstr(err->text, text))
		fail_msg("'%s' lacks '%s'", err->text, text);
}

static void nobody_listens(void **state)
{
	struct sonde_error err = { 0 };
	char at[SONDE_NET_TEXT];
	int fd = sonde_net_listen("127.0.0.1:0", NULL, &err);

	(void)state;
	sonde_net_own(fd, at, sizeof(at));
	close(fd);
	fails(sonde_net_connect(NULL, loop, at, NULL, &err), SONDE_E_REFUSED, &err, at);
	assert_int_equal(err.os_code, ECONNREFUSED);
	fails(sonde_net_connect(NULL, loop, "unix:/nowhere/at-all", NULL, &err), SONDE_E_NOT_FOUND,
	      &err, "/nowhere/at-all");
	fails(sonde_net_connect(NULL, loop, "unix:@sonde-test-nobody", NULL, &err), SONDE_E_REFUSED,
	      &err, "@sonde-test-nobody");
}

static void the_address_is_taken(void **state)
{
	struct sonde_error err = { 0 };
	char at[SONDE_NET_TEXT], path[64] = "/tmp/sonde-test-XXXXXX";
	int fd = sonde_net_listen("127.0.0.1:0", NULL, &err);

	(void)state;
	sonde_net_own(fd, at, sizeof(at));
	fails(sonde_net_listen(at, NULL, &err), SONDE_E_IN_USE, &err, at);
	close(fd);
	assert_non_null(mkdtemp(path));
	snprintf(at, sizeof(at), "unix:%s/socket", path);
	fd = must(sonde_net_listen(at, NULL, &err), &err);
	close(fd);
	fails(sonde_net_listen(at, NULL, &err), SONDE_E_IN_USE, &err, "remove the file");
	unlink(at + strlen("unix:"));
	rmdir(path);
	fails(sonde_net_listen("192.0.2.1:0", NULL, &err), SONDE_E_NOT_FOUND, &err, "192.0.2.1");
}

/* In a child, which gives up its rights, and one in a network of its own, where nothing is up. */
static int in_child(int (*fn)(void))
{
	int status = 0;
	pid_t child = fork();

	if (child == 0)
		_exit(fn());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static char closed_folder[64];

static int listens_in_a_closed_folder(void)
{
	char at[SONDE_NET_TEXT];
	struct sonde_error err = { 0 };

	if (setgid(65534) || setuid(65534))
		return 77;
	snprintf(at, sizeof(at), "unix:%s/socket", closed_folder);
	return sonde_net_listen(at, NULL, &err) != SONDE_E_NO_ACCESS || err.os_code != EACCES;
}

static void no_access(void **state)
{
	(void)state;
	snprintf(closed_folder, sizeof(closed_folder), "/tmp/sonde-test-XXXXXX");
	assert_non_null(mkdtemp(closed_folder)); /* mode 0700 */
	int r = in_child(listens_in_a_closed_folder);
	rmdir(closed_folder);
	if (r == 77)
		skip(); /* only root can become somebody else */
	assert_int_equal(r, 0);
}

static int connects_where_nothing_is_up(void)
{
	struct sonde_error err = { 0 };

	if (unshare(CLONE_NEWNET))
		return 77;
	int r = sonde_net_begin("192.0.2.1:9", NULL, &err);
	return r != SONDE_E_UNREACHABLE || err.os_code != ENETUNREACH;
}

static void no_way_leads_there(void **state)
{
	int r = in_child(connects_where_nothing_is_up);

	(void)state;
	if (r == 77)
		skip(); /* no right to a network of its own */
	assert_int_equal(r, 0);
}

/* A listener that accepts nobody, with room for a few: one of those behind them waits. */
static void a_connect_times_out(void **state)
{
	struct sonde_net_options o = options(0);
	struct sonde_error err = { 0 };
	char at[SONDE_NET_TEXT];
	int fds[16], n = 0, r = 0;

	(void)state;
	o.backlog = 1;
	int listener = must(sonde_net_listen("127.0.0.1:0", &o, &err), &err);
	sonde_net_own(listener, at, sizeof(at));
	while (n < 16 && r >= 0) {
		o.deadline_ns = sonde_now_ns() + SECOND / 20;
		r = sonde_net_connect(NULL, loop, at, &o, &err);
		if (r >= 0)
			fds[n++] = r;
	}
	fails(r, SONDE_E_TIMED_OUT, &err, at);
	while (n > 0)
		close(fds[--n]);
	close(listener);
}

static void a_unix_backlog_is_full(void **state)
{
	struct sonde_net_options o = options(0);
	struct sonde_error err = { 0 };
	char at[SONDE_NET_TEXT];
	int fds[16], n = 0, r = 0;

	(void)state;
	o.backlog = 1;
	snprintf(at, sizeof(at), "unix:@sonde-test-full-%d", (int)getpid());
	int listener = must(sonde_net_listen(at, &o, &err), &err);
	while (n < 16 && (r = sonde_net_connect(NULL, loop, at, NULL, &err)) >= 0)
		fds[n++] = r;
	fails(r, SONDE_E_BUSY, &err, "try again");
	while (n > 0)
		close(fds[--n]);
	close(listener);
}

/* ---- on every engine ------------------------------------------------------------------------- */

static const char *const engines[] = { "sync", "direct", "epoll", "threads", "io_uring", "auto" };

static void on_every_engine(void (*fn)(void))
{
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
		struct sonde_loop_options o = { .size = sizeof(o) };
		sonde_engine_parse(engines[i], &o.engine);
		int r = sonde_loop_create(&o, &loop, NULL);
		if (r == SONDE_E_NO_ACCESS || r == SONDE_E_UNSUPPORTED)
			continue;
		assert_int_equal(r, 0);
		fn();
		sonde_loop_destroy(loop);
	}
}

static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 31 + (i >> 9));
}

enum { LONG = 600000 };

struct flow {
	int fd;
	size_t n;     /* bytes moved so far          */
	bool wrong;   /* one was not what it had to be */
	bool ended;   /* read to the end             */
	size_t piece; /* bytes a read                */
};

static int send_long(struct sonde_task *task, void *arg)
{
	static uint8_t bytes[LONG];
	struct flow *flow = arg;

	for (size_t i = 0; i < LONG; i++)
		bytes[i] = byte_at(i);
	int r = sonde_fd_write_all(task, loop, flow->fd, bytes, LONG);
	flow->n = r > 0 ? (size_t)r : 0;
	return r < 0 ? r : sonde_fd_shutdown(task, loop, flow->fd);
}

static int receive_long(struct sonde_task *task, void *arg)
{
	uint8_t bytes[1500];
	struct flow *flow = arg;
	int n;

	while ((n = sonde_fd_read(task, loop, flow->fd, bytes, flow->piece)) > 0) {
		for (int i = 0; i < n; i++)
			flow->wrong |= bytes[i] != byte_at(flow->n + (size_t)i);
		flow->n += (size_t)n;
	}
	flow->ended = n == 0;
	return n;
}

/* Both directions at once, each ended by half-close while the other goes on. */
static void long_both_ways(void)
{
	struct sonde_net_options o = options(0);
	struct pair pair;

	o.send_buffer = o.receive_buffer = 4096;
	connect_pair(&pair, "127.0.0.1:0", &o);
	struct flow up = { .fd = pair.client }, down = { .fd = pair.server };
	struct flow at_server = { .fd = pair.server, .piece = 1500 };
	struct flow at_client = { .fd = pair.client, .piece = 700 };
	struct sonde_task *tasks[4];

	sonde_task_spawn(loop, send_long, &up, &tasks[0]);
	sonde_task_spawn(loop, send_long, &down, &tasks[1]);
	sonde_task_spawn(loop, receive_long, &at_server, &tasks[2]);
	sonde_task_spawn(loop, receive_long, &at_client, &tasks[3]);
	for (int i = 0; i < 4; i++)
		assert_int_equal(sonde_task_join(NULL, tasks[i]), 0);
	assert_int_equal(up.n + down.n, 2 * LONG);
	assert_int_equal(at_server.n, LONG);
	assert_int_equal(at_client.n, LONG);
	assert_false(at_server.wrong || at_client.wrong);
	assert_true(at_server.ended && at_client.ended);
	close_pair(&pair);
}

static void small_buffers_lose_nothing(void **state)
{
	(void)state;
	on_every_engine(long_both_ways);
}

static void half_close(void)
{
	struct pair pair;
	char got[8] = "";
	int ends[2];

	connect_pair(&pair, "127.0.0.1:0", NULL);
	assert_int_equal(sonde_fd_write_all(NULL, loop, pair.client, "ask", 3), 3);
	assert_int_equal(sonde_fd_shutdown(NULL, loop, pair.client), 0);
	assert_int_equal(sonde_fd_read_all(NULL, loop, pair.server, got, 4), SONDE_E_TRUNCATED);
	assert_memory_equal(got, "ask", 3);
	assert_int_equal(sonde_fd_write(NULL, loop, pair.client, "x", 1), SONDE_E_GONE);
	assert_int_equal(sonde_fd_write_all(NULL, loop, pair.server, "told", 4), 4);
	assert_int_equal(sonde_fd_shutdown(NULL, loop, pair.server), 0);
	assert_int_equal(sonde_fd_read(NULL, loop, pair.client, got, 8), 4);
	assert_memory_equal(got, "told", 4);
	assert_int_equal(sonde_fd_read(NULL, loop, pair.client, got, 8), 0);
	close_pair(&pair);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(sonde_fd_shutdown(NULL, loop, ends[1]), SONDE_E_BAD_ARG);
	close(ends[0]);
	close(ends[1]);
}

static void one_direction_ends_while_the_other_goes_on(void **state)
{
	(void)state;
	on_every_engine(half_close);
}

static void count(struct sonde_fd_io *io)
{
	*(int *)io->user += 1;
}

/* By the completion door, behind a write that has to wait for its reader. */
static void shutdown_in_its_lane(void)
{
	static uint8_t bytes[LONG], got[LONG + 1];
	struct sonde_net_options o = options(0);
	struct pair pair;
	int n_done = 0;

	o.send_buffer = o.receive_buffer = 4096;
	connect_pair(&pair, "127.0.0.1:0", &o);
	struct sonde_fd_io write = { .fd = pair.client,
				     .op = SONDE_FD_WRITE_ALL,
				     .buf = bytes,
				     .len = LONG,
				     .done = count,
				     .user = &n_done };
	struct sonde_fd_io end = {
		.fd = pair.client, .op = SONDE_FD_SHUTDOWN, .done = count, .user = &n_done
	};
	assert_int_equal(sonde_fd_submit(loop, &write), 0);
	assert_int_equal(sonde_fd_submit(loop, &end), 0);
	sonde_loop_turn(loop);
	assert_int_equal(n_done, 0);
	struct sonde_fd_io read = {
		.fd = pair.server, .op = SONDE_FD_READ_ALL, .buf = got, .len = LONG + 1
	};
	assert_int_equal(sonde_fd_run(NULL, loop, &read), SONDE_E_TRUNCATED);
	assert_int_equal(read.moved, LONG);
	sonde_loop_run(loop);
	assert_int_equal(n_done, 2);
	assert_int_equal(write.result, LONG);
	assert_int_equal(end.result, 0);
	close_pair(&pair);
}

static void shutdown_waits_for_the_writes_before_it(void **state)
{
	(void)state;
	on_every_engine(shutdown_in_its_lane);
}

static void reset_midway(void)
{
	struct sonde_net_options o = options(SONDE_NET_RESET);
	struct pair pair;

	o.send_buffer = o.receive_buffer = 4096;
	connect_pair(&pair, "127.0.0.1:0", &o);
	struct flow up = { .fd = pair.server };
	struct sonde_task *task;
	uint8_t some[100];

	sonde_task_spawn(loop, send_long, &up, &task);
	assert_int_equal(sonde_fd_read_all(NULL, loop, pair.client, some, sizeof(some)),
			 sizeof(some));
	assert_int_equal(sonde_fd_close(NULL, loop, pair.client), 0);
	pair.client = -1;
	assert_int_equal(sonde_task_join(NULL, task), SONDE_E_GONE);
	close_pair(&pair);
}

static void a_reset_ends_what_waits(void **state)
{
	(void)state;
	on_every_engine(reset_midway);
}

static void completion_door(void)
{
	struct sonde_error err = { 0 };
	char at[SONDE_NET_TEXT];
	int listener = must(sonde_net_listen("127.0.0.1:0", NULL, &err), &err), n_done = 0;

	sonde_net_own(listener, at, sizeof(at));
	struct sonde_fd_io io = { .fd = must(sonde_net_begin(at, NULL, &err), &err),
				  .op = SONDE_FD_CONNECT,
				  .done = count,
				  .user = &n_done };
	assert_int_equal(sonde_fd_submit(loop, &io), 0);
	assert_int_equal(n_done, 0);
	sonde_loop_run(loop);
	assert_int_equal(n_done, 1);
	assert_int_equal(io.result, 0);
	close(io.fd);
	close(listener);
}

static void the_completion_door_connects(void **state)
{
	(void)state;
	on_every_engine(completion_door);
}

/* ---- back-pressure --------------------------------------------------------------------------- */

enum { CAPACITY = 4, CHUNK = 1000 };

struct pipeline {
	struct sonde_channel *channel;
	int fd, n_read; /* chunks */
};

/* Reads no more than it gets rid of. */
static int producer(struct sonde_task *task, void *arg)
{
	struct pipeline *p = arg;
	uint8_t chunk[CHUNK];

	while (sonde_fd_read_all(task, loop, p->fd, chunk, CHUNK) == CHUNK) {
		p->n_read++;
		sonde_channel_send(task, p->channel, chunk);
	}
	sonde_channel_close(p->channel);
	return 0;
}

static void turn_until_calm(void)
{
	for (int calm = 0; calm < 50;)
		calm = sonde_loop_wait(loop, SECOND / 1000) ? 0 : calm + 1;
}

static void back_pressure(void)
{
	struct sonde_net_options o = options(0);
	struct pipeline p = { 0 };
	struct pair pair;
	struct sonde_task *tasks[2];
	uint8_t chunk[CHUNK];
	size_t n = 0;

	o.send_buffer = o.receive_buffer = 4096;
	connect_pair(&pair, "127.0.0.1:0", &o);
	struct flow up = { .fd = pair.client };
	p.fd = pair.server;
	assert_int_equal(sonde_channel_create(loop, CAPACITY, CHUNK, &p.channel), 0);
	sonde_task_spawn(loop, send_long, &up, &tasks[0]);
	sonde_task_spawn(loop, producer, &p, &tasks[1]);
	turn_until_calm();
	assert_int_equal(p.n_read, CAPACITY + 1); /* the channel's, and one in its hands */
	assert_int_equal(up.n, 0);                /* so the other side waits, too        */
	while (sonde_channel_recv(NULL, p.channel, chunk) == 0) {
		for (size_t i = 0; i < CHUNK; i++)
			assert_int_equal(chunk[i], byte_at(n + i));
		n += CHUNK;
		assert_true((size_t)p.n_read * CHUNK <= n + (CAPACITY + 1) * CHUNK);
	}
	assert_int_equal(n, LONG);
	for (int i = 0; i < 2; i++)
		assert_int_equal(sonde_task_join(NULL, tasks[i]), 0);
	sonde_channel_destroy(p.channel);
	close_pair(&pair);
}

static void a_consumer_that_stops_stops_the_sender(void **state)
{
	(void)state;
	on_every_engine(back_pressure);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_what_they_were_in_text),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(a_unix_name_has_107_bytes_at_most),
		cmocka_unit_test(names_of_peers_are_printable),
		cmocka_unit_test_setup_teardown(both_ends_know_who_is_where, setup, teardown),
		cmocka_unit_test_setup_teardown(options_reach_listener_client_and_connection, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_open_socket_takes_options, setup, teardown),
		cmocka_unit_test(options_out_of_range_are_refused),
		cmocka_unit_test_setup_teardown(nobody_listens, setup, teardown),
		cmocka_unit_test(the_address_is_taken),
		cmocka_unit_test(no_access),
		cmocka_unit_test(no_way_leads_there),
		cmocka_unit_test_setup_teardown(a_connect_times_out, setup, teardown),
		cmocka_unit_test_setup_teardown(a_unix_backlog_is_full, setup, teardown),
		cmocka_unit_test(small_buffers_lose_nothing),
		cmocka_unit_test(one_direction_ends_while_the_other_goes_on),
		cmocka_unit_test(shutdown_waits_for_the_writes_before_it),
		cmocka_unit_test(a_reset_ends_what_waits),
		cmocka_unit_test(the_completion_door_connects),
		cmocka_unit_test(a_consumer_that_stops_stops_the_sender),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
