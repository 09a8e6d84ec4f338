/* SPDX-License-Identifier: MIT */
/* Pooled stacks. Where they come from is the host's: stack_posix.c maps them. */
#include "task/stack.h"

#define KEEP_MAX 1024u /* more than this many idle stacks go back to the system */

struct stack *stack_get(struct stack_pool *pool)
{
	struct stack *stack = pool->free;

	if (!stack)
		return stack_map();
	pool->free = stack->next;
	pool->n_free--;
	tools_stack_reused(&stack->tools, stack->bottom, stack_room(stack));
	return stack;
}

void stack_put(struct stack_pool *pool, struct stack *stack)
{
	if (pool->n_free >= KEEP_MAX) {
		stack_unmap(stack);
		return;
	}
	stack->next = pool->free;
	pool->free = stack;
	pool->n_free++;
}

void stack_pool_finish(struct stack_pool *pool)
{
	while (pool->free) {
		struct stack *next = pool->free->next;
		stack_unmap(pool->free);
		pool->free = next;
	}
	pool->n_free = 0;
}
