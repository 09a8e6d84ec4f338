/* SPDX-License-Identifier: MIT */
/* Timers: order, stopping, restarting inside fire, and a random run against a sorted list. */
#include <sonde/loop.h>

#include "fake.h"
#include "io/loop.h"

static int fired;
static uint64_t last_at;

static void count(struct sonde_timer *timer)
{
	assert_true(timer->at_ns >= last_at);
	last_at = timer->at_ns;
	fired++;
}

static int setup(void **state)
{
	*state = loop_new(SONDE_ENGINE_SYNC, 0);
	fired = 0;
	last_at = 0;
	return 0;
}

static int teardown(void **state)
{
	sonde_loop_destroy(*state);
	return 0;
}

static void they_fire_in_order_of_time(void **state)
{
	struct sonde_timer timers[50] = { 0 };

	for (int i = 0; i < 50; i++) {
		timers[i].at_ns = 1 + (uint64_t)(i * 37 % 50);
		timers[i].fire = count;
		assert_int_equal(sonde_timer_start(*state, &timers[i]), 0);
	}
	assert_int_equal(sonde_loop_turn(*state), 50);
	assert_int_equal(fired, 50);
	assert_int_equal(sonde_loop_turn(*state), 0);
}

static void the_future_waits(void **state)
{
	struct sonde_timer soon = { .at_ns = sonde_now_ns() + 3000000, .fire = count };
	struct sonde_timer late = { .at_ns = UINT64_MAX, .fire = count };

	sonde_timer_start(*state, &late);
	sonde_timer_start(*state, &soon);
	/* On a busy machine it may be due by now. */
	assert_true(sonde_loop_turn(*state) == 0 || sonde_now_ns() >= soon.at_ns);
	while (!fired)
		sonde_loop_wait(*state, UINT64_MAX);
	assert_true(sonde_now_ns() >= soon.at_ns);
	assert_int_equal(sonde_timer_stop(*state, &soon), 0);
	assert_int_equal(sonde_timer_stop(*state, &late), 1);
	assert_int_equal(sonde_timer_stop(*state, &late), 0);
	assert_int_equal(sonde_loop_run(*state), 0);
}

static void a_running_one_is_not_started_again(void **state)
{
	struct sonde_timer timer = { .at_ns = UINT64_MAX, .fire = count };
	struct sonde_timer no_function = { .at_ns = 1 };

	assert_int_equal(sonde_timer_start(*state, &timer), 0);
	assert_int_equal(sonde_timer_start(*state, &timer), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_timer_start(*state, &no_function), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_timer_stop(*state, &timer), 1);
}

static void again(struct sonde_timer *timer)
{
	fired++;
	timer->at_ns = 0;
	sonde_timer_start(timer->user, timer);
}

/* One that starts itself in the past must not hold the turn. */
static void one_started_by_a_timer_waits_for_the_next_pass(void **state)
{
	struct sonde_timer timer = { .fire = again, .user = *state };

	sonde_timer_start(*state, &timer);
	assert_int_equal(sonde_loop_turn(*state), 1);
	assert_int_equal(sonde_loop_turn(*state), 1);
	assert_int_equal(fired, 2);
	assert_int_equal(sonde_timer_stop(*state, &timer), 1);
}

static struct sonde_timer victim;

static void stop_victim(struct sonde_timer *timer)
{
	fired += 100;
	assert_int_equal(sonde_timer_stop(timer->user, &victim), 1);
	assert_int_equal(sonde_timer_start(timer->user, &victim), 0);
	assert_int_equal(sonde_timer_stop(timer->user, &victim), 1);
}

static void one_timer_may_stop_another_that_is_due(void **state)
{
	struct sonde_timer killer = { .at_ns = 1, .fire = stop_victim, .user = *state };

	victim = (struct sonde_timer){ .at_ns = 2, .fire = count };
	sonde_timer_start(*state, &victim);
	sonde_timer_start(*state, &killer);
	assert_int_equal(sonde_loop_turn(*state), 1);
	assert_int_equal(fired, 100);
}

static void random_starts_and_stops_keep_the_heap(void **state)
{
	enum { N = 300 };
	static struct sonde_timer timers[N];
	struct sonde_loop *loop = *state;

	memset(timers, 0, sizeof(timers));
	srand(7);
	for (int step = 0; step < 20000; step++) {
		struct sonde_timer *t = &timers[rand() % N];
		if (sonde_timer_stop(loop, t) == 0) {
			t->at_ns = UINT64_MAX / 2 + (uint64_t)(rand() % 1000);
			t->fire = count;
			assert_int_equal(sonde_timer_start(loop, t), 0);
		}
		if (step % 500)
			continue;
		uint64_t least = UINT64_MAX;
		for (int i = 0; i < N; i++) {
			if (timers[i].core[3] && timers[i].at_ns < least)
				least = timers[i].at_ns;
		}
		assert_true(timers_next(loop) == least);
	}
	for (int i = 0; i < N; i++)
		sonde_timer_stop(loop, &timers[i]);
	assert_true(timers_next(loop) == UINT64_MAX);
	assert_true(loop->n_timers == 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(they_fire_in_order_of_time),
		TEST(the_future_waits),
		TEST(a_running_one_is_not_started_again),
		TEST(one_started_by_a_timer_waits_for_the_next_pass),
		TEST(one_timer_may_stop_another_that_is_due),
		TEST(random_starts_and_stops_keep_the_heap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
