/* SPDX-License-Identifier: MIT */
/* Pooled, guarded stacks. The struct of a stack lies at its own top, so one mapping is all. */
#include "task/stack.h"

#include <sys/mman.h>
#include <unistd.h>

#define KEEP_MAX 1024u /* more than this many idle stacks go back to the system */

static size_t room(const struct stack *stack)
{
	return (size_t)((const char *)stack - stack->bottom);
}

/* One page of the host, whose size differs between kernels of one architecture. */
static size_t guard_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

static struct stack *stack_map(void)
{
	size_t guard = guard_size();
	char *base = mmap(NULL, guard + STACK_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED)
		return NULL;
	if (mprotect(base, guard, PROT_NONE)) {
		munmap(base, guard + STACK_SIZE);
		return NULL;
	}
	size_t head = (sizeof(struct stack) + 63) & ~(size_t)63;
	struct stack *stack = (void *)(base + guard + STACK_SIZE - head);
	stack->bottom = base + guard;
	tools_stack_created(&stack->tools, stack->bottom, room(stack));
	return stack;
}

static void stack_unmap(struct stack *stack)
{
	tools_stack_destroyed(&stack->tools, stack->bottom, room(stack));
	munmap(stack->bottom - guard_size(), guard_size() + STACK_SIZE);
}

struct stack *stack_get(struct stack_pool *pool)
{
	struct stack *stack = pool->free;

	if (!stack)
		return stack_map();
	pool->free = stack->next;
	pool->n_free--;
	tools_stack_reused(&stack->tools, stack->bottom, room(stack));
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
