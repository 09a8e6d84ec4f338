/* SPDX-License-Identifier: MIT */
/*
 * The task door: stackful coroutines. Code inside a task reads like blocking code;
 * what N parked tasks asked for leaves as one batch when nothing else can run.
 *
 * A function that can suspend takes struct sonde_task * first: the one that runs, else the
 * answer is SONDE_E_BAD_ARG. No lock, no signal mask and no thread-local address may be held
 * across such a call. Stacks are 64 KiB: no large arrays on them. Below each lies a page that kills
 * whoever touches it; where a host has none left, an overflow ends the program at the next switch.
 */
#ifndef SONDE_TASK_H
#define SONDE_TASK_H

#include <sonde/io.h>
#include <sonde/loop.h>
#include <sonde/space.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sonde_task; /* handle; freed by join, or by itself when detached */

typedef int sonde_task_fn(struct sonde_task *task, void *arg);

/*
 * Start fn(task, arg) in a new task. It first runs inside the loop, never inside spawn; and run
 * it does, even if its end was asked for before.
 *
 * Returns   0; SONDE_E_NO_MEMORY.
 * Owns      *ret until sonde_task_join or sonde_task_detach; with ret NULL it is detached.
 */
int sonde_task_spawn(struct sonde_loop *loop, sonde_task_fn *fn, void *arg,
		     struct sonde_task **ret);

/*
 * As sonde_task_spawn, as a child of a task: asking for the end of parent asks for that of the
 * child and of all below it. A parent that returns with children still alive asks for their end, and
 * has ended itself only when they have. What shall outlive it is spawned with sonde_task_spawn.
 *
 * Returns   0; SONDE_E_NO_MEMORY; SONDE_E_BAD_ARG when fn of parent has returned.
 * Context   the parent itself, other tasks, callbacks, plain code.
 */
int sonde_task_spawn_child(struct sonde_task *parent, sonde_task_fn *fn, void *arg,
			   struct sonde_task **ret);

/*
 * Wait for a task and free it. From plain code (self NULL) it pumps the loop, from a task it
 * parks self. When the end of self is asked for, so is that of task, which is still waited for:
 * after join the handle is gone and what task worked on is free, always. To wait for a task
 * without that, sonde_task_select.
 *
 * Returns   what fn returned (or, where that is CANCELLED, what self was asked to end with);
 *           SONDE_E_BUSY from a completion callback; SONDE_E_BAD_ARG when it is detached or
 *           somebody else joins it, or when it would wait for self in turn.
 */
int sonde_task_join(struct sonde_task *self, struct sonde_task *task);
void sonde_task_detach(struct sonde_task *task);

/*
 * Ask for the end of a task and of everything below it. Whatever one of them is parked in ends
 * with SONDE_E_CANCELLED, and every call of it that could suspend answers that from then on without
 * waiting: sonde_space_read and the like too, also where they would not have suspended. What is on
 * its way to a buffer of the task is called off and waited for first. A result that came before that is
 * handed out, and nothing that was taken is lost.
 *
 * Returns   1 asked; 0 nothing to ask: it has ended, or was asked before.
 * Context   any task, itself included, callbacks, plain code. Never suspends, runs no task.
 */
int sonde_task_cancel(struct sonde_task *task);

/*
 * Was the end of a task asked for? For tasks that compute long without suspending.
 * Returns 0; SONDE_E_CANCELLED; SONDE_E_TIMED_OUT inside a timeout that has passed.
 */
int sonde_task_check(struct sonde_task *task);

/*
 * Run fn(self, arg) here and now, with a deadline on all that it waits for: from at_ns on
 * (sonde_now_ns time) every call that could suspend ends with SONDE_E_TIMED_OUT, at any depth, those
 * of space.h and batch.h too, as if cancelled. Timeouts nest; the earliest counts. None
 * is left when fn returns. Tasks that fn spawns are not under it; a join of them is.
 *
 * Returns   what fn returned; SONDE_E_BAD_ARG when self is not the task that runs.
 */
int sonde_task_timeout(struct sonde_task *self, uint64_t at_ns, sonde_task_fn *fn, void *arg);

/*
 * Wait for the end of a request that was submitted through io.h; its callback has run when this
 * returns. When the end of self is asked for, so is that of the request, which is still waited for:
 * after await it is idle, always, and may lie on the stack of self. From plain code (self NULL) it
 * pumps the loop.
 *
 * Returns   its result, at once where it is idle; SONDE_E_BUSY from a callback, SONDE_E_BAD_ARG
 *           where self is not the task that runs: it is not waited for.
 */
int sonde_task_await(struct sonde_task *self, struct sonde_io *io);

/* The same reads and writes as space.h, suspending self. */
int sonde_task_read(struct sonde_task *self, struct sonde_space *space, struct sonde_xfer *xfers,
		    size_t n);
int sonde_task_write(struct sonde_task *self, struct sonde_space *space, struct sonde_xfer *xfers,
		     size_t n);

/* Let the others run. Returns 0, or as sonde_task_check (the others have run then, too). */
int sonde_task_yield(struct sonde_task *self);

/* Suspend until a time of sonde_now_ns(), or for some ns. Returns 0, or as sonde_task_check. */
int sonde_task_sleep_until(struct sonde_task *self, uint64_t at_ns);
int sonde_task_sleep(struct sonde_task *self, uint64_t ns);

/* The task that runs now on this loop, NULL in plain code and callbacks. */
struct sonde_task *sonde_task_current(struct sonde_loop *loop);

/*
 * What the tasks of a loop take up. stack_used is the most that any of them, alive or ended, has ever
 * written to its stack, found by what is left there: it costs nothing until it is asked for.
 */
struct sonde_task_stats {
	uint64_t tasks;      /* that have not ended                                     */
	uint64_t stacks;     /* set aside, in use or not; memory is what they have used */
	uint64_t stack_size; /* bytes                                                   */
	uint64_t stack_used; /* bytes, of one                                           */
};
void sonde_task_stats(const struct sonde_loop *loop, struct sonde_task_stats *ret);

#ifdef __cplusplus
}
#endif
#endif
