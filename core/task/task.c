/* SPDX-License-Identifier: MIT */
/*
 * Tasks: stackful coroutines on a loop. Their life is drawn in inside.h. A task that parks goes on in
 * the next that is ready, and in the loop on the thread's own stack only where there is none.
 */
#include "task/inside.h"

#include "base/ensure.h"
#include "base/mem.h"

/* ---- the loop's share -------------------------------------------------------------------- */

static void side_free(struct task_side *side)
{
	stack_pool_finish(&side->pool);
	mem_release(side);
}

static struct task_side *side_get(struct sonde_loop *loop)
{
	if (!loop->tasks) {
		struct task_side *side = mem_alloc(1, sizeof(*side));
		if (!side)
			return NULL;
		tools_thread_stack(&side->tools);
		loop->tasks = side;
		loop->tasks_free = side_free;
	}
	return loop->tasks;
}

/* ---- switching --------------------------------------------------------------------------- */

static void task_run(struct loop_ready *ready);

/* The task that runs next without the loop having a say; NULL: back to the loop. */
static struct sonde_task *take_next(struct sonde_loop *loop)
{
	struct loop_ready *ready = loop_next_ready(loop);

	if (!ready || ready->run != task_run)
		return NULL;
	loop_take_ready(loop);
	return (struct sonde_task *)(void *)ready;
}

/* noinline: compilers may keep thread-local addresses over a call they can see into. */
static __attribute__((noinline)) void leave(struct sonde_task *task)
{
	struct task_side *side = task_side(task);
	bool bad = side->pool.n_unguarded && stack_overflown(task->stack);
	struct sonde_task *next = bad ? NULL : take_next(task->loop);

	if (next == task)
		return; /* it yielded, and nobody else wants to run */
	side->left_badly = bad;
	task->loop->current = next;
	side->left = &task->stack->tools;
	tools_leave(&task->stack->tools, next ? &next->stack->tools : &side->tools, 0);
	switch_to(&task->context, next ? &next->context : &side->context);
	tools_arrive(&task->stack->tools, side->left);
}

static __attribute__((noinline)) void leave_for_good(struct sonde_task *task)
{
	struct task_side *side = task_side(task);

	side->returned = task;
	side->left_badly = side->pool.n_unguarded && stack_overflown(task->stack);
	side->left = &task->stack->tools;
	tools_leave(&task->stack->tools, &side->tools, 1);
	switch_to(&task->context, &side->context);
}

static __attribute__((noinline)) void enter(struct sonde_task *task)
{
	struct task_side *side = task_side(task);

	task->loop->current = task;
	side->left = &side->tools;
	tools_leave(&side->tools, &task->stack->tools, 0);
	switch_to(&side->context, &task->context);
	tools_arrive(&side->tools, side->left);
	task->loop->current = NULL;
}

static void task_entry(void *arg)
{
	struct sonde_task *task = arg;

	tools_arrive(&task->stack->tools, task_side(task)->left);
	task->result = task->fn(task, task->arg);
	leave_for_good(task);
}

/* ---- the end ----------------------------------------------------------------------------- */

void task_free(struct sonde_task *task)
{
	mem_release(task);
}

static void end_one(struct sonde_task *task)
{
	task_remove_child(task);
	task->loop->n_tasks--;
	task->ended = true;
	loop_watch_fire_all(&task->watches, SONDE_OK);
	if (task->joiner)
		task_wake(task->joiner, task->result);
	if (task->detached)
		task_free(task);
}

/* The last child that ends takes a parent with it that has returned before. */
static void end(struct sonde_task *task)
{
	while (task && task->returned && !task->children) {
		struct sonde_task *parent = task->parent;
		end_one(task);
		task = parent;
	}
}

static void has_returned(struct sonde_task *task)
{
	stack_put(&task_side(task)->pool, task->stack);
	task->stack = NULL;
	task->returned = true;
	for (struct sonde_task *child = task->children; child; child = child->next)
		task_cancel_tree(child);
	end(task);
}

static void task_run(struct loop_ready *ready)
{
	struct sonde_task *task = (struct sonde_task *)(void *)ready;
	struct task_side *side = task_side(task);

	enter(task);
	/* Said here, for to say it takes a stack. */
	if (side->left_badly)
		ensure_failed("a task keeps within its stack of 64 KiB", __FILE__, __LINE__);
	task = side->returned; /* maybe another one, by now */
	side->returned = NULL;
	if (task)
		has_returned(task);
}

/* ---- beginning --------------------------------------------------------------------------- */

static int spawn(struct sonde_loop *loop, struct sonde_task *parent, sonde_task_fn *fn, void *arg,
		 struct sonde_task **ret)
{
	struct task_side *side = side_get(loop);
	struct sonde_task *task = mem_alloc(1, sizeof(*task));

	if (!side || !task)
		goto out;
	task->stack = stack_get(&side->pool);
	if (!task->stack)
		goto out;
	task->loop = loop;
	task->fn = fn;
	task->arg = arg;
	task->ready.run = task_run;
	task->detached = !ret;
	task->deadline_ns = UINT64_MAX;
	task_add_child(parent, task);
	switch_init(&task->context, task->stack->bottom, STACK_SIZE, task_entry, task);
	loop->n_tasks++;
	loop_add_ready(loop, &task->ready);
	if (ret)
		*ret = task;
	return SONDE_OK;
out:
	mem_release(task);
	return SONDE_E_NO_MEMORY;
}

int sonde_task_spawn(struct sonde_loop *loop, sonde_task_fn *fn, void *arg, struct sonde_task **ret)
{
	return spawn(loop, NULL, fn, arg, ret);
}

int sonde_task_spawn_child(struct sonde_task *parent, sonde_task_fn *fn, void *arg,
			   struct sonde_task **ret)
{
	if (parent->returned)
		return SONDE_E_BAD_ARG;
	return spawn(parent->loop, parent, fn, arg, ret);
}

void sonde_task_detach(struct sonde_task *task)
{
	if (task->joined)
		return; /* whoever waits for it frees it */
	if (task->ended)
		task_free(task);
	else
		task->detached = true;
}

void sonde_task_stats(const struct sonde_loop *loop, struct sonde_task_stats *ret)
{
	*ret = (struct sonde_task_stats){ .tasks = loop->n_tasks, .stack_size = STACK_SIZE };
	if (loop->tasks) {
		ret->stacks = loop->tasks->pool.n_stacks;
		ret->stack_used = stack_most_used(&loop->tasks->pool);
	}
}

struct sonde_task *sonde_task_current(struct sonde_loop *loop)
{
	return loop->current;
}

/* ---- waiting ----------------------------------------------------------------------------- */

int task_suspend(struct sonde_loop *loop, struct task_wait *wait)
{
	struct sonde_task *self = loop->current;

	if (!self) {
		int r = loop_pump(loop, &wait->over);
		return r < 0 ? r : wait->result;
	}
	wait->task = self;
	self->wait = wait;
	leave(self);
	self->wait = NULL;
	ENSURE(wait->over);
	return wait->result;
}

void task_wake(struct task_wait *wait, int result)
{
	ENSURE(!wait->over);
	wait->over = true;
	wait->result = result;
	if (wait->task)
		loop_add_ready(wait->task->loop, &wait->task->ready);
}

int sonde_task_yield(struct sonde_task *self)
{
	if (!task_is_running(self))
		return SONDE_E_BAD_ARG;
	loop_add_ready(self->loop, &self->ready);
	leave(self);
	return sonde_task_check(self);
}
