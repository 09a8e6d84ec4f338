/* SPDX-License-Identifier: MIT */
/* Select: the first of several, each kind of them, and nothing left with the others. */
#include <sonde/select.h>

#include "fake.h"
#include "io/loop.h"
#include "io/request.h"
#include "task/channel.h"
#include "task/inside.h"

#define FAR (sonde_now_ns() + UINT64_C(3600) * 1000000000)

static struct sonde_loop *loop;
static struct sonde_channel *a, *b;

static int setup(void **state)
{
	(void)state;
	loop = loop_new(SONDE_ENGINE_SYNC, 0);
	assert_int_equal(sonde_channel_create(loop, 1, sizeof(int), &a), 0);
	assert_int_equal(sonde_channel_create(loop, 0, sizeof(int), &b), 0);
	return 0;
}

static bool somebody_waits(const struct sonde_channel *channel)
{
	return channel->queues[0].first || channel->queues[0].last || channel->queues[1].first ||
	       channel->queues[1].last;
}

/* Nobody may be left in line anywhere, nor any timer. */
static int teardown(void **state)
{
	(void)state;
	int left = loop->n_tasks || loop->n_timers || loop->n_inflight || somebody_waits(a) ||
		   somebody_waits(b);

	sonde_channel_destroy(a);
	sonde_channel_destroy(b);
	sonde_loop_destroy(loop);
	return left;
}

static int sleeps_ms(struct sonde_task *self, void *arg)
{
	return sonde_task_sleep(self, (uint64_t)(uintptr_t)arg * 1000000);
}

static int sleeps_for_ever(struct sonde_task *self, void *arg)
{
	(void)arg;
	return sonde_task_sleep_until(self, FAR);
}

/* A select in a task, of entries the test has set. */
struct chooser {
	struct sonde_task *task;
	struct sonde_select *entries;
	size_t n;
	int first;
};

static int chooses(struct sonde_task *self, void *arg)
{
	struct chooser *chooser = arg;

	return chooser->first = sonde_task_select(self, chooser->entries, chooser->n);
}

static void start(struct chooser *chooser)
{
	chooser->first = -100;
	assert_int_equal(sonde_task_spawn(loop, chooses, chooser, &chooser->task), 0);
	sonde_loop_turn(loop);
}

static int join(struct chooser *chooser)
{
	return sonde_task_join(NULL, chooser->task);
}

/* ---- each kind ------------------------------------------------------------------------------ */

static void an_item_comes_first(void **state)
{
	int got = 0, other = 0, value = 5;
	struct sonde_select e[] = {
		{ .kind = SONDE_SELECT_TIME, .at_ns = FAR },
		{ .kind = SONDE_SELECT_RECV, .channel = b, .item = &other },
		{ .kind = SONDE_SELECT_NONE },
		{ .kind = SONDE_SELECT_RECV, .channel = a, .item = &got },
	};
	struct chooser chooser = { .entries = e, .n = 4 };

	(void)state;
	start(&chooser);
	assert_int_equal(chooser.first, -100);
	assert_int_equal(sonde_channel_try_send(a, &value), 1);
	assert_int_equal(sonde_channel_count(a), 0); /* it went straight to the one that waits */
	assert_int_equal(sonde_channel_try_send(b, &value), 0);
	assert_int_equal(join(&chooser), 3);
	assert_int_equal(got, 5);
	assert_int_equal(other, 0);
	assert_int_equal(e[3].result, 0);
}

static void what_is_there_needs_no_wait(void **state)
{
	int got = 0, value = 5;
	struct sonde_select e[] = {
		{ .kind = SONDE_SELECT_TIME, .at_ns = FAR },
		{ .kind = SONDE_SELECT_RECV, .channel = a, .item = &got },
	};

	(void)state;
	sonde_channel_try_send(a, &value);
	assert_int_equal(sonde_loop_select(loop, e, 2), 1);
	assert_int_equal(got, 5);
}

static void a_place_for_an_item_comes_first(void **state)
{
	int value = 7, got = 0;
	struct sonde_select e[] = {
		{ .kind = SONDE_SELECT_SEND, .channel = b, .item = &value },
		{ .kind = SONDE_SELECT_TIME, .at_ns = FAR },
	};
	struct chooser chooser = { .entries = e, .n = 2 };

	(void)state;
	start(&chooser);
	assert_int_equal(sonde_channel_try_recv(b, &got), 1);
	assert_int_equal(got, 7);
	assert_int_equal(sonde_channel_try_recv(b, &got), 0);
	assert_int_equal(join(&chooser), 0);
}

static void a_time_comes_first(void **state)
{
	int got = 0;
	uint64_t now = sonde_now_ns();
	struct sonde_select e[] = {
		{ .kind = SONDE_SELECT_TIME, .at_ns = FAR },
		{ .kind = SONDE_SELECT_TIME, .at_ns = now + 2000000 },
		{ .kind = SONDE_SELECT_RECV, .channel = a, .item = &got },
		{ .kind = SONDE_SELECT_TIME, .at_ns = now + 3000000 },
	};
	struct chooser chooser = { .entries = e, .n = 4 };

	(void)state;
	start(&chooser);
	assert_int_equal(join(&chooser), 1);
	assert_true(sonde_now_ns() >= now + 2000000);
	e[1].at_ns = 0; /* long past */
	e[3].kind = SONDE_SELECT_NONE;
	assert_int_equal(sonde_loop_select(loop, e, 4), 1);
}

static void the_end_of_a_task_comes_first(void **state)
{
	struct sonde_task *slow, *fast;

	(void)state;
	sonde_task_spawn(loop, sleeps_for_ever, NULL, &slow);
	sonde_task_spawn(loop, sleeps_ms, (void *)1, &fast);
	struct sonde_select e[] = {
		{ .kind = SONDE_SELECT_TASK, .task = slow },
		{ .kind = SONDE_SELECT_TASK, .task = fast },
	};
	struct chooser chooser = { .entries = e, .n = 2 };
	start(&chooser);
	assert_int_equal(join(&chooser), 1);
	assert_null(slow->watches);
	/* It is still to be joined, and is there at once the next time. */
	assert_int_equal(sonde_loop_select(loop, e, 2), 1);
	assert_int_equal(sonde_task_join(NULL, fast), 0);
	sonde_task_cancel(slow);
	assert_int_equal(sonde_task_join(NULL, slow), SONDE_E_CANCELLED);
}

/* A select takes nothing along, unlike a join. */
static void a_cancelled_select_leaves_the_task_alone(void **state)
{
	struct sonde_task *slow;

	(void)state;
	sonde_task_spawn(loop, sleeps_for_ever, NULL, &slow);
	struct sonde_select e[] = { { .kind = SONDE_SELECT_TASK, .task = slow } };
	struct chooser chooser = { .entries = e, .n = 1 };
	start(&chooser);
	sonde_task_cancel(chooser.task);
	assert_int_equal(join(&chooser), SONDE_E_CANCELLED);
	assert_null(slow->watches);
	assert_int_equal(sonde_task_check(slow), 0);
	sonde_task_cancel(slow);
	assert_int_equal(sonde_task_join(NULL, slow), SONDE_E_CANCELLED);
}

static size_t hold(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	*(struct sonde_io **)fake->user = ios[0];
	return n;
}

static int n_done;

static void count_done(struct sonde_io *io)
{
	(void)io;
	n_done++;
}

static void the_end_of_a_request_comes_first(void **state)
{
	struct fake fake = { 0 };
	struct sonde_io *held = NULL;
	uint8_t bytes[2];
	struct sonde_xfer x[2] = { { .addr = 16, .buf = bytes, .len = 1 },
				   { .addr = 32, .buf = bytes + 1, .len = 1 } };
	struct sonde_io io = { .xfers = x, .n = 1, .done = count_done };
	struct sonde_io other = { .xfers = x + 1, .n = 1, .done = count_done };
	struct sonde_select e[] = { { .kind = SONDE_SELECT_IO, .io = &other },
				    { .kind = SONDE_SELECT_IO, .io = &io } };
	struct chooser chooser = { .entries = e, .n = 2 }, second = { .entries = e + 1, .n = 1 };
	struct sonde_select copy = e[1];

	(void)state;
	n_done = 0;
	fake.submit = hold;
	fake.user = &held;
	fake_open(&fake, loop, 4096, SONDE_WAY_SUBMIT);
	assert_int_equal(sonde_loop_select(loop, e, 2) >= 0, 1); /* both idle */
	assert_int_equal(sonde_io_submit(fake.space, &io), 0);
	second.entries = &copy;
	start(&chooser);
	start(&second); /* two may wait for one */
	assert_ptr_equal(held, &io);
	assert_int_equal(join(&chooser), 0); /* the other was never sent */
	sonde_io_submit(fake.space, &other);
	start(&chooser);
	fake_serve(&fake, &io);
	space_host.io_done(&io);
	assert_int_equal(join(&chooser), 1);
	assert_int_equal(join(&second), 0);
	assert_int_equal(n_done, 1); /* the callback has run by then */
	assert_int_equal(io.result, 1);
	assert_null(io_core(&other)->watches);
	fake_serve(&fake, &other);
	space_host.io_done(&other);
	assert_int_equal(sonde_loop_select(loop, e, 1), 0);
	assert_int_equal(n_done, 2);
	fake_close(&fake);
}

static int awaits(struct sonde_task *self, void *arg)
{
	return sonde_task_await(self, arg);
}

/* Plain code, a task, and one that is cancelled meanwhile: all have it behind them in the end. */
static void await_sees_the_end_whatever_comes(void **state)
{
	struct fake fake = { 0 };
	struct sonde_io *held = NULL;
	uint8_t byte;
	struct sonde_xfer x = { .addr = 16, .buf = &byte, .len = 1 };
	struct sonde_io io = { .xfers = &x, .n = 1, .done = count_done };
	struct sonde_task *task;

	(void)state;
	n_done = 0;
	fake_open(&fake, loop, 4096, SONDE_WAY_SUBMIT);
	assert_int_equal(sonde_task_await(NULL, &io), 0); /* idle */
	sonde_io_submit(fake.space, &io);
	assert_int_equal(sonde_task_await(NULL, &io), 1);
	assert_int_equal(n_done, 1);
	fake.submit = hold;
	fake.user = &held;
	for (int cancelled = 0; cancelled < 3; cancelled++) {
		sonde_io_submit(fake.space, &io);
		sonde_task_spawn(loop, awaits, &io, &task);
		if (cancelled == 2)
			sonde_task_cancel(task); /* before it waits: the request is never sent */
		sonde_loop_turn(loop);
		if (cancelled == 1)
			sonde_task_cancel(task); /* while it waits: the request is in flight */
		sonde_loop_turn(loop);
		assert_int_equal(task->ended, cancelled == 2);
		if (cancelled < 2) {
			sonde_progress(&space_host, held, 0, 0, 1,
				       cancelled ? SONDE_E_CANCELLED : 0);
			space_host.io_done(held);
		}
		assert_int_equal(sonde_task_join(NULL, task), cancelled ? SONDE_E_CANCELLED : 1);
		assert_int_equal(n_done, 2 + cancelled);
		assert_int_equal(io.state, SONDE_IO_IDLE);
	}
	fake_close(&fake);
}

static void resubmit(struct sonde_io *io)
{
	if (n_done++ == 0)
		assert_int_equal(sonde_io_submit(io->user, io), 0);
}

static void a_request_that_begins_anew_has_ended_once(void **state)
{
	struct fake fake = { 0 };
	uint8_t byte;
	struct sonde_xfer x = { .addr = 16, .buf = &byte, .len = 1 };
	struct sonde_io io = { .xfers = &x, .n = 1, .done = resubmit };
	struct sonde_select e[] = { { .kind = SONDE_SELECT_IO, .io = &io } };

	(void)state;
	n_done = 0;
	fake_open(&fake, loop, 4096, SONDE_WAY_TRANSFER);
	io.user = fake.space;
	assert_int_equal(sonde_io_submit(fake.space, &io), 0);
	assert_int_equal(sonde_loop_select(loop, e, 1), 0);
	assert_int_equal(n_done, 1);
	assert_int_equal(sonde_loop_select(loop, e, 1), 0);
	assert_int_equal(n_done, 2);
	fake_close(&fake);
}

/* ---- closed channels -------------------------------------------------------------------------- */

static void a_closed_channel_is_told(void **state)
{
	int value = 1;
	struct sonde_select e[] = {
		{ .kind = SONDE_SELECT_TIME, .at_ns = FAR },
		{ .kind = SONDE_SELECT_RECV, .channel = a, .item = &value },
		{ .kind = SONDE_SELECT_SEND, .channel = b, .item = &value },
	};
	struct chooser chooser = { .entries = e, .n = 3 };

	(void)state;
	start(&chooser);
	sonde_channel_close(b);
	assert_int_equal(join(&chooser), 2);
	assert_int_equal(e[2].result, SONDE_E_CLOSED);
	e[2].kind = SONDE_SELECT_NONE;
	sonde_channel_close(a);
	assert_int_equal(sonde_loop_select(loop, e, 3), 1);
	assert_int_equal(e[1].result, SONDE_E_CLOSED);
	assert_int_equal(value, 1);
}

/* ---- one wins --------------------------------------------------------------------------------- */

/* Both come before the one that waits has run: it gets one, the other stays. */
static void the_second_is_not_taken(void **state)
{
	int first = 0, second = 0, value = 5;
	struct sonde_channel *c;

	(void)state;
	assert_int_equal(sonde_channel_create(loop, 1, sizeof(int), &c), 0);
	struct sonde_select e[] = {
		{ .kind = SONDE_SELECT_RECV, .channel = a, .item = &first },
		{ .kind = SONDE_SELECT_RECV, .channel = c, .item = &second },
		{ .kind = SONDE_SELECT_TIME, .at_ns = FAR },
	};
	struct chooser chooser = { .entries = e, .n = 3 };
	start(&chooser);
	assert_int_equal(sonde_channel_try_send(c, &value), 1);
	assert_int_equal(sonde_channel_try_send(a, &value), 1);
	assert_int_equal(sonde_channel_count(c), 0);
	assert_int_equal(sonde_channel_count(a), 1);
	sonde_task_cancel(chooser.task); /* too late: it has its item */
	assert_int_equal(join(&chooser), 1);
	assert_int_equal(first, 0);
	assert_int_equal(second, 5);
	assert_int_equal(sonde_channel_try_recv(a, &value), 1);
	sonde_channel_destroy(c);
}

/* Send and receive on the same rendezvous: never with itself, once with another. */
static void two_that_would_do_either_meet(void **state)
{
	int values[2] = { 10, 20 }, got[2] = { 0, 0 };
	struct sonde_select e[2][2];
	struct chooser choosers[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		e[i][0] = (struct sonde_select){ .kind = SONDE_SELECT_SEND,
						 .channel = b,
						 .item = &values[i] };
		e[i][1] = (struct sonde_select){ .kind = SONDE_SELECT_RECV,
						 .channel = b,
						 .item = &got[i] };
		choosers[i] = (struct chooser){ .entries = e[i], .n = 2 };
		start(&choosers[i]);
		if (i == 0)
			assert_int_equal(choosers[0].first, -100);
	}
	int x = join(&choosers[0]), y = join(&choosers[1]);
	assert_int_equal(x + y, 1); /* one sent, one received */
	assert_int_equal(got[0], x == 1 ? 20 : 0);
	assert_int_equal(got[1], y == 1 ? 10 : 0);
}

static void one_channel_may_stand_there_twice(void **state)
{
	int got[2] = { 0, 0 }, value = 3;
	struct sonde_select e[] = { { .kind = SONDE_SELECT_RECV, .channel = b, .item = &got[0] },
				    { .kind = SONDE_SELECT_RECV, .channel = b, .item = &got[1] } };
	struct chooser chooser = { .entries = e, .n = 2 };

	(void)state;
	start(&chooser);
	assert_int_equal(sonde_channel_try_send(b, &value), 1);
	assert_int_equal(sonde_channel_try_send(b, &value), 0);
	int first = join(&chooser);
	assert_int_equal(got[first], 3);
	assert_int_equal(got[1 - first], 0);
}

static int times_out(struct sonde_task *self, void *arg)
{
	return sonde_task_timeout(self, sonde_now_ns() + 1000000, chooses, arg);
}

static void a_timeout_ends_it(void **state)
{
	int got;
	struct sonde_select e[] = { { .kind = SONDE_SELECT_TIME, .at_ns = FAR },
				    { .kind = SONDE_SELECT_RECV, .channel = a, .item = &got } };
	struct chooser chooser = { .entries = e, .n = 2 };

	(void)state;
	sonde_task_spawn(loop, times_out, &chooser, &chooser.task);
	assert_int_equal(join(&chooser), SONDE_E_TIMED_OUT);
}

static int in_cancelled(struct sonde_task *self, void *arg)
{
	sonde_task_cancel(self);
	return chooses(self, arg);
}

static void in_a_cancelled_task_nothing_happens(void **state)
{
	int got = 0, value = 1;
	struct sonde_select e[] = { { .kind = SONDE_SELECT_RECV, .channel = a, .item = &got } };
	struct chooser chooser = { .entries = e, .n = 1 };

	(void)state;
	sonde_channel_try_send(a, &value);
	sonde_task_spawn(loop, in_cancelled, &chooser, &chooser.task);
	assert_int_equal(join(&chooser), SONDE_E_CANCELLED);
	assert_int_equal(got, 0);
	assert_int_equal(sonde_channel_count(a), 1);
}

/* ---- fairness ----------------------------------------------------------------------------------- */

/* Each is there every time; each must get its turn, also beside another select in step. */
static void none_of_many_starves(void **state)
{
	enum { N = 8, ROUNDS = 4000 };
	struct sonde_select e[N], twin[2];
	int n_first[N] = { 0 }, n_twin[2] = { 0 };

	(void)state;
	for (int i = 0; i < N; i++)
		e[i] = (struct sonde_select){ .kind = SONDE_SELECT_TIME, .at_ns = 1 };
	twin[0] = twin[1] = e[0];
	for (int i = 0; i < ROUNDS; i++) {
		n_first[sonde_loop_select(loop, e, N)]++;
		n_twin[sonde_loop_select(loop, twin, 2)]++;
	}
	for (int i = 0; i < N; i++)
		assert_in_range(n_first[i], ROUNDS / N / 2, ROUNDS / N * 2);
	assert_in_range(n_twin[0], ROUNDS / 4, ROUNDS * 3 / 4);
}

/* ---- arguments ---------------------------------------------------------------------------------- */

static void bad_entries_are_refused_and_nothing_done(void **state)
{
	int value = 0;
	struct sonde_task *detached, *other;
	struct sonde_loop *foreign = loop_new(SONDE_ENGINE_SYNC, 0);
	struct sonde_channel *far;
	static struct sonde_select many[SONDE_SELECT_MAX + 1];

	(void)state;
	sonde_channel_create(foreign, 1, 4, &far);
	sonde_task_spawn(loop, sleeps_ms, (void *)1, &detached);
	sonde_task_detach(detached);
	sonde_task_spawn(foreign, sleeps_ms, NULL, &other);
	const struct sonde_select bad[] = {
		{ .kind = 99 },
		{ .kind = SONDE_SELECT_TASK },
		{ .kind = SONDE_SELECT_TASK, .task = detached },
		{ .kind = SONDE_SELECT_TASK, .task = other },
		{ .kind = SONDE_SELECT_IO },
		{ .kind = SONDE_SELECT_RECV },
		{ .kind = SONDE_SELECT_RECV, .channel = a },
		{ .kind = SONDE_SELECT_SEND, .channel = a },
		{ .kind = SONDE_SELECT_SEND, .channel = far, .item = &value },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct sonde_select e[] = {
			{ .kind = SONDE_SELECT_SEND, .channel = a, .item = &value }, bad[i]
		};
		assert_int_equal(sonde_loop_select(loop, e, 2), SONDE_E_BAD_ARG);
		assert_int_equal(sonde_channel_count(a), 0);
	}
	many[0] = (struct sonde_select){ .kind = SONDE_SELECT_TIME };
	assert_int_equal(sonde_loop_select(loop, many, SONDE_SELECT_MAX), 0);
	assert_int_equal(sonde_loop_select(loop, many, SONDE_SELECT_MAX + 1), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_loop_select(loop, many, 0), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_loop_select(loop, many + 1, 5), SONDE_E_BAD_ARG); /* all NONE */
	assert_int_equal(sonde_loop_select(loop, NULL, 1), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_task_select(NULL, many, 1), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_task_select(detached, many, 1), SONDE_E_BAD_ARG);
	sonde_loop_run(loop);
	sonde_loop_run(foreign);
	sonde_task_join(NULL, other);
	sonde_channel_destroy(far);
	sonde_loop_destroy(foreign);
}

static int selects_as_plain(struct sonde_task *self, void *arg)
{
	struct sonde_select e[] = { { .kind = SONDE_SELECT_TIME } };
	struct sonde_select me[] = { { .kind = SONDE_SELECT_TASK, .task = self } };

	(void)arg;
	assert_int_equal(sonde_task_select(self, me, 1), SONDE_E_BAD_ARG);
	return sonde_loop_select(loop, e, 1);
}

static void in_callback(struct sonde_timer *timer)
{
	struct sonde_select e[] = { { .kind = SONDE_SELECT_TIME } };

	*(int *)timer->user = sonde_loop_select(loop, e, 1);
}

static void plain_selects_are_for_plain_code(void **state)
{
	struct sonde_task *task;
	int r = 0;
	struct sonde_timer timer = { .fire = in_callback, .user = &r };

	(void)state;
	sonde_task_spawn(loop, selects_as_plain, NULL, &task);
	assert_int_equal(sonde_task_join(NULL, task), SONDE_E_BUSY);
	sonde_timer_start(loop, &timer);
	sonde_loop_run(loop);
	assert_int_equal(r, SONDE_E_BUSY);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(an_item_comes_first),
		TEST(what_is_there_needs_no_wait),
		TEST(a_place_for_an_item_comes_first),
		TEST(a_time_comes_first),
		TEST(the_end_of_a_task_comes_first),
		TEST(a_cancelled_select_leaves_the_task_alone),
		TEST(the_end_of_a_request_comes_first),
		TEST(await_sees_the_end_whatever_comes),
		TEST(a_request_that_begins_anew_has_ended_once),
		TEST(a_closed_channel_is_told),
		TEST(the_second_is_not_taken),
		TEST(two_that_would_do_either_meet),
		TEST(one_channel_may_stand_there_twice),
		TEST(a_timeout_ends_it),
		TEST(in_a_cancelled_task_nothing_happens),
		TEST(none_of_many_starves),
		TEST(bad_entries_are_refused_and_nothing_done),
		TEST(plain_selects_are_for_plain_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
