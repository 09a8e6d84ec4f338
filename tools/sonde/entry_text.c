/* SPDX-License-Identifier: MIT */
/*
 * Levels are called as linux v6.6 Documentation/mm/page_tables.rst has them, bits as Intel SDM 3A tables 4-14 to 4-20, Arm
 * ARM DDI 0487 D8.3 and the RISC-V privileged specification 4.4 have theirs. Of an entry that is not present only the mark
 * of PROT_NONE has a meaning (linux v6.6 arch/x86/include/asm/pgtable_types.h, arch/riscv/include/asm/pgtable-bits.h); on
 * aarch64 it depends on the release which bit that is.
 */
#include "entry_text.h"

#include <stddef.h>
#include <stdio.h>

#include <sonde/types.h>

const char *entry_level_text(uint32_t level, uint32_t n_levels)
{
	static const char *const names[] = { "PTE", "PMD", "PUD", "P4D", "PGD" };

	if (level + 1 == n_levels)
		return "PGD";
	return level < 5 ? names[level] : "?";
}

#define BIT(n) (UINT64_C(1) << (n))

struct bit {
	const char *name;
	uint8_t bit;
	uint8_t first, last;    /* levels it has this meaning in      */
	uint64_t with, without; /* ... where these bits are 1, and 0  */
};

#define PS BIT(7) /* a large page */
static const struct bit x86_64[] = {
	{ "P", 0, 0, 4, 0, 0 },     { "RW", 1, 0, 4, 0, 0 },  { "US", 2, 0, 4, 0, 0 },
	{ "PWT", 3, 0, 4, 0, 0 },   { "PCD", 4, 0, 4, 0, 0 }, { "A", 5, 0, 4, 0, 0 },
	{ "D", 6, 0, 0, 0, 0 },     { "D", 6, 1, 2, PS, 0 },  { "PAT", 7, 0, 0, 0, 0 },
	{ "PS", 7, 1, 4, 0, 0 },    { "G", 8, 0, 0, 0, 0 },   { "G", 8, 1, 2, PS, 0 },
	{ "PAT", 12, 1, 2, PS, 0 }, { "NX", 63, 0, 4, 0, 0 }, { 0 },
};

#define TABLE BIT(1) /* or, at the lowest level, a page: both are no block */
/* A page or a block: the latter above the lowest level. */
#define LEAF(name, n)                                                                              \
	{ name, n, 0, 0, 0, 0 },                                                                   \
	{                                                                                          \
		name, n, 1, 4, 0, TABLE                                                            \
	}
static const struct bit aarch64[] = {
	{ "V", 0, 0, 4, 0, 0 },
	{ "TABLE", 1, 1, 4, 0, 0 },
	LEAF("EL0", 6),
	LEAF("RO", 7),
	LEAF("AF", 10),
	LEAF("NG", 11),
	LEAF("GP", 50),
	LEAF("DBM", 51),
	LEAF("CONT", 52),
	LEAF("PXN", 53),
	LEAF("UXN", 54),
	{ "PXNTABLE", 59, 1, 4, TABLE, 0 },
	{ "UXNTABLE", 60, 1, 4, TABLE, 0 },
	{ 0 },
};

static const struct bit riscv64[] = {
	{ "V", 0, 0, 4, 0, 0 },  { "R", 1, 0, 4, 0, 0 },
	{ "W", 2, 0, 4, 0, 0 },  { "X", 3, 0, 4, 0, 0 },
	{ "U", 4, 0, 4, 0, 0 },  { "G", 5, 0, 4, 0, 0 },
	{ "A", 6, 0, 4, 0, 0 },  { "D", 7, 0, 4, 0, 0 },
	{ "N", 63, 0, 0, 0, 0 }, { 0 },
};

static const struct words {
	uint32_t arch;
	uint64_t prot_none; /* 0: no bit is that, in all releases */
	const struct bit *bits;
} all[] = {
	{ SONDE_ARCH_X86_64, BIT(8), x86_64 },
	{ SONDE_ARCH_AARCH64, 0, aarch64 },
	{ SONDE_ARCH_RISCV64, BIT(5), riscv64 },
};

static const struct words *words_of(uint32_t arch)
{
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i].arch == arch)
			return &all[i];
	}
	return NULL;
}

static int holds(const struct bit *bit, uint64_t entry, uint32_t level)
{
	return entry >> bit->bit & 1 && level >= bit->first && level <= bit->last &&
	       (entry & bit->with) == bit->with && !(entry & bit->without);
}

void entry_bits_text(char text[ENTRY_BITS_MAX], uint32_t arch, uint64_t entry, uint32_t level)
{
	const struct words *words = words_of(arch);
	size_t len = 0;

	text[0] = '\0';
	if (!words)
		return;
	if (!(entry & 1)) {
		snprintf(text, ENTRY_BITS_MAX, "%s", entry & words->prot_none ? "PROTNONE" : "");
		return;
	}
	for (const struct bit *bit = words->bits; bit->name; bit++) {
		if (holds(bit, entry, level))
			len += (size_t)snprintf(text + len, ENTRY_BITS_MAX - len, "%s%s",
						len ? " " : "", bit->name);
	}
}
