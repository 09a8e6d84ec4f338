/* SPDX-License-Identifier: MIT */
/* Stacks as mappings, a guard page below. The struct of a stack lies at its own top, so one mapping is all. */
#include "task/stack.h"

#include <sys/mman.h>
#include <unistd.h>

/* One page of the host, whose size differs between kernels of one architecture. */
static size_t guard_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

struct stack *stack_map(void)
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
	tools_stack_created(&stack->tools, stack->bottom, stack_room(stack));
	return stack;
}

void stack_unmap(struct stack *stack)
{
	tools_stack_destroyed(&stack->tools, stack->bottom, stack_room(stack));
	munmap(stack->bottom - guard_size(), guard_size() + STACK_SIZE);
}
