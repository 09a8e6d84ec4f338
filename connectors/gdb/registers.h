/* SPDX-License-Identifier: MIT */
/* The registers of one processor or thread: from the answer to "g", by the target's description. */
#ifndef GDB_REGISTERS_H
#define GDB_REGISTERS_H

#include "description.h"

/*
 * Fill *ret (zero on entry) with what the description names and the answer has: text of n_text hex digits, where "x"
 * stands for a digit that is not known.
 *
 * Returns   how many registers were taken; 0: none, and *ret is not touched.
 */
uint32_t registers_take(const struct description *description, const uint8_t *text, size_t n_text,
			struct sonde_cpu *ret);

/* One register by its name, 8 bytes at most. Returns 0, -1: not in the answer, or not known. */
int registers_value(const struct description *description, const char *name, const uint8_t *text,
		    size_t n_text, uint64_t *ret);

#endif
