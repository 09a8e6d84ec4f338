/* SPDX-License-Identifier: MIT */
/* Tasks: spawn, join, detach, yield, sleep, many of them, and the one batch they make. */
#include <sonde/io.h>
#include <sonde/task.h>

#include "arch/paging.h"
#include "fake.h"
#include "io/loop.h"
#include "task/inside.h"

static int setup(void **state)
{
	*state = loop_new(SONDE_ENGINE_SYNC, 0);
	return 0;
}

static int teardown(void **state)
{
	sonde_loop_destroy(*state);
	return 0;
}

static int plus_one(struct sonde_task *task, void *arg)
{
	(void)task;
	return *(int *)arg + 1;
}

static void join_hands_back_the_result(void **state)
{
	struct sonde_task *task = NULL;
	int arg = 41;

	assert_int_equal(sonde_task_spawn(*state, plus_one, &arg, &task), 0);
	assert_int_equal(sonde_task_join(NULL, task), 42);
	assert_null(sonde_task_current(*state));
}

static void it_never_runs_inside_spawn_and_join_may_come_late(void **state)
{
	struct sonde_task *task;
	int arg = 1;

	sonde_task_spawn(*state, plus_one, &arg, &task);
	arg = 6;
	sonde_loop_run(*state);
	arg = 0;
	assert_int_equal(sonde_task_join(NULL, task), 7);
}

static int flag_it(struct sonde_task *task, void *arg)
{
	assert_ptr_equal(sonde_task_current(*(struct sonde_loop **)arg), task);
	*(struct sonde_loop **)arg = NULL;
	return 0;
}

static void a_detached_one_frees_itself(void **state)
{
	struct sonde_loop *a = *state, *b = *state, *c = *state;
	struct sonde_task *task;

	sonde_task_spawn(*state, flag_it, &a, NULL);
	sonde_task_spawn(*state, flag_it, &b, &task);
	sonde_task_detach(task);
	sonde_task_spawn(*state, flag_it, &c, &task);
	sonde_loop_run(*state);
	sonde_task_detach(task);
	assert_true(!a && !b && !c);
}

struct pair {
	struct sonde_task *other;
	int order;
};

static int join_other(struct sonde_task *task, void *arg)
{
	struct pair *pair = arg;

	assert_int_equal(sonde_task_join(task, task), SONDE_E_BAD_ARG);
	int r = sonde_task_join(task, pair->other);
	return r * 10;
}

static int sleepy(struct sonde_task *task, void *arg)
{
	(void)arg;
	sonde_task_sleep_until(task, sonde_now_ns() + 1000000);
	return 5;
}

static void a_task_joins_a_task(void **state)
{
	struct pair pair = { 0 };
	struct sonde_task *joiner;

	sonde_task_spawn(*state, join_other, &pair, &joiner);
	sonde_task_spawn(*state, sleepy, NULL, &pair.other);
	assert_int_equal(sonde_task_join(NULL, joiner), 50);
}

static int detach_other(struct sonde_task *task, void *arg)
{
	sonde_task_yield(task);
	sonde_task_detach(*(struct sonde_task **)arg);
	return 0;
}

static void detach_leaves_a_joined_task_to_its_joiner(void **state)
{
	struct sonde_task *task;

	sonde_task_spawn(*state, sleepy, NULL, &task);
	sonde_task_spawn(*state, detach_other, &task, NULL);
	assert_int_equal(sonde_task_join(NULL, task), 5);
}

static int blocks_on_loop(struct sonde_task *task, void *arg)
{
	struct sonde_task *other = *(struct sonde_task **)arg;

	(void)task;
	return sonde_task_join(NULL, other);
}

static void joining_as_plain_code_inside_a_task_is_refused(void **state)
{
	struct sonde_task *other, *task;

	sonde_task_spawn(*state, sleepy, NULL, &other);
	sonde_task_spawn(*state, blocks_on_loop, &other, &task);
	assert_int_equal(sonde_task_join(NULL, task), SONDE_E_BUSY);
	assert_int_equal(sonde_task_join(NULL, other), 5);
}

/* Whoever is not the task that runs cannot be suspended. */
static int suspends_another(struct sonde_task *task, void *arg)
{
	struct sonde_task *other = *(struct sonde_task **)arg;

	assert_int_equal(sonde_task_yield(other), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_task_sleep_until(other, 1), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_task_join(other, task), SONDE_E_BAD_ARG);
	return 0;
}

static void only_the_running_task_is_suspended(void **state)
{
	struct fake fake = { 0 };
	struct sonde_task *task, *other;
	uint8_t byte;
	struct sonde_xfer x = { 0, &byte, 1, 0, 0, 0 };

	fake_open(&fake, *state, 4096, SONDE_WAY_TRANSFER);
	sonde_task_spawn(*state, sleepy, NULL, &other);
	sonde_task_spawn(*state, suspends_another, &other, &task);
	assert_int_equal(sonde_task_yield(other), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_task_read(NULL, fake.space, &x, 1), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_task_write(other, fake.space, &x, 1), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_task_join(NULL, task), 0);
	assert_int_equal(sonde_task_join(NULL, other), 5);
	fake_close(&fake);
}

static char trace[64];
static size_t n_trace;

static int tracer(struct sonde_task *task, void *arg)
{
	for (int i = 0; i < 3; i++) {
		trace[n_trace++] = *(char *)arg;
		assert_int_equal(sonde_task_yield(task), 0);
	}
	return 0;
}

static void yield_lets_the_others_run(void **state)
{
	char names[] = "abc";

	n_trace = 0;
	memset(trace, 0, sizeof(trace));
	for (int i = 0; i < 3; i++)
		sonde_task_spawn(*state, tracer, &names[i], NULL);
	sonde_loop_run(*state);
	assert_string_equal(trace, "abcabcabc");
}

static int sleeper(struct sonde_task *task, void *arg)
{
	uint64_t at = sonde_now_ns() + (uint64_t)(*(char *)arg - 'a') * 2000000;

	assert_int_equal(sonde_task_sleep_until(task, at), 0);
	assert_true(sonde_now_ns() >= at);
	trace[n_trace++] = *(char *)arg;
	return 0;
}

static void sleepers_wake_in_order(void **state)
{
	char names[] = "dbca";

	n_trace = 0;
	memset(trace, 0, sizeof(trace));
	for (int i = 0; i < 4; i++)
		sonde_task_spawn(*state, sleeper, &names[i], NULL);
	sonde_loop_run(*state);
	assert_string_equal(trace, "abcd");
}

/* ---- batching ---------------------------------------------------------------------------- */

struct reader {
	struct sonde_space *space;
	uint64_t addr;
	uint8_t got[8];
	int result;
};

static int read_one(struct sonde_task *task, void *arg)
{
	struct reader *reader = arg;
	struct sonde_xfer x = { .addr = reader->addr, .buf = reader->got, .len = 8 };

	reader->result = sonde_task_read(task, reader->space, &x, 1);
	return 0;
}

static void reads_of_parked_tasks_leave_as_one_batch(void **state)
{
	enum { N = 500 };
	static struct reader readers[N];
	struct fake fake = { 0 };
	struct sonde_space_stats stats;

	fake_open(&fake, *state, 1 << 20, SONDE_WAY_TRANSFER);
	for (int i = 0; i < N; i++) {
		readers[i] = (struct reader){ .space = fake.space, .addr = (uint64_t)i * 1024 };
		sonde_task_spawn(*state, read_one, &readers[i], NULL);
	}
	sonde_loop_run(*state);
	sonde_space_stats(fake.space, &stats);
	assert_int_equal(stats.trips, 1);
	assert_int_equal(stats.pieces, N);
	assert_int_equal(fake.calls, 1);
	for (int i = 0; i < N; i++) {
		assert_int_equal(readers[i].result, 1);
		assert_int_equal(readers[i].got[7], fake_byte((uint64_t)i * 1024 + 7));
	}
	fake_close(&fake);
}

/* A 4-level table at base that maps the 4 KiB page at va 0 to page. */
static void map_one(uint8_t *mem, uint64_t base, uint64_t page)
{
	for (uint64_t level = 0; level < 4; level++) {
		uint64_t to = level < 3 ? base + (level + 1) * 4096 : page;
		uint64_t entry = to | 3;
		memset(mem + base + level * 4096, 0, 4096);
		memcpy(mem + base + level * 4096, &entry, 8);
	}
}

static void spaces_over_one_memory_share_their_trips(void **state)
{
	enum { SPACES = 20 };
	struct reader readers[SPACES];
	struct sonde_space *spaces[SPACES];
	struct fake fake = { 0 };
	struct sonde_space_stats stats;

	fake_open(&fake, *state, 1 << 20, SONDE_WAY_TRANSFER);
	for (int i = 0; i < SPACES; i++) {
		uint64_t root = 0x10000 + (uint64_t)i * 0x8000, page = root + 0x4000;
		map_one(fake.bytes, root, page);
		assert_int_equal(
			paging_space(fake.space, paging_map(paging_x86_64(4), root), 0, &spaces[i]),
			0);
		readers[i] = (struct reader){ .space = spaces[i], .addr = 0x100 };
		sonde_task_spawn(*state, read_one, &readers[i], NULL);
	}
	sonde_loop_run(*state);
	sonde_space_stats(fake.space, &stats);
	assert_int_equal(stats.trips, 5); /* one a level, one for the bytes */
	for (int i = 0; i < SPACES; i++) {
		uint64_t page = 0x10000 + (uint64_t)i * 0x8000 + 0x4000;
		assert_int_equal(readers[i].result, 1);
		assert_memory_equal(readers[i].got, fake.bytes + page + 0x100, 8);
		sonde_space_close(spaces[i]);
	}
	fake_close(&fake);
}

static int yield_until(struct sonde_task *task, void *arg)
{
	while (*(volatile int *)arg != 1)
		sonde_task_yield(task);
	return 0;
}

/* A task that yields without end must not keep the reads of the others from leaving. */
static void endless_yields_do_not_hold_back_reads(void **state)
{
	struct fake fake = { 0 };
	struct reader reader = { 0 };

	fake_open(&fake, *state, 4096, SONDE_WAY_TRANSFER);
	reader.space = fake.space;
	sonde_task_spawn(*state, yield_until, &reader.result, NULL);
	sonde_task_spawn(*state, read_one, &reader, NULL);
	sonde_loop_run(*state);
	assert_int_equal(reader.result, 1);
	fake_close(&fake);
}

/* ---- stacks --------------------------------------------------------------------------------- */

static int nap(struct sonde_task *task, void *arg)
{
	sonde_task_yield(task);
	++*(int *)arg;
	return 0;
}

/* ThreadSanitizer maps memory of its own for each stack and runs out of maps before ten thousand. */
#ifdef TASK_TSAN
#define MANY 1000
#else
#define MANY 10000
#endif

static void thousands_live_at_once(void **state)
{
	int ended = 0;

	for (int i = 0; i < MANY; i++)
		assert_int_equal(sonde_task_spawn(*state, nap, &ended, NULL), 0);
	sonde_loop_run(*state);
	assert_int_equal(ended, MANY);
}

static void stacks_are_used_again(void **state)
{
	struct sonde_loop *loop = *state;
	int ended = 0;

	for (int i = 0; i < 30000; i++) {
		assert_int_equal(sonde_task_spawn(loop, nap, &ended, NULL), 0);
		sonde_loop_run(loop);
	}
	assert_int_equal(ended, 30000);
	assert_int_equal(loop->tasks->pool.n_warm, 1);
}

static __attribute__((noinline)) int deep(struct sonde_task *task, int depth)
{
	volatile char frame[256];

	memset((char *)frame, depth, sizeof(frame));
	if (depth)
		deep(task, depth - 1);
	else
		sonde_task_yield(task);
	for (size_t i = 0; i < sizeof(frame); i++)
		assert_int_equal((unsigned char)frame[i], (unsigned char)depth);
	return 0;
}

static int go_deep(struct sonde_task *task, void *arg)
{
	return deep(task, *(int *)arg);
}

static void frames_survive_a_switch(void **state)
{
	int depth = 40;

	for (int i = 0; i < 20; i++)
		sonde_task_spawn(*state, go_deep, &depth, NULL);
	sonde_loop_run(*state);
}

static double sum_with(struct sonde_task *task, double start)
{
	double a = start, b = start * 2, c = start * 3, d = start * 5;

	for (int i = 0; i < 100; i++) {
		a += 1.5;
		b += a;
		c += b;
		d += c;
		sonde_task_yield(task);
	}
	return a + b + c + d;
}

static int float_task(struct sonde_task *task, void *arg)
{
	double *value = arg;

	*value = sum_with(task, *value);
	return 0;
}

static void floating_point_survives_a_switch(void **state)
{
	double values[16], alone[16];

	for (int i = 0; i < 16; i++) {
		alone[i] = i + 0.25;
		sonde_task_spawn(*state, float_task, &alone[i], NULL);
		sonde_loop_run(*state);
	}
	for (int i = 0; i < 16; i++) {
		values[i] = i + 0.25;
		sonde_task_spawn(*state, float_task, &values[i], NULL);
	}
	sonde_loop_run(*state);
	for (int i = 0; i < 16; i++)
		assert_true(values[i] == alone[i]);
}

static void a_loop_that_saw_no_task_is_destroyed(void **state)
{
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);

	(void)state;
	assert_int_equal(sonde_loop_run(loop), 0);
	sonde_loop_destroy(loop);
	sonde_loop_destroy(NULL);
}

/* A callback is not a task, even while tasks exist: it may not block. */
static int n_busy;

static void callback_reads(struct sonde_io *io)
{
	struct fake *fake = io->user;
	uint8_t byte;

	assert_null(sonde_task_current(fake->loop));
	if (sonde_space_get(fake->space, 0, &byte, 1) == SONDE_E_BUSY)
		n_busy++;
}

static void a_callback_that_would_block_is_told_busy(void **state)
{
	struct fake fake = { 0 };
	struct reader reader = { .addr = 16 };
	uint8_t byte;
	struct sonde_xfer x = { .buf = &byte, .len = 1 };
	struct sonde_io io = { .xfers = &x, .n = 1, .done = callback_reads, .user = &fake };

	fake_open(&fake, *state, 4096, SONDE_WAY_TRANSFER);
	reader.space = fake.space;
	n_busy = 0;
	sonde_task_spawn(*state, read_one, &reader, NULL);
	assert_int_equal(sonde_io_submit(fake.space, &io), 0);
	sonde_loop_run(*state);
	assert_int_equal(n_busy, 1);
	assert_int_equal(reader.result, 1);
	fake_close(&fake);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(join_hands_back_the_result),
		TEST(it_never_runs_inside_spawn_and_join_may_come_late),
		TEST(a_detached_one_frees_itself),
		TEST(a_task_joins_a_task),
		TEST(detach_leaves_a_joined_task_to_its_joiner),
		TEST(joining_as_plain_code_inside_a_task_is_refused),
		TEST(only_the_running_task_is_suspended),
		TEST(yield_lets_the_others_run),
		TEST(sleepers_wake_in_order),
		TEST(reads_of_parked_tasks_leave_as_one_batch),
		TEST(spaces_over_one_memory_share_their_trips),
		TEST(endless_yields_do_not_hold_back_reads),
		TEST(thousands_live_at_once),
		TEST(stacks_are_used_again),
		TEST(frames_survive_a_switch),
		TEST(floating_point_survives_a_switch),
		TEST(a_loop_that_saw_no_task_is_destroyed),
		TEST(a_callback_that_would_block_is_told_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
