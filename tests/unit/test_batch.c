/* SPDX-License-Identifier: MIT */
/* Gathered reads: several spaces at once, errors to their owners, tasks, callbacks, using it again. */
#include <sonde/batch.h>
#include <sonde/io.h>
#include <sonde/task.h>

#include "fake.h"

struct fixture {
	struct sonde_loop *loop;
	struct sonde_batch *batch;
	struct fake fakes[3]; /* one of each way */
};

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	f.loop = loop_new(SONDE_ENGINE_SYNC, 0);
	f.batch = sonde_batch_create(f.loop);
	for (int i = 0; i < 3; i++)
		fake_open(&f.fakes[i], f.loop, 65536, 1u << i);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	sonde_batch_destroy(f->batch);
	for (int i = 0; i < 3; i++)
		fake_close(&f->fakes[i]);
	sonde_loop_destroy(f->loop);
	return 0;
}

static void nothing_added_reads_nothing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(sonde_batch_run(f->batch), 0);
	sonde_batch_destroy(NULL);
}

static void a_space_of_another_loop_is_refused(void **state)
{
	struct fixture *f = *state;
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);
	struct fake other = { 0 };
	uint8_t byte;

	fake_open(&other, loop, 4096, SONDE_WAY_TRANSFER);
	assert_int_equal(sonde_batch_add(f->batch, other.space, 0, &byte, 1, NULL),
			 SONDE_E_BAD_ARG);
	assert_int_equal(sonde_batch_run(f->batch), 0);
	fake_close(&other);
	sonde_loop_destroy(loop);
}

static void bad_arguments_are_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t byte;

	assert_int_equal(sonde_batch_add(f->batch, NULL, 0, &byte, 1, NULL), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_batch_add(f->batch, f->fakes[0].space, 0, NULL, 1, NULL),
			 SONDE_E_BAD_ARG);
	assert_int_equal(sonde_batch_add(f->batch, f->fakes[0].space, 0, &byte, 0, NULL),
			 SONDE_E_BAD_ARG);
	assert_int_equal(
		sonde_batch_add(f->batch, f->fakes[0].space, 0, &byte, (size_t)0x80000000u, NULL),
		SONDE_E_BAD_ARG);
	assert_int_equal(sonde_batch_run(f->batch), 0);
}

/* Reads of three spaces in turn, every seventh outside. */
static int add_many(struct fixture *f, uint8_t *bytes, int32_t *errs, int n)
{
	int bad = 0;

	for (int i = 0; i < n; i++) {
		uint64_t addr = i % 7 ? (uint64_t)i * 16 % 65536 : 65536 + (uint64_t)i;
		bad += i % 7 == 0;
		assert_int_equal(sonde_batch_add(f->batch, f->fakes[i % 3].space, addr, &bytes[i],
						 1, i % 5 ? &errs[i] : NULL),
				 0);
	}
	return n - bad;
}

static void check_many(const uint8_t *bytes, const int32_t *errs, int n)
{
	for (int i = 0; i < n; i++) {
		assert_int_equal(bytes[i], i % 7 ? fake_byte((uint64_t)i * 16 % 65536) : 0);
		assert_int_equal(errs[i], i % 5 == 0 ? 9 : i % 7 ? 0 : SONDE_E_NOT_MAPPED);
	}
}

enum { MANY = 10000 };
static uint8_t bytes[MANY];
static int32_t errs[MANY];

static void forget(void)
{
	for (int i = 0; i < MANY; i++)
		errs[i] = 9;
	memset(bytes, 0xee, sizeof(bytes));
}

static void each_space_is_asked_once(void **state)
{
	struct fixture *f = *state;

	for (int round = 1; round <= 3; round++) {
		forget();
		int good = add_many(f, bytes, errs, MANY);
		assert_int_equal(sonde_batch_run(f->batch), good);
		check_many(bytes, errs, MANY);
		assert_int_equal(f->fakes[1].calls, round);
		assert_int_equal(f->fakes[2].calls, round);
	}
}

static int in_task(struct sonde_task *task, void *arg)
{
	struct fixture *f = arg;
	int good = add_many(f, bytes, errs, MANY);

	(void)task;
	assert_int_equal(sonde_batch_run(f->batch), good);
	return 3;
}

static void a_task_runs_one_too(void **state)
{
	struct fixture *f = *state;
	struct sonde_task *task;

	forget();
	sonde_task_spawn(f->loop, in_task, f, &task);
	assert_int_equal(sonde_task_join(NULL, task), 3);
	check_many(bytes, errs, MANY);
}

static int adds_while_another_runs(struct sonde_task *task, void *arg)
{
	struct fixture *f = arg;
	uint8_t byte;

	(void)task;
	assert_int_equal(sonde_batch_add(f->batch, f->fakes[0].space, 0, &byte, 1, NULL),
			 SONDE_E_BUSY);
	assert_int_equal(sonde_batch_run(f->batch), SONDE_E_BUSY);
	return 0;
}

static void only_one_task_at_a_time_has_it(void **state)
{
	struct fixture *f = *state;

	forget();
	sonde_task_spawn(f->loop, in_task, f, NULL);
	sonde_task_spawn(f->loop, adds_while_another_runs, f, NULL);
	sonde_loop_run(f->loop);
	check_many(bytes, errs, MANY);
}

static void in_callback(struct sonde_io *io)
{
	struct fixture *f = io->user;

	assert_int_equal(sonde_batch_run(f->batch), SONDE_E_BUSY);
}

static void a_callback_is_refused_and_nothing_lost(void **state)
{
	struct fixture *f = *state;
	uint8_t byte = 0, other;
	struct sonde_xfer x = { .buf = &other, .len = 1 };
	struct sonde_io io = { .xfers = &x, .n = 1, .done = in_callback, .user = f };

	sonde_batch_add(f->batch, f->fakes[1].space, 48, &byte, 1, NULL);
	sonde_io_submit(f->fakes[0].space, &io);
	sonde_loop_run(f->loop);
	assert_int_equal(byte, 0);
	assert_int_equal(sonde_batch_run(f->batch), 1);
	assert_int_equal(byte, 3);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(nothing_added_reads_nothing),
		TEST(bad_arguments_are_refused),
		TEST(a_space_of_another_loop_is_refused),
		TEST(each_space_is_asked_once),
		TEST(a_task_runs_one_too),
		TEST(only_one_task_at_a_time_has_it),
		TEST(a_callback_is_refused_and_nothing_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
