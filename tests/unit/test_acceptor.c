/* SPDX-License-Identifier: MIT */
/*
 * Acceptors: connections in order, a bound on what is accepted ahead, and ends that leave nothing
 * open.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sonde/error.h>
#include <sonde/fd.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 200 };

struct world {
	struct sonde_loop *loop;
	struct sonde_acceptor *acceptor;
	struct sockaddr_in addr;
	int listener, n_open;
};

static int n_open(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static int open_world(void **state, uint32_t engine)
{
	struct sonde_loop_options options = { .size = sizeof(options), .engine = engine };
	struct world *world = calloc(1, sizeof(*world));
	socklen_t len = sizeof(world->addr);

	if (!world || sonde_loop_create(&options, &world->loop, NULL) < 0)
		return -1;
	/* Whatever the loop opens with its first wait is there before anything is counted. */
	world->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	world->addr.sin_family = AF_INET;
	world->addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(world->listener, (struct sockaddr *)&world->addr, len) ||
	    listen(world->listener, BACKLOG) ||
	    getsockname(world->listener, (struct sockaddr *)&world->addr, &len))
		return -1;
	*state = world;
	if (sonde_acceptor_open(world->loop, world->listener, &world->acceptor) < 0)
		return -1;
	sonde_loop_turn(world->loop);
	world->n_open = n_open();
	return 0;
}

static int setup_epoll(void **state)
{
	return open_world(state, SONDE_ENGINE_EPOLL);
}

static int setup_auto(void **state)
{
	return open_world(state, SONDE_ENGINE_AUTO);
}

static int teardown(void **state)
{
	struct world *world = *state;

	sonde_acceptor_close(NULL, world->acceptor);
	sonde_loop_destroy(world->loop);
	close(world->listener);
	free(world);
	return 0;
}

/* A peer that says which one it is. */
static int connect_as(struct world *world, uint8_t who)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&world->addr, sizeof(world->addr)), 0);
	assert_int_equal(write(fd, &who, 1), 1);
	return fd;
}

static void expect_next(struct world *world, uint8_t who)
{
	int fd = sonde_acceptor_next(NULL, world->acceptor);
	uint8_t got = 0;

	assert_true(fd >= 0);
	assert_int_equal(sonde_fd_read_all(NULL, world->loop, fd, &got, 1), 1);
	assert_int_equal(got, who);
	close(fd);
}

static void connections_come_in_order(void **state)
{
	struct world *world = *state;
	int peers[150];

	for (int i = 0; i < 150; i++)
		peers[i] = connect_as(world, (uint8_t)i);
	for (int i = 0; i < 150; i++) {
		expect_next(world, (uint8_t)i);
		close(peers[i]);
	}
	assert_int_equal(n_open(), world->n_open);
}

/* Attempts stop at the bound; a ring may have had more in hand, the whole backlog at worst. */
static void not_everything_is_accepted_ahead(void **state)
{
	struct world *world = *state;
	int peers[100];

	for (int i = 0; i < 100; i++)
		peers[i] = connect_as(world, (uint8_t)i);
	for (int i = 0; i < 20; i++)
		sonde_loop_turn(world->loop);
	int ahead = n_open() - world->n_open - 100;
	assert_in_range(ahead, 64, 100);
	int more[30];
	for (int i = 0; i < 30; i++)
		more[i] = connect_as(world, (uint8_t)(100 + i));
	for (int i = 0; i < 20; i++)
		sonde_loop_turn(world->loop);
	assert_int_equal(n_open() - world->n_open - 130, ahead);
	for (int i = 0; i < 130; i++)
		expect_next(world, (uint8_t)i);
	for (int i = 0; i < 100; i++)
		close(peers[i]);
	for (int i = 0; i < 30; i++)
		close(more[i]);
}

static int next_in_task(struct sonde_task *task, void *arg)
{
	return sonde_acceptor_next(task, ((struct world *)arg)->acceptor);
}

static void tasks_that_wait_are_served_in_turn(void **state)
{
	struct world *world = *state;
	struct sonde_task *tasks[3];
	int peers[2];

	for (int i = 0; i < 3; i++)
		assert_int_equal(sonde_task_spawn(world->loop, next_in_task, world, &tasks[i]), 0);
	sonde_loop_turn(world->loop);
	assert_int_equal(sonde_task_cancel(tasks[1]), 1);
	assert_int_equal(sonde_task_join(NULL, tasks[1]), SONDE_E_CANCELLED);
	for (int i = 0; i < 2; i++)
		peers[i] = connect_as(world, 1);
	for (int i = 0; i < 3; i += 2) {
		int fd = sonde_task_join(NULL, tasks[i]);
		assert_true(fd >= 0);
		close(fd);
	}
	close(peers[0]);
	close(peers[1]);
	assert_int_equal(n_open(), world->n_open);
}

static void closing_tells_who_waits_and_leaves_nothing_open(void **state)
{
	struct world *world = *state;
	struct sonde_task *task;
	int peers[10];

	assert_int_equal(sonde_task_spawn(world->loop, next_in_task, world, &task), 0);
	sonde_loop_turn(world->loop);
	assert_int_equal(sonde_acceptor_close(NULL, world->acceptor), 0);
	assert_int_equal(sonde_task_join(NULL, task), SONDE_E_CANCELLED);
	assert_int_equal(sonde_acceptor_open(world->loop, world->listener, &world->acceptor), 0);
	for (int i = 0; i < 10; i++)
		peers[i] = connect_as(world, 1);
	sonde_loop_turn(world->loop);
	assert_int_equal(sonde_acceptor_close(NULL, world->acceptor), 0);
	for (int i = 0; i < 10; i++)
		close(peers[i]);
	assert_int_equal(n_open(), world->n_open);
	assert_int_equal(sonde_acceptor_open(world->loop, world->listener, &world->acceptor), 0);
}

static void a_listener_that_is_closed_ends_it(void **state)
{
	struct world *world = *state;
	struct sonde_task *task;

	assert_int_equal(sonde_task_spawn(world->loop, next_in_task, world, &task), 0);
	sonde_loop_turn(world->loop);
	assert_int_equal(sonde_fd_close(NULL, world->loop, world->listener), 0);
	assert_int_equal(sonde_task_join(NULL, task), SONDE_E_CANCELLED);
	assert_int_equal(sonde_acceptor_next(NULL, world->acceptor), SONDE_E_CANCELLED);
	world->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* for teardown */
}

static void what_does_not_listen_says_so(void **state)
{
	struct world *world = *state;
	struct sonde_acceptor *other;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(sonde_acceptor_open(world->loop, ends[0], &other), 0);
	assert_int_equal(sonde_acceptor_next(NULL, other), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_acceptor_next(NULL, other), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_acceptor_close(NULL, other), 0);
	assert_int_equal(sonde_acceptor_open(world->loop, -1, &other), SONDE_E_BAD_ARG);
	close(ends[0]);
	close(ends[1]);
}

static void ask_in_callback(struct sonde_timer *timer)
{
	struct world *world = timer->user;

	assert_int_equal(sonde_acceptor_next(NULL, world->acceptor), SONDE_E_BUSY);
	assert_int_equal(sonde_acceptor_close(NULL, world->acceptor), SONDE_E_BUSY);
	timer->user = NULL;
}

static void callbacks_cannot_wait_for_one(void **state)
{
	struct world *world = *state;
	struct sonde_timer timer = { .fire = ask_in_callback, .user = world };

	assert_int_equal(sonde_timer_start(world->loop, &timer), 0);
	sonde_loop_turn(world->loop);
	assert_null(timer.user);
}

int main(void)
{
#define TEST(name)                                                                                 \
	cmocka_unit_test_setup_teardown(name, setup_epoll, teardown),                              \
		cmocka_unit_test_setup_teardown(name, setup_auto, teardown)
	const struct CMUnitTest tests[] = {
		TEST(connections_come_in_order),
		TEST(not_everything_is_accepted_ahead),
		TEST(tasks_that_wait_are_served_in_turn),
		TEST(closing_tells_who_waits_and_leaves_nothing_open),
		TEST(a_listener_that_is_closed_ends_it),
		TEST(what_does_not_listen_says_so),
		TEST(callbacks_cannot_wait_for_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
