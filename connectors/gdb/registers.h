/* SPDX-License-Identifier: MIT */
/* The registers of one processor or thread: from the answer to "g", by the target's description. */
#ifndef GDB_REGISTERS_H
#define GDB_REGISTERS_H

#include "../common/full_cpu.h"
#include "description.h"

/* Somebody who asks for one register, 8 bytes at most, alone ("p"). Returns 0, < 0: it cannot be had. */
typedef int registers_ask_fn(void *user, const struct description_register *reg, uint64_t *ret);

/*
 * Fill *ret (zero on entry) with what the description names and the answer has: text of n_text hex digits, where "x"
 * stands for a digit that is not known. What lies behind the answer's end, as QEMU's system registers do, is asked for
 * by ask; NULL: it is left out.
 *
 * Returns   how many registers were taken; 0: none, and *ret is not touched.
 */
uint32_t registers_take(const struct description *description, const uint8_t *text, size_t n_text,
			registers_ask_fn *ask, void *user, struct full_cpu *ret);

/* What "p" answers: the digits of reg and no others, all known. Returns 0, -1. */
int registers_parse_one(const struct description_register *reg, const uint8_t *text, size_t n_text,
			uint64_t *ret);

/* One register by its name, 8 bytes at most. Returns 0, -1: not in the answer, or not known. */
int registers_value(const struct description *description, const char *name, const uint8_t *text,
		    size_t n_text, uint64_t *ret);

#endif
