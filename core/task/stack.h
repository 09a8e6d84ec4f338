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

/* Its usable bytes: from bottom up to the struct. */
static inline size_t stack_room(const struct stack *stack)
{
	return (size_t)((const char *)stack - stack->bottom);
}

/*
 * The host's: a stack of STACK_SIZE whose struct lies at its own top, bottom set and
 * tools_stack_created called; and its way back. NULL: out of memory.
 */
struct stack *stack_map(void);
void stack_unmap(struct stack *stack);

/* NULL: out of memory. */
struct stack *stack_get(struct stack_pool *pool);
void stack_put(struct stack_pool *pool, struct stack *stack);
void stack_pool_finish(struct stack_pool *pool);

#endif
