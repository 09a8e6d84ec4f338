/* SPDX-License-Identifier: MIT */
/*
 * The inside of tasks, for whatever suspends: a wait on somebody's stack, which either door can
 * be in. Requests, batches, joins, channels and select are all made of it; tasks themselves are in
 * inside.h.
 */
#ifndef SONDE_TASK_TASK_H
#define SONDE_TASK_TASK_H

#include <sonde/error.h>
#include <sonde/task.h>
#include <stdbool.h>

#include "io/loop.h"

/* What a task is parked in, or plain code pumps the loop for. Zero it; exactly one task_wake ends it. */
struct task_wait {
	/*
	 * The waiting task shall end early, with this code. Call task_wake; or ask whatever is waited for
	 * to end, where it has hold of something on this stack, and task_wake comes with that. Never
	 * called once the wait is over. Runs no code of the user's.
	 */
	void (*stop)(struct task_wait *wait, int code);
	struct sonde_task *task; /* parked in it; NULL: plain code */
	int result;              /* what task_wake was given       */
	bool over;
};

/* As task_wait, where the wait is not over. */
int task_suspend(struct sonde_loop *loop, struct task_wait *wait);

/*
 * Suspend whoever runs, task or plain code, until task_wake; no time where that has been already.
 * Returns what task_wake was given; SONDE_E_BUSY in a callback, where nothing may wait: ask
 * task_may_wait before anything is begun.
 */
static inline int task_wait(struct sonde_loop *loop, struct task_wait *wait)
{
	return wait->over ? wait->result : task_suspend(loop, wait);
}

/* 0; SONDE_E_BUSY in a callback. */
static inline int task_may_wait(const struct sonde_loop *loop)
{
	return loop->current || !loop->inside ? SONDE_OK : SONDE_E_BUSY;
}

/* 0, or the code with which the task that runs shall end every wait at once; 0 in plain code. */
static inline int task_stop_here(const struct sonde_loop *loop)
{
	return loop->current ? sonde_task_check(loop->current) : SONDE_OK;
}

/*
 * May self, or plain code where it is NULL, wait in this loop now? 0, or why not: _BAD_ARG, _BUSY, or
 * that its end was asked for.
 */
static inline int task_may_begin(const struct sonde_loop *loop, struct sonde_task *self)
{
	if (!self)
		return loop->current || loop->inside ? SONDE_E_BUSY : SONDE_OK;
	return loop->current == self ? sonde_task_check(self) : SONDE_E_BAD_ARG;
}

/* End a wait. The loop's thread. */
void task_wake(struct task_wait *wait, int result);

#endif
