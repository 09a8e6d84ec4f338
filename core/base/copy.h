/* SPDX-License-Identifier: MIT */
/*
 * Copying as fast as the machine goes: sizes that structures are made of are moves of a register,
 * large copies take the fastest loop there is, found out by timing a few of the large copies
 * themselves. Which one that is depends on the processor, on whether it is a virtual one, and on what its caches hold,
 * so they are timed again now and then.
 */
#ifndef SONDE_BASE_COPY_H
#define SONDE_BASE_COPY_H

#include <stdint.h>
#include "base/mem.h"

#define COPY_LARGE 1024u      /* bytes; from here on the loop matters       */
#define COPY_HUGE (16u << 10) /* ... and from here on it may be another one */
#define COPY_LOOPS 2u
#define COPY_TRIALS 16u /* timed copies of each loop             */

typedef void copy_fn(void *to, const void *from, size_t len);

/* Of one range of sizes. All zero to begin with. */
struct copy_choice {
	copy_fn *chosen;                          /* NULL: none yet                        */
	uint32_t n_left;                          /* copies until they are timed again     */
	uint32_t interval;                        /* ... the last time it was so many      */
	uint32_t n;                               /* copies timed                          */
	uint32_t score[COPY_LOOPS];               /* of the choices so far, the last counts most */
	uint32_t clocks[COPY_LOOPS][COPY_TRIALS]; /* of one KiB, on average over the copy  */
};

/* One a space: spaces differ in how cold their bytes are. */
struct copier {
	struct copy_choice large, huge;
};

/* Behind copy_bytes: len >= COPY_LARGE. copy.c knows loops and clocks; a program without a host brings its own. */
void copy_large(struct copier *copier, void *to, const void *from, size_t len);

/* n of them from either end, which may overlap in the middle: every len from half to all of 2 * n. */
#define COPY_ENDS(to, from, len, n)                                                                \
	do {                                                                                       \
		struct copy_##n {                                                                  \
			char bytes[n];                                                             \
		} first, last;                                                                     \
		memcpy(&first, (from), n);                                                         \
		memcpy(&last, (from) + (len)-n, n);                                                \
		memcpy((to), &first, n);                                                           \
		memcpy((to) + (len)-n, &last, n);                                                  \
	} while (0)

/* Up to 64 bytes without a call: registers, each moved once. */
static inline void copy_small(char *to, const char *from, size_t len)
{
	if (len > 32)
		COPY_ENDS(to, from, len, 32);
	else if (len > 16)
		COPY_ENDS(to, from, len, 16);
	else if (len >= 8)
		COPY_ENDS(to, from, len, 8);
	else if (len >= 4)
		COPY_ENDS(to, from, len, 4);
	else if (len >= 2)
		COPY_ENDS(to, from, len, 2);
	else if (len)
		*to = *from;
}

static inline void copy_bytes(struct copier *copier, char *to, const char *from, size_t len)
{
	if (__builtin_expect(len == 8, 1)) /* pointers: half of all that is ever read */
		memcpy(to, from, 8);
	else if (len <= 64)
		copy_small(to, from, len);
	else if (len < COPY_LARGE)
		memcpy(to, from, len);
	else
		copy_large(copier, to, from, len);
}

#endif
