/* SPDX-License-Identifier: MIT */
/*
 * The QMP client against servers that behave and servers that do not. Each server is a
 * script: what it sends once it has read so many lines. It runs in a child process on a socket
 * pair.
 */
#include "../../connectors/qemu/qmp.h"
#include "plug/host.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"
#define OK_REPLY "{\"return\": {}}\r\n"

enum { SHORT_MS = 150 };

/* One step of a server: send text (repeated n times), then wait for a line unless the last. */
struct step {
	const char *text;
	int n;         /* 0: once                           */
	int then_read; /* wait for a line from the client   */
	int stay;      /* send nothing more, but stay open  */
};

struct server {
	pid_t pid;
	int fd;
};

static void serve(int fd, const struct step *steps, size_t n)
{
	char line[4096];

	for (size_t i = 0; i < n; i++) {
		for (int k = 0; k < (steps[i].n ? steps[i].n : 1); k++) {
			if (send(fd, steps[i].text, strlen(steps[i].text), MSG_NOSIGNAL) < 0)
				_exit(0);
		}
		if (steps[i].then_read && recv(fd, line, sizeof(line), 0) <= 0)
			_exit(0);
		if (steps[i].stay)
			recv(fd, line, 1, 0);
	}
	_exit(0);
}

static struct server start(const struct step *steps, size_t n)
{
	int pair[2];
	struct server server;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	server.pid = fork();
	assert_true(server.pid >= 0);
	if (server.pid == 0) {
		close(pair[0]);
		serve(pair[1], steps, n);
	}
	close(pair[1]);
	server.fd = pair[0];
	return server;
}

static void finish(struct qmp *qmp, const struct server *server)
{
	qmp_close(qmp);
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
}

static struct sonde_host host;

#define START(steps) start(steps, sizeof(steps) / sizeof((steps)[0]))

/* The server is met with a greeting and one command; what comes of the two. */
static void expect(const struct server *server, int want, const char *text)
{
	struct qmp qmp;
	struct sonde_error err = { 0 };
	json_t *answer = NULL;
	/* A busy machine lets the server wait: only what is to time out is hurried. */
	int limit_ms = want == SONDE_E_TIMED_OUT ? SHORT_MS : 20000;
	int r = qmp_start(&qmp, &host, server->fd, "test", limit_ms, &err);

	if (r == 0)
		r = qmp_run(&qmp, "query-name", NULL, &answer, &err);
	json_decref(answer);
	finish(&qmp, server);
	if (r != want || !strstr(err.text, text))
		fail_msg("got %d '%s', want %d '%s'", r, err.text, want, text);
}

static void an_answer_comes_past_events_and_in_pieces(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{ "{\"QMP\": {\"version\"", 0, 0, 0 },
		{ ": {}, \"capabilities\": []}}\r\n", 0, 1, 0 },
		{ "{\"event\": \"RESUME\"}\r\n", 50, 0, 0 },
		{ OK_REPLY, 0, 1, 0 },
		{ "{\"event\": \"STOP\"}\r\n{\"return\": {\"na", 0, 0, 0 },
		{ "me\": \"guest\"}}\r\n{\"event\": \"X\"}\r\n", 0, 1, 0 },
		{ "{\"return\": \"line one\\r\\nline two\\r\\n\"}\n", 0, 0, 1 },
	};
	struct server server = START(steps);
	struct qmp qmp;
	struct sonde_error err;
	json_t *answer;
	char *text;

	if (qmp_start(&qmp, &host, server.fd, "test", 2000, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(qmp_run(&qmp, "query-name", NULL, &answer, &err), 0);
	assert_string_equal(json_string_value(json_object_get(answer, "name")), "guest");
	json_decref(answer);
	assert_int_equal(qmp_monitor(&qmp, "info name", 0, &text, &err), 0);
	assert_string_equal(text, "line one\r\nline two\r\n");
	free(text);
	finish(&qmp, &server);
}

/* It is that of a command whose time was up. */
static void an_answer_to_an_earlier_command_is_passed_over(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{ GREETING, 0, 1, 0 },
		{ "{\"return\": {}, \"id\": 1}\r\n", 0, 1, 0 },
		{ "{\"return\": \"late\", \"id\": 1}\r\n", 0, 0, 0 },
		{ "{\"error\": {\"desc\": \"late\"}, \"id\": 1}\r\n", 0, 0, 0 },
		{ "{\"return\": \"of this one\", \"id\": 2}\r\n", 0, 0, 1 },
	};
	struct server server = START(steps);
	struct qmp qmp;
	struct sonde_error err;
	char *text;

	if (qmp_start(&qmp, &host, server.fd, "test", 20000, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(qmp_monitor(&qmp, "info registers", 0, &text, &err), 0);
	assert_string_equal(text, "of this one");
	free(text);
	finish(&qmp, &server);
}

static void a_refusal_is_told_in_the_words_of_qemu(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{ GREETING, 0, 1, 0 },
		{ OK_REPLY, 0, 1, 0 },
		{ "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no such thing\"}}\r\n", 0,
		  0, 1 },
	};
	struct server server = START(steps);

	expect(&server, SONDE_E_UNSUPPORTED, "'query-name' was refused: no such thing");
}

static void silence_ends_with_the_likely_cause(void **state)
{
	(void)state;
	static const struct step mute[] = { { "", 0, 0, 1 } };
	static const struct step later[] = { { GREETING, 0, 1, 0 },
					     { OK_REPLY, 0, 1, 0 },
					     { "", 0, 0, 1 } };
	static const struct step half[] = { { "{\"QMP\": {\"vers", 0, 0, 1 } };
	struct server server = START(mute);

	expect(&server, SONDE_E_TIMED_OUT, "another client may hold it");
	server = START(later);
	expect(&server, SONDE_E_TIMED_OUT, "no answer within 150 ms");
	server = START(half);
	expect(&server, SONDE_E_TIMED_OUT, "no answer within 150 ms");
}

/* An endless stream of events does not keep a command waiting for ever. */
static void events_without_end_are_a_timeout_too(void **state)
{
	(void)state;
	static const struct step steps[] = {
		{ GREETING, 0, 1, 0 },
		{ "{\"event\": \"NOISE\"}\r\n", 1000000, 0, 0 },
	};
	struct server server = START(steps);

	expect(&server, SONDE_E_TIMED_OUT, "no answer within");
}

static void a_connection_that_closes_is_gone_at_any_point(void **state)
{
	(void)state;
	static const struct step at_once[] = { { "", 0, 0, 0 } };
	static const struct step in_greeting[] = { { "{\"QMP\": {\"ver", 0, 0, 0 } };
	static const struct step in_answer[] = {
		{ GREETING, 0, 1, 0 },
		{ OK_REPLY, 0, 1, 0 },
		{ "{\"return\": {\"na", 0, 0, 0 },
	};
	struct server server = START(at_once);

	expect(&server, SONDE_E_GONE, "the connection was closed");
	server = START(in_greeting);
	expect(&server, SONDE_E_GONE, "the connection was closed");
	server = START(in_answer);
	expect(&server, SONDE_E_GONE, "the connection was closed");
}

static void what_is_not_qmp_is_refused(void **state)
{
	(void)state;
	static const char *const greetings[] = {
		"SSH-2.0-OpenSSH_9.2\r\n", "\r\n",   "{}\n",       "[]\n",
		"{\"QMP\": 3}\n",          "null\n", "\xff\xfe\n", "{\"QMP\": {}} trailing\n",
	};

	for (size_t i = 0; i < sizeof(greetings) / sizeof(greetings[0]); i++) {
		struct step steps[] = { { greetings[i], 0, 0, 1 } };
		struct server server = START(steps);
		expect(&server, SONDE_E_BAD_FORMAT, "QMP 'test': what answers there does not");
	}
	static const struct step garbage_later[] = {
		{ GREETING, 0, 1, 0 },
		{ OK_REPLY, 0, 1, 0 },
		{ "Segmentation fault\r\n", 0, 0, 1 },
	};
	struct server server = START(garbage_later);
	expect(&server, SONDE_E_BAD_FORMAT, "does not speak QMP");
}

static void a_line_without_end_is_bounded(void **state)
{
	(void)state;
	static char part[65537];
	struct qmp qmp;
	struct sonde_error err = { 0 };

	memset(part, 'x', 65536);
	struct step steps[] = { { part, 2 * QMP_LINE_MAX / 65536, 0, 1 } };
	struct server server = START(steps);
	assert_int_equal(qmp_start(&qmp, &host, server.fd, "test", 20000, &err), SONDE_E_LIMIT);
	assert_true(qmp.cap <= QMP_LINE_MAX);
	finish(&qmp, &server);
}

static void a_deeply_nested_answer_is_refused(void **state)
{
	(void)state;
	static char part[65537];

	memset(part, '[', 65536);
	struct step steps[] = { { part, 2, 0, 0 }, { "\n", 0, 0, 1 } };
	struct server server = START(steps);

	expect(&server, SONDE_E_BAD_FORMAT, "does not speak QMP");
}

/* What came with the next message: a descriptor, -1 none. */
static int take_fd(int from)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr head;
	} control;
	char text[256];
	struct iovec piece = { .iov_base = text, .iov_len = sizeof(text) };
	struct msghdr message = { .msg_iov = &piece,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	int fd = -1;

	assert_true(recvmsg(from, &message, 0) > 0);
	if (CMSG_FIRSTHDR(&message))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

static void a_descriptor_goes_with_its_command_and_no_other(void **state)
{
	(void)state;
	static const char answers[] = GREETING OK_REPLY OK_REPLY OK_REPLY;
	int pair[2], given[2];
	struct qmp qmp;
	struct sonde_error err;
	char byte = 0;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(pipe(given), 0);
	assert_int_equal(send(pair[1], answers, strlen(answers), 0), strlen(answers));
	assert_int_equal(qmp_start(&qmp, &host, pair[0], "test", SHORT_MS, &err), 0);
	assert_int_equal(qmp_give_fd(&qmp, "stream", given[1], &err), 0);
	assert_int_equal(qmp_run(&qmp, "query-name", NULL, NULL, &err), 0);

	assert_int_equal(take_fd(pair[1]), -1); /* qmp_capabilities */
	int taken = take_fd(pair[1]);
	assert_true(taken >= 0);
	assert_int_equal(write(taken, "x", 1), 1);
	assert_int_equal(read(given[0], &byte, 1), 1);
	assert_int_equal(byte, 'x');
	assert_int_equal(take_fd(pair[1]), -1);
	close(taken);
	close(given[0]);
	close(given[1]);
	close(pair[1]);
	qmp_close(&qmp);
}

/* ---- the socket itself ---- */

static void expect_open(const char *path, int want, const char *text)
{
	struct qmp qmp;
	struct sonde_error err = { 0 };
	int r = qmp_open(&qmp, &host, path, SHORT_MS, &err);

	qmp_close(&qmp);
	if (r != want || !strstr(err.text, text))
		fail_msg("%s: got %d '%s', want %d '%s'", path, r, err.text, want, text);
}

static void sockets_that_cannot_be_had_say_why(void **state)
{
	(void)state;
	char folder[] = "/tmp/sonde-qmp-XXXXXX";
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	assert_non_null(mkdtemp(folder));
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/s", folder);
	expect_open(addr.sun_path, SONDE_E_NOT_FOUND, "No such file or directory");

	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	expect_open(addr.sun_path, SONDE_E_GONE, "nobody listens there");

	/* Listening, but never accepting: the first waits in the queue, the second finds it full.
	 */
	assert_int_equal(listen(fd, 0), 0);
	expect_open(addr.sun_path, SONDE_E_TIMED_OUT, "another client may hold it");
	expect_open(addr.sun_path, SONDE_E_TIMED_OUT, "another client may hold it");
	close(fd);
	unlink(addr.sun_path);
	expect_open(folder, SONDE_E_GONE, "nobody listens");
	rmdir(folder);
}

static int set_up(void **state)
{
	(void)state;
	host_init(&host);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_comes_past_events_and_in_pieces),
		cmocka_unit_test(an_answer_to_an_earlier_command_is_passed_over),
		cmocka_unit_test(a_refusal_is_told_in_the_words_of_qemu),
		cmocka_unit_test(silence_ends_with_the_likely_cause),
		cmocka_unit_test(events_without_end_are_a_timeout_too),
		cmocka_unit_test(a_connection_that_closes_is_gone_at_any_point),
		cmocka_unit_test(what_is_not_qmp_is_refused),
		cmocka_unit_test(a_line_without_end_is_bounded),
		cmocka_unit_test(a_deeply_nested_answer_is_refused),
		cmocka_unit_test(a_descriptor_goes_with_its_command_and_no_other),
		cmocka_unit_test(sockets_that_cannot_be_had_say_why),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
