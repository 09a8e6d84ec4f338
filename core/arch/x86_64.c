/* SPDX-License-Identifier: MIT */
/*
 * x86-64 page tables. Source: Intel SDM 3A 4.5 (4-level and 5-level paging, tables 4-14 to
 * 4-20); the software bits: linux v6.6 arch/x86/include/asm/pgtable_types.h (_PAGE_PROTNONE is
 * _PAGE_GLOBAL in an entry that is not present) and pgtable-invert.h (their frame number is inverted).
 */
#include <sonde/error.h>
#include <stddef.h>

#include "arch/paging.h"

#define X64_P (UINT64_C(1) << 0)
#define X64_RW (UINT64_C(1) << 1)
#define X64_PS (UINT64_C(1) << 7) /* levels 1 and 2: a 2 MiB or 1 GiB page   */
#define X64_G (UINT64_C(1) << 8)  /* not present: Linux PROT_NONE            */
#define X64_XD (UINT64_C(1) << 63)
#define X64_PA UINT64_C(0x000ffffffffff000) /* bits 51:12 */

static struct paging_entry absent(uint64_t entry, bool leaf_level)
{
	/* An entry of a leaf table that is not present but not empty says where the page went. */
	bool out = leaf_level && entry != 0;

	return (struct paging_entry){ .err = out ? SONDE_E_PAGED_OUT : SONDE_E_NOT_MAPPED };
}

static struct paging_entry x64_decode(const struct paging *paging, uint32_t level, uint64_t entry)
{
	uint64_t address = entry & X64_PA;
	bool leaf = level == 0 || (level <= 2 && (entry & X64_PS));

	if (!(entry & X64_P)) {
		if (!paging->linux_protnone || !leaf || !(entry & X64_G))
			return absent(entry, level <= 1);
		address = ~entry & X64_PA;
	} else if (level > 2 && (entry & X64_PS)) {
		return (struct paging_entry){ .err = SONDE_E_NOT_MAPPED }; /* reserved: faults */
	}
	uint32_t flags = (entry & X64_P ? SONDE_REGION_READ : 0) |
			 (entry & X64_RW ? SONDE_REGION_WRITE : 0) |
			 (entry & X64_XD ? 0 : SONDE_REGION_EXEC);
	/* Bit 12 of a large page is PAT, the rest up to its size is reserved. */
	if (leaf && level > 0)
		address &= ~((UINT64_C(1) << paging->shift[level]) - 1);
	return (struct paging_entry){ .pa = address, .flags = flags, .leaf = leaf };
}

static const struct paging x64_4 = {
	.name = "x86_64, 4 levels",
	.n_levels = 4,
	.va_bits = 48,
	.shift = { 12, 21, 30, 39 },
	.entries = { 512, 512, 512, 512 },
	.decode = x64_decode,
	.linux_protnone = true,
};

static const struct paging x64_5 = {
	.name = "x86_64, 5 levels",
	.n_levels = 5,
	.va_bits = 57,
	.shift = { 12, 21, 30, 39, 48 },
	.entries = { 512, 512, 512, 512, 512 },
	.decode = x64_decode,
	.linux_protnone = true,
};

const struct paging *paging_x86_64(uint32_t n_levels)
{
	return n_levels == 4 ? &x64_4 : n_levels == 5 ? &x64_5 : NULL;
}
