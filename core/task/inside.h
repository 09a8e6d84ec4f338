/* SPDX-License-Identifier: MIT */
/*
 * A task and what its loop keeps for all of them; for the files of this folder only.
 *
 *   READY ──loop──▶ RUNNING ──waits──▶ PARKED ──task_wake──▶ READY
 *                      └──fn returned──▶ RETURNED ──no child left──▶ ENDED ──join, detach──▶ freed
 */
#ifndef SONDE_TASK_INSIDE_H
#define SONDE_TASK_INSIDE_H

#include "task/stack.h"
#include "task/switch.h"
#include "task/task.h"

struct sonde_task {
	struct loop_ready ready;
	struct switch_context context;
	struct stack *stack;
	struct sonde_loop *loop;
	struct task_wait *wait; /* what it is parked in                          */
	uint64_t deadline_ns;   /* of the timeouts it is inside of, the earliest */
	sonde_task_fn *fn;
	void *arg;
	int result;
	bool returned, ended, detached;
	bool joined;    /* somebody waits in join, and frees it        */
	bool cancelled; /* it and all below it were asked to end       */
	bool listed;    /* wait.c: in the list of those who wait       */

	struct sonde_task *parent, *children; /* of the tree: those that have not ended    */
	struct sonde_task *next, *prev;       /* siblings                                  */
	struct sonde_task *next_asked;        /* to be told (cancel.c), or waiting (wait.c) */

	struct task_wait *joiner;   /* waits for our end                           */
	struct loop_watch *watches; /* selects that wait for our end               */
};

/* One a loop, made with the first task. Its stack is the thread's own: where all comes back to. */
struct task_side {
	struct stack_pool pool;
	struct switch_context context;
	struct stack_tools tools;
	struct stack_tools *left;    /* of the stack that was left last            */
	bool left_badly;             /* it had been overflown                      */
	struct sonde_task *returned; /* its fn has returned; it lies on its stack  */
	struct sonde_task *asked;    /* cancel.c: still to be told                 */
	bool telling;
};

static inline struct task_side *task_side(const struct sonde_task *task)
{
	return task->loop->tasks;
}

static inline bool task_is_running(const struct sonde_task *task)
{
	return task && task->loop->current == task;
}

/* cancel.c: ask for the end of task and all below it. Returns how many were asked that had not been. */
int task_cancel_tree(struct sonde_task *task);

/* It has ended, and nobody will ask for it again. */
void task_free(struct sonde_task *task);

/* A child that begins or has ended. */
void task_add_child(struct sonde_task *parent, struct sonde_task *child);
void task_remove_child(struct sonde_task *child);

#endif
