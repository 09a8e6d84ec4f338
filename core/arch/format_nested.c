/* SPDX-License-Identifier: MIT */
/*
 * Tables of guest-physical addresses: what a hypervisor gives the processor for a guest. Source:
 *
 * EPT: Intel SDM 3C 28.3.2 (tables 28-1 to 28-7; the EPT pointer: 24.6.11) and 28.3.3.1 (misconfigurations: write
 * without read, a reserved bit, a memory type of 2, 3 or 7). An entry is present if it gives any right; the processor
 * is taken to have execute-only pages and no supervisor shadow stacks. Accessed and dirty bits are written, and to be
 * believed, if bit 6 of the EPT pointer is set.
 *
 * NPT: AMD APM 2 15.25.5: tables of long mode. Each access counts as one by the user, so an entry without US faults.
 *
 * The G-stage of riscv64 is in format_riscv64.c.
 */
#include <stddef.h>

#include "arch/bits.h"
#include "arch/paging.h"

/* ---- EPT -------------------------------------------------------------------------------------------- */

#define R BIT(0)
#define W BIT(1)
#define X BIT(2)
#define TYPE BITS(5, 3)
#define PS BIT(7)
#define A BIT(8)
#define D BIT(9)

#define EPT_RIGHTS                                                                                 \
	.read = { R, 0 }, .write = { W, 0 }, .exec_user = { X, 0 }, .exec_kernel = { X, 0 }

static const struct paging_rights ept_page = { EPT_RIGHTS };
static const struct paging_rights ept_page_marked = {
	EPT_RIGHTS,
	.accessed = { A, 0 },
	.dirty = { D, 0 },
};
/* What points to a table has PS clear: marks are those of the page. */
static const struct paging_rights ept_table = {
	EPT_RIGHTS,
	.accessed = { 0, PS },
	.dirty = { 0, PS },
};

#define EPT_TYPES .page_faults = { { BIT(4), BIT(5) }, { TYPE, 0 } }
#define EPT_TABLE                                                                                  \
	.table = { R, PS }, .table_too = { X, W | PS }, .table_pa = { .mask = BITS(51, 12) }
#define EPT_4K                                                                                     \
	{                                                                                          \
		.shift = 12, .bits = 9, .page = { R, 0 }, .page_too = { X, W },                    \
		.page_pa = { .mask = BITS(51, 12) }, EPT_TYPES,                                    \
	}
#define EPT_LARGE(size_bits)                                                                       \
	{                                                                                          \
		.shift = size_bits, .bits = 9, EPT_TABLE, .table_reserved = BITS(6, 3),            \
		.page = { PS | R, 0 }, .page_too = { PS | X, W },                                  \
		.page_pa = { .mask = BITS(51, size_bits) },                                        \
		.page_reserved = BITS((size_bits)-1, 12), EPT_TYPES,                               \
	}
#define EPT_UPPER(size_bits)                                                                       \
	{                                                                                          \
		.shift = size_bits, .bits = 9, EPT_TABLE, .table_reserved = BITS(7, 3),            \
	}

#define EPT(levels_, va_bits_, rights)                                                             \
	{                                                                                          \
		.name = "EPT, " #levels_ " levels", .n_levels = levels_, .va_bits = va_bits_,      \
		.entry_size = 8, .range = PAGING_UNSIGNED, .maps_ram = true, .present = R | W | X, \
		.levels = { EPT_4K, EPT_LARGE(21), EPT_LARGE(30), EPT_UPPER(39), EPT_UPPER(48) },  \
		.page_rights = &rights, .table_rights = &ept_table,                                \
		.root_pa = { .mask = BITS(51, 12) },                                               \
	}

static const struct paging ept[2][2] = {
	{ EPT(4, 48, ept_page), EPT(5, 57, ept_page) },
	{ EPT(4, 48, ept_page_marked), EPT(5, 57, ept_page_marked) },
};

const struct paging *paging_ept(uint32_t n_levels, bool marked)
{
	return n_levels == 4 || n_levels == 5 ? &ept[marked][n_levels - 4] : NULL;
}

/* Bits 5:3 are the number of levels less one, bit 6 has the processor mark what was used. */
const struct paging *paging_of_eptp(uint64_t eptp)
{
	return paging_ept((uint32_t)((eptp & BITS(5, 3)) >> 3) + 1, eptp & BIT(6));
}

/* ---- NPT -------------------------------------------------------------------------------------------- */

#define P BIT(0)
#define RW BIT(1)
#define US BIT(2)
#define NPT_A BIT(5)
#define NPT_D BIT(6)
#define NX BIT(63)

#define NPT_RIGHTS                                                                                 \
	.read = { P, 0 }, .write = { RW, 0 }, .user = { US, 0 }, .exec_user = { 0, NX },           \
	.exec_kernel = { 0, NX }

static const struct paging_rights npt_page = {
	NPT_RIGHTS,
	.accessed = { NPT_A, 0 },
	.dirty = { NPT_D, 0 },
};
static const struct paging_rights npt_table = {
	NPT_RIGHTS,
	.accessed = { P, 0 },
	.dirty = { P, 0 },
};

#define NPT_TABLE .table = { US, PS }, .table_pa = { .mask = BITS(51, 12) }
#define NPT_LARGE(size_bits)                                                                       \
	{                                                                                          \
		.shift = size_bits, .bits = 9, NPT_TABLE, .page = { US | PS, 0 },                  \
		.page_pa = { .mask = BITS(51, size_bits) },                                        \
		.page_reserved = BITS((size_bits)-1, 13),                                          \
	}
#define NPT(levels_, va_bits_)                                                                     \
	{                                                                                          \
		.name = "NPT, " #levels_ " levels", .n_levels = levels_, .va_bits = va_bits_,      \
		.entry_size = 8, .range = PAGING_UNSIGNED, .maps_ram = true, .present = P,         \
		.levels = { { .shift = 12,                                                         \
			      .bits = 9,                                                           \
			      .page = { US, 0 },                                                   \
			      .page_pa = { .mask = BITS(51, 12) } },                               \
			    NPT_LARGE(21),                                                         \
			    NPT_LARGE(30),                                                         \
			    { .shift = 39, .bits = 9, NPT_TABLE },                                 \
			    { .shift = 48, .bits = 9, NPT_TABLE } },                               \
		.page_rights = &npt_page, .table_rights = &npt_table,                              \
		.root_pa = { .mask = BITS(51, 12) },                                               \
	}

static const struct paging npt[] = { NPT(4, 48), NPT(5, 57) };

const struct paging *paging_npt(uint32_t n_levels)
{
	return n_levels == 4 || n_levels == 5 ? &npt[n_levels - 4] : NULL;
}
