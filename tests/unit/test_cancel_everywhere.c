/* SPDX-License-Identifier: MIT */
/*
 * One program of tasks that uses everything that suspends, run again and again: at its k-th suspension,
 * for every k there is, it is told to end, in each of several ways. Whatever the moment, all of it ends, and
 * nothing is left: no task, no timer, no request, nobody in a channel's line, nothing taken and lost.
 */
#include <sonde/batch.h>
#include <sonde/select.h>

#include "fake.h"
#include "io/loop.h"
#include "task/channel.h"
#include "task/inside.h"

#define FAR (sonde_now_ns() + UINT64_C(3600) * 1000000000)

enum how {
	HOW_SELF,     /* the task that is about to suspend cancels the root          */
	HOW_CALLBACK, /* a timer does, in the next pass: what suspends is parked then */
	HOW_TASK,     /* another task does                                            */
	HOW_ONE,      /* only the task itself and what is below it is cancelled       */
	HOW_DEADLINE, /* a timeout around what it does passes                         */
	HOW_CLOSE,    /* nobody is cancelled: both channels are closed                */
	N_HOWS,
};

enum { N_JOBS = 5 };

/* The world of one run. */
static struct sonde_loop *loop;
static struct fake fake;
static struct sonde_channel *jobs, *results;
static struct sonde_task *root;
static enum how how;
static int step, target;      /* suspensions so far, and the one of interest */
static int n_begun, n_over;   /* tasks */
static int n_sent, n_handled; /* jobs */

/* ---- a device that ends its requests one by one, the last first --------------------------- */

static struct sonde_io *held[64];
static size_t n_held;
static struct sonde_timer device_timer;

static void device_tick(struct sonde_timer *timer)
{
	struct sonde_io *io = held[--n_held];

	if (n_held) {
		timer->at_ns = 0;
		sonde_timer_start(loop, timer);
	}
	fake_serve(&fake, io);
	space_host.io_done(io);
}

static size_t device_submit(struct fake *at, struct sonde_io *const *ios, size_t n)
{
	(void)at;
	if (!n_held) {
		device_timer = (struct sonde_timer){ .fire = device_tick };
		sonde_timer_start(loop, &device_timer);
	}
	for (size_t i = 0; i < n; i++)
		held[n_held++] = ios[i];
	return n;
}

/* ---- the end at step k ---------------------------------------------------------------------- */

static struct sonde_timer killer;

static void kill_root(struct sonde_timer *timer)
{
	(void)timer;
	if (root)
		sonde_task_cancel(root);
}

static int kill_from_task(struct sonde_task *self, void *arg)
{
	(void)self, (void)arg;
	if (root)
		sonde_task_cancel(root);
	return 0;
}

/* In front of every call that may suspend. */
static struct sonde_task *here(struct sonde_task *self)
{
	if (step++ != target)
		return self;
	switch (how) {
	case HOW_SELF:
		sonde_task_cancel(root);
		break;
	case HOW_CALLBACK:
		killer = (struct sonde_timer){ .fire = kill_root };
		sonde_timer_start(loop, &killer);
		break;
	case HOW_TASK:
		sonde_task_spawn(loop, kill_from_task, NULL, NULL);
		break;
	case HOW_ONE:
		sonde_task_cancel(self);
		break;
	case HOW_DEADLINE:
		if (self->deadline_ns != UINT64_MAX)
			self->deadline_ns = 1;
		break;
	default:
		sonde_channel_close(jobs);
		sonde_channel_close(results);
	}
	return self;
}

static bool expected(int r)
{
	return r >= 0 || r == SONDE_E_CANCELLED || r == SONDE_E_TIMED_OUT || r == SONDE_E_CLOSED;
}

/* ---- the program ---------------------------------------------------------------------------- */

/* Bytes are right, or they are zero and say why. */
static int reads(struct sonde_task *self, uint64_t addr)
{
	uint8_t bytes[32];
	struct sonde_xfer x[2] = { { .addr = addr, .buf = bytes, .len = 16 },
				   { .addr = 4096 - addr - 16, .buf = bytes + 16, .len = 16 } };
	memset(bytes, 0xee, sizeof(bytes));
	int r = sonde_task_read(here(self), fake.space, x, 2);

	assert_true(expected(r));
	for (int i = 0; i < 2; i++) {
		assert_true(expected(x[i].err));
		for (int k = 0; k < 16; k++)
			assert_int_equal(((uint8_t *)x[i].buf)[k],
					 x[i].err ? 0 : fake_byte(x[i].addr + (uint64_t)k));
	}
	return r;
}

static int runs_batch(struct sonde_task *self, uint64_t addr)
{
	struct sonde_batch *batch = sonde_batch_create(loop);
	uint8_t bytes[3] = { 0xee, 0xee, 0xee };
	int32_t errs[3] = { 1, 1, 1 };

	assert_non_null(batch);
	for (uint64_t i = 0; i < 3; i++)
		sonde_batch_add(batch, fake.space, addr + 16 * i, &bytes[i], 1, &errs[i]);
	here(self);
	int r = sonde_batch_run(batch);
	assert_true(expected(r));
	for (uint64_t i = 0; i < 3; i++) {
		assert_true(expected(errs[i]));
		assert_int_equal(bytes[i], errs[i] ? 0 : fake_byte(addr + 16 * i));
	}
	sonde_batch_destroy(batch);
	return r;
}

static int naps(struct sonde_task *self, void *arg)
{
	n_begun++;
	int r = sonde_task_sleep(here(self), (uint64_t)(uintptr_t)arg);
	n_over++;
	return r;
}

/* A child under a timeout of its own, which is joined whatever comes. */
static int joins_a_nap(struct sonde_task *self, void *arg)
{
	struct sonde_task *child;
	int r = sonde_task_spawn_child(self, naps, arg, &child);

	return r < 0 ? r : sonde_task_join(here(self), child);
}

static int handles(struct sonde_task *self, int job)
{
	int r = reads(self, (uint64_t)job * 32);

	if (r >= 0)
		r = runs_batch(self, (uint64_t)job * 64);
	if (r >= 0)
		r = sonde_task_yield(here(self));
	if (r >= 0)
		r = sonde_task_timeout(self, FAR, joins_a_nap, (void *)1);
	return r;
}

static int works(struct sonde_task *self, void *arg)
{
	int job, r;

	(void)arg;
	while ((r = sonde_channel_recv(here(self), jobs, &job)) == 0) {
		n_handled++;
		r = handles(self, job);
		if (r >= 0)
			r = sonde_channel_send(here(self), results, &job);
		if (r < 0)
			break;
	}
	assert_true(expected(r));
	return r;
}

static int worker(struct sonde_task *self, void *arg)
{
	n_begun++;
	int r = sonde_task_timeout(self, FAR, works, arg);
	n_over++;
	return r;
}

static int producer(struct sonde_task *self, void *arg)
{
	int r = 0;

	(void)arg;
	n_begun++;
	for (int i = 0; i < N_JOBS && r >= 0; i++) {
		r = sonde_channel_send(here(self), jobs, &i);
		n_sent += r == 0;
	}
	sonde_channel_close(jobs);
	n_over++;
	return r;
}

static void count(struct sonde_io *io)
{
	++*(int *)io->user;
}

/* Results, the end of a worker, a request of its own, and a time, until the worker has ended. */
static int collects(struct sonde_task *self, void *arg)
{
	struct sonde_task *from = arg;
	int result, r, n_done = 0;
	uint8_t byte;
	struct sonde_xfer x = { .addr = 1024, .buf = &byte, .len = 1 };
	struct sonde_io io = { .xfers = &x, .n = 1, .done = count, .user = &n_done };
	struct sonde_select e[] = {
		{ .kind = SONDE_SELECT_RECV, .channel = results, .item = &result },
		{ .kind = SONDE_SELECT_TASK, .task = from },
		{ .kind = SONDE_SELECT_IO, .io = &io },
		{ .kind = SONDE_SELECT_TIME, .at_ns = FAR },
	};

	assert_int_equal(sonde_io_submit(fake.space, &io), 0);
	while ((r = sonde_task_select(here(self), e, 4)) >= 0 && r != 1) {
		assert_true(r != 3);
		e[r].kind = e[r].result < 0 || r == 2 ? SONDE_SELECT_NONE : e[r].kind;
	}
	/* It lies on this stack, so its end is waited for, come what may. */
	sonde_io_cancel(&io);
	assert_true(expected(sonde_task_await(self, &io)));
	assert_int_equal(n_done, 1);
	return r;
}

static int program(struct sonde_task *self, void *arg)
{
	struct sonde_task *children[3];
	sonde_task_fn *const fns[3] = { producer, worker, worker };
	int r = 0;

	(void)arg;
	n_begun++;
	for (int i = 0; i < 3; i++)
		assert_int_equal(sonde_task_spawn_child(self, fns[i], NULL, &children[i]), 0);
	sonde_task_spawn_child(self, naps, (void *)2, NULL); /* nobody joins it */
	for (int i = 1; i < 3 && r >= 0; i++)
		r = sonde_task_timeout(self, FAR, collects, children[i]);
	if (r < 0)
		sonde_task_cancel(self); /* somebody may hang on what is not collected */
	for (int i = 0; i < 3; i++) {
		int end = sonde_task_join(here(self), children[i]);
		assert_true(expected(end));
	}
	n_over++;
	root = NULL;
	return r;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static void check_channel(struct sonde_channel *channel)
{
	for (int end = 0; end < 2; end++) {
		assert_null(channel->queues[end].first);
		assert_null(channel->queues[end].last);
	}
}

/* Returns whether step k was reached. */
static bool run_once(uint32_t way, int k)
{
	fake = (struct fake){ .submit = device_submit };
	fake_open(&fake, loop, 4096, way);
	assert_int_equal(sonde_channel_create(loop, 1, sizeof(int), &jobs), 0);
	assert_int_equal(sonde_channel_create(loop, 0, sizeof(int), &results), 0);
	step = n_begun = n_over = n_sent = n_handled = 0;
	target = k;
	struct sonde_task *task;
	assert_int_equal(sonde_task_spawn(loop, program, NULL, &task), 0);
	root = task;
	int r = sonde_task_join(NULL, task);
	assert_true(expected(r));
	root = NULL;
	sonde_loop_run(loop); /* the killer's task or timer may be left */
	assert_int_equal(n_begun, n_over);
	assert_int_equal(n_sent, n_handled + (int)sonde_channel_count(jobs));
	assert_int_equal(loop->n_tasks, 0);
	assert_int_equal(loop->n_timers, 0);
	assert_int_equal(loop->n_inflight, 0);
	assert_int_equal(n_held, 0);
	check_channel(jobs);
	check_channel(results);
	sonde_channel_destroy(jobs);
	sonde_channel_destroy(results);
	fake_close(&fake);
	return step > k;
}

static void everywhere(enum how one, uint32_t engine, uint32_t way)
{
	int k = 0;

	how = one;
	loop = loop_new(engine, 0);
	run_once(way, -1); /* undisturbed */
	assert_int_equal(n_handled, N_JOBS);
	while (run_once(way, k))
		k++;
	assert_true(k > 40);
	sonde_loop_destroy(loop);
}

static void it_ends_wherever_it_was(void **state)
{
	static const struct {
		uint32_t engine, way;
	} worlds[] = {
		{ SONDE_ENGINE_SYNC, SONDE_WAY_EXTENTS },
		{ SONDE_ENGINE_SYNC, SONDE_WAY_TRANSFER },
		{ SONDE_ENGINE_SYNC, SONDE_WAY_SUBMIT },
		{ SONDE_ENGINE_THREADS, SONDE_WAY_TRANSFER },
	};

	(void)state;
	for (int one = 0; one < N_HOWS; one++) {
		for (size_t i = 0; i < sizeof(worlds) / sizeof(worlds[0]); i++)
			everywhere(one, worlds[i].engine, worlds[i].way);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_ends_wherever_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
