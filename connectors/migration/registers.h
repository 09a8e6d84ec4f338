/* SPDX-License-Identifier: MIT */
/* Fields of a "cpu" section of a stream as the registers of a processor. */
#ifndef MIGRATION_REGISTERS_H
#define MIGRATION_REGISTERS_H

#include "../common/full_cpu.h"

/* One field, or an array of n: "env.gdt" "base", index 0; "env.regs" "", n 16. */
struct register_field {
	const char *name, *part; /* part: of a struct; "" it is none */
	uint64_t index;          /* which element of an array of structs */
	const uint8_t *bytes;    /* [n * size], high byte first          */
	size_t size, n;
};

/* Into *ret what is known of it; arch is set by the fields that only one has. */
void register_take(struct full_cpu *ret, const struct register_field *field);

#endif
