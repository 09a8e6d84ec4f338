/* SPDX-License-Identifier: MIT */
/* Requests that a connector ends many at a time: inside the call, from a thread, and with a core that knows one at a time. */
#include <pthread.h>
#include <sonde/io.h>
#include <stdbool.h>
#include <unistd.h>

#include "fake.h"
#include "io/loop.h"

#define N 12u

enum way { INSIDE, FROM_THREAD, OLDER_CORE, N_WAYS };

static struct {
	enum way way;
	struct sonde_io *held[N];
	size_t n_held;
	uint32_t order[N], n_over;
} test;

static void end_all(void)
{
	struct sonde_host older = space_host;

	older.size = offsetof(struct sonde_host, ios_done);
	older.ios_done = NULL;
	sonde_ios_done(test.way == OLDER_CORE ? &older : &space_host, test.held, test.n_held);
}

static void *end_in_thread(void *arg)
{
	(void)arg;
	end_all();
	return NULL;
}

/* Whatever comes first is kept until all are there. */
static size_t hold(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		fake_serve(fake, ios[i]);
		test.held[test.n_held++] = ios[i];
	}
	if (test.n_held == N && test.way == INSIDE)
		end_all();
	return n;
}

static void over(struct sonde_io *io)
{
	test.order[test.n_over++] = (uint32_t)(uintptr_t)io->user;
}

static void each_ends_once_in_its_turn(void **state)
{
	for (test.way = INSIDE; test.way < N_WAYS; test.way++) {
		struct sonde_io ios[N] = { 0 };
		struct sonde_xfer xfers[N] = { 0 };
		uint8_t bytes[N];
		struct fake fake = { 0 };
		pthread_t thread;

		test.n_held = test.n_over = 0;
		fake_open(&fake, *state, 4096, SONDE_WAY_SUBMIT);
		fake.submit = hold;
		for (uint32_t i = 0; i < N; i++) {
			xfers[i] =
				(struct sonde_xfer){ .addr = 16 * i, .buf = &bytes[i], .len = 1 };
			ios[i] = (struct sonde_io){ .xfers = &xfers[i],
						    .n = 1,
						    .done = over,
						    .user = (void *)(uintptr_t)i };
			assert_int_equal(sonde_io_submit(fake.space, &ios[i]), 0);
		}
		while (test.n_held < N)
			sonde_loop_turn(*state);
		if (test.way != INSIDE) {
			assert_int_equal(test.n_over, 0);
			pthread_create(&thread, NULL, end_in_thread, NULL);
		}
		sonde_loop_run(*state);
		if (test.way != INSIDE)
			pthread_join(thread, NULL);
		assert_int_equal(test.n_over, N);
		for (uint32_t i = 0; i < N; i++) {
			assert_int_equal(test.order[i], i);
			assert_int_equal(ios[i].result, 1);
			assert_int_equal(bytes[i], i);
		}
		fake_close(&fake);
	}
}

/* The loop sleeps, or is about to: one write to what wakes it is enough, and none is needed for none. */
static void who_sleeps_is_woken_once(void **state)
{
	struct sonde_loop *loop = *state;
	struct sonde_io ios[N] = { 0 };
	struct sonde_xfer xfers[N] = { 0 };
	uint8_t bytes[N];
	uint64_t n_wakes = 0;
	struct fake fake = { 0 };

	test.n_held = test.n_over = 0;
	test.way = FROM_THREAD;
	fake_open(&fake, loop, 4096, SONDE_WAY_SUBMIT);
	fake.submit = hold;
	assert_true(sonde_loop_fd(loop) >= 0); /* embedded: it may be asleep at any time */
	for (uint32_t i = 0; i < N; i++) {
		xfers[i] = (struct sonde_xfer){ .addr = 16 * i, .buf = &bytes[i], .len = 1 };
		ios[i] = (struct sonde_io){ .xfers = &xfers[i], .n = 1, .done = over };
		assert_int_equal(sonde_io_submit(fake.space, &ios[i]), 0);
	}
	while (test.n_held < N)
		sonde_loop_turn(loop);
	(void)!read(loop_wake_fd(loop), &n_wakes,
		    sizeof(n_wakes)); /* our own submits signal it, too */
	sonde_ios_done(&space_host, test.held, 0);
	assert_int_equal(read(loop_wake_fd(loop), &n_wakes, sizeof(n_wakes)), -1);
	pthread_t thread;
	pthread_create(&thread, NULL, end_in_thread, NULL);
	pthread_join(thread, NULL);
	assert_int_equal(read(loop_wake_fd(loop), &n_wakes, sizeof(n_wakes)), sizeof(n_wakes));
	assert_int_equal(n_wakes, 1);
	sonde_loop_turn(loop);
	assert_int_equal(test.n_over, N);
	fake_close(&fake);
}

static int open_loop(void **state)
{
	struct sonde_loop *loop;
	int r = sonde_loop_create(NULL, &loop, NULL);

	*state = loop;
	return r;
}

static int close_loop(void **state)
{
	sonde_loop_destroy(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_ends_once_in_its_turn, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(who_sleeps_is_woken_once, open_loop, close_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
