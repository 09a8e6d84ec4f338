/* SPDX-License-Identifier: MIT */
/*
 * Requests on descriptors: what is checked, the order of lanes, the kinds a kernel may not know.
 * What every engine and door must do alike is the descriptors' table in tests/conformance.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sonde/error.h>
#include <sonde/select.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/fd.h"

struct world {
	struct sonde_loop *loop;
	int pipe[2];
	int n_done; /* callbacks so far */
};

static int setup(void **state)
{
	struct sonde_loop_options options = { .size = sizeof(options),
					      .engine = SONDE_ENGINE_EPOLL };
	struct world *world = calloc(1, sizeof(*world));

	if (!world || sonde_loop_create(&options, &world->loop, NULL) < 0 || pipe(world->pipe))
		return -1;
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	sonde_loop_destroy(world->loop);
	close(world->pipe[0]);
	close(world->pipe[1]);
	free(world);
	return 0;
}

/* Notes in the request's own events field in which order it was done. */
static void done(struct sonde_fd_io *io)
{
	struct world *world = io->user;

	io->events = (uint32_t)++world->n_done;
}

static struct sonde_fd_io request(struct world *world, int fd, uint32_t op, void *buf, uint32_t len)
{
	return (struct sonde_fd_io){
		.fd = fd, .op = op, .buf = buf, .len = len, .done = done, .user = world
	};
}

static void what_is_out_of_range_is_refused(void **state)
{
	struct world *world = *state;
	char byte;
	struct sonde_fd_io good = request(world, world->pipe[0], SONDE_FD_READ, &byte, 1), bad;

#define REFUSED(change)                                                                            \
	do {                                                                                       \
		bad = good;                                                                        \
		change;                                                                            \
		assert_int_equal(sonde_fd_submit(world->loop, &bad), SONDE_E_BAD_ARG);             \
	} while (0)
	REFUSED(bad.fd = -1);
	REFUSED(bad.op = SONDE_FD_SHUTDOWN + 1);
	REFUSED(bad.len = 0x80000000u);
	REFUSED(bad.buf = NULL);
	REFUSED(bad.done = NULL);
	REFUSED(bad.state = SONDE_IO_QUEUED);
	REFUSED(bad.op = SONDE_FD_POLL);
	REFUSED(bad.op = SONDE_FD_POLL; bad.events = SONDE_FD_HANGUP | SONDE_FD_READABLE);
#undef REFUSED
	assert_int_equal(sonde_loop_run(world->loop), 0);
	assert_int_equal(world->n_done, 0);
}

static void nothing_is_asked_for_zero_bytes(void **state)
{
	struct world *world = *state;
	struct sonde_fd_io io = request(world, world->pipe[0], SONDE_FD_READ_ALL, NULL, 0);

	io.result = 77;
	assert_int_equal(sonde_fd_submit(world->loop, &io), 0);
	assert_int_equal(world->n_done, 0);
	assert_int_equal(sonde_loop_run(world->loop), 0);
	assert_int_equal(world->n_done, 1);
	assert_int_equal(io.result, 0);
}

static void a_request_in_flight_is_not_taken_twice(void **state)
{
	struct world *world = *state;
	char byte;
	struct sonde_fd_io io = request(world, world->pipe[0], SONDE_FD_READ, &byte, 1);

	assert_int_equal(sonde_fd_submit(world->loop, &io), 0);
	assert_int_equal(sonde_fd_submit(world->loop, &io), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_fd_cancel(&io), 1);
	assert_int_equal(sonde_fd_cancel(&io), 0);
	assert_int_equal(sonde_loop_run(world->loop), 0);
	assert_int_equal(world->n_done, 1);
}

static void an_end_that_is_there_already_is_told_in_the_loop(void **state)
{
	struct world *world = *state;
	char byte = 0;
	struct sonde_fd_io io = request(world, world->pipe[0], SONDE_FD_READ, &byte, 1);

	assert_int_equal(write(world->pipe[1], "x", 1), 1);
	assert_int_equal(sonde_fd_submit(world->loop, &io), 0);
	assert_int_equal(world->n_done, 0);
	assert_int_equal(io.state, SONDE_IO_DONE);
	assert_int_equal(sonde_fd_cancel(&io), 0);
	assert_true(sonde_loop_turn(world->loop) > 0);
	assert_int_equal(io.result, 1);
	assert_int_equal(byte, 'x');
	assert_int_equal(io.state, SONDE_IO_IDLE);
}

static void reads_of_one_descriptor_come_in_order(void **state)
{
	struct world *world = *state;
	enum { N = 200 };
	static struct sonde_fd_io ios[N];
	static uint8_t got[N], sent[N];

	for (int i = 0; i < N; i++) {
		ios[i] = request(world, world->pipe[0], SONDE_FD_READ_ALL, &got[i], 1);
		sent[i] = (uint8_t)i;
		assert_int_equal(sonde_fd_submit(world->loop, &ios[i]), 0);
		assert_int_equal(ios[i].state, i ? SONDE_IO_QUEUED : SONDE_IO_IN_FLIGHT);
	}
	assert_int_equal(write(world->pipe[1], sent, N), N);
	assert_int_equal(sonde_loop_run(world->loop), 0);
	for (int i = 0; i < N; i++) {
		assert_int_equal(got[i], sent[i]);
		assert_int_equal(ios[i].events, i + 1);
	}
}

static void the_cancelled_of_a_queue_leave_it(void **state)
{
	struct world *world = *state;
	struct sonde_fd_io ios[5];
	char got[5] = "";

	for (int i = 0; i < 5; i++) {
		ios[i] = request(world, world->pipe[0], SONDE_FD_READ_ALL, &got[i], 1);
		assert_int_equal(sonde_fd_submit(world->loop, &ios[i]), 0);
	}
	assert_int_equal(sonde_fd_cancel(&ios[4]), 1); /* last, middle, first */
	assert_int_equal(sonde_fd_cancel(&ios[2]), 1);
	assert_int_equal(sonde_fd_cancel(&ios[0]), 1);
	assert_int_equal(world->n_done, 0);
	assert_int_equal(write(world->pipe[1], "ab", 2), 2);
	assert_int_equal(sonde_loop_run(world->loop), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(ios[i].result, i % 2 ? 1 : SONDE_E_CANCELLED);
	assert_memory_equal(got, "\0a\0b\0", 5);
}

static void many_ready_requests_need_no_deep_stack(void **state)
{
	struct world *world = *state;
	enum { N = 60000 };
	struct sonde_fd_io *ios = calloc(N, sizeof(*ios));
	static char got[N], sent[N];

	assert_non_null(ios);
	assert_true(fcntl(world->pipe[1], F_SETPIPE_SZ, 65536) >= N);
	for (int i = 0; i < N; i++) {
		ios[i] = request(world, world->pipe[0], SONDE_FD_READ, &got[i], 1);
		assert_int_equal(sonde_fd_submit(world->loop, &ios[i]), 0);
	}
	assert_int_equal(write(world->pipe[1], sent, N), N);
	assert_int_equal(sonde_loop_run(world->loop), 0);
	assert_int_equal(world->n_done, N);
	free(ios);
}

static void a_number_that_is_another_thing_now_is_learnt_anew(void **state)
{
	struct world *world = *state;
	char byte;
	int ends[2];

	for (int round = 0; round < 4; round++) {
		/* The lowest two numbers each time: pipes and sockets by turns. */
		assert_int_equal(round % 2 ? pipe(ends) : socketpair(AF_UNIX, SOCK_STREAM, 0, ends),
				 0);
		assert_int_equal(sonde_fd_write(NULL, world->loop, ends[1], "y", 1), 1);
		assert_int_equal(sonde_fd_read(NULL, world->loop, ends[0], &byte, 1), 1);
		close(ends[0]);
		assert_int_equal(sonde_fd_write(NULL, world->loop, ends[1], "y", 1), SONDE_E_GONE);
		close(ends[1]);
	}
}

/* SIGPIPE keeps its default here: one of them would end the program. */
static void no_broken_pipe_ends_the_program(void **state)
{
	struct world *world = *state;
	struct fds *fds = fds_of(world->loop);

	close(world->pipe[0]);
	for (int i = 0; i < 4; i++) {
		fds->hints.no_nosignal = i & 1;
		fds->hints.no_nowait = i & 2;
		assert_int_equal(sonde_fd_write_all(NULL, world->loop, world->pipe[1], "x", 1),
				 SONDE_E_GONE);
	}
	world->pipe[0] = dup(world->pipe[1]);
}

static void a_sigpipe_of_somebody_else_stays(void **state)
{
	struct world *world = *state;
	sigset_t pipe_only, old, waiting;

	fds_of(world->loop)->hints.no_nosignal = true;
	sigemptyset(&pipe_only);
	sigaddset(&pipe_only, SIGPIPE);
	sigprocmask(SIG_BLOCK, &pipe_only, &old);
	raise(SIGPIPE);
	close(world->pipe[0]);
	assert_int_equal(sonde_fd_write(NULL, world->loop, world->pipe[1], "x", 1), SONDE_E_GONE);
	sigpending(&waiting);
	assert_true(sigismember(&waiting, SIGPIPE));
	signal(SIGPIPE, SIG_IGN); /* drops it */
	sigprocmask(SIG_SETMASK, &old, NULL);
	signal(SIGPIPE, SIG_DFL);
	world->pipe[0] = dup(world->pipe[1]);
}

/* A kernel before 6.4: pipes are polled, and written PIPE_BUF bytes at a time. */
static void a_blocking_pipe_without_nowait_never_blocks(void **state)
{
	struct world *world = *state;
	enum { N = 300000 };
	char *big = malloc(N), *got = calloc(1, N);
	struct sonde_fd_io out = request(world, world->pipe[1], SONDE_FD_WRITE_ALL, big, N);
	struct sonde_fd_io in = request(world, world->pipe[0], SONDE_FD_READ_ALL, got, N);

	fds_of(world->loop)->hints.no_nowait = true;
	fds_of(world->loop)->hints.no_nosignal = true;
	memset(big, 'z', N);
	assert_int_equal(sonde_fd_submit(world->loop, &in), 0);
	assert_int_equal(sonde_fd_submit(world->loop, &out), 0);
	assert_int_equal(sonde_loop_run(world->loop), 0);
	assert_int_equal(in.result, N);
	assert_int_equal(out.result, N);
	assert_memory_equal(big, got, N);
	free(big);
	free(got);
}

static void flags_of_the_description_are_left_alone(void **state)
{
	struct world *world = *state;
	char byte;
	int before = fcntl(world->pipe[0], F_GETFL);
	struct sonde_fd_io io = request(world, world->pipe[0], SONDE_FD_READ, &byte, 1);

	assert_int_equal(before & O_NONBLOCK, 0);
	assert_int_equal(sonde_fd_submit(world->loop, &io), 0);
	assert_int_equal(sonde_loop_turn(world->loop), 0);
	assert_int_equal(fcntl(world->pipe[0], F_GETFL), before);
	sonde_fd_cancel(&io);
	sonde_loop_run(world->loop);
	assert_int_equal(fcntl(world->pipe[0], F_GETFL), before);
}

static void a_regular_file_is_served_at_its_position(void **state)
{
	struct world *world = *state;
	FILE *file = tmpfile();
	char got[16] = "";

	assert_non_null(file);
	assert_int_equal(sonde_fd_write_all(NULL, world->loop, fileno(file), "0123456789", 10), 10);
	assert_int_equal(lseek(fileno(file), 4, SEEK_SET), 4);
	assert_int_equal(sonde_fd_read(NULL, world->loop, fileno(file), got, 3), 3);
	assert_string_equal(got, "456");
	assert_int_equal(sonde_fd_read_all(NULL, world->loop, fileno(file), got, 16),
			 SONDE_E_TRUNCATED);
	fclose(file);
}

static void errors_keep_their_errno(void **state)
{
	struct world *world = *state;
	struct sonde_fd_io io = request(world, 99999, SONDE_FD_READ, state, 1);

	assert_int_equal(sonde_fd_run(NULL, world->loop, &io), SONDE_E_BAD_ARG);
	assert_int_equal(io.os_code, EBADF);
	io = request(world, world->pipe[1], SONDE_FD_READ, state, 1); /* the end to write to */
	assert_int_equal(sonde_fd_run(NULL, world->loop, &io), SONDE_E_BAD_ARG);
	assert_int_equal(io.os_code, EBADF);
	io = request(world, world->pipe[0], SONDE_FD_ACCEPT, NULL, 0);
	assert_int_equal(sonde_fd_run(NULL, world->loop, &io), SONDE_E_BAD_ARG);
	assert_int_equal(io.os_code, ENOTSOCK);
}

static void what_is_in_flight_keeps_its_callback(void **state)
{
	struct world *world = *state;
	char byte;
	struct sonde_fd_io io = request(world, world->pipe[0], SONDE_FD_READ, &byte, 1);

	assert_int_equal(sonde_fd_submit(world->loop, &io), 0);
	assert_int_equal(sonde_fd_run(NULL, world->loop, &io), SONDE_E_BAD_ARG);
	assert_int_equal(write(world->pipe[1], "x", 1), 1);
	sonde_loop_run(world->loop);
	assert_int_equal(world->n_done, 1);
	assert_int_equal(io.result, 1);
}

/* ---- tasks ------------------------------------------------------------------------------- */

static int read_in_task(struct sonde_task *task, void *arg)
{
	struct world *world = arg;
	char byte;

	return sonde_fd_read(task, world->loop, world->pipe[0], &byte, 1);
}

static void a_task_that_reads_can_be_cancelled(void **state)
{
	struct world *world = *state;
	struct sonde_task *task;
	char byte = 0;

	for (int turns = 0; turns < 2; turns++) { /* before it ran, and while it waits */
		assert_int_equal(sonde_task_spawn(world->loop, read_in_task, world, &task), 0);
		if (turns)
			sonde_loop_turn(world->loop);
		assert_int_equal(sonde_task_cancel(task), 1);
		assert_int_equal(sonde_task_join(NULL, task), SONDE_E_CANCELLED);
	}
	/* What came first is handed out. */
	assert_int_equal(sonde_task_spawn(world->loop, read_in_task, world, &task), 0);
	sonde_loop_turn(world->loop);
	assert_int_equal(write(world->pipe[1], "x", 1), 1);
	sonde_fd_poll(NULL, world->loop, world->pipe[1], SONDE_FD_WRITABLE);
	sonde_task_cancel(task);
	int r = sonde_task_join(NULL, task);
	if (r == SONDE_E_CANCELLED)
		r = (int)read(world->pipe[0], &byte, 1);
	assert_int_equal(r, 1);
}

static int read_with_timeout(struct sonde_task *task, void *arg)
{
	return sonde_task_timeout(task, sonde_now_ns() + 1000000, read_in_task, arg);
}

static void a_timeout_ends_a_read(void **state)
{
	struct world *world = *state;
	struct sonde_task *task;

	assert_int_equal(sonde_task_spawn(world->loop, read_with_timeout, world, &task), 0);
	assert_int_equal(sonde_task_join(NULL, task), SONDE_E_TIMED_OUT);
}

static void only_who_runs_can_wait(void **state)
{
	struct world *world = *state;
	struct sonde_task *one, *other;

	assert_int_equal(sonde_task_spawn(world->loop, read_in_task, world, &one), 0);
	sonde_loop_turn(world->loop);
	char byte;
	assert_int_equal(sonde_fd_read(one, world->loop, world->pipe[0], &byte, 1),
			 SONDE_E_BAD_ARG);
	assert_int_equal(sonde_task_spawn(world->loop, read_in_task, world, &other), 0);
	assert_int_equal(write(world->pipe[1], "ab", 2), 2);
	assert_int_equal(sonde_task_join(NULL, one), 1);
	assert_int_equal(sonde_task_join(NULL, other), 1);
}

static void read_in_callback(struct sonde_timer *timer)
{
	struct world *world = timer->user;
	char byte;

	assert_int_equal(sonde_fd_read(NULL, world->loop, world->pipe[0], &byte, 1), SONDE_E_BUSY);
	world->n_done++;
}

static void a_callback_cannot_wait(void **state)
{
	struct world *world = *state;
	struct sonde_timer timer = { .fire = read_in_callback, .user = world };

	assert_int_equal(write(world->pipe[1], "x", 1), 1);
	assert_int_equal(sonde_timer_start(world->loop, &timer), 0);
	sonde_loop_turn(world->loop);
	assert_int_equal(world->n_done, 1);
}

static void a_descriptor_can_be_the_first_of_several(void **state)
{
	struct world *world = *state;
	char bytes[2];
	struct sonde_fd_io io = request(world, world->pipe[0], SONDE_FD_READ, bytes, 2);
	struct sonde_select wait[] = {
		{ .kind = SONDE_SELECT_TIME, .at_ns = sonde_now_ns() + 1000000 },
		{ .kind = SONDE_SELECT_FD, .fd_io = &io },
	};

	assert_int_equal(sonde_fd_submit(world->loop, &io), 0);
	assert_int_equal(sonde_loop_select(world->loop, wait, 2), 0);
	assert_int_equal(world->n_done, 0);
	assert_int_equal(write(world->pipe[1], "x", 1), 1);
	wait[0].at_ns = UINT64_MAX;
	assert_int_equal(sonde_loop_select(world->loop, wait, 2), 1);
	assert_int_equal(world->n_done, 1);
	assert_int_equal(io.result, 1);
	assert_int_equal(sonde_loop_select(world->loop, wait, 2), 1); /* and stays it */
	wait[1].fd_io = NULL;
	assert_int_equal(sonde_loop_select(world->loop, wait, 2), SONDE_E_BAD_ARG);
}

/* ---- closing ----------------------------------------------------------------------------- */

static void nothing_is_begun_on_what_is_closing(void **state)
{
	struct world *world = *state;
	char byte;
	int fd = dup(world->pipe[0]);
	struct sonde_fd_io waits = request(world, fd, SONDE_FD_READ, &byte, 1), late = waits;
	struct sonde_fd_io closes = request(world, fd, SONDE_FD_CLOSE, NULL, 0), again = closes;

	assert_int_equal(sonde_fd_submit(world->loop, &waits), 0);
	assert_int_equal(sonde_fd_submit(world->loop, &closes), 0);
	assert_int_equal(sonde_fd_submit(world->loop, &late), SONDE_E_BUSY);
	assert_int_equal(sonde_fd_submit(world->loop, &again), SONDE_E_BUSY);
	assert_int_equal(sonde_fd_cancel(&closes), 0);
	assert_int_equal(sonde_loop_run(world->loop), 0);
	assert_int_equal(waits.events, 1); /* the order of the ends */
	assert_int_equal(closes.events, 2);
	assert_int_equal(waits.result, SONDE_E_CANCELLED);
	assert_int_equal(closes.result, 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_out_of_range_is_refused),
		TEST(nothing_is_asked_for_zero_bytes),
		TEST(a_request_in_flight_is_not_taken_twice),
		TEST(an_end_that_is_there_already_is_told_in_the_loop),
		TEST(reads_of_one_descriptor_come_in_order),
		TEST(the_cancelled_of_a_queue_leave_it),
		TEST(many_ready_requests_need_no_deep_stack),
		TEST(a_number_that_is_another_thing_now_is_learnt_anew),
		TEST(no_broken_pipe_ends_the_program),
		TEST(a_sigpipe_of_somebody_else_stays),
		TEST(a_blocking_pipe_without_nowait_never_blocks),
		TEST(flags_of_the_description_are_left_alone),
		TEST(a_regular_file_is_served_at_its_position),
		TEST(errors_keep_their_errno),
		TEST(what_is_in_flight_keeps_its_callback),
		TEST(a_task_that_reads_can_be_cancelled),
		TEST(a_timeout_ends_a_read),
		TEST(only_who_runs_can_wait),
		TEST(a_callback_cannot_wait),
		TEST(a_descriptor_can_be_the_first_of_several),
		TEST(nothing_is_begun_on_what_is_closing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
