/* SPDX-License-Identifier: MIT */
/*
 * Page-table walks as the manuals tell them, an architecture a function and an address at a time: what the
 * library's one walker for all of them is compared with. Nothing here is shared with it.
 *
 *	x86: Intel SDM 3A 4.3 to 4.5     riscv64: privileged specification 4.3.2, Svnapot
 *	aarch64: Arm DDI 0487 D8.2 to D8.4, D8.7.1  EPT: Intel SDM 3C 28.3.2, 28.3.3.1
 *	NPT: AMD APM 2 15.25.5                      G-stage: riscv64 privileged specification 8.5.1
 */
#ifndef TESTS_SYNTH_NAIVE_WALK_H
#define TESTS_SYNTH_NAIVE_WALK_H

#include <sonde/error.h>
#include <sonde/os.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct naive_memory {
	const uint8_t *bytes;
	uint64_t size;
};

struct naive_walk {
	int32_t err;
	uint64_t pa;
	uint64_t page_size;
	uint32_t flags; /* enum sonde_page_flag */
};

static inline struct naive_walk naive_fails(int32_t err)
{
	return (struct naive_walk){ .err = err };
}

static inline bool naive_load(const struct naive_memory *m, uint64_t pa, unsigned size,
			      uint64_t *ret)
{
	*ret = 0;
	if (pa >= m->size || m->size - pa < size)
		return false;
	memcpy(ret, m->bytes + pa, size); /* little-endian hosts only */
	return true;
}

static inline bool naive_bit(uint64_t entry, unsigned n)
{
	return entry >> n & 1;
}

/* Bits high..low, where they are. */
static inline uint64_t naive_bits(uint64_t entry, unsigned high, unsigned low)
{
	return entry >> low << low << (63 - high) >> (63 - high);
}

static inline uint32_t naive_if(bool cond, uint32_t flag)
{
	return cond ? flag : 0;
}

/* ---- x86 ------------------------------------------------------------------------------------------- */

struct naive_x86 {
	bool write, user, exec;
};

static inline struct naive_walk naive_x86_page(const struct naive_x86 *rights, uint64_t entry,
					       uint64_t frame, uint64_t size, uint64_t va)
{
	bool present = naive_bit(entry, 0);

	return (struct naive_walk){
		.pa = frame + va % size,
		.page_size = size,
		.flags = naive_if(present, SONDE_PAGE_READ | SONDE_PAGE_PRESENT) |
			 naive_if(rights->write && naive_bit(entry, 1), SONDE_PAGE_WRITE) |
			 naive_if(rights->user && naive_bit(entry, 2), SONDE_PAGE_USER) |
			 naive_if(rights->exec && !naive_bit(entry, 63), SONDE_PAGE_EXEC) |
			 naive_if(naive_bit(entry, 8), SONDE_PAGE_GLOBAL) |
			 naive_if(naive_bit(entry, 5), SONDE_PAGE_ACCESSED) |
			 naive_if(naive_bit(entry, 6), SONDE_PAGE_DIRTY),
	};
}

static inline void naive_x86_limit(struct naive_x86 *rights, uint64_t entry)
{
	rights->write &= naive_bit(entry, 1);
	rights->user &= naive_bit(entry, 2);
	rights->exec &= !naive_bit(entry, 63);
}

/* From a PML5, PML4 or page directory on; 8-byte entries. depth: how many tables are still to come, 1: a page table. */
static inline struct naive_walk naive_x86_long(const struct naive_memory *m, uint64_t table,
					       unsigned depth, uint64_t va)
{
	struct naive_x86 rights = { true, true, true };

	for (;; depth--) {
		unsigned shift = 12 + 9 * (depth - 1);
		uint64_t size = UINT64_C(1) << shift, entry;
		if (!naive_load(m, table + 8 * (va >> shift & 511), 8, &entry))
			return naive_fails(SONDE_E_NOT_MAPPED);
		bool large = depth > 1 && naive_bit(entry, 7);
		bool leaf = depth == 1 || (large && depth <= 3);
		if (!naive_bit(entry, 0)) {
			/* Linux: PROT_NONE is global and not present, its frame number inverted. */
			if (leaf && naive_bit(entry, 8))
				return naive_x86_page(&rights, entry, naive_bits(~entry, 51, shift),
						      size, va);
			return naive_fails(depth <= 2 && entry ? SONDE_E_PAGED_OUT
							       : SONDE_E_NOT_MAPPED);
		}
		if (large && (depth > 3 || naive_bits(entry, shift - 1, 13)))
			return naive_fails(SONDE_E_NOT_MAPPED);
		if (leaf)
			return naive_x86_page(&rights, entry, naive_bits(entry, 51, shift), size,
					      va);
		naive_x86_limit(&rights, entry);
		table = naive_bits(entry, 51, 12);
	}
}

static inline struct naive_walk naive_x86_64(const struct naive_memory *m, uint64_t root,
					     unsigned levels, uint64_t va)
{
	unsigned spare = levels == 5 ? 7 : 16;

	if ((uint64_t)((int64_t)(va << spare) >> spare) != va)
		return naive_fails(SONDE_E_NOT_MAPPED);
	return naive_x86_long(m, root, levels, va);
}

static inline struct naive_walk naive_pae(const struct naive_memory *m, uint64_t root, uint64_t va)
{
	uint64_t entry;

	if (va > UINT32_MAX || !naive_load(m, root + 8 * (va >> 30), 8, &entry) ||
	    !naive_bit(entry, 0) || naive_bits(entry, 2, 1) || naive_bits(entry, 8, 6) ||
	    naive_bits(entry, 63, 52))
		return naive_fails(SONDE_E_NOT_MAPPED);
	return naive_x86_long(m, naive_bits(entry, 51, 12), 2, va);
}

static inline struct naive_walk naive_x86_32(const struct naive_memory *m, uint64_t root,
					     uint64_t va)
{
	struct naive_x86 rights = { true, true, true };
	uint64_t entry;

	if (va > UINT32_MAX || !naive_load(m, root + 4 * (va >> 22), 4, &entry))
		return naive_fails(SONDE_E_NOT_MAPPED);
	if (naive_bit(entry, 7) && (naive_bit(entry, 0) || naive_bit(entry, 8))) {
		if (naive_bit(entry, 0) && naive_bit(entry, 21))
			return naive_fails(SONDE_E_NOT_MAPPED);
		uint64_t frame = naive_bits(entry, 31, 22) | naive_bits(entry, 20, 13) >> 13 << 32;
		return naive_x86_page(&rights, entry, frame, 4 << 20, va);
	}
	if (!naive_bit(entry, 0))
		return naive_fails(entry ? SONDE_E_PAGED_OUT : SONDE_E_NOT_MAPPED);
	naive_x86_limit(&rights, entry);
	uint64_t table = naive_bits(entry, 31, 12);
	if (!naive_load(m, table + 4 * (va >> 12 & 1023), 4, &entry))
		return naive_fails(SONDE_E_NOT_MAPPED);
	if (!naive_bit(entry, 0) && !naive_bit(entry, 8))
		return naive_fails(entry ? SONDE_E_PAGED_OUT : SONDE_E_NOT_MAPPED);
	return naive_x86_page(&rights, entry, naive_bits(entry, 31, 12), 4096, va);
}

/* ---- EPT ------------------------------------------------------------------------------------------- */

/* 28.3.3.1: W without R; reserved bits of what points to a table, of large pages; memory types 2, 3, 7. */
static inline bool naive_ept_misconfigured(uint64_t entry, unsigned level, bool page)
{
	uint64_t type = naive_bits(entry, 5, 3) >> 3;

	if (naive_bit(entry, 1) && !naive_bit(entry, 0))
		return true;
	if (!page)
		return naive_bits(entry, 7, 3) != 0;
	if (type == 2 || type == 3 || type == 7)
		return true;
	return (level == 2 && naive_bits(entry, 20, 12)) ||
	       (level == 3 && naive_bits(entry, 29, 12));
}

static inline struct naive_walk naive_ept(const struct naive_memory *m, uint64_t eptp, uint64_t gpa)
{
	unsigned levels = (unsigned)(naive_bits(eptp, 5, 3) >> 3) + 1;
	uint64_t table = naive_bits(eptp, 51, 12), rights = 7, entry;

	if (gpa >> (12 + 9 * levels))
		return naive_fails(SONDE_E_NOT_MAPPED);
	for (unsigned level = levels;; level--) {
		unsigned shift = 12 + 9 * (level - 1);
		if (!naive_load(m, table + 8 * (gpa >> shift & 511), 8, &entry) || !(entry & 7))
			return naive_fails(SONDE_E_NOT_MAPPED);
		bool page = level == 1 || (level <= 3 && naive_bit(entry, 7));
		if (naive_ept_misconfigured(entry, level, page))
			return naive_fails(SONDE_E_NOT_MAPPED);
		rights &= entry & 7;
		table = naive_bits(entry, 51, 12);
		if (!page)
			continue;
		uint64_t size = UINT64_C(1) << shift;
		bool marked = naive_bit(eptp, 6);
		return (struct naive_walk){
			.pa = naive_bits(entry, 51, shift) + gpa % size,
			.page_size = size,
			.flags = SONDE_PAGE_PRESENT | naive_if(rights & 1, SONDE_PAGE_READ) |
				 naive_if(rights & 2, SONDE_PAGE_WRITE) |
				 naive_if(rights & 4, SONDE_PAGE_EXEC) |
				 naive_if(marked && naive_bit(entry, 8), SONDE_PAGE_ACCESSED) |
				 naive_if(marked && naive_bit(entry, 9), SONDE_PAGE_DIRTY),
		};
	}
}

/* ---- NPT ------------------------------------------------------------------------------------------- */

static inline struct naive_walk naive_npt(const struct naive_memory *m, uint64_t root,
					  unsigned levels, uint64_t gpa)
{
	bool write = true, exec = true;
	uint64_t entry;

	if (gpa >> (12 + 9 * levels))
		return naive_fails(SONDE_E_NOT_MAPPED);
	for (unsigned level = levels;; level--) {
		unsigned shift = 12 + 9 * (level - 1);
		bool found = naive_load(m, root + 8 * (gpa >> shift & 511), 8, &entry);
		if (!found || !naive_bit(entry, 0) || !naive_bit(entry, 2))
			return naive_fails(SONDE_E_NOT_MAPPED);
		bool large = level > 1 && naive_bit(entry, 7);
		if (large && (level > 3 || naive_bits(entry, shift - 1, 13)))
			return naive_fails(SONDE_E_NOT_MAPPED);
		write &= naive_bit(entry, 1);
		exec &= !naive_bit(entry, 63);
		root = naive_bits(entry, 51, 12);
		if (level > 1 && !large)
			continue;
		return (struct naive_walk){
			.pa = naive_bits(entry, 51, shift) + gpa % (UINT64_C(1) << shift),
			.page_size = UINT64_C(1) << shift,
			.flags = SONDE_PAGE_PRESENT | SONDE_PAGE_READ | SONDE_PAGE_USER |
				 naive_if(write, SONDE_PAGE_WRITE) |
				 naive_if(exec, SONDE_PAGE_EXEC) |
				 naive_if(naive_bit(entry, 5), SONDE_PAGE_ACCESSED) |
				 naive_if(naive_bit(entry, 6), SONDE_PAGE_DIRTY),
		};
	}
}

/* ---- riscv64 --------------------------------------------------------------------------------------- */

/* guest: the G-stage; its root has 2048 entries, and every page has to be the user's. */
static inline struct naive_walk naive_riscv64_any(const struct naive_memory *m, uint64_t root,
						  unsigned levels, bool guest, uint64_t va)
{
	for (unsigned i = levels; i-- > 0;) {
		unsigned shift = 12 + 9 * i, mask = guest && i + 1 == levels ? 2047 : 511;
		uint64_t entry, size = UINT64_C(1) << shift;
		if (!naive_load(m, root + 8 * (va >> shift & mask), 8, &entry))
			return naive_fails(SONDE_E_NOT_MAPPED);
		if (!naive_bit(entry, 0))
			return naive_fails(!guest && i <= 1 && entry ? SONDE_E_PAGED_OUT
								     : SONDE_E_NOT_MAPPED);
		bool r = naive_bit(entry, 1), w = naive_bit(entry, 2), x = naive_bit(entry, 3);
		bool napot = naive_bit(entry, 63);
		uint64_t number = naive_bits(entry, 53, 10) >> 10;
		if (naive_bits(entry, 60, 54) || (w && !r))
			return naive_fails(SONDE_E_NOT_MAPPED);
		if (!r && !x) {
			if (i == 0 || naive_bits(entry, 63, 61) || naive_bits(entry, 7, 6) ||
			    naive_bit(entry, 4))
				return naive_fails(SONDE_E_NOT_MAPPED);
			root = number << 12;
			continue;
		}
		if (guest && !naive_bit(entry, 4))
			return naive_fails(SONDE_E_NOT_MAPPED);
		if (napot && (i > 0 || (number & 15) != 8 || !r))
			return naive_fails(SONDE_E_NOT_MAPPED);
		if (napot) {
			size = 65536;
			number &= ~UINT64_C(15);
		}
		if (!napot && number % (size / 4096))
			return naive_fails(SONDE_E_NOT_MAPPED);
		return (struct naive_walk){
			.pa = (number << 12) + va % size,
			.page_size = size,
			.flags = SONDE_PAGE_PRESENT | naive_if(r, SONDE_PAGE_READ) |
				 naive_if(w, SONDE_PAGE_WRITE) | naive_if(x, SONDE_PAGE_EXEC) |
				 naive_if(naive_bit(entry, 4), SONDE_PAGE_USER) |
				 naive_if(naive_bit(entry, 5), SONDE_PAGE_GLOBAL) |
				 naive_if(naive_bit(entry, 6), SONDE_PAGE_ACCESSED) |
				 naive_if(naive_bit(entry, 7), SONDE_PAGE_DIRTY),
		};
	}
	return naive_fails(SONDE_E_NOT_MAPPED);
}

static inline struct naive_walk naive_riscv64(const struct naive_memory *m, uint64_t root,
					      unsigned va_bits, uint64_t va)
{
	unsigned spare = 64 - va_bits;

	if ((uint64_t)((int64_t)(va << spare) >> spare) != va)
		return naive_fails(SONDE_E_NOT_MAPPED);
	return naive_riscv64_any(m, root, (va_bits - 12) / 9, false, va);
}

static inline struct naive_walk naive_riscv64_guest(const struct naive_memory *m, uint64_t root,
						    unsigned va_bits, uint64_t gpa)
{
	if (gpa >> (va_bits + 2))
		return naive_fails(SONDE_E_NOT_MAPPED);
	return naive_riscv64_any(m, root, (va_bits - 12) / 9, true, gpa);
}

/* ---- aarch64 --------------------------------------------------------------------------------------- */

struct naive_arm64 {
	unsigned granule; /* 12, 14, 16 */
	unsigned va_bits;
	bool wide;
	uint64_t ttbr[2];
};

/* Output address of a descriptor from bit low on. */
static inline uint64_t naive_arm64_address(const struct naive_arm64 *regime, uint64_t entry,
					   unsigned low)
{
	if (!regime->wide)
		return naive_bits(entry, 47, low);
	if (regime->granule == 16)
		return naive_bits(entry, 47, low) | naive_bits(entry, 15, 12) << 36;
	return naive_bits(entry, 49, low) | naive_bits(entry, 9, 8) << 42;
}

/* D8.3.1: level 3 has pages; which levels have blocks depends on the granule and on wide. */
static inline bool naive_arm64_has_block(const struct naive_arm64 *regime, int level)
{
	switch (regime->granule) {
	case 12:
		return level == 2 || level == 1 || (level == 0 && regime->wide);
	case 14:
		return level == 2 || (level == 1 && regime->wide);
	default:
		return level == 2 || (level == 1 && regime->wide);
	}
}

/* D8.7.1: how many entries the Contiguous bit joins, as a power of two. */
static inline unsigned naive_arm64_joined(const struct naive_arm64 *regime, int level)
{
	switch (regime->granule) {
	case 12:
		return level >= 1 ? 4 : 0;
	case 14:
		return level == 3 ? 7 : level == 2 ? 5 : 0;
	default:
		return level >= 2 ? 5 : 0;
	}
}

static inline struct naive_walk naive_arm64(const struct naive_memory *m,
					    const struct naive_arm64 *regime, uint64_t va)
{
	unsigned index_bits = regime->granule - 3;
	uint64_t top = va >> regime->va_bits, table = regime->ttbr[0];
	bool write = true, user = true, exec_user = true, exec_kernel = true;
	unsigned shift = regime->granule;
	int level = 3;

	if (top == UINT64_MAX >> regime->va_bits)
		table = regime->ttbr[1];
	else if (top)
		return naive_fails(SONDE_E_NOT_MAPPED);
	va = naive_bits(va, regime->va_bits - 1, 0);
	for (; shift + index_bits < regime->va_bits; level--)
		shift += index_bits;
	for (;; level++, shift -= index_bits) {
		uint64_t entry;
		/* Above the root there is nothing, so its index has as many bits as are left. */
		uint64_t index = va >> shift & ((UINT64_C(1) << index_bits) - 1);
		if (!naive_load(m, table + 8 * index, 8, &entry))
			return naive_fails(SONDE_E_NOT_MAPPED);
		if (!naive_bit(entry, 0))
			return naive_fails(level >= 2 && entry ? SONDE_E_PAGED_OUT
							       : SONDE_E_NOT_MAPPED);
		if (level == 3 ? !naive_bit(entry, 1)
			       : !naive_bit(entry, 1) && !naive_arm64_has_block(regime, level))
			return naive_fails(SONDE_E_NOT_MAPPED);
		if (level < 3 && naive_bit(entry, 1)) {
			table = naive_arm64_address(regime, entry, regime->granule);
			write &= !naive_bit(entry, 62);
			user &= !naive_bit(entry, 61);
			exec_user &= !naive_bit(entry, 60);
			exec_kernel &= !naive_bit(entry, 59);
			continue;
		}
		user &= naive_bit(entry, 6);
		exec_user &= !naive_bit(entry, 54);
		exec_kernel &= !naive_bit(entry, 53);
		uint64_t size = UINT64_C(1) << shift;
		return (struct naive_walk){
			.pa = naive_arm64_address(regime, entry, shift) + va % size,
			.page_size = naive_bit(entry, 52)
					     ? size << naive_arm64_joined(regime, level)
					     : size,
			.flags = SONDE_PAGE_PRESENT | SONDE_PAGE_READ |
				 naive_if(write && !naive_bit(entry, 7), SONDE_PAGE_WRITE) |
				 naive_if(user, SONDE_PAGE_USER) |
				 naive_if(user ? exec_user : exec_kernel, SONDE_PAGE_EXEC) |
				 naive_if(!naive_bit(entry, 11), SONDE_PAGE_GLOBAL) |
				 naive_if(naive_bit(entry, 10), SONDE_PAGE_ACCESSED) |
				 naive_if(naive_bit(entry, 51) && !naive_bit(entry, 7),
					  SONDE_PAGE_DIRTY),
		};
	}
}

#endif
