/* SPDX-License-Identifier: MIT */
/*
 * Copying as fast as the machine goes: sizes that structures are made of are moves of a register,
 * large copies take the fastest loop there is, found out by timing the first large copies
 * themselves. Which one that is depends on the processor and on whether it is a virtual one.
 */
#ifndef SONDE_BASE_COPY_H
#define SONDE_BASE_COPY_H

#include <stdint.h>
#include <string.h>

#define COPY_LARGE 1024u /* bytes; from here on the loop matters  */
#define COPY_LOOPS 2u
#define COPY_TRIALS 16u /* timed copies of each loop             */

typedef void copy_fn(void *to, const void *from, size_t len);

/* All zero to begin with. One a space: spaces differ in how cold their bytes are. */
struct copier {
	copy_fn *chosen;                          /* NULL: still timing                    */
	uint32_t n;                               /* copies timed                          */
	uint32_t clocks[COPY_LOOPS][COPY_TRIALS]; /* of one KiB, on average over the copy  */
};

/* Behind copy_bytes: len >= COPY_LARGE. */
void copy_large(struct copier *copier, void *to, const void *from, size_t len);

static inline void copy_bytes(struct copier *copier, char *to, const char *from, size_t len)
{
	switch (len) {
	case 8:
		memcpy(to, from, 8);
		break;
	case 4:
		memcpy(to, from, 4);
		break;
	case 1:
		*to = *from;
		break;
	default:
		if (len < COPY_LARGE)
			memcpy(to, from, len);
		else
			copy_large(copier, to, from, len);
	}
}

#endif
