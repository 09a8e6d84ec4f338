/* SPDX-License-Identifier: MIT */
/* Channels: order, back-pressure, rendezvous, closing, and those who give up waiting. */
#include <sonde/channel.h>

#include "fake.h"
#include "io/loop.h"

static struct sonde_loop *loop;
static struct sonde_channel *channel;

static int setup(void **state)
{
	(void)state;
	loop = loop_new(SONDE_ENGINE_SYNC, 0);
	channel = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	int left = loop->n_tasks || loop->n_timers || loop->n_inflight;

	sonde_channel_destroy(channel);
	sonde_loop_destroy(loop);
	return left;
}

static void open_channel(size_t capacity)
{
	assert_int_equal(sonde_channel_create(loop, capacity, sizeof(int), &channel), 0);
}

/* ---- without waiting ------------------------------------------------------------------------ */

static void items_come_out_as_they_went_in(void **state)
{
	int in = 0, out = 0, value = -1;

	(void)state;
	open_channel(3);
	assert_int_equal(sonde_channel_try_recv(channel, &value), 0);
	assert_int_equal(value, -1);
	/* In steps of two and one, so that the ring goes round. */
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 2; i++, in++)
			assert_int_equal(sonde_channel_try_send(channel, &in), 1);
		for (int i = 0; i < 1 + round % 2 * 2 && out < in; i++, out++) {
			assert_int_equal(sonde_channel_try_recv(channel, &value), 1);
			assert_int_equal(value, out);
		}
		assert_int_equal(sonde_channel_count(channel), in - out);
		while (sonde_channel_count(channel) > 1) {
			assert_int_equal(sonde_channel_try_recv(channel, &value), 1);
			assert_int_equal(value, out++);
		}
	}
}

static void a_full_one_takes_no_more(void **state)
{
	int value = 1;

	(void)state;
	open_channel(2);
	assert_int_equal(sonde_channel_try_send(channel, &value), 1);
	assert_int_equal(sonde_channel_try_send(channel, &value), 1);
	assert_int_equal(sonde_channel_try_send(channel, &value), 0);
	assert_int_equal(sonde_channel_count(channel), 2);
}

static void a_closed_one_is_drained_first(void **state)
{
	int value = 5;

	(void)state;
	open_channel(2);
	sonde_channel_try_send(channel, &value);
	sonde_channel_close(channel);
	sonde_channel_close(channel);
	assert_int_equal(sonde_channel_try_send(channel, &value), SONDE_E_CLOSED);
	assert_int_equal(sonde_channel_send(NULL, channel, &value), SONDE_E_CLOSED);
	value = 0;
	assert_int_equal(sonde_channel_recv(NULL, channel, &value), 0);
	assert_int_equal(value, 5);
	assert_int_equal(sonde_channel_recv(NULL, channel, &value), SONDE_E_CLOSED);
	assert_int_equal(sonde_channel_try_recv(channel, &value), SONDE_E_CLOSED);
	assert_int_equal(value, 5);
}

static void bad_arguments_are_refused(void **state)
{
	struct sonde_channel *none = NULL;

	(void)state;
	open_channel(1);
	assert_int_equal(sonde_channel_try_send(channel, NULL), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_channel_try_recv(channel, NULL), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_channel_send(NULL, channel, NULL), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_channel_recv(NULL, channel, NULL), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_channel_create(loop, SIZE_MAX, 2, &none), SONDE_E_NO_MEMORY);
	assert_int_equal(sonde_channel_create(loop, SIZE_MAX, 1, &none), SONDE_E_NO_MEMORY);
	assert_int_equal(sonde_channel_create(loop, SIZE_MAX, 0, &none), SONDE_E_NO_MEMORY);
	assert_null(none);
	sonde_channel_destroy(NULL);
}

static void items_may_be_nothing_at_all(void **state)
{
	(void)state;
	assert_int_equal(sonde_channel_create(loop, 2, 0, &channel), 0);
	assert_int_equal(sonde_channel_try_send(channel, NULL), 1);
	assert_int_equal(sonde_channel_send(NULL, channel, NULL), 0);
	assert_int_equal(sonde_channel_try_send(channel, NULL), 0);
	assert_int_equal(sonde_channel_count(channel), 2);
	assert_int_equal(sonde_channel_recv(NULL, channel, NULL), 0);
	assert_int_equal(sonde_channel_try_recv(channel, NULL), 1);
	assert_int_equal(sonde_channel_try_recv(channel, NULL), 0);
}

/* ---- with waiting --------------------------------------------------------------------------- */

struct party {
	struct sonde_task *task;
	int first, n; /* sends first, first + 1, ...; receives n, or until it is closed */
	int got[64], n_got;
	int result;
};

static int sends(struct sonde_task *self, void *arg)
{
	struct party *party = arg;

	for (int i = 0; i < party->n; i++) {
		int value = party->first + i;
		party->result = sonde_channel_send(self, channel, &value);
		if (party->result < 0)
			break;
		party->n_got++;
	}
	return party->result;
}

static int receives(struct sonde_task *self, void *arg)
{
	struct party *party = arg;

	while (party->n_got < party->n) {
		int value = -1;
		party->result = sonde_channel_recv(self, channel, &value);
		if (party->result < 0)
			break;
		party->got[party->n_got++] = value;
	}
	return party->result;
}

static void start(struct party *party, sonde_task_fn *fn)
{
	assert_int_equal(sonde_task_spawn(loop, fn, party, &party->task), 0);
}

static int join(struct party *party)
{
	return sonde_task_join(NULL, party->task);
}

static void each_capacity_passes_all_in_order(void **state)
{
	(void)state;
	for (size_t capacity = 0; capacity < 5; capacity++) {
		for (int sender_first = 0; sender_first < 2; sender_first++) {
			struct party sender = { .first = 100, .n = 50 }, receiver = { .n = 50 };
			open_channel(capacity);
			if (sender_first)
				start(&sender, sends);
			start(&receiver, receives);
			if (!sender_first)
				start(&sender, sends);
			assert_int_equal(join(&sender), 0);
			assert_int_equal(join(&receiver), 0);
			for (int i = 0; i < 50; i++)
				assert_int_equal(receiver.got[i], 100 + i);
			sonde_channel_destroy(channel);
			channel = NULL;
		}
	}
}

/* No more is produced than somebody takes, plus what fits. */
static void a_full_one_holds_the_sender_back(void **state)
{
	(void)state;
	for (size_t capacity = 0; capacity < 4; capacity++) {
		struct party sender = { .first = 0, .n = 10 };
		int value;
		open_channel(capacity);
		start(&sender, sends);
		sonde_loop_turn(loop);
		for (int taken = 0; taken < 10; taken++) {
			int sent = taken + (int)capacity;
			assert_int_equal(sender.n_got, sent < 10 ? sent : 10);
			assert_int_equal(sonde_channel_try_recv(channel, &value), 1);
			assert_int_equal(value, taken);
			sonde_loop_turn(loop);
		}
		assert_int_equal(join(&sender), 0);
		assert_int_equal(sonde_channel_try_recv(channel, &value), 0);
		sonde_channel_destroy(channel);
		channel = NULL;
	}
}

static void whoever_waits_longest_comes_first(void **state)
{
	struct party parties[5];

	(void)state;
	open_channel(1);
	for (int i = 0; i < 5; i++) {
		parties[i] = (struct party){ .n = 2 };
		start(&parties[i], receives);
	}
	sonde_loop_turn(loop);
	/* Before any of them has run: one each, one that fits, and no more. */
	for (int i = 0; i < 6; i++)
		assert_int_equal(sonde_channel_try_send(channel, &i), 1);
	assert_int_equal(sonde_channel_try_send(channel, &(int){ 6 }), 0);
	for (int i = 6; i < 10; i++)
		assert_int_equal(sonde_channel_send(NULL, channel, &i), 0);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(join(&parties[i]), 0);
		assert_int_equal(parties[i].got[0], i);
		assert_int_equal(parties[i].got[1], i + 5);
	}
}

static void senders_wait_in_line_too(void **state)
{
	struct party parties[5];
	int value;

	(void)state;
	open_channel(2);
	for (int i = 0; i < 5; i++) {
		parties[i] = (struct party){ .first = i, .n = 1 };
		start(&parties[i], sends);
	}
	sonde_loop_turn(loop);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(sonde_channel_try_recv(channel, &value), 1);
		assert_int_equal(value, i);
	}
	for (int i = 0; i < 5; i++)
		assert_int_equal(join(&parties[i]), 0);
}

static void closing_tells_all_who_wait(void **state)
{
	struct party senders[3], receivers[3];

	(void)state;
	open_channel(0);
	for (int i = 0; i < 3; i++) {
		senders[i] = (struct party){ .n = 9 };
		start(&senders[i], sends);
	}
	sonde_loop_turn(loop);
	sonde_channel_close(channel);
	for (int i = 0; i < 3; i++)
		assert_int_equal(join(&senders[i]), SONDE_E_CLOSED);
	sonde_channel_destroy(channel);
	open_channel(4);
	for (int i = 0; i < 3; i++) {
		receivers[i] = (struct party){ .n = 9 };
		start(&receivers[i], receives);
	}
	sonde_loop_turn(loop);
	/* Those who wait are told even when it is freed at once. */
	sonde_channel_destroy(channel);
	channel = NULL;
	for (int i = 0; i < 3; i++)
		assert_int_equal(join(&receivers[i]), SONDE_E_CLOSED);
}

static void close_lets_receivers_drain_what_was_sent(void **state)
{
	struct party sender = { .n = 3 }, receiver = { .n = 9 };

	(void)state;
	open_channel(3);
	start(&sender, sends);
	assert_int_equal(join(&sender), 0);
	sonde_channel_close(channel);
	start(&receiver, receives);
	assert_int_equal(join(&receiver), SONDE_E_CLOSED);
	assert_int_equal(receiver.n_got, 3);
}

/* ---- plain code and callbacks ----------------------------------------------------------------- */

static void plain_code_pumps_meanwhile(void **state)
{
	struct party sender = { .first = 7, .n = 20 }, receiver = { .n = 20 };
	int value = 0;

	(void)state;
	open_channel(0);
	start(&sender, sends);
	for (int i = 0; i < 20; i++) {
		assert_int_equal(sonde_channel_recv(NULL, channel, &value), 0);
		assert_int_equal(value, 7 + i);
	}
	start(&receiver, receives);
	for (int i = 0; i < 20; i++)
		assert_int_equal(sonde_channel_send(NULL, channel, &i), 0);
	assert_int_equal(join(&sender), 0);
	assert_int_equal(join(&receiver), 0);
	assert_int_equal(receiver.got[19], 19);
}

static void from_callback(struct sonde_timer *timer)
{
	int value = 3;

	assert_int_equal(sonde_channel_send(NULL, channel, &value), SONDE_E_BUSY);
	assert_int_equal(sonde_channel_recv(NULL, channel, &value), SONDE_E_BUSY);
	assert_int_equal(sonde_channel_try_send(channel, &value), 1);
	*(int *)timer->user = 1;
}

static void callbacks_only_try(void **state)
{
	int fired = 0, value = 0;
	struct sonde_timer timer = { .fire = from_callback, .user = &fired };

	(void)state;
	open_channel(1);
	sonde_timer_start(loop, &timer);
	assert_int_equal(sonde_channel_recv(NULL, channel, &value), 0);
	assert_int_equal(value, 3);
	assert_int_equal(fired, 1);
}

static int as_another(struct sonde_task *self, void *arg)
{
	int value = 0;

	(void)self;
	assert_int_equal(sonde_channel_send(arg, channel, &value), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_channel_recv(arg, channel, &value), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_channel_recv(NULL, channel, &value), SONDE_E_BUSY);
	return 0;
}

static void only_the_running_task_waits(void **state)
{
	struct party party = { .n = 1 };
	struct sonde_task *task;
	struct sonde_loop *other = loop_new(SONDE_ENGINE_SYNC, 0);
	struct sonde_channel *foreign;
	int value = 1;

	(void)state;
	open_channel(1);
	start(&party, receives);
	sonde_task_spawn(loop, as_another, party.task, &task);
	assert_int_equal(sonde_task_join(NULL, task), 0);
	assert_int_equal(sonde_channel_create(other, 0, 4, &foreign), 0);
	struct sonde_channel *own = channel;
	channel = foreign;
	struct party stranger = { .n = 1 };
	start(&stranger, receives);
	assert_int_equal(join(&stranger), SONDE_E_BAD_ARG);
	channel = own;
	sonde_channel_try_send(channel, &value);
	assert_int_equal(join(&party), 0);
	sonde_channel_destroy(foreign);
	sonde_loop_destroy(other);
}

/* ---- giving up ------------------------------------------------------------------------------ */

static void whoever_is_cancelled_takes_nothing(void **state)
{
	struct party parties[4];
	int value = 42;

	(void)state;
	open_channel(0);
	for (int i = 0; i < 4; i++) {
		parties[i] = (struct party){ .n = 1 };
		start(&parties[i], receives);
	}
	sonde_loop_turn(loop);
	sonde_task_cancel(parties[0].task); /* the first, one in the middle, the last */
	sonde_task_cancel(parties[2].task);
	sonde_task_cancel(parties[3].task);
	assert_int_equal(sonde_channel_try_send(channel, &value), 1);
	assert_int_equal(sonde_channel_try_send(channel, &value), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(join(&parties[i]), i == 1 ? 0 : SONDE_E_CANCELLED);
	assert_int_equal(parties[1].got[0], 42);
	/* And nobody is left in line. */
	struct party late = { .n = 1 };
	start(&late, receives);
	sonde_loop_turn(loop);
	assert_int_equal(sonde_channel_try_send(channel, &value), 1);
	assert_int_equal(join(&late), 0);
}

static void what_was_handed_over_is_not_lost(void **state)
{
	struct party party = { .n = 5 };
	int value = 42;

	(void)state;
	open_channel(0);
	start(&party, receives);
	sonde_loop_turn(loop);
	assert_int_equal(sonde_channel_try_send(channel, &value), 1);
	sonde_task_cancel(party.task); /* it has it, and has not run yet */
	assert_int_equal(join(&party), SONDE_E_CANCELLED);
	assert_int_equal(party.n_got, 1);
	assert_int_equal(party.got[0], 42);
}

static void a_sender_that_gave_up_has_not_sent(void **state)
{
	struct party a = { .first = 1, .n = 1 }, b = { .first = 2, .n = 1 };
	int value;

	(void)state;
	open_channel(0);
	start(&a, sends);
	start(&b, sends);
	sonde_loop_turn(loop);
	sonde_task_cancel(a.task);
	assert_int_equal(sonde_channel_try_recv(channel, &value), 1);
	assert_int_equal(value, 2);
	assert_int_equal(sonde_channel_try_recv(channel, &value), 0);
	assert_int_equal(join(&a), SONDE_E_CANCELLED);
	assert_int_equal(join(&b), 0);
}

static int receives_in_time(struct sonde_task *self, void *arg)
{
	int r = sonde_task_timeout(self, sonde_now_ns() + 1000000, receives, arg);

	assert_int_equal(sonde_task_check(self), 0);
	return r;
}

static void a_receive_times_out(void **state)
{
	struct party party = { .n = 1 };
	int value = 1;

	(void)state;
	open_channel(0);
	start(&party, receives_in_time);
	assert_int_equal(join(&party), SONDE_E_TIMED_OUT);
	assert_int_equal(sonde_channel_try_send(channel, &value), 0);
}

static int cancelled_moves_nothing(struct sonde_task *self, void *arg)
{
	int value = 9;

	(void)arg;
	sonde_task_cancel(self);
	assert_int_equal(sonde_channel_send(self, channel, &value), SONDE_E_CANCELLED);
	assert_int_equal(sonde_channel_recv(self, channel, &value), SONDE_E_CANCELLED);
	assert_int_equal(value, 9);
	return 0;
}

static void in_a_cancelled_task_nothing_moves(void **state)
{
	struct sonde_task *task;
	int value = 1;

	(void)state;
	open_channel(2);
	sonde_channel_try_send(channel, &value);
	sonde_task_spawn(loop, cancelled_moves_nothing, NULL, &task);
	assert_int_equal(sonde_task_join(NULL, task), 0);
	assert_int_equal(sonde_channel_count(channel), 1);
}

/* ---- many ------------------------------------------------------------------------------------ */

static void many_to_many_lose_and_double_nothing(void **state)
{
	enum { N = 40, EACH = 50 };
	static struct party senders[N], receivers[N];
	static bool seen[N * EACH];

	(void)state;
	for (size_t capacity = 0; capacity < 20; capacity += 7) {
		memset(seen, 0, sizeof(seen));
		open_channel(capacity);
		for (int i = 0; i < N; i++) {
			senders[i] = (struct party){ .first = i * EACH, .n = EACH };
			receivers[i] = (struct party){ .n = EACH };
			start(&senders[i], sends);
			start(&receivers[i], receives);
		}
		for (int i = 0; i < N; i++) {
			assert_int_equal(join(&senders[i]), 0);
			assert_int_equal(join(&receivers[i]), 0);
			for (int k = 0; k < EACH; k++) {
				assert_false(seen[receivers[i].got[k]]);
				seen[receivers[i].got[k]] = true;
			}
		}
		sonde_channel_destroy(channel);
		channel = NULL;
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(items_come_out_as_they_went_in),
		TEST(a_full_one_takes_no_more),
		TEST(a_closed_one_is_drained_first),
		TEST(bad_arguments_are_refused),
		TEST(items_may_be_nothing_at_all),
		TEST(each_capacity_passes_all_in_order),
		TEST(a_full_one_holds_the_sender_back),
		TEST(whoever_waits_longest_comes_first),
		TEST(senders_wait_in_line_too),
		TEST(closing_tells_all_who_wait),
		TEST(close_lets_receivers_drain_what_was_sent),
		TEST(plain_code_pumps_meanwhile),
		TEST(callbacks_only_try),
		TEST(only_the_running_task_waits),
		TEST(whoever_is_cancelled_takes_nothing),
		TEST(what_was_handed_over_is_not_lost),
		TEST(a_sender_that_gave_up_has_not_sent),
		TEST(a_receive_times_out),
		TEST(in_a_cancelled_task_nothing_moves),
		TEST(many_to_many_lose_and_double_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
