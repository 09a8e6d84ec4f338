/* SPDX-License-Identifier: MIT */
/*
 * Telling the sanitizers and Valgrind that a thread changes stacks. One place, so that a
 * switch cannot forget one of them. Everything is a no-op in a plain build.
 */
#ifndef SONDE_TASK_SANITIZE_H
#define SONDE_TASK_SANITIZE_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define TASK_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TASK_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define TASK_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TASK_TSAN 1
#endif
#endif

#ifdef TASK_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef TASK_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#ifdef SONDE_HAVE_VALGRIND
#include <valgrind/valgrind.h>
#endif

/* For a function that reads stacks as mere memory. */
#if defined(TASK_ASAN)
#define TOOLS_READ_ANYTHING __attribute__((no_sanitize_address))
#elif defined(TASK_TSAN)
#define TOOLS_READ_ANYTHING __attribute__((no_sanitize_thread))
#else
#define TOOLS_READ_ANYTHING
#endif

/* What the tools want to know of one stack. */
struct stack_tools {
	void *asan_fake;         /* ASan: fake stack put aside while away */
	const void *asan_bottom; /* ASan: bounds, learned when left       */
	size_t asan_size;
	void *tsan_fiber;
	unsigned valgrind_id;
};

static inline void tools_stack_created(struct stack_tools *tools, void *bottom, size_t size)
{
	(void)tools, (void)bottom, (void)size;
#ifdef TASK_ASAN
	tools->asan_bottom = bottom;
	tools->asan_size = size;
#endif
#ifdef TASK_TSAN
	tools->tsan_fiber = __tsan_create_fiber(0);
#endif
#ifdef SONDE_HAVE_VALGRIND
	tools->valgrind_id = VALGRIND_STACK_REGISTER(bottom, (char *)bottom + size);
#endif
}

/* A stack whose last task never returned from its first frames is used again. */
static inline void tools_stack_reused(struct stack_tools *tools, void *bottom, size_t size)
{
	(void)tools, (void)bottom, (void)size;
#ifdef TASK_ASAN
	tools->asan_fake = NULL;
	tools->asan_bottom = bottom;
	tools->asan_size = size;
	__asan_unpoison_memory_region(bottom, size);
#endif
#ifdef TASK_TSAN
	/* The old fiber still holds the call stack of the frames that never returned. */
	__tsan_destroy_fiber(tools->tsan_fiber);
	tools->tsan_fiber = __tsan_create_fiber(0);
#endif
}

static inline void tools_stack_destroyed(struct stack_tools *tools, void *bottom, size_t size)
{
	(void)tools, (void)bottom, (void)size;
#ifdef TASK_ASAN
	__asan_unpoison_memory_region(bottom, size);
#endif
#ifdef TASK_TSAN
	__tsan_destroy_fiber(tools->tsan_fiber);
#endif
#ifdef SONDE_HAVE_VALGRIND
	VALGRIND_STACK_DEREGISTER(tools->valgrind_id);
#endif
}

/* Around the same: Valgrind takes what lies below a stack pointer for nobody's. */
static inline void tools_silence(bool silent)
{
	(void)silent;
#ifdef SONDE_HAVE_VALGRIND
	if (silent)
		VALGRIND_DISABLE_ERROR_REPORTING;
	else
		VALGRIND_ENABLE_ERROR_REPORTING;
#endif
}

/* The thread's own stack, seen when it is first left. */
static inline void tools_thread_stack(struct stack_tools *tools)
{
	(void)tools;
#ifdef TASK_TSAN
	tools->tsan_fiber = __tsan_get_current_fiber();
#endif
}

/* Just before the switch from one stack to another. ends: from is never come back to. */
static inline void tools_leave(struct stack_tools *from, struct stack_tools *to, int ends)
{
	(void)from, (void)to, (void)ends;
#ifdef TASK_ASAN
	__sanitizer_start_switch_fiber(ends ? NULL : &from->asan_fake, to->asan_bottom,
				       to->asan_size);
#endif
#ifdef TASK_TSAN
	__tsan_switch_to_fiber(to->tsan_fiber, 0);
#endif
}

/* Just after arriving on self, from from. */
static inline void tools_arrive(struct stack_tools *self, struct stack_tools *from)
{
	(void)self, (void)from;
#ifdef TASK_ASAN
	__sanitizer_finish_switch_fiber(self->asan_fake, &from->asan_bottom, &from->asan_size);
#endif
}

#endif
