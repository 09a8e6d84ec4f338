/* SPDX-License-Identifier: MIT */
/* An entry of a page table in the words of its architecture. */
#ifndef SONDE_TOOL_ENTRY_TEXT_H
#define SONDE_TOOL_ENTRY_TEXT_H

#include <stdint.h>

#define ENTRY_BITS_MAX 64u

/* "PGD" "P4D" "PUD" "PMD" "PTE": the level, 0 the lowest, of n_levels. */
const char *entry_level_text(uint32_t level, uint32_t n_levels);
/* "P RW US A D PS G NX", in the order of the bits; "" for none, and for an architecture that is not known. */
void entry_bits_text(char text[ENTRY_BITS_MAX], uint32_t arch, uint64_t entry, uint32_t level);

#endif
