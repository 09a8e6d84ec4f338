/* SPDX-License-Identifier: MIT */
/*
 * The server of 9P2000.L against clients that ask for what they may not have or for too much, that take their time, and
 * that call off what they asked for. What it does where all is well: test_fs.c; the client: test_fs_remote.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sonde/dir.h>
#include <stdio.h>
#include <stdlib.h>

#include "fs_served.h"
#include "ninep/server.h"
#include "ninep_puppet.h"

#define ROOT SONDE_FS_ROOT
#define AGES_NS (600 * UINT64_C(1000000000))

/* ---- a client beside its server ------------------------------------------------------------------ */

struct pair {
	struct served served;
	struct sonde_loop *loop;
	struct sonde_fs *fs;
};

static void begin_pair(struct pair *p, uint32_t flags)
{
	/* The server answers for sure, however slow the machine. */
	const struct sonde_fs_remote_options options = { .size = sizeof(options),
							 .patience_ns = AGES_NS };

	p->served.flags = flags;
	assert_int_equal(served_start(&p->served), 0);
	assert_int_equal(sonde_loop_create(NULL, &p->loop, NULL), 0);
	assert_int_equal(sonde_fs_remote(NULL, p->loop, p->served.address, &options, &p->fs, NULL),
			 0);
}

static void end_pair(struct pair *p)
{
	sonde_fs_destroy(p->fs);
	sonde_loop_destroy(p->loop);
	served_stop(&p->served);
}

static void without_leave_nothing_is_changed(void **state)
{
	const uint32_t make = SONDE_FS_FOR_WRITE | SONDE_FS_CREATE;
	struct pair p = { 0 };

	(void)state;
	begin_pair(&p, 0);
	assert_int_equal(sonde_fs_open(NULL, p.fs, ROOT, "a", make, 0644), SONDE_E_READ_ONLY);
	assert_int_equal(sonde_fs_mkdir(NULL, p.fs, ROOT, "d", 0755), SONDE_E_READ_ONLY);
	assert_int_equal(sonde_fs_symlink(NULL, p.fs, ROOT, "l", "x"), SONDE_E_READ_ONLY);
	assert_int_equal(sonde_fs_rename(NULL, p.fs, ROOT, "a", ROOT, "b", 0), SONDE_E_READ_ONLY);
	assert_int_equal(sonde_fs_remove(NULL, p.fs, ROOT, "a", 0), SONDE_E_READ_ONLY);
	assert_int_equal(sonde_fs_set_mode(NULL, p.fs, ROOT, ".", 0700), SONDE_E_READ_ONLY);
	end_pair(&p);
}

/* The errors of the file system that is served arrive as what they are. */
static void a_full_disk_and_a_lack_of_rights_are_named(void **state)
{
	const struct sonde_fs_memory_options limits = { .size = sizeof(limits),
							.flags = SONDE_FS_CHECKS_MODE,
							.max_bytes = 300000,
							.max_nodes = 8 };
	const uint32_t make = SONDE_FS_FOR_WRITE | SONDE_FS_CREATE;
	static uint8_t bytes[600000];
	struct pair p = { .served.limits = &limits };
	int r = 0;

	(void)state;
	begin_pair(&p, SONDE_FS_SERVER_WRITES);
	int file = sonde_fs_open(NULL, p.fs, ROOT, "a", make, 0644);
	int n = sonde_fs_write(NULL, p.fs, file, 0, bytes, sizeof(bytes));
	assert_true(n == SONDE_E_NO_SPACE || (n > 0 && n <= 300000));
	assert_int_equal(sonde_fs_write(NULL, p.fs, file, 300000, bytes, 1), SONDE_E_NO_SPACE);
	assert_int_equal(sonde_fs_set_mode(NULL, p.fs, file, NULL, 0), 0);
	assert_int_equal(sonde_fs_close(NULL, p.fs, file), 0);
	assert_int_equal(sonde_fs_open(NULL, p.fs, ROOT, "a", SONDE_FS_FOR_READ, 0),
			 SONDE_E_NO_ACCESS);
	for (char name[] = "b"; r == 0 && *name < 'z'; ++*name)
		r = sonde_fs_mkdir(NULL, p.fs, ROOT, name, 0755);
	assert_int_equal(r, SONDE_E_NO_SPACE);
	end_pair(&p);
}

static void a_session_has_so_many_fids(void **state)
{
	enum { MORE = 5000 };
	struct pair p = { 0 };
	int n = 0, r = 0;

	(void)state;
	begin_pair(&p, 0);
	while (n < MORE && (r = sonde_fs_open(NULL, p.fs, ROOT, ".", SONDE_FS_DIRECTORY, 0)) >= 0)
		n++;
	assert_true(r == SONDE_E_EXHAUSTED && n > 100);
	assert_int_equal(sonde_fs_close(NULL, p.fs, 0), 0);
	assert_true(sonde_fs_open(NULL, p.fs, ROOT, ".", SONDE_FS_DIRECTORY, 0) >= 0);
	end_pair(&p);
}

/* path: names of 200 bytes, DEEP of them; each handle of it takes that much of what a session has for paths. */
enum { NAME = 200, DEEP = 10 };

static void make_deep(struct sonde_fs *fs, char *path)
{
	for (size_t i = 0, len = 0; i < DEEP; i++) {
		memset(path + len, 'a', NAME);
		path[len += NAME] = 0;
		assert_int_equal(sonde_fs_mkdir(NULL, fs, ROOT, path, 0755), 0);
		path[len++] = '/';
	}
	path[DEEP * (NAME + 1) - 1] = 0;
}

/* Returns the last handle that there was room for. */
static int open_all(struct sonde_fs *fs, const char *path, uint32_t flags)
{
	int last = -1, file;

	while ((file = sonde_fs_open(NULL, fs, ROOT, path, flags, 0)) >= 0)
		last = file;
	assert_int_equal(file, SONDE_E_EXHAUSTED);
	return last;
}

static void what_a_session_has_no_room_for_is_not_made(void **state)
{
	const uint32_t make = SONDE_FS_FOR_WRITE | SONDE_FS_CREATE;
	char path[DEEP * (NAME + 1)], name[NAME + 1];
	struct sonde_fs_info info;
	struct pair p = { 0 };

	(void)state;
	begin_pair(&p, SONDE_FS_SERVER_WRITES);
	make_deep(p.fs, path);
	memset(name, 'b', NAME);
	name[NAME] = 0;
	assert_true(sonde_fs_open(NULL, p.fs, ROOT, name, make, 0644) >= 0);
	open_all(p.fs, path, SONDE_FS_DIRECTORY);
	int last = open_all(p.fs, name, SONDE_FS_FOR_READ);
	assert_true(last >= 0);
	name[0] = 'c';
	assert_int_equal(sonde_fs_open(NULL, p.fs, ROOT, name, make, 0644), SONDE_E_EXHAUSTED);
	assert_int_equal(sonde_fs_close(NULL, p.fs, last), 0);
	assert_int_equal(sonde_fs_stat(NULL, p.fs, ROOT, name, 0, &info), SONDE_E_NOT_FOUND);
	assert_true(sonde_fs_open(NULL, p.fs, ROOT, name, make, 0644) >= 0);
	end_pair(&p);
}

/* Before its task has run even once. */
static void a_server_is_stopped_as_soon_as_it_is_started(void **state)
{
	struct sonde_fs_server *server;
	struct sonde_loop *loop;
	struct sonde_fs *fs;
	int listener = sonde_net_listen("127.0.0.1:0", NULL, NULL);

	(void)state;
	assert_int_equal(sonde_loop_create(NULL, &loop, NULL), 0);
	assert_int_equal(sonde_fs_memory(loop, NULL, &fs), 0);
	assert_int_equal(sonde_fs_server_start(loop, fs, listener, NULL, &server), 0);
	assert_int_equal(sonde_fs_server_stop(NULL, server), 0);
	sonde_fs_destroy(fs);
	sonde_loop_destroy(loop);
	close(listener);
}

static void a_server_that_stops_takes_its_sessions_along(void **state)
{
	struct pair p = { 0 };
	struct sonde_fs_info info;

	(void)state;
	begin_pair(&p, 0);
	assert_int_equal(sonde_fs_stat(NULL, p.fs, ROOT, ".", 0, &info), 0);
	served_stop(&p.served);
	assert_int_equal(sonde_fs_stat(NULL, p.fs, ROOT, ".", 0, &info), SONDE_E_GONE);
	sonde_fs_destroy(p.fs);
	sonde_loop_destroy(p.loop);
}

/* ---- clients in no hurry ------------------------------------------------------------------------- */

enum { HANDSHAKE_NS = 1000000000 };

/* The directory at its root is told of once; whoever asks again waits until he is let go. */
struct holder {
	struct sonde_fs_io *held[SESSION_DEPTH];
	int n_asked;
};

static void hold(void *impl, struct sonde_fs_io *io)
{
	struct holder *holder = impl;

	*io->info = (struct sonde_fs_info){ .kind = SONDE_KIND_DIRECTORY };
	if (holder->n_asked++ == 0)
		sonde_fs_finish(io, 0, 0);
	else
		holder->held[holder->n_asked - 2] = io;
}

static const struct sonde_fs_ops holder_ops = { .size = sizeof(holder_ops), .submit = hold };

/* A server in the loop of the test, whose clients have a second to attach. */
struct patient {
	struct sonde_loop *loop;
	struct sonde_fs *fs;
	struct sonde_fs_server *server;
	int listener, client;
};

/* holder: NULL: files in memory. */
static void begin_patient(struct patient *p, struct holder *holder)
{
	char address[SONDE_NET_TEXT];

	p->listener = sonde_net_listen("127.0.0.1:0", NULL, NULL);
	assert_int_equal(sonde_net_own(p->listener, address, sizeof(address)), 0);
	assert_int_equal(sonde_loop_create(NULL, &p->loop, NULL), 0);
	assert_int_equal(holder ? sonde_fs_create(p->loop, &holder_ops, holder, &p->fs)
				: sonde_fs_memory(p->loop, NULL, &p->fs),
			 0);
	assert_int_equal(sonde_fs_server_start(p->loop, p->fs, p->listener, NULL, &p->server), 0);
	p->server->handshake_ns = HANDSHAKE_NS;
	p->client = sonde_net_connect(NULL, p->loop, address, NULL, NULL);
	assert_true(p->client >= 0);
}

static void end_patient(struct patient *p)
{
	close(p->client);
	assert_int_equal(sonde_fs_server_stop(NULL, p->server), 0);
	sonde_fs_destroy(p->fs);
	sonde_loop_destroy(p->loop);
	close(p->listener);
}

static const struct ninep_msg version = { .type = NINEP_TVERSION,
					  .tag = NINEP_NO_TAG,
					  .msize = NINEP_MSIZE_MAX,
					  .name = { NINEP_VERSION, sizeof(NINEP_VERSION) - 1 } };
static const struct ninep_msg attach = { .type = NINEP_TATTACH, .other_fid = NINEP_NO_FID };

static void say(const struct patient *p, const struct ninep_msg *msg)
{
	uint8_t bytes[256];
	size_t len = ninep_encode(msg, bytes, sizeof(bytes));

	assert_int_equal(send(p->client, bytes, len, MSG_NOSIGNAL), len);
}

static uint64_t sessions_after(const struct patient *p, uint64_t ns)
{
	struct sonde_fs_server_figures figures;
	uint64_t end_ns = sonde_now_ns() + ns, now;

	while ((now = sonde_now_ns()) < end_ns)
		sonde_loop_wait(p->loop, end_ns - now);
	sonde_fs_server_figures(p->server, &figures);
	return figures.now;
}

static void who_has_attached_may_think_as_long_as_he_likes(void **state)
{
	(void)state;
	for (int attaches = 0; attaches < 2; attaches++) {
		struct patient p;
		begin_patient(&p, NULL);
		say(&p, &version);
		if (attaches)
			say(&p, &attach);
		assert_int_equal(sessions_after(&p, HANDSHAKE_NS / 2 * 3), attaches);
		end_patient(&p);
	}
}

/* Bytes that come until there are so many, or the server has hung up. */
static size_t hear(const struct patient *p, size_t wanted)
{
	uint8_t bytes[4096];
	size_t got = 0;
	ssize_t n = 1;

	while (got < wanted && n != 0) {
		sonde_loop_wait(p->loop, 1000000);
		n = recv(p->client, bytes, sizeof(bytes), MSG_DONTWAIT);
		got += n > 0 ? (size_t)n : 0;
	}
	return got;
}

static void who_waits_for_the_server_is_not_late_himself(void **state)
{
	enum { HELLO = 21 + 20, TOLD = SESSION_DEPTH * 160, REFUSED = 11 };
	static const uint8_t half[] = { 19, 0, 0, 0, NINEP_TGETATTR, 0, 0, 9, 0, 0 };
	struct ninep_msg ask = { .type = NINEP_TGETATTR };
	struct holder holder = { 0 };
	struct patient p;

	(void)state;
	begin_patient(&p, &holder);
	p.server->stall_ns = HANDSHAKE_NS / 2;
	say(&p, &version);
	say(&p, &attach);
	assert_int_equal(hear(&p, HELLO), HELLO);
	for (; ask.tag < SESSION_DEPTH; ask.tag++)
		say(&p, &ask);
	assert_int_equal(send(p.client, half, sizeof(half), MSG_NOSIGNAL), sizeof(half));
	assert_int_equal(sessions_after(&p, HANDSHAKE_NS), 1);
	assert_int_equal(holder.n_asked, 1 + SESSION_DEPTH);
	for (int i = 0; i < SESSION_DEPTH; i++)
		sonde_fs_finish(holder.held[i], 0, 0);
	assert_int_equal(hear(&p, TOLD), TOLD);
	assert_int_equal(send(p.client, "\0\0\0\0\0\0\0\0", 9, MSG_NOSIGNAL), 9);
	assert_int_equal(hear(&p, REFUSED), REFUSED);
	end_patient(&p);
}

/* ---- slow lines ---------------------------------------------------------------------------------- */

/* A loopback that holds little, as a slow line does. */
static void narrow(int fd, int which)
{
	const int bytes = 8 << 10;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, which, &bytes, sizeof(bytes)), 0);
}

enum { READ = 100 << 10 };

static void make_file(struct sonde_fs *fs)
{
	uint8_t *bytes = calloc(1, READ);
	int file = sonde_fs_open(NULL, fs, ROOT, "f", SONDE_FS_FOR_WRITE | SONDE_FS_CREATE, 0644);

	assert_int_equal(sonde_fs_write(NULL, fs, file, 0, bytes, READ), READ);
	sonde_fs_close(NULL, fs, file);
	free(bytes);
}

/* All together they take longer than one may; who takes none any more is hung up on. */
static void who_takes_one_answer_after_the_other_has_time_for_each(void **state)
{
	enum { HELLO = 21 + 20, OPENED = 22 + 24, TAKEN = 8, ANSWER = 11 + READ };
	const struct ninep_msg walk = {
		.type = NINEP_TWALK, .other_fid = 1, .n_names = 1, .names = { { "f", 1 } }
	};
	const struct ninep_msg open = { .type = NINEP_TLOPEN, .fid = 1 };
	struct ninep_msg read = { .type = NINEP_TREAD, .fid = 1, .count = READ };
	struct patient p;

	(void)state;
	begin_patient(&p, NULL);
	p.server->stall_ns = HANDSHAKE_NS;
	make_file(p.fs);
	say(&p, &version);
	say(&p, &attach);
	assert_int_equal(hear(&p, HELLO), HELLO);
	narrow(p.client, SO_RCVBUF);
	narrow(p.server->first->fd, SO_SNDBUF);
	say(&p, &walk);
	say(&p, &open);
	assert_int_equal(hear(&p, OPENED), OPENED);
	for (; read.tag < TAKEN + 4; read.tag++)
		say(&p, &read);
	for (int i = 0; i < TAKEN; i++) {
		assert_int_equal(sessions_after(&p, HANDSHAKE_NS / 4), 1);
		assert_int_equal(hear(&p, ANSWER), ANSWER);
	}
	assert_int_equal(sessions_after(&p, HANDSHAKE_NS / 2 * 3), 0);
	end_patient(&p);
}

/* ---- what is called off -------------------------------------------------------------------------- */

static void count(struct sonde_fs_io *io)
{
	++*(int *)io->user;
}

/* Ends of tasks and loops of requests: half of what is asked for is called off at once. */
static void called_off_requests_leave_nothing_behind(void **state)
{
	enum { N = 400 };
	struct sonde_fs_io *ios = calloc(N, sizeof(*ios));
	struct pair p = { 0 };
	int n_done = 0, n_made = 0;
	char names[N][8];

	(void)state;
	begin_pair(&p, SONDE_FS_SERVER_WRITES);
	for (int i = 0; i < N; i++) {
		snprintf(names[i], sizeof(names[i]), "d%d", i);
		ios[i] = (struct sonde_fs_io){ .op = SONDE_FS_MKDIR,
					       .dir = ROOT,
					       .path = names[i],
					       .mode = 0755,
					       .done = count,
					       .user = &n_done };
		assert_int_equal(sonde_fs_submit(p.fs, &ios[i]), 0);
	}
	for (int turn = 0; n_done < N; turn++) {
		for (int i = turn % 2; i < N; i += 16)
			sonde_fs_cancel(&ios[i]);
		sonde_loop_wait(p.loop, UINT64_MAX);
	}
	for (int i = 0; i < N; i++) {
		struct sonde_fs_info info;
		int r = sonde_fs_stat(NULL, p.fs, ROOT, names[i], 0, &info);
		assert_int_equal(r, ios[i].result == 0 ? 0 : SONDE_E_NOT_FOUND);
		assert_true(ios[i].result == 0 || ios[i].result == SONDE_E_CANCELLED);
		n_made += r == 0;
	}
	assert_true(n_made > 0);
	free(ios);
	end_pair(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_leave_nothing_is_changed),
		cmocka_unit_test(a_full_disk_and_a_lack_of_rights_are_named),
		cmocka_unit_test(a_session_has_so_many_fids),
		cmocka_unit_test(what_a_session_has_no_room_for_is_not_made),
		cmocka_unit_test(a_server_is_stopped_as_soon_as_it_is_started),
		cmocka_unit_test(a_server_that_stops_takes_its_sessions_along),
		cmocka_unit_test(who_has_attached_may_think_as_long_as_he_likes),
		cmocka_unit_test(who_waits_for_the_server_is_not_late_himself),
		cmocka_unit_test(who_takes_one_answer_after_the_other_has_time_for_each),
		cmocka_unit_test(called_off_requests_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
