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

/* Saving the mask is a system call; needed only where TSan blocks every signal around our handler. */
#define GUARD_SAVE_MASK 0
#if defined(__SANITIZE_THREAD__)
#undef GUARD_SAVE_MASK
#define GUARD_SAVE_MASK 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#undef GUARD_SAVE_MASK
#define GUARD_SAVE_MASK 1
#endif
#endif

/* 0 on entry, 1 after a fault. */
#define GUARD_ENTER(guard) (guard_push(guard), sigsetjmp((guard)->env, GUARD_SAVE_MASK))

#endif
