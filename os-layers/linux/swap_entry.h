/* SPDX-License-Identifier: MIT */
/*
 * What the kernel notes in an entry that is not present: where the page went, or why nobody may have it.
 *
 * Source: linux v6.6 include/linux/swap.h (which types there are), include/linux/swapops.h (what the offset of each
 * is). Types are numbered from the swap files up, in this order, as the kernel was configured:
 *
 *	0 .. MAX_SWAPFILES - 1    swap files
 *	hwpoison                  1 with CONFIG_MEMORY_FAILURE
 *	migration                 2 with CONFIG_MIGRATION: read, write; 3 since v5.19 (read exclusive, between them)
 *	device                    2 with CONFIG_DEVICE_PRIVATE: write, read; 4 since v5.14 (exclusive write, read), 3 since
 *	                          v6.15 (exclusive)
 *	marker                    1 since v5.19
 *	31
 */
#ifndef SONDE_LINUX_SWAP_ENTRY_H
#define SONDE_LINUX_SWAP_ENTRY_H

#include <sonde/os.h>
#include <stdbool.h>
#include <stdint.h>

/* Which bits of an entry are what; arch_*.c have those of their architecture. */
struct swap_layout {
	uint8_t type_shift, type_bits;
	uint8_t offset_shift, offset_bits;
	bool inverted; /* the offset's bits are */
};

struct swap_types {
	uint32_t n_files; /* types in use by swap files; UINT32_MAX: not known */
	uint32_t n_poison, n_migration, n_device, n_marker;
};

/* What an entry says that is not 0 and not present; *ret_type and *ret_offset are what it holds. */
uint32_t swap_entry_kind(const struct swap_layout *layout, const struct swap_types *types,
			 uint64_t entry, uint32_t *ret_type, uint64_t *ret_offset);

struct linux_os;
/* How this kernel numbers them, by its symbols and types. */
void swap_types_of(const struct linux_os *lx, struct swap_types *ret);

#endif
