/* SPDX-License-Identifier: MIT */
/*
 * Levels are called as linux v6.6 Documentation/mm/page_tables.rst has them, bits as Intel SDM 3A tables 4-14 to 4-20.
 * Of an entry that is not present only the mark of PROT_NONE has a meaning: bit 8 (linux v6.6
 * arch/x86/include/asm/pgtable_types.h, _PAGE_PROTNONE).
 */
#include "entry_text.h"

#include <stdio.h>

const char *entry_level_text(uint32_t level, uint32_t n_levels)
{
	static const char *const names[] = { "PTE", "PMD", "PUD", "P4D", "PGD" };

	if (level + 1 == n_levels)
		return "PGD";
	return level < 5 ? names[level] : "?";
}

static const struct {
	const char *name;
	uint8_t bit;
	uint8_t first, last; /* levels it has this meaning in */
	uint8_t large;       /* only where PS is set          */
} bits[] = {
	{ "P", 0, 0, 4, 0 },    { "RW", 1, 0, 4, 0 },  { "US", 2, 0, 4, 0 }, { "PWT", 3, 0, 4, 0 },
	{ "PCD", 4, 0, 4, 0 },  { "A", 5, 0, 4, 0 },   { "D", 6, 0, 0, 0 },  { "D", 6, 1, 2, 1 },
	{ "PAT", 7, 0, 0, 0 },  { "PS", 7, 1, 4, 0 },  { "G", 8, 0, 0, 0 },  { "G", 8, 1, 2, 1 },
	{ "PAT", 12, 1, 2, 1 }, { "NX", 63, 0, 4, 0 },
};

void entry_bits_text(char text[ENTRY_BITS_MAX], uint64_t entry, uint32_t level)
{
	size_t len = 0;

	text[0] = '\0';
	if (!(entry & 1)) {
		snprintf(text, ENTRY_BITS_MAX, "%s", entry >> 8 & 1 ? "PROTNONE" : "");
		return;
	}
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		if (!(entry >> bits[i].bit & 1) || level < bits[i].first || level > bits[i].last ||
		    (bits[i].large && !(entry >> 7 & 1)))
			continue;
		len += (size_t)snprintf(text + len, ENTRY_BITS_MAX - len, "%s%s", len ? " " : "",
					bits[i].name);
	}
}
