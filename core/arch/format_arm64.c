/* SPDX-License-Identifier: MIT */
/*
 * aarch64 page tables, stage 1 of the EL1&0 regime. Source: Arm Architecture Reference Manual DDI 0487, D8.2
 * (granules, levels, TTBRn), D8.7.1 (the Contiguous bit: entries that map neighbours, and are one page to the TLB), D8.3 (descriptors; 52-bit addresses: FEAT_LPA in bits 15:12, FEAT_LPA2 in bits 9:8), D8.4
 * (permissions). Blocks above those of the 48-bit formats need 52-bit addresses (D8.3.1).
 */
#include <stddef.h>

#include "arch/bits.h"
#include "arch/paging.h"

#define ALWAYS                                                                                     \
	{                                                                                          \
		BIT(0), 0                                                                          \
	}
#define NOT_BLOCK BIT(1) /* a table, or at the last level a page */
#define AP_EL0 BIT(6)
#define AP_READ_ONLY BIT(7)
#define AF BIT(10)
#define NG BIT(11)
#define CONTIGUOUS BIT(52)
#define DBM BIT(51) /* hardware clears AP_READ_ONLY when it writes */
#define PXN BIT(53)
#define UXN BIT(54)
#define PXN_TABLE BIT(59)
#define UXN_TABLE BIT(60)
#define NO_EL0_TABLE BIT(61)
#define READ_ONLY_TABLE BIT(62)

static const struct paging_rights page_rights = {
	.read = ALWAYS,
	.write = { 0, AP_READ_ONLY },
	.user = { AP_EL0, 0 },
	.exec_user = { 0, UXN },
	.exec_kernel = { 0, PXN },
	.global = { 0, NG },
	.accessed = { AF, 0 },
	.dirty = { DBM, AP_READ_ONLY },
};

static const struct paging_rights table_rights = {
	.read = ALWAYS,
	.write = { 0, READ_ONLY_TABLE },
	.user = { 0, NO_EL0_TABLE },
	.exec_user = { 0, UXN_TABLE },
	.exec_kernel = { 0, PXN_TABLE },
	.global = ALWAYS,
	.accessed = ALWAYS,
	.dirty = ALWAYS,
};

/* Addresses of 48 bits; of 52 with granules of up to 16 KiB; of 52 with 64 KiB. */
#define PA48(low)                                                                                  \
	{                                                                                          \
		.mask = BITS(47, low)                                                              \
	}
#define PA52(low)                                                                                  \
	{                                                                                          \
		.mask = BITS(49, low), .from = 8, .bits = 2, .to = 50                              \
	}
#define PA52_64K(low)                                                                              \
	{                                                                                          \
		.mask = BITS(47, low), .from = 12, .bits = 4, .to = 48                             \
	}

/* Of blocks: at levels 2 and, with 4 KiB, 1. */
#define JOINED(granule, size_bits) ((size_bits) <= 30 ? CONTIGUOUS : 0)
/* 2^joined bytes: 16 entries with 4 KiB, 128 pages or 32 blocks with 16 KiB, 32 with 64 KiB. */
#define PAGE(size_bits, n_bits, pa, joined_bits)                                                   \
	{                                                                                          \
		.shift = size_bits, .bits = n_bits, .page = { NOT_BLOCK, 0 },                      \
		.joined = CONTIGUOUS, .joined_shift = joined_bits, .page_pa = pa(size_bits)        \
	}
#define TABLE(size_bits, n_bits, granule, pa)                                                      \
	{                                                                                          \
		.shift = size_bits, .bits = n_bits, .table = { NOT_BLOCK, 0 },                     \
		.table_pa = pa(granule)                                                            \
	}
#define BLOCK_OR_TABLE(size_bits, n_bits, granule, pa)                                             \
	{                                                                                          \
		.shift = size_bits, .bits = n_bits, .table = { NOT_BLOCK, 0 },                     \
		.table_pa = pa(granule), .page = { 0, NOT_BLOCK },                                 \
		.joined = JOINED(granule, size_bits),                                              \
		.joined_shift = (size_bits) + ((granule) == 12 ? 4 : 5), .page_pa = pa(size_bits)  \
	}

#define FORMAT(text, va, n, root, ...)                                                             \
	{                                                                                          \
		.name = "aarch64, " text, .n_levels = n, .va_bits = va, .entry_size = 8,           \
		.present = BIT(0), .n_swap_levels = 2, .range = PAGING_HALVES,                     \
		.page_rights = &page_rights, .table_rights = &table_rights, .root_pa = root,       \
		.levels = {                                                                        \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
#define ROOT48                                                                                     \
	{                                                                                          \
		.mask = BITS(47, 1)                                                                \
	}
#define ROOT52                                                                                     \
	{                                                                                          \
		.mask = BITS(47, 6), .from = 2, .bits = 4, .to = 48                                \
	}

#define LOW_4K PAGE(12, 9, PA48, 16), BLOCK_OR_TABLE(21, 9, 12, PA48)
#define LOW_4K_WIDE                                                                                \
	PAGE(12, 9, PA52, 16), BLOCK_OR_TABLE(21, 9, 12, PA52), BLOCK_OR_TABLE(30, 9, 12, PA52)

static const struct {
	uint32_t granule_bits;
	bool wide;
	struct paging paging;
} formats[] = {
	{ 12, false,
	  FORMAT("4 KiB, 39 bits", 39, 3, ROOT48, LOW_4K, BLOCK_OR_TABLE(30, 9, 12, PA48)) },
	{ 12, false,
	  FORMAT("4 KiB, 48 bits", 48, 4, ROOT48, LOW_4K, BLOCK_OR_TABLE(30, 9, 12, PA48),
		 TABLE(39, 9, 12, PA48)) },
	{ 12, true, FORMAT("4 KiB, 39 bits, 52-bit addresses", 39, 3, ROOT52, LOW_4K_WIDE) },
	{ 12, true,
	  FORMAT("4 KiB, 48 bits, 52-bit addresses", 48, 4, ROOT52, LOW_4K_WIDE,
		 BLOCK_OR_TABLE(39, 9, 12, PA52)) },
	{ 12, true,
	  FORMAT("4 KiB, 52 bits", 52, 5, ROOT52, LOW_4K_WIDE, BLOCK_OR_TABLE(39, 9, 12, PA52),
		 TABLE(48, 4, 12, PA52)) },
	{ 14, false,
	  FORMAT("16 KiB, 36 bits", 36, 2, ROOT48, PAGE(14, 11, PA48, 21),
		 BLOCK_OR_TABLE(25, 11, 14, PA48)) },
	{ 14, false,
	  FORMAT("16 KiB, 47 bits", 47, 3, ROOT48, PAGE(14, 11, PA48, 21),
		 BLOCK_OR_TABLE(25, 11, 14, PA48), TABLE(36, 11, 14, PA48)) },
	{ 14, false,
	  FORMAT("16 KiB, 48 bits", 48, 4, ROOT48, PAGE(14, 11, PA48, 21),
		 BLOCK_OR_TABLE(25, 11, 14, PA48), TABLE(36, 11, 14, PA48),
		 TABLE(47, 1, 14, PA48)) },
	{ 14, true,
	  FORMAT("16 KiB, 47 bits, 52-bit addresses", 47, 3, ROOT52, PAGE(14, 11, PA52, 21),
		 BLOCK_OR_TABLE(25, 11, 14, PA52), BLOCK_OR_TABLE(36, 11, 14, PA52)) },
	{ 14, true,
	  FORMAT("16 KiB, 48 bits, 52-bit addresses", 48, 4, ROOT52, PAGE(14, 11, PA52, 21),
		 BLOCK_OR_TABLE(25, 11, 14, PA52), BLOCK_OR_TABLE(36, 11, 14, PA52),
		 TABLE(47, 1, 14, PA52)) },
	{ 14, true,
	  FORMAT("16 KiB, 52 bits", 52, 4, ROOT52, PAGE(14, 11, PA52, 21),
		 BLOCK_OR_TABLE(25, 11, 14, PA52), BLOCK_OR_TABLE(36, 11, 14, PA52),
		 TABLE(47, 5, 14, PA52)) },
	{ 16, false,
	  FORMAT("64 KiB, 42 bits", 42, 2, ROOT48, PAGE(16, 13, PA48, 21),
		 BLOCK_OR_TABLE(29, 13, 16, PA48)) },
	{ 16, false,
	  FORMAT("64 KiB, 48 bits", 48, 3, ROOT48, PAGE(16, 13, PA48, 21),
		 BLOCK_OR_TABLE(29, 13, 16, PA48), TABLE(42, 6, 16, PA48)) },
	{ 16, true,
	  FORMAT("64 KiB, 48 bits, 52-bit addresses", 48, 3, ROOT52, PAGE(16, 13, PA52_64K, 21),
		 BLOCK_OR_TABLE(29, 13, 16, PA52_64K), BLOCK_OR_TABLE(42, 6, 16, PA52_64K)) },
	{ 16, true,
	  FORMAT("64 KiB, 52 bits", 52, 3, ROOT52, PAGE(16, 13, PA52_64K, 21),
		 BLOCK_OR_TABLE(29, 13, 16, PA52_64K), BLOCK_OR_TABLE(42, 10, 16, PA52_64K)) },
};

const struct paging *paging_arm64(uint32_t granule_bits, uint32_t va_bits, bool wide)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (formats[i].granule_bits == granule_bits &&
		    formats[i].paging.va_bits == va_bits && formats[i].wide == wide)
			return &formats[i].paging;
	}
	return NULL;
}
