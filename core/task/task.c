/* SPDX-License-Identifier: MIT */
/*
 * Tasks: stackful coroutines on a loop.
 *
 *   READY ──loop──▶ RUNNING ──park──▶ PARKED ──unpark──▶ READY
 *                      └──fn returned──▶ ENDED ──join, or detached──▶ freed
 */
#include "task/task.h"

#include <stdbool.h>

#include "base/ensure.h"
#include "base/mem.h"
#include "io/loop.h"
#include "task/stack.h"
#include "task/switch.h"

struct sonde_task {
	struct loop_ready ready;
	struct sonde_loop *loop;
	struct stack *stack;
	struct switch_context context;
	sonde_task_fn *fn;
	void *arg;
	struct sonde_task *joiner; /* parked until we end */
	int result;
	bool ended, detached;
	bool joined; /* somebody waits in join, and frees it */
};

/* The thread's own stack: where tasks come back to. One a loop, made with the first task. */
struct thread_side {
	struct stack_pool pool;
	struct switch_context context;
	struct stack_tools tools;
};

static void thread_side_free(void *p)
{
	struct thread_side *side = p;

	stack_pool_finish(&side->pool);
	mem_release(side);
}

static struct thread_side *thread_side(struct sonde_loop *loop)
{
	if (!loop->stack_pool) {
		struct thread_side *side = mem_alloc(1, sizeof(*side));
		if (!side)
			return NULL;
		tools_thread_stack(&side->tools);
		loop->stack_pool = side;
		loop->stack_pool_free = thread_side_free;
	}
	return loop->stack_pool;
}

/* noinline: compilers may keep thread-local addresses over a call they can see into. */
static __attribute__((noinline)) void leave(struct sonde_task *task, int ends)
{
	struct thread_side *side = task->loop->stack_pool;

	tools_leave(&task->stack->tools, &side->tools, ends);
	switch_to(&task->context, &side->context);
	tools_arrive(&task->stack->tools, &side->tools);
}

static __attribute__((noinline)) void enter(struct sonde_task *task)
{
	struct thread_side *side = task->loop->stack_pool;

	tools_leave(&side->tools, &task->stack->tools, 0);
	switch_to(&side->context, &task->context);
	tools_arrive(&side->tools, &task->stack->tools);
}

static void task_entry(void *arg)
{
	struct sonde_task *task = arg;
	struct thread_side *side = task->loop->stack_pool;

	tools_arrive(&task->stack->tools, &side->tools);
	task->result = task->fn(task, task->arg);
	task->ended = true;
	leave(task, 1);
}

static void task_free(struct sonde_task *task)
{
	mem_release(task);
}

static void task_end(struct sonde_task *task)
{
	struct thread_side *side = task->loop->stack_pool;

	stack_put(&side->pool, task->stack);
	task->stack = NULL;
	task->loop->n_tasks--;
	if (task->detached)
		task_free(task);
	else if (task->joiner)
		task_unpark(task->joiner);
}

static void task_run(struct loop_ready *ready)
{
	struct sonde_task *task = (struct sonde_task *)(void *)ready;
	struct sonde_loop *loop = task->loop;

	loop->current = task;
	enter(task);
	loop->current = NULL;
	if (task->ended)
		task_end(task);
}

int sonde_task_spawn(struct sonde_loop *loop, sonde_task_fn *fn, void *arg, struct sonde_task **ret)
{
	struct thread_side *side = thread_side(loop);
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
	switch_init(&task->context, task->stack->bottom, stack_room(task->stack), task_entry, task);
	loop->n_tasks++;
	loop_add_ready(loop, &task->ready);
	if (ret)
		*ret = task;
	return SONDE_OK;
out:
	mem_release(task);
	return SONDE_E_NO_MEMORY;
}

void task_park(struct sonde_task *self)
{
	ENSURE(self->loop->current == self);
	leave(self, 0);
}

void task_unpark(struct sonde_task *task)
{
	loop_add_ready(task->loop, &task->ready);
}

static bool is_running(const struct sonde_task *task)
{
	return task->loop->current == task;
}

int sonde_task_join(struct sonde_task *self, struct sonde_task *task)
{
	if (task->detached || task->joined || self == task)
		return SONDE_E_BAD_ARG;
	if (self && (!is_running(self) || self->loop != task->loop))
		return SONDE_E_BAD_ARG;
	task->joined = true;
	if (!task->ended && self) {
		task->joiner = self;
		task_park(self);
	} else if (!task->ended) {
		int r = loop_pump(task->loop, &task->ended);
		if (r < 0) {
			task->joined = false;
			return r;
		}
	}
	int result = task->result;
	task_free(task);
	return result;
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

int sonde_task_yield(struct sonde_task *self)
{
	if (!is_running(self))
		return SONDE_E_BAD_ARG;
	task_unpark(self);
	task_park(self);
	return SONDE_OK;
}

static void wake_sleeper(struct sonde_timer *timer)
{
	task_unpark(timer->user);
}

int sonde_task_sleep_until(struct sonde_task *self, uint64_t at_ns)
{
	struct sonde_timer timer = { .at_ns = at_ns, .fire = wake_sleeper, .user = self };

	if (!is_running(self))
		return SONDE_E_BAD_ARG;
	int r = sonde_timer_start(self->loop, &timer);
	if (r == SONDE_OK)
		task_park(self);
	return r;
}

struct sonde_task *sonde_task_current(struct sonde_loop *loop)
{
	return loop->current;
}
