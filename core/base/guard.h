/* SPDX-License-Identifier: MIT */
/*
 * Copying from memory maps that may lose their file: a page behind the end of a
 * truncated file raises SIGBUS. Inside a guard that becomes a return value.
 *
 *	struct guard guard;
 *	guard_install();              before the first guard, as often as one likes; threads may race
 *	if (GUARD_ENTER(&guard)) { ... a copy below faulted ... } else { copy; }
 *	guard_leave(&guard);
 *
 * Guards nest. Only memory copies belong between enter and leave: no lock, no allocation.
 */
#ifndef SONDE_BASE_GUARD_H
#define SONDE_BASE_GUARD_H

#include <setjmp.h>

struct guard {
	sigjmp_buf env;
	struct guard *outer;
};

/* Install the handler, again where another has replaced it; earlier handlers still get the faults that are not ours. Returns 0 or an errno. */
int guard_install(void);

void guard_push(struct guard *guard);
void guard_leave(struct guard *guard);

/* 0 on entry, 1 after a fault. */
#define GUARD_ENTER(guard) (guard_push(guard), sigsetjmp((guard)->env, 0))

#endif
