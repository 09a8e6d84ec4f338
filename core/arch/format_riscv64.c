/* SPDX-License-Identifier: MIT */
/*
 * riscv64 page tables. Source: RISC-V privileged specification 1.12: 4.3.1 and 4.4 (Sv39), 4.5 (Sv48), 4.6 (Sv57); 5
 * (Svnapot: bit 63 and a pattern in the address make 16 entries one page of 64 KiB); 6 (Svpbmt: bits 62:61
 * are a memory type).
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
#define LEVEL(size_bits, ...)                                                                      \
	{                                                                                          \
		.shift = size_bits, .bits = 9, .page = { R, 0 }, .page_too = { X, W },             \
		.page_pa = PAGE_NUMBER,                                                            \
		.page_reserved = N | BITS(60, 54) | (BIT((size_bits)-2) - BIT(10)), __VA_ARGS__    \
	}
#define LAST                                                                                       \
	LEVEL(12, .wide_page = { N | R | BIT(13), BITS(60, 54) | BITS(12, 10) }, .wide_shift = 16)
#define UPPER(size_bits)                                                                           \
	LEVEL(size_bits, .limits_nothing = true, .table = { PAGING_PRESENT, R | W | X },           \
	      .table_pa = PAGE_NUMBER, .table_reserved = BITS(63, 54) | A | D | U)

#define SV(va_bits_, levels_)                                                                      \
	{                                                                                          \
		.name = "riscv64, Sv" #va_bits_, .n_levels = levels_, .va_bits = va_bits_,         \
		.entry_size = 8, .range = PAGING_SIGNED,                                           \
		.levels = { LAST, UPPER(21), UPPER(30), UPPER(39), UPPER(48) },                    \
		.page_rights = &page_rights, .table_rights = &page_rights,                         \
		.root_pa = { .mask = BITS(43, 0), .up = 12 },                                      \
	}

static const struct paging formats[] = { SV(39, 3), SV(48, 4), SV(57, 5) };

const struct paging *paging_riscv64(uint32_t va_bits)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (formats[i].va_bits == va_bits)
			return &formats[i];
	}
	return NULL;
}
