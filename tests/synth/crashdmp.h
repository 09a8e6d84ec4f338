/* SPDX-License-Identifier: MIT */
/*
 * Builds Windows' kernel crash dumps in memory from a table. The byte at physical address a is a / 16, those of stretch i of
 * a triage dump are 0x40 + i. Everything nobody sets is "PAGE", as Windows has it.
 */
#ifndef SYNTH_CRASHDMP_H
#define SYNTH_CRASHDMP_H

#include <stddef.h>
#include <stdint.h>

/* Where a field is in dumps of 64 bits, for who makes it lie: WinDbg's view of nt!_DUMP_HEADER64. */
enum {
	SYNTH_CRASH_N_RUNS = 0x88,
	SYNTH_CRASH_RUN = 0x98,
	SYNTH_CRASH_TYPE = 0xf98,
	SYNTH_CRASH_BEHIND = 0x2000
};

struct synth_crash {
	uint32_t word;    /* 4 or 8 */
	uint32_t type;    /* DumpType: 1 2 5 6 8 9 10 */
	uint32_t machine; /* IMAGE_FILE_MACHINE_* */
	const char *
		present; /* a character a page, '#' where the dump has it; with type 1 at most 20 runs */
	const char *signature; /* "SDMP", "FDMP": of bitmaps */
};

/* [*ret_size], to be freed. */
uint8_t *synth_crash(const struct synth_crash *spec, size_t *ret_size);

struct synth_stretch {
	uint64_t addr;
	uint32_t size;
};
/* A triage dump: the first stretch is the stack, the second the debugger's data; drivers: names of one each, 1 MiB apart. */
uint8_t *synth_triage(uint32_t word, const struct synth_stretch *stretches, uint32_t n,
		      const char *const *drivers, uint32_t n_drivers, size_t *ret_size);

#define SYNTH_DRIVER_BASE UINT64_C(0xfffff80010000000)
/* Registers and times that all of them have. */
#define SYNTH_CRASH_DIRECTORY 0x1ad000u
#define SYNTH_CRASH_PC UINT64_C(0xfffff80412345678)
#define SYNTH_CRASH_CODE 0xd1u

#endif
