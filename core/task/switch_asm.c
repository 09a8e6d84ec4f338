/* SPDX-License-Identifier: MIT */
/* First frames for the assembly switches; their layouts stand in switch_<arch>.S. */
#include "task/switch.h"

#include <stdint.h>

#include "base/mem.h"

void sonde_switch_to(struct switch_context *from, struct switch_context *to);
void sonde_switch_start(void);

void switch_to(struct switch_context *from, struct switch_context *to)
{
	sonde_switch_to(from, to);
}

#if defined(__x86_64__)
enum { FRAME_WORDS = 8, CONTROL = 0, ENTRY = 4, ARG = 3, RETURN = 7 };
#define CONTROL_WORDS (UINT64_C(0x1f80) | UINT64_C(0x037f) << 32) /* all masked: AMD64 ABI 3.4.1 */
#elif defined(__aarch64__)
enum { FRAME_WORDS = 20, ENTRY = 0, ARG = 1, RETURN = 11 };
#endif

void switch_init(struct switch_context *context, void *bottom, size_t size,
		 void (*entry)(void *arg), void *arg)
{
	uintptr_t top = ((uintptr_t)bottom + size) & ~(uintptr_t)15;
	uint64_t *frame = (uint64_t *)top - FRAME_WORDS;

	memset(frame, 0, FRAME_WORDS * sizeof(*frame));
#if defined(__x86_64__)
	/* After the first ret, rsp is the top: 16-aligned, as before a call. */
	frame[CONTROL] = CONTROL_WORDS;
#endif
	frame[ENTRY] = (uint64_t)(uintptr_t)entry;
	frame[ARG] = (uint64_t)(uintptr_t)arg;
	frame[RETURN] = (uint64_t)(uintptr_t)sonde_switch_start;
	context->sp = frame;
}
