/* SPDX-License-Identifier: MIT */
/*
 * The task door: stackful coroutines. Code inside a task reads like blocking code;
 * what N parked tasks asked for leaves as one batch when nothing else can run.
 *
 * A function that can suspend takes struct sonde_task * first: the one that runs, else the
 * answer is SONDE_E_BAD_ARG. No lock, no signal mask and no thread-local address may be held
 * across such a call. Stacks are 64 KiB with a guard page below: no large arrays on them.
 */
#ifndef SONDE_TASK_H
#define SONDE_TASK_H

#include <sonde/loop.h>
#include <sonde/space.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sonde_task; /* handle; freed by join, or by itself when detached */

typedef int sonde_task_fn(struct sonde_task *task, void *arg);

/*
 * Start fn(task, arg) in a new task. It first runs inside the loop, never inside spawn.
 *
 * Returns   0; SONDE_E_NO_MEMORY.
 * Owns      *ret until sonde_task_join or sonde_task_detach; with ret NULL it is detached.
 */
int sonde_task_spawn(struct sonde_loop *loop, sonde_task_fn *fn, void *arg,
		     struct sonde_task **ret);

/*
 * Wait for a task and free it. From plain code (self NULL) it pumps the loop, from a
 * task it parks self. Returns what fn returned; SONDE_E_BUSY from a completion callback.
 */
int sonde_task_join(struct sonde_task *self, struct sonde_task *task);
void sonde_task_detach(struct sonde_task *task);

/* The same reads and writes as space.h, suspending self. */
int sonde_task_read(struct sonde_task *self, struct sonde_space *space, struct sonde_xfer *xfers,
		    size_t n);
int sonde_task_write(struct sonde_task *self, struct sonde_space *space, struct sonde_xfer *xfers,
		     size_t n);

/* Let the others run. Returns 0. */
int sonde_task_yield(struct sonde_task *self);

/* Suspend until a time of sonde_now_ns(). Returns 0. */
int sonde_task_sleep_until(struct sonde_task *self, uint64_t at_ns);

/* The task that runs now on this loop, NULL in plain code and callbacks. */
struct sonde_task *sonde_task_current(struct sonde_loop *loop);

#ifdef __cplusplus
}
#endif
#endif
