/* SPDX-License-Identifier: MIT */
/*
 * Changing stacks. One implementation an architecture: switch_x86_64.S, switch_aarch64.S,
 * and switch_ucontext.c for the rest. Everything a callee must keep is kept.
 */
#ifndef SONDE_TASK_SWITCH_H
#define SONDE_TASK_SWITCH_H

#include <stddef.h>

/* Where a stack that is not running goes on. */
struct switch_context {
	void *sp; /* assembly: the saved stack pointer; ucontext: its record */
};

/* Make context start entry(arg) on a stack when it is first switched to. entry never returns. */
void switch_init(struct switch_context *context, void *bottom, size_t size,
		 void (*entry)(void *arg), void *arg);

/* Save here in from, go on in to. Returns when something switches back to from. */
void switch_to(struct switch_context *from, struct switch_context *to);

#endif
