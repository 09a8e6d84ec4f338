/* SPDX-License-Identifier: MIT */
/*
 * riscv64 page tables. Source: RISC-V privileged specification 1.12: 4.3.1 and 4.4 (Sv39), 4.5 (Sv48), 4.6 (Sv57); 5
 * (Svnapot: bit 63 and a pattern in the address make 16 entries one page of 64 KiB); 6 (Svpbmt: bits 62:61
 * are a memory type); 8.5.1 (the G-stage, for guest-physical addresses: the root table is four times as large, each
 * access counts as one of the user's).
 */
#include <stddef.h>

#include "arch/bits.h"
#include "arch/paging.h"

#define R BIT(1)
#define W BIT(2)
#define X BIT(3)
#define U BIT(4)
#define G BIT(5)
#define A BIT(6)
#define D BIT(7)
#define N BIT(63)

#define V BIT(0)

static const struct paging_rights page_rights = {
	.read = { R, 0 },
	.write = { W, 0 },
	.user = { U, 0 },
	.exec_user = { X, 0 },
	.exec_kernel = { X, 0 },
	.global = { G, 0 },
	.accessed = { A, 0 },
	.dirty = { D, 0 },
};

/* The page number begins at bit 10, two below where it goes. */
#define PAGE_NUMBER                                                                                \
	{                                                                                          \
		.mask = BITS(53, 10), .up = 2                                                      \
	}

/*
 * A page is what may be read, or executed and not written: write without read is reserved. The page number of a
 * large one must be a multiple of its size. A, D and U are reserved in what points to a table, and so is all above
 * the page number in either.
 */
#define LEVEL(size_bits, n_bits, who, ...)                                                         \
	{                                                                                          \
		.shift = size_bits, .bits = n_bits, .page = { R | who, 0 },                        \
		.page_too = { X | who, W }, .page_pa = PAGE_NUMBER,                                \
		.page_reserved = N | BITS(60, 54) | (BIT((size_bits)-2) - BIT(10)), __VA_ARGS__    \
	}
#define LAST(who)                                                                                  \
	LEVEL(12, 9, who, .wide_page = { N | R | who | BIT(13), BITS(60, 54) | BITS(12, 10) },     \
	      .wide_shift = 16)
#define UPPER(size_bits, n_bits, who)                                                              \
	LEVEL(size_bits, n_bits, who, .limits_nothing = true, .table = { V, R | W | X },           \
	      .table_pa = PAGE_NUMBER, .table_reserved = BITS(63, 54) | A | D | U)

#define SV(text, va_bits_, levels_, range_, ...)                                                   \
	{                                                                                          \
		.name = "riscv64, " text, .n_levels = levels_, .va_bits = va_bits_,                \
		.entry_size = 8, .range = range_, .present = V, .levels = { __VA_ARGS__ },         \
		.page_rights = &page_rights, .table_rights = &page_rights,                         \
		.root_pa = { .mask = BITS(43, 0), .up = 12 },                                      \
		.n_swap_levels = (range_) == PAGING_SIGNED ? 2 : 0,                                \
		.maps_ram = (range_) == PAGING_UNSIGNED,                                           \
	}
#define STAGE_1(va_bits, levels, ...)                                                              \
	SV("Sv" #va_bits, va_bits, levels, PAGING_SIGNED, LAST(0), UPPER(21, 9, 0), __VA_ARGS__)
#define G_STAGE(name, va_bits, levels, ...)                                                        \
	SV(name, va_bits, levels, PAGING_UNSIGNED, LAST(U), UPPER(21, 9, U), __VA_ARGS__)

static const struct paging formats[] = {
	STAGE_1(39, 3, UPPER(30, 9, 0)),
	STAGE_1(48, 4, UPPER(30, 9, 0), UPPER(39, 9, 0)),
	STAGE_1(57, 5, UPPER(30, 9, 0), UPPER(39, 9, 0), UPPER(48, 9, 0)),
};

static const struct paging g_stages[] = {
	G_STAGE("Sv39x4", 41, 3, UPPER(30, 11, U)),
	G_STAGE("Sv48x4", 50, 4, UPPER(30, 9, U), UPPER(39, 11, U)),
	G_STAGE("Sv57x4", 59, 5, UPPER(30, 9, U), UPPER(39, 9, U), UPPER(48, 11, U)),
};

static const struct paging *find(const struct paging *all, size_t n, uint32_t va_bits)
{
	for (size_t i = 0; i < n; i++) {
		if (all[i].va_bits == va_bits)
			return &all[i];
	}
	return NULL;
}

const struct paging *paging_riscv64(uint32_t va_bits)
{
	return find(formats, sizeof(formats) / sizeof(formats[0]), va_bits);
}

const struct paging *paging_riscv64_guest(uint32_t va_bits)
{
	return find(g_stages, sizeof(g_stages) / sizeof(g_stages[0]), va_bits + 2);
}
