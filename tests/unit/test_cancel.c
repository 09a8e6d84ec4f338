/* SPDX-License-Identifier: MIT */
/* Ends that were asked for: cancelled tasks and trees, timeouts, and what is left behind: nothing. */
#include <sonde/batch.h>
#include <sonde/io.h>
#include <sonde/task.h>

#include "fake.h"
#include "io/loop.h"
#include "task/inside.h"

#define FAR (sonde_now_ns() + UINT64_C(3600) * 1000000000)

static struct sonde_loop *loop;

static int setup(void **state)
{
	(void)state;
	loop = loop_new(SONDE_ENGINE_SYNC, 0);
	return 0;
}

/* Nothing of a test may be left: no task, no timer, no request. */
static int teardown(void **state)
{
	(void)state;
	int left = loop->n_tasks || loop->n_timers || loop->n_inflight;

	sonde_loop_destroy(loop);
	return left;
}

static int sleeps(struct sonde_task *self, void *arg)
{
	int r = sonde_task_sleep_until(self, FAR);

	if (arg)
		++*(int *)arg;
	return r;
}

/* ---- one task ----------------------------------------------------------------------------- */

static void a_sleep_ends_early(void **state)
{
	struct sonde_task *task;

	(void)state;
	assert_int_equal(sonde_task_spawn(loop, sleeps, NULL, &task), 0);
	sonde_loop_turn(loop);
	assert_int_equal(sonde_task_cancel(task), 1);
	assert_int_equal(sonde_task_cancel(task), 0);
	assert_int_equal(sonde_task_check(task), SONDE_E_CANCELLED);
	assert_int_equal(sonde_task_join(NULL, task), SONDE_E_CANCELLED);
}

static void one_that_has_not_begun_runs_all_the_same(void **state)
{
	struct sonde_task *task;
	int ran = 0;

	(void)state;
	sonde_task_spawn(loop, sleeps, &ran, &task);
	assert_int_equal(sonde_task_cancel(task), 1);
	assert_int_equal(ran, 0);
	assert_int_equal(sonde_task_join(NULL, task), SONDE_E_CANCELLED);
	assert_int_equal(ran, 1);
}

static void one_that_has_ended_has_nothing_to_cancel(void **state)
{
	struct sonde_task *task;

	(void)state;
	sonde_task_spawn(loop, sleeps, NULL, &task);
	sonde_task_cancel(task);
	sonde_loop_run(loop);
	assert_int_equal(sonde_task_cancel(task), 0);
	assert_int_equal(sonde_task_join(NULL, task), SONDE_E_CANCELLED);
}

static void from_callback(struct sonde_timer *timer)
{
	assert_int_equal(sonde_task_cancel(timer->user), 1);
}

static void a_callback_cancels(void **state)
{
	struct sonde_timer timer = { .fire = from_callback };
	struct sonde_task *task;

	(void)state;
	sonde_task_spawn(loop, sleeps, NULL, &task);
	sonde_loop_turn(loop);
	timer.user = task;
	sonde_timer_start(loop, &timer);
	assert_int_equal(sonde_task_join(NULL, task), SONDE_E_CANCELLED);
}

struct around {
	struct fake fake;
	struct sonde_batch *batch;
	struct sonde_task *other;
};

/* Every call that could suspend answers, touches nothing, and leaves no old bytes. */
static void all_answer(struct sonde_task *self, struct around *around, int code)
{
	uint8_t bytes[8];
	struct sonde_xfer x = { .addr = 64, .buf = bytes, .len = 8 };
	int32_t err = 1;
	size_t calls = around->fake.calls;

	memset(bytes, 0xee, sizeof(bytes));
	assert_int_equal(sonde_task_read(self, around->fake.space, &x, 1), code);
	assert_int_equal(x.err, code);
	assert_int_equal(x.done, 0);
	assert_int_equal(bytes[7], 0);
	memset(bytes, 0xee, sizeof(bytes));
	assert_int_equal(sonde_task_write(self, around->fake.space, &x, 1), code);
	assert_int_equal(bytes[7], 0xee);
	assert_int_equal(sonde_space_get(around->fake.space, 64, bytes, 8), code);
	assert_int_equal(bytes[0], 0);
	memset(bytes, 0xee, sizeof(bytes));
	assert_int_equal(sonde_batch_add(around->batch, around->fake.space, 64, bytes, 8, &err), 0);
	assert_int_equal(sonde_batch_run(around->batch), code);
	assert_int_equal(err, code);
	assert_int_equal(bytes[0], 0);
	assert_int_equal(sonde_batch_run(around->batch), 0); /* it has been forgotten */
	assert_int_equal(sonde_task_sleep(self, 1), code);
	assert_int_equal(sonde_task_sleep_until(self, FAR), code);
	assert_int_equal(sonde_task_yield(self), code);
	assert_int_equal(around->fake.calls, calls);
}

static int cancels_itself(struct sonde_task *self, void *arg)
{
	struct around *around = arg;

	assert_int_equal(sonde_task_check(self), 0);
	assert_int_equal(sonde_task_cancel(self), 1);
	assert_int_equal(sonde_task_check(self), SONDE_E_CANCELLED);
	all_answer(self, around, SONDE_E_CANCELLED);
	assert_int_equal(sonde_task_spawn_child(self, sleeps, NULL, &around->other), 0);
	assert_int_equal(sonde_task_check(around->other), SONDE_E_CANCELLED);
	assert_int_equal(sonde_task_join(self, around->other), SONDE_E_CANCELLED);
	return 7;
}

static void open_around(struct around *around, uint32_t way)
{
	*around = (struct around){ 0 };
	fake_open(&around->fake, loop, 4096, way);
	around->batch = sonde_batch_create(loop);
	assert_non_null(around->batch);
}

static void close_around(struct around *around)
{
	sonde_batch_destroy(around->batch);
	fake_close(&around->fake);
}

/* Mapped memory would not have made it wait: it is told to end all the same. */
static void every_later_call_answers_at_once(void **state)
{
	static const uint32_t ways[] = { SONDE_WAY_EXTENTS, SONDE_WAY_TRANSFER, SONDE_WAY_SUBMIT };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct around around;
		struct sonde_task *task;
		open_around(&around, ways[i]);
		sonde_task_spawn(loop, cancels_itself, &around, &task);
		assert_int_equal(sonde_task_join(NULL, task), 7);
		close_around(&around);
	}
}

static void plain_code_is_not_concerned(void **state)
{
	struct around around;
	struct sonde_task *task;
	uint8_t byte;

	(void)state;
	open_around(&around, SONDE_WAY_TRANSFER);
	sonde_task_spawn(loop, sleeps, NULL, &task);
	sonde_task_cancel(task);
	assert_int_equal(sonde_space_get(around.fake.space, 64, &byte, 1), 0);
	assert_int_equal(sonde_task_join(NULL, task), SONDE_E_CANCELLED);
	close_around(&around);
}

/* ---- requests ----------------------------------------------------------------------------- */

/* A connector that keeps what it is given until the test lets go. */
struct held {
	struct sonde_io *io;
	size_t n;
};

static size_t hold(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	struct held *held = fake->user;

	assert_int_equal(n, 1);
	held->io = ios[0];
	held->n++;
	return 1;
}

struct reader {
	struct sonde_space *space;
	struct sonde_batch *batch;
	uint8_t bytes[16];
	int32_t errs[2];
	int result, after;
};

static int reads(struct sonde_task *self, void *arg)
{
	struct reader *reader = arg;
	struct sonde_xfer x[2] = { { .addr = 64, .buf = reader->bytes, .len = 8 },
				   { .addr = 512, .buf = reader->bytes + 8, .len = 8 } };

	memset(reader->bytes, 0xee, sizeof(reader->bytes));
	reader->result = sonde_task_read(self, reader->space, x, 2);
	reader->errs[0] = x[0].err;
	reader->errs[1] = x[1].err;
	reader->after = sonde_task_yield(self);
	return reader->result;
}

static int runs_batch(struct sonde_task *self, void *arg)
{
	struct reader *reader = arg;

	memset(reader->bytes, 0xee, sizeof(reader->bytes));
	sonde_batch_add(reader->batch, reader->space, 64, reader->bytes, 8, &reader->errs[0]);
	sonde_batch_add(reader->batch, reader->space, 512, reader->bytes + 8, 8, &reader->errs[1]);
	reader->result = sonde_batch_run(reader->batch);
	reader->after = sonde_task_yield(self);
	return reader->result;
}

static sonde_task_fn *const doors[] = { reads, runs_batch };

static int cancels(struct sonde_task *self, void *arg)
{
	(void)self;
	return sonde_task_cancel(arg);
}

static void a_read_in_its_queue_is_never_sent(void **state)
{
	(void)state;
	for (size_t door = 0; door < 2; door++) {
		struct around around;
		struct reader reader = { 0 };
		struct sonde_task *task, *other;
		open_around(&around, SONDE_WAY_TRANSFER);
		reader.space = around.fake.space;
		reader.batch = around.batch;
		sonde_task_spawn(loop, doors[door], &reader, &task);
		sonde_task_spawn(loop, cancels, task, &other); /* runs before the queue leaves */
		assert_int_equal(sonde_task_join(NULL, other), 1);
		assert_int_equal(sonde_task_join(NULL, task), SONDE_E_CANCELLED);
		assert_int_equal(reader.errs[0], SONDE_E_CANCELLED);
		assert_int_equal(reader.errs[1], SONDE_E_CANCELLED);
		assert_int_equal(reader.bytes[0] | reader.bytes[15], 0);
		assert_int_equal(around.fake.calls, 0);
		close_around(&around);
	}
}

/* Its buffers are on the task's stack: whoever has them is waited for. */
static void a_read_in_flight_is_waited_for(void **state)
{
	(void)state;
	for (size_t door = 0; door < 2; door++) {
		struct around around;
		struct held held = { 0 };
		struct reader reader = { 0 };
		struct sonde_task *task;
		open_around(&around, SONDE_WAY_SUBMIT);
		around.fake.submit = hold;
		around.fake.user = &held;
		reader.space = around.fake.space;
		reader.batch = around.batch;
		sonde_task_spawn(loop, doors[door], &reader, &task);
		sonde_loop_turn(loop);
		assert_int_equal(held.n, 1);
		assert_int_equal(sonde_task_cancel(task), 1);
		sonde_loop_turn(loop);
		assert_false(task->ended);
		/* One piece comes, the other does not. */
		memset(held.io->xfers[0].buf, 1, 8);
		sonde_progress(&space_host, held.io, 0, 0, 8, 0);
		sonde_progress(&space_host, held.io, 1, 0, 8, SONDE_E_CANCELLED);
		space_host.io_done(held.io);
		assert_int_equal(sonde_task_join(NULL, task), SONDE_E_CANCELLED);
		assert_int_equal(reader.errs[0], 0);
		assert_int_equal(reader.errs[1], SONDE_E_CANCELLED);
		assert_int_equal(reader.bytes[0], 1);
		assert_int_equal(reader.bytes[8], 0);
		close_around(&around);
	}
}

static void a_result_that_came_in_time_is_handed_out(void **state)
{
	(void)state;
	for (size_t door = 0; door < 2; door++) {
		struct around around;
		struct held held = { 0 };
		struct reader reader = { 0 };
		struct sonde_task *task;
		open_around(&around, SONDE_WAY_SUBMIT);
		around.fake.submit = hold;
		around.fake.user = &held;
		reader.space = around.fake.space;
		reader.batch = around.batch;
		sonde_task_spawn(loop, doors[door], &reader, &task);
		sonde_loop_turn(loop);
		sonde_task_cancel(task);
		fake_serve(&around.fake, held.io);
		space_host.io_done(held.io);
		assert_int_equal(sonde_task_join(NULL, task), 2);
		assert_int_equal(reader.after, SONDE_E_CANCELLED);
		assert_int_equal(reader.bytes[0], 4);
		close_around(&around);
	}
}

/* ---- trees -------------------------------------------------------------------------------- */

struct node {
	int depth, fan;
	int *ended;
};

/* fan children at each of depth levels, joined in order. */
static int grows(struct sonde_task *self, void *arg)
{
	struct node *node = arg, below = { node->depth - 1, node->fan, node->ended };
	struct sonde_task *children[4];
	int r = SONDE_OK;

	for (int i = 0; node->depth && i < node->fan; i++)
		assert_int_equal(sonde_task_spawn_child(self, grows, &below, &children[i]), 0);
	for (int i = 0; node->depth && i < node->fan; i++)
		r = sonde_task_join(self, children[i]);
	if (!node->depth)
		r = sonde_task_sleep_until(self, FAR);
	++*node->ended;
	return r;
}

static void a_whole_tree_ends(void **state)
{
	int ended = 0;
	struct node node = { 3, 4, &ended };
	struct sonde_task *task, *other;

	(void)state;
	sonde_task_spawn(loop, sleeps, NULL, &other);
	sonde_task_spawn(loop, grows, &node, &task);
	sonde_loop_turn(loop);
	assert_int_equal(loop->n_tasks, 1 + 1 + 4 + 16 + 64);
	assert_int_equal(sonde_task_cancel(task), 1);
	assert_int_equal(sonde_task_join(NULL, task), SONDE_E_CANCELLED);
	assert_int_equal(ended, 1 + 4 + 16 + 64);
	assert_int_equal(sonde_task_check(other), 0);
	sonde_task_cancel(other);
	assert_int_equal(sonde_task_join(NULL, other), SONDE_E_CANCELLED);
}

struct family {
	struct sonde_task *child[3];
	int ended;
};

static int has_three(struct sonde_task *self, void *arg)
{
	struct family *family = arg;

	for (int i = 0; i < 3; i++)
		sonde_task_spawn_child(self, sleeps, &family->ended, &family->child[i]);
	int r = sonde_task_join(self, family->child[1]);
	assert_int_equal(r, SONDE_E_CANCELLED);
	assert_int_equal(sonde_task_check(self), 0);
	assert_int_equal(sonde_task_check(family->child[0]), 0);
	assert_int_equal(family->ended, 1);
	sonde_task_cancel(self);
	assert_int_equal(sonde_task_join(self, family->child[0]), SONDE_E_CANCELLED);
	assert_int_equal(sonde_task_join(self, family->child[2]), SONDE_E_CANCELLED);
	return family->ended;
}

static void what_is_above_and_beside_goes_on(void **state)
{
	struct family family = { 0 };
	struct sonde_task *task;

	(void)state;
	sonde_task_spawn(loop, has_three, &family, &task);
	sonde_loop_turn(loop);
	assert_int_equal(sonde_task_cancel(family.child[1]), 1);
	assert_int_equal(sonde_task_join(NULL, task), 3);
}

static int leaves_them(struct sonde_task *self, void *arg)
{
	struct family *family = arg;

	for (int i = 0; i < 3; i++)
		sonde_task_spawn_child(self, sleeps, &family->ended, NULL);
	return sonde_task_yield(self);
}

static void a_parent_has_ended_when_its_children_have(void **state)
{
	struct family family = { 0 };
	struct sonde_task *task, *child;

	(void)state;
	sonde_task_spawn(loop, leaves_them, &family, &task);
	assert_int_equal(sonde_task_join(NULL, task), 0);
	assert_int_equal(family.ended, 3);
	/* And takes no new ones. */
	sonde_task_spawn(loop, leaves_them, &family, &task);
	sonde_loop_run(loop);
	assert_int_equal(family.ended, 6);
	assert_int_equal(sonde_task_spawn_child(task, sleeps, NULL, &child), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_task_join(NULL, task), 0);
	assert_int_equal(loop->n_tasks, 0);
}

static int stubborn(struct sonde_task *self, void *arg)
{
	for (int i = 0; i < 5; i++)
		sonde_task_yield(self);
	*(int *)arg += 1;
	return 0;
}

static int leaves_one(struct sonde_task *self, void *arg)
{
	return sonde_task_spawn_child(self, stubborn, arg, NULL);
}

static int leaves_three(struct sonde_task *self, void *arg)
{
	for (int i = 0; i < 3; i++)
		sonde_task_spawn_child(self, leaves_one, arg, NULL);
	sonde_task_yield(self);
	return 9;
}

/* Parents that have returned end from the bottom up, the last leaf taking all with it. */
static void returned_parents_end_from_below(void **state)
{
	struct sonde_task *task;
	int ended = 0;

	(void)state;
	sonde_task_spawn(loop, leaves_three, &ended, &task);
	assert_int_equal(sonde_task_join(NULL, task), 9);
	assert_int_equal(ended, 3);
	assert_int_equal(loop->n_tasks, 0);
}

static int chain(struct sonde_task *self, void *arg)
{
	int *left = arg, r;
	struct sonde_task *child;

	if (--*left == 0)
		return sonde_task_sleep_until(self, FAR);
	r = sonde_task_spawn_child(self, chain, arg, &child);
	return r < 0 ? r : sonde_task_join(self, child);
}

/* Deeper than any stack would take a recursion. */
static void a_deep_tree_is_cancelled_from_a_task(void **state)
{
	int left = 1000;
	struct sonde_task *task, *other;

	(void)state;
#if !defined(TASK_TSAN)
	left = 8000;
#endif
	sonde_task_spawn(loop, chain, &left, &task);
	sonde_loop_turn(loop);
	while (left)
		sonde_loop_turn(loop);
	sonde_task_spawn(loop, cancels, task, &other);
	assert_int_equal(sonde_task_join(NULL, other), 1);
	assert_int_equal(sonde_task_join(NULL, task), SONDE_E_CANCELLED);
}

/* ---- join --------------------------------------------------------------------------------- */

static int joins(struct sonde_task *self, void *arg)
{
	return sonde_task_join(self, arg);
}

static void a_join_takes_what_it_waits_for_along(void **state)
{
	struct sonde_task *task, *joined;
	int ended = 0;

	(void)state;
	sonde_task_spawn(loop, sleeps, &ended, &joined);
	sonde_task_spawn(loop, joins, joined, &task);
	sonde_loop_turn(loop);
	sonde_task_cancel(task);
	assert_int_equal(sonde_task_join(NULL, task), SONDE_E_CANCELLED);
	assert_int_equal(ended, 1);
}

static int joins_above(struct sonde_task *self, void *arg)
{
	assert_int_equal(sonde_task_join(self, arg), SONDE_E_BAD_ARG);
	return 3;
}

static int has_one(struct sonde_task *self, void *arg)
{
	struct sonde_task *child;

	(void)arg;
	sonde_task_spawn_child(self, joins_above, self, &child);
	return sonde_task_join(self, child);
}

/* A circle of three: the one that would close it is told. */
struct circle {
	struct sonde_task *tasks[3];
	int begun;
};

static int joins_next(struct sonde_task *self, void *arg)
{
	struct circle *circle = arg;
	int me = circle->begun++;
	int r = sonde_task_join(self, circle->tasks[(me + 1) % 3]);

	return me == 2 ? r == SONDE_E_BAD_ARG : r;
}

static void waiting_for_each_other_is_refused(void **state)
{
	struct circle circle = { 0 };
	struct sonde_task *task;

	(void)state;
	sonde_task_spawn(loop, has_one, NULL, &task);
	assert_int_equal(sonde_task_join(NULL, task), 3);
	for (int i = 0; i < 3; i++)
		sonde_task_spawn(loop, joins_next, &circle, &circle.tasks[i]);
	assert_int_equal(sonde_task_join(NULL, circle.tasks[0]), 1);
}

/* A circle that leads through a tree: a parent ends with its children, so it waits for each of them. */
struct bent {
	struct sonde_task *above, *other;
	int through_parent, refused;
};

static int joins_other(struct sonde_task *self, void *arg)
{
	struct bent *bent = arg;
	int r = sonde_task_join(self, bent->other);

	bent->refused += r == SONDE_E_BAD_ARG;
	return r;
}

static int spawns_below(struct sonde_task *self, void *arg)
{
	struct bent *bent = arg;

	assert_int_equal(sonde_task_spawn_child(self, joins_other, bent, NULL), 0);
	for (int i = 0; i < 3; i++)
		sonde_task_yield(self);
	return 0;
}

static int joins_parent(struct sonde_task *self, void *arg)
{
	struct bent *bent = arg;
	int r;

	if (!bent->through_parent) {
		sonde_task_yield(self); /* the child waits for us now */
		sonde_task_yield(self);
	}
	r = sonde_task_join(self, bent->above);
	bent->refused += r == SONDE_E_BAD_ARG;
	return 0;
}

static void circles_through_a_tree_are_refused(void **state)
{
	(void)state;
	for (int through_parent = 0; through_parent < 2; through_parent++) {
		struct bent bent = { .through_parent = through_parent };
		if (through_parent)
			sonde_task_spawn(loop, joins_parent, &bent, &bent.other);
		sonde_task_spawn(loop, spawns_below, &bent, &bent.above);
		if (!through_parent)
			sonde_task_spawn(loop, joins_parent, &bent, &bent.other);
		for (int i = 0; i < 20; i++)
			sonde_loop_turn(loop);
		assert_int_equal(bent.refused, 1);
		assert_int_equal(loop->n_tasks, 0);
		if (through_parent)
			sonde_task_detach(bent.other);
		else
			sonde_task_detach(bent.above);
	}
}

/* ---- timeouts ------------------------------------------------------------------------------ */

static int times_out(struct sonde_task *self, void *arg)
{
	assert_int_equal(sonde_task_timeout(self, sonde_now_ns() + 1000000, sleeps, arg),
			 SONDE_E_TIMED_OUT);
	assert_int_equal(sonde_task_check(self), 0);
	assert_int_equal(sonde_task_sleep(self, 1), 0);
	assert_int_equal(loop->n_timers, 0);
	return 0;
}

static void a_sleep_times_out_and_nothing_is_left(void **state)
{
	struct sonde_task *task;
	int ended = 0;

	(void)state;
	sonde_task_spawn(loop, times_out, &ended, &task);
	assert_int_equal(sonde_task_join(NULL, task), 0);
	assert_int_equal(ended, 1);
}

struct nest {
	uint64_t outer_ns, inner_ns, until_ns;
	int inner, outer;
};

static int inner(struct sonde_task *self, void *arg)
{
	struct nest *nest = arg;

	nest->inner = sonde_task_timeout(self, nest->inner_ns, sleeps, NULL);
	nest->outer = sonde_task_yield(self);
	return sonde_task_sleep_until(self, nest->until_ns);
}

static int nests(struct sonde_task *self, void *arg)
{
	struct nest *nest = arg;
	int r = sonde_task_timeout(self, nest->outer_ns, inner, nest);

	assert_int_equal(sonde_task_yield(self), 0);
	assert_int_equal(loop->n_timers, 0);
	return r;
}

static void nested(struct nest *nest, int result)
{
	struct sonde_task *task;

	sonde_task_spawn(loop, nests, nest, &task);
	assert_int_equal(sonde_task_join(NULL, task), result);
	assert_int_equal(nest->inner, SONDE_E_TIMED_OUT);
}

static void the_earlier_of_two_counts(void **state)
{
	uint64_t now = sonde_now_ns(), soon = now + 2000000;
	struct nest first_inner = { .outer_ns = FAR, .inner_ns = soon };
	struct nest first_outer = { .outer_ns = soon, .inner_ns = FAR };
	struct nest both = { .outer_ns = soon, .inner_ns = now + 1000000, .until_ns = FAR };

	(void)state;
	nested(&first_inner, SONDE_OK);
	assert_int_equal(first_inner.outer, SONDE_OK);
	nested(&first_outer, SONDE_E_TIMED_OUT);
	assert_int_equal(first_outer.outer, SONDE_E_TIMED_OUT);
	nested(&both, SONDE_E_TIMED_OUT);
}

static int too_late(struct sonde_task *self, void *arg)
{
	all_answer(self, arg, SONDE_E_TIMED_OUT);
	return 4;
}

static int began_too_late(struct sonde_task *self, void *arg)
{
	assert_int_equal(sonde_task_timeout(self, 1, too_late, arg), 4);
	assert_int_equal(sonde_task_timeout(self, UINT64_MAX, cancels_itself, arg), 7);
	return 0;
}

/* Also where no timer could have fired, for nothing has ever waited. */
static void once_passed_every_call_answers(void **state)
{
	static const uint32_t ways[] = { SONDE_WAY_EXTENTS, SONDE_WAY_TRANSFER };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct around around;
		struct sonde_task *task;
		open_around(&around, ways[i]);
		sonde_task_spawn(loop, began_too_late, &around, &task);
		assert_int_equal(sonde_task_join(NULL, task), 0);
		close_around(&around);
	}
}

struct timed_read {
	struct reader reader;
	sonde_task_fn *door;
	uint64_t ns; /* how long it may take */
};

static int reads_in_time(struct sonde_task *self, void *arg)
{
	struct timed_read *timed = arg;
	int r = sonde_task_timeout(self, sonde_now_ns() + timed->ns, timed->door, &timed->reader);

	assert_int_equal(sonde_task_yield(self), 0);
	return r;
}

/* false: the time was over before the read had left. */
static bool times_out_in_flight(sonde_task_fn *door, uint64_t ns)
{
	struct around around;
	struct held held = { 0 };
	struct timed_read timed = { .door = door, .ns = ns };
	struct sonde_task *task;

	open_around(&around, SONDE_WAY_SUBMIT);
	around.fake.submit = hold;
	around.fake.user = &held;
	timed.reader.space = around.fake.space;
	timed.reader.batch = around.batch;
	sonde_task_spawn(loop, reads_in_time, &timed, &task);
	while (!task->ended && (!held.n || loop->n_timers))
		sonde_loop_wait(loop, UINT64_MAX);
	if (held.n) {
		assert_false(task->ended);
		sonde_progress(&space_host, held.io, 0, 0, 8, SONDE_E_TIMED_OUT);
		sonde_progress(&space_host, held.io, 1, 0, 8, SONDE_E_TIMED_OUT);
		space_host.io_done(held.io);
	}
	assert_int_equal(sonde_task_join(NULL, task), SONDE_E_TIMED_OUT);
	assert_int_equal(timed.reader.errs[0], SONDE_E_TIMED_OUT);
	assert_int_equal(timed.reader.after, SONDE_E_TIMED_OUT);
	close_around(&around);
	return held.n != 0;
}

/* A machine with other work may take long from the call to the flush: it gets more time then. */
static void a_read_in_flight_times_out(void **state)
{
	(void)state;
	for (size_t door = 0; door < 2; door++) {
		uint64_t ns = 1000000;
		while (!times_out_in_flight(doors[door], ns))
			ns *= 4;
	}
}

static int joins_in_time(struct sonde_task *self, void *arg)
{
	struct sonde_task *child;

	sonde_task_spawn_child(self, sleeps, arg, &child);
	int r = sonde_task_timeout(self, sonde_now_ns() + 1000000, joins, child);
	assert_int_equal(sonde_task_check(self), 0);
	return r;
}

static void a_join_times_out(void **state)
{
	struct sonde_task *task;
	int ended = 0;

	(void)state;
	sonde_task_spawn(loop, joins_in_time, &ended, &task);
	assert_int_equal(sonde_task_join(NULL, task), SONDE_E_TIMED_OUT);
	assert_int_equal(ended, 1);
}

static int bad_scopes(struct sonde_task *self, void *arg)
{
	assert_int_equal(sonde_task_timeout(self, 1, NULL, arg), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_task_timeout(arg, 1, sleeps, NULL), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_task_timeout(NULL, 1, sleeps, NULL), SONDE_E_BAD_ARG);
	return 0;
}

static void only_the_running_task_gets_a_timeout(void **state)
{
	struct sonde_task *task, *other;

	(void)state;
	sonde_task_spawn(loop, sleeps, NULL, &other);
	sonde_task_spawn(loop, bad_scopes, other, &task);
	assert_int_equal(sonde_task_join(NULL, task), 0);
	sonde_task_cancel(other);
	assert_int_equal(sonde_task_join(NULL, other), SONDE_E_CANCELLED);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_sleep_ends_early),
		TEST(one_that_has_not_begun_runs_all_the_same),
		TEST(one_that_has_ended_has_nothing_to_cancel),
		TEST(a_callback_cancels),
		TEST(every_later_call_answers_at_once),
		TEST(plain_code_is_not_concerned),
		TEST(a_read_in_its_queue_is_never_sent),
		TEST(a_read_in_flight_is_waited_for),
		TEST(a_result_that_came_in_time_is_handed_out),
		TEST(a_whole_tree_ends),
		TEST(what_is_above_and_beside_goes_on),
		TEST(a_parent_has_ended_when_its_children_have),
		TEST(returned_parents_end_from_below),
		TEST(a_deep_tree_is_cancelled_from_a_task),
		TEST(a_join_takes_what_it_waits_for_along),
		TEST(waiting_for_each_other_is_refused),
		TEST(circles_through_a_tree_are_refused),
		TEST(a_sleep_times_out_and_nothing_is_left),
		TEST(the_earlier_of_two_counts),
		TEST(once_passed_every_call_answers),
		TEST(a_read_in_flight_times_out),
		TEST(a_join_times_out),
		TEST(only_the_running_task_gets_a_timeout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
