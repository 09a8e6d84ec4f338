/* SPDX-License-Identifier: MIT */
/*
 * What the dumps of Windows share: machines, registers of a thread (CONTEXT), times.
 *
 * Source: Microsoft, winnt.h as published: IMAGE_FILE_MACHINE_*, CONTEXT of x86, AMD64 and ARM64; FILETIME counts 100 ns from
 * 1601 on.
 */
#ifndef WIN_CONTEXT_H
#define WIN_CONTEXT_H

#include "full_cpu.h"

#include <stdint.h>

#define WIN_REGISTERS_MAX 40u

struct win_register {
	const char *name; /* constant */
	uint64_t value;
};

/* enum sonde_arch of IMAGE_FILE_MACHINE_*; NONE where not known. And back; 0 where not known. */
uint32_t win_machine_arch(uint32_t machine);
uint32_t win_arch_machine(uint32_t arch);

/*
 * Name the general registers of a CONTEXT of len bytes.
 * Returns how many; 0: it is none of that architecture (its flags say so), or too short.
 */
size_t win_context_name(uint32_t arch, const uint8_t *context, size_t len,
			struct win_register ret[WIN_REGISTERS_MAX]);
/* The same as a processor's; *ret is zero on entry. Returns 1, 0. */
int win_context_cpu(uint32_t arch, const uint8_t *context, size_t len, struct full_cpu *ret);
/* Make a CONTEXT of len zeroed bytes of a processor's general registers. Returns 1; 0: it is too short, or of no architecture that is known. */
int win_context_put(const struct full_cpu *full, uint8_t *context, size_t len);

/* "2021-02-20T10:15:02Z"; "" where it is before 1970 or no time at all. */
void win_time_text(uint64_t filetime, char text[32]);

#endif
