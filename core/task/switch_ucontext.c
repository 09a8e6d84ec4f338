/* SPDX-License-Identifier: MIT */
/* The portable switch: ucontext. Slower (a system call for the signal mask), and right everywhere. */
#include "task/switch.h"

#include <stdint.h>
#include <string.h>
#include <ucontext.h>

/* What a first arrival calls; lies at the top of its stack, below nothing that runs. */
struct start {
	ucontext_t ucontext;
	void (*entry)(void *arg);
	void *arg;
};

/* makecontext passes ints only, so a pointer travels in two. */
static void start_entry(unsigned high, unsigned low)
{
	struct start *start = (void *)(uintptr_t)((uint64_t)high << 32 | low);

	start->entry(start->arg);
}

void switch_init(struct switch_context *context, void *bottom, size_t size,
		 void (*entry)(void *arg), void *arg)
{
	uintptr_t top = ((uintptr_t)bottom + size - sizeof(struct start)) & ~(uintptr_t)63;
	struct start *start = (void *)top;
	uint64_t at = (uint64_t)top;

	memset(start, 0, sizeof(*start));
	start->entry = entry;
	start->arg = arg;
	getcontext(&start->ucontext);
	start->ucontext.uc_stack.ss_sp = bottom;
	start->ucontext.uc_stack.ss_size = top - (uintptr_t)bottom;
	makecontext(&start->ucontext, (void (*)(void))start_entry, 2, (unsigned)(at >> 32),
		    (unsigned)at);
	context->sp = &start->ucontext;
}

void switch_to(struct switch_context *from, struct switch_context *to)
{
	ucontext_t here;

	from->sp = &here;
	swapcontext(&here, to->sp);
}
