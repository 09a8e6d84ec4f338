/* SPDX-License-Identifier: MIT */
/*
 * x86 page tables. Source: Intel SDM 3A 4.3 (32-bit, tables 4-4 to 4-6; PSE-36: 4-4), 4.4 (PAE, tables 4-8 to
 * 4-11), 4.5 (4-level and 5-level, tables 4-14 to 4-20); the software bits: linux v6.6
 * arch/x86/include/asm/pgtable_types.h (_PAGE_PROTNONE is _PAGE_GLOBAL in an entry that is not present) and
 * pgtable-invert.h (their frame number is inverted).
 *
 * Which of the address bits are reserved depends on the processor's physical address width, which is not known
 * here: none is taken to be.
 */
#include <stddef.h>

#include "arch/bits.h"
#include "arch/paging.h"

#define P BIT(0)
#define ALWAYS                                                                                     \
	{                                                                                          \
		P, 0                                                                               \
	}
#define RW BIT(1)
#define US BIT(2)
#define A BIT(5)
#define D BIT(6)
#define PS BIT(7) /* it is a large page */
#define G BIT(8)
#define XD BIT(63)

static const struct paging_rights page_rights = {
	.read = ALWAYS,
	.write = { RW, 0 },
	.user = { US, 0 },
	.exec_user = { 0, XD },
	.exec_kernel = { 0, XD },
	.global = { G, 0 },
	.accessed = { A, 0 },
	.dirty = { D, 0 },
};

static const struct paging_rights table_rights = {
	.read = ALWAYS,
	.write = { RW, 0 },
	.user = { US, 0 },
	.exec_user = { 0, XD },
	.exec_kernel = { 0, XD },
	.global = ALWAYS,
	.accessed = ALWAYS,
	.dirty = ALWAYS,
};

/* ---- 8-byte entries -------------------------------------------------------------------------------- */

#define PAGE_4K                                                                                    \
	{                                                                                          \
		.shift = 12, .bits = 9, .page = ALWAYS, .page_pa = { .mask = BITS(51, 12) },       \
	}
/* Bit 12 of a large page is PAT, the rest up to its size is reserved. */
#define PAGE_OR_TABLE(size_bits)                                                                   \
	{                                                                                          \
		.shift = size_bits, .bits = 9, .page = { PS, 0 }, .table = { 0, PS },              \
		.page_pa = { .mask = BITS(51, size_bits) },                                        \
		.page_reserved = BITS((size_bits)-1, 13), .table_pa = { .mask = BITS(51, 12) },    \
	}
#define TABLE(size_bits)                                                                           \
	{                                                                                          \
		.shift = size_bits, .bits = 9, .table = { 0, PS },                                 \
		.table_pa = { .mask = BITS(51, 12) },                                              \
	}

#define LONG(levels_, va_bits_)                                                                    \
	{                                                                                          \
		.name = "x86_64, " #levels_ " levels", .n_levels = levels_, .va_bits = va_bits_,   \
		.entry_size = 8, .range = PAGING_SIGNED, .present = P, .n_swap_levels = 2,         \
		.levels = { PAGE_4K, PAGE_OR_TABLE(21), PAGE_OR_TABLE(30), TABLE(39), TABLE(48) }, \
		.page_rights = &page_rights, .table_rights = &table_rights,                        \
		.root_pa = { .mask = BITS(51, 12) }, .kept = { G, P }, .kept_inverted = true,      \
	}

static const struct paging x64[] = { LONG(4, 48), LONG(5, 57) };

const struct paging *paging_x86_64(uint32_t n_levels)
{
	return n_levels == 4 || n_levels == 5 ? &x64[n_levels - 4] : NULL;
}

/*
 * The four entries that CR3 points to have no rights; what would be theirs is reserved, and so is bit 63. Bit 5 is
 * too, but only when CR3 is loaded: QEMU (v7.2 target/i386/tcg/sysemu/excp_helper.c) then marks them accessed in memory.
 */
static const struct paging pae = {
	.name = "x86, PAE",
	.n_levels = 3,
	.va_bits = 32,
	.entry_size = 8,
	.range = PAGING_UNSIGNED,
	.present = P,
	.n_swap_levels = 2,
	.levels = { PAGE_4K,
		    PAGE_OR_TABLE(21),
		    { .shift = 30,
		      .bits = 2,
		      .limits_nothing = true,
		      .table = ALWAYS,
		      .table_pa = { .mask = BITS(51, 12) },
		      .table_reserved = RW | US | BITS(8, 6) | BITS(63, 52) } },
	.page_rights = &page_rights,
	.table_rights = &table_rights,
	.root_pa = { .mask = BITS(31, 5) },
	.kept = { G, P },
	.kept_inverted = true,
};

/* ---- 4-byte entries -------------------------------------------------------------------------------- */

/* A 4 MiB page (CR4.PSE) has bits 39:32 of its address in bits 20:13; bit 21 is reserved. No entry forbids execution. */
static const struct paging two_level = {
	.name = "x86, 32 bits",
	.n_levels = 2,
	.va_bits = 32,
	.entry_size = 4,
	.range = PAGING_UNSIGNED,
	.present = P,
	.n_swap_levels = 2,
	.levels = { { .shift = 12,
		      .bits = 10,
		      .page = ALWAYS,
		      .page_pa = { .mask = BITS(31, 12) } },
		    { .shift = 22,
		      .bits = 10,
		      .page = { PS, 0 },
		      .table = { 0, PS },
		      .page_pa = { .mask = BITS(31, 22), .from = 13, .bits = 8, .to = 32 },
		      .page_reserved = BITS(21, 21),
		      .table_pa = { .mask = BITS(31, 12) } } },
	.page_rights = &page_rights,
	.table_rights = &table_rights,
	.root_pa = { .mask = BITS(31, 12) },
	.kept = { G, P },
};

const struct paging *paging_x86_32(bool with_pae)
{
	return with_pae ? &pae : &two_level;
}
