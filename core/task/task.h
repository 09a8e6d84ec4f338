/* SPDX-License-Identifier: MIT */
/*
 * The inside of tasks: parking and waking. Everything else that suspends is made of
 * these two.
 */
#ifndef SONDE_TASK_TASK_H
#define SONDE_TASK_TASK_H

#include <sonde/task.h>

/* Suspend the running task until task_unpark. May return early never; unpark comes exactly once. */
void task_park(struct sonde_task *self);

/* Make a parked task ready. The loop's thread. */
void task_unpark(struct sonde_task *task);

#endif
