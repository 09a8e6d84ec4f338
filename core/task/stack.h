/* SPDX-License-Identifier: MIT */
/*
 * Stacks for tasks: mapped, with a guard page below, kept in a pool of the loop.
 */
#ifndef SONDE_TASK_STACK_H
#define SONDE_TASK_STACK_H

#include <stddef.h>

#include "task/sanitize.h"

#define STACK_SIZE (64u * 1024)

struct stack {
	struct stack *next;
	char *bottom; /* lowest usable byte; the guard page lies below */
	struct stack_tools tools;
};

struct stack_pool {
	struct stack *free;
	size_t n_free;
};

/* NULL: out of memory. */
struct stack *stack_get(struct stack_pool *pool);
void stack_put(struct stack_pool *pool, struct stack *stack);
void stack_pool_finish(struct stack_pool *pool);

#endif
