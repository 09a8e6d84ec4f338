/* SPDX-License-Identifier: MIT */
/*
 * Page-table formats: every kind of entry that the manuals define, by number, and small tables of each
 * architecture walked three ways: one address explained, all that is mapped, and read as a space.
 */
#include "arch/paging.h"
#include "fake.h"

#define RWX (SONDE_PAGE_READ | SONDE_PAGE_WRITE | SONDE_PAGE_EXEC)
#define P SONDE_PAGE_PRESENT
#define U SONDE_PAGE_USER
#define G SONDE_PAGE_GLOBAL
#define A SONDE_PAGE_ACCESSED
#define D SONDE_PAGE_DIRTY
#define TABLE_FLAGS (RWX | U | G | A | D | P) /* a table that limits nothing */
#define FAULT SONDE_E_NOT_MAPPED

/* ---- entries ------------------------------------------------------------------------------------ */

struct entry_case {
	const char *name;
	uint32_t level;
	uint64_t entry;
	int32_t err;
	uint8_t shift; /* of a page; 0: a table */
	uint64_t pa;
	uint32_t flags; /* of a page that nothing limits from above */
};

static void check_entry(const struct paging *paging, const struct entry_case *c)
{
	struct paging_entry e = paging_decode(paging, c->level, c->entry);
	bool right = e.err == c->err;

	if (right && !c->err)
		right = e.leaf == (c->shift != 0) && e.shift == c->shift && e.pa == c->pa &&
			paging_flags(e.flags) == c->flags;
	if (!right)
		fail_msg("%s, %s: %#llx at level %u gives err %d, leaf %d, shift %u, pa %#llx, "
			 "flags %#x",
			 paging->name, c->name, (unsigned long long)c->entry, c->level, e.err,
			 e.leaf, e.shift, (unsigned long long)e.pa, paging_flags(e.flags));
}

#define CHECK_ENTRIES(paging, cases)                                                               \
	for (size_t i = 0; i < sizeof(cases) / sizeof((cases)[0]); i++)                            \
	check_entry(paging, &(cases)[i])

/* Intel SDM 3A tables 4-14 to 4-20. */
static void entries_of_x86_64(void **state)
{
	static const struct entry_case cases[] = {
		{ "empty", 0, 0, FAULT, 0, 0, 0 },
		{ "4 KiB", 0, 0x000ffffffffff001, 0, 12, 0x000ffffffffff000, P | 1 | 4 },
		{ "4 KiB, all rights and marks", 0, 0x1234567, 0, 12, 0x1234000,
		  P | RWX | U | A | D | G },
		{ "PAT is bit 7 of a 4 KiB page", 0, 0x5081, 0, 12, 0x5000, P | 1 | 4 },
		{ "no execution", 0, 0x8000000000005003, 0, 12, 0x5000, P | 1 | 2 },
		{ "software bits and a protection key", 0, 0x7ff0000000005e01, 0, 12, 0x5000,
		  P | 1 | 4 },
		{ "2 MiB", 1, 0x2000e3, 0, 21, 0x200000, P | RWX | A | D },
		{ "2 MiB with PAT", 1, 0x201081, 0, 21, 0x200000, P | 1 | 4 },
		{ "2 MiB, bit 13 is reserved", 1, 0x202081, FAULT, 0, 0, 0 },
		{ "2 MiB, bit 20 is reserved", 1, 0x300081, FAULT, 0, 0, 0 },
		{ "1 GiB", 2, 0x40000181, 0, 30, 0x40000000, P | 1 | 4 | G },
		{ "1 GiB, bit 29 is reserved", 2, 0x60000081, FAULT, 0, 0, 0 },
		{ "PS is reserved in a PML4 entry", 3, 0x1081, FAULT, 0, 0, 0 },
		{ "PS is reserved in a PML5 entry", 4, 0x1081, FAULT, 0, 0, 0 },
		{ "a table", 1, 0x7067, 0, 0, 0x7000, TABLE_FLAGS },
		{ "a table without rights", 3, 0x8000000000007001, 0, 0, 0x7000,
		  P | 1 | G | A | D },
		{ "swapped", 0, 0x6000, SONDE_E_PAGED_OUT, 0, 0, 0 },
		{ "swapped 2 MiB", 1, 0x1234500, SONDE_E_PAGED_OUT, 0, 0, 0 },
		{ "not present, higher up", 2, 0x1234000, FAULT, 0, 0, 0 },
		/* linux v6.6 pgtable_types.h: global and not present, frame number inverted */
		{ "kept", 0, 0xfffffffff1160, 0, 12, 0xe000, 4 | G | A | D },
		{ "kept 2 MiB", 1, 0xfffffffc00180, 0, 21, 0x200000, 4 | G },
	};

	(void)state;
	CHECK_ENTRIES(paging_x86_64(5), cases);
}

/* Intel SDM 3A tables 4-4 to 4-6. */
static void entries_of_x86_32(void **state)
{
	static const struct entry_case cases[] = {
		{ "4 KiB", 0, 0xfffff163, 0, 12, 0xfffff000, P | RWX | G | A | D },
		{ "4 MiB", 1, 0xffc000e7, 0, 22, 0xffc00000, P | RWX | U | A | D },
		{ "4 MiB, PSE-36", 1, 0x0041e083, 0, 22, 0xf00400000, P | RWX },
		{ "4 MiB, PAT", 1, 0x00401081, 0, 22, 0x400000, P | 1 | 4 },
		{ "4 MiB, bit 21 is reserved", 1, 0x00600081, FAULT, 0, 0, 0 },
		{ "a table", 1, 0x7067, 0, 0, 0x7000, TABLE_FLAGS },
		{ "swapped", 0, 0x40, SONDE_E_PAGED_OUT, 0, 0, 0 },
		{ "kept", 0, 0xe160, 0, 12, 0xe000, 4 | G | A | D },
	};

	(void)state;
	CHECK_ENTRIES(paging_x86_32(false), cases);
}

/* Intel SDM 3A tables 4-8 to 4-11. */
static void entries_of_pae(void **state)
{
	static const struct entry_case cases[] = {
		{ "4 KiB", 0, 0x8000000f00005067, 0, 12, 0xf00005000, P | 1 | 2 | U | A | D },
		{ "2 MiB", 1, 0xf00200083, 0, 21, 0xf00200000, P | RWX },
		{ "2 MiB, bit 14 is reserved", 1, 0x204081, FAULT, 0, 0, 0 },
		{ "a PDPT entry", 2, 0xf00007019, 0, 0, 0xf00007000, TABLE_FLAGS },
		{ "a PDPT entry has no rights: bit 1", 2, 0x7003, FAULT, 0, 0, 0 },
		{ "... bit 6", 2, 0x7041, FAULT, 0, 0, 0 },
		{ "... but QEMU marks it accessed", 2, 0x7021, 0, 0, 0x7000, TABLE_FLAGS },
		{ "... bit 63", 2, 0x8000000000007001, FAULT, 0, 0, 0 },
		{ "a PDPT entry that is not present", 2, 0x7000, FAULT, 0, 0, 0 },
	};

	(void)state;
	CHECK_ENTRIES(paging_x86_32(true), cases);
}

/* RISC-V privileged specification 4.3.1, 4.4; Svnapot: chapter 5. */
static void entries_of_riscv64(void **state)
{
	static const struct entry_case cases[] = {
		{ "4 KiB", 0, 0x003ffffffffffcdf, 0, 12, 0x00fffffffffff000, P | RWX | U | A | D },
		{ "read only", 0, 0x1403, 0, 12, 0x5000, P | 1 },
		{ "execute only", 0, 0x1409, 0, 12, 0x5000, P | 4 },
		{ "global", 0, 0x1423, 0, 12, 0x5000, P | 1 | G },
		{ "write without read is reserved", 0, 0x1405, FAULT, 0, 0, 0 },
		{ "... with execute as well", 0, 0x140d, FAULT, 0, 0, 0 },
		{ "a table in the last level", 0, 0x1401, FAULT, 0, 0, 0 },
		{ "bits above the page number are reserved", 0, 0x0040000000001403, FAULT, 0, 0,
		  0 },
		{ "a memory type is not", 0, 0x6000000000001403, 0, 12, 0x5000, P | 1 },
		{ "64 KiB", 0, 0x8000000000006003, 0, 16, 0x10000, P | 1 },
		{ "of no size that there is", 0, 0x8000000000005003, FAULT, 0, 0, 0 },
		{ "2 MiB", 1, 0x80007, 0, 21, 0x200000, P | 1 | 2 },
		{ "2 MiB that is not aligned", 1, 0x80407, FAULT, 0, 0, 0 },
		{ "1 GiB", 2, 0x10000003, 0, 30, 0x40000000, P | 1 },
		{ "1 GiB that is not aligned", 2, 0x10080003, FAULT, 0, 0, 0 },
		{ "a table", 1, 0x1c01, 0, 0, 0x7000, TABLE_FLAGS },
		{ "a global table", 1, 0x1c21, 0, 0, 0x7000, TABLE_FLAGS },
		{ "accessed is reserved in a table", 1, 0x1c41, FAULT, 0, 0, 0 },
		{ "dirty as well", 1, 0x1c81, FAULT, 0, 0, 0 },
		{ "user as well", 1, 0x1c11, FAULT, 0, 0, 0 },
		{ "64 KiB higher up", 1, 0x8000000000006003, FAULT, 0, 0, 0 },
		{ "swapped", 0, 0x1400, SONDE_E_PAGED_OUT, 0, 0, 0 },
	};

	(void)state;
	CHECK_ENTRIES(paging_riscv64(57), cases);
}

/* Arm DDI 0487 D8.3, D8.4. */
static void entries_of_arm64(void **state)
{
	static const struct entry_case small[] = {
		{ "a page", 0, 0x0000fffffffff403, 0, 12, 0xfffffffff000, P | RWX | G | A },
		{ "bit 1 clear is reserved in the last level", 0, 0x5401, FAULT, 0, 0, 0 },
		{ "for EL0", 0, 0x5c43, 0, 12, 0x5000, P | RWX | U | A },
		{ "read only", 0, 0x5483, 0, 12, 0x5000, P | 1 | 4 | G | A },
		{ "not for EL1 to execute", 0, 0x0020000000005403, 0, 12, 0x5000,
		  P | 1 | 2 | G | A },
		{ "... which says nothing of EL0", 0, 0x0020000000005443, 0, 12, 0x5000,
		  P | RWX | U | G | A },
		{ "not for EL0 to execute", 0, 0x0040000000005443, 0, 12, 0x5000,
		  P | 1 | 2 | U | G | A },
		{ "dirty: writable with DBM", 0, 0x0008000000005403, 0, 12, 0x5000,
		  P | RWX | G | A | D },
		{ "clean: not yet writable with DBM", 0, 0x0008000000005483, 0, 12, 0x5000,
		  P | 1 | 4 | G | A },
		{ "contiguous", 0, 0x0010000000005403, 0, 12, 0x5000, P | RWX | G | A },
		{ "a block of 2 MiB", 1, 0x200401, 0, 21, 0x200000, P | RWX | G | A },
		{ "a block of 1 GiB", 2, 0x40000401, 0, 30, 0x40000000, P | RWX | G | A },
		{ "a block at the top is reserved", 3, 0x401, FAULT, 0, 0, 0 },
		{ "a table", 1, 0x7003, 0, 0, 0x7000, TABLE_FLAGS },
		{ "a table that forbids writing", 1, 0x4000000000007003, 0, 0, 0x7000,
		  TABLE_FLAGS & ~2u },
		{ "a table that is not for EL0", 1, 0x2000000000007003, 0, 0, 0x7000,
		  TABLE_FLAGS & ~U },
		{ "swapped", 0, 0x5400, SONDE_E_PAGED_OUT, 0, 0, 0 },
	};
	static const struct entry_case small_wide[] = {
		{ "bits 51:50 are in bits 9:8", 0, 0x0003fffffffff703, 0, 12, 0x000ffffffffff000,
		  P | RWX | G | A },
		{ "a block of 512 GiB", 3, 0x8000000601, 0, 39, 0x0008008000000000,
		  P | RWX | G | A },
	};
	static const struct entry_case middle[] = {
		{ "a page", 0, 0x14403, 0, 14, 0x14000, P | RWX | G | A },
		{ "a block of 32 MiB", 1, 0x2000401, 0, 25, 0x2000000, P | RWX | G | A },
		{ "a block of 64 GiB is reserved", 2, 0x1000000401, FAULT, 0, 0, 0 },
		{ "a table", 2, 0x1c003, 0, 0, 0x1c000, TABLE_FLAGS },
	};
	static const struct entry_case large_wide[] = {
		{ "bits 51:48 are in bits 15:12", 0, 0x0000ffffffff5403, 0, 16, 0x5ffffffff0000,
		  P | RWX | G | A },
		{ "a block of 512 MiB", 1, 0x2000f401, 0, 29, 0xf000020000000, P | RWX | G | A },
		{ "a block of 4 TiB", 2, 0x40000000401, 0, 42, 0x40000000000, P | RWX | G | A },
		{ "a table", 2, 0x71003, 0, 0, 0x1000000070000, TABLE_FLAGS },
	};

	(void)state;
	CHECK_ENTRIES(paging_arm64(12, 48, false), small);
	CHECK_ENTRIES(paging_arm64(12, 52, true), small_wide);
	CHECK_ENTRIES(paging_arm64(14, 47, false), middle);
	CHECK_ENTRIES(paging_arm64(16, 52, true), large_wide);
}

/* Intel SDM 3C tables 28-1 to 28-7, 28.3.3.1. */
static void entries_of_ept(void **state)
{
	static const struct entry_case plain[] = {
		{ "empty", 0, 0, FAULT, 0, 0, 0 },
		{ "no right, but not empty", 0, 0x8000000000005030, FAULT, 0, 0, 0 },
		{ "4 KiB, write-back", 0, 0x5037, 0, 12, 0x5000, P | RWX },
		{ "read only", 0, 0x5031, 0, 12, 0x5000, P | 1 },
		{ "execute only", 0, 0x5034, 0, 12, 0x5000, P | 4 },
		{ "write without read", 0, 0x5032, FAULT, 0, 0, 0 },
		{ "... with execute as well", 0, 0x5036, FAULT, 0, 0, 0 },
		{ "uncached", 0, 0x5001, 0, 12, 0x5000, P | 1 },
		{ "a memory type of 2", 0, 0x5011, FAULT, 0, 0, 0 },
		{ "... of 3", 0, 0x5019, FAULT, 0, 0, 0 },
		{ "... of 7", 0, 0x5039, FAULT, 0, 0, 0 },
		{ "... of 4, 5", 0, 0x5029, 0, 12, 0x5000, P | 1 },
		{ "bit 7 of a 4 KiB page is ignored", 0, 0x50b1, 0, 12, 0x5000, P | 1 },
		{ "marks that nobody made", 0, 0x5331, 0, 12, 0x5000, P | 1 },
		{ "bits 63:52 are ignored", 0, 0xfff0000000005031, 0, 12, 0x5000, P | 1 },
		{ "2 MiB", 1, 0x2000b7, 0, 21, 0x200000, P | RWX },
		{ "2 MiB, execute only", 1, 0x2000b4, 0, 21, 0x200000, P | 4 },
		{ "2 MiB, bit 12 is reserved", 1, 0x2010b7, FAULT, 0, 0, 0 },
		{ "2 MiB, write without read", 1, 0x2000b2, FAULT, 0, 0, 0 },
		{ "1 GiB", 2, 0x400000b1, 0, 30, 0x40000000, P | 1 },
		{ "1 GiB, bit 29 is reserved", 2, 0x600000b1, FAULT, 0, 0, 0 },
		{ "a table", 1, 0x7007, 0, 0, 0x7000, P | RWX | A | D },
		{ "a table of what may be executed only", 2, 0x7004, 0, 0, 0x7000, P | 4 | A | D },
		{ "a table without read", 2, 0x7002, FAULT, 0, 0, 0 },
		{ "bits 6:3 are reserved in a table", 1, 0x7037, FAULT, 0, 0, 0 },
		{ "bit 7 in a PML4 entry", 3, 0x7087, FAULT, 0, 0, 0 },
		{ "... in a PML5 entry", 4, 0x7087, FAULT, 0, 0, 0 },
	};
	static const struct entry_case marked[] = {
		{ "accessed", 0, 0x5131, 0, 12, 0x5000, P | 1 | A },
		{ "dirty", 0, 0x5333, 0, 12, 0x5000, P | 1 | 2 | A | D },
		{ "a table that was used", 1, 0x7107, 0, 0, 0x7000, P | RWX | A | D },
	};

	(void)state;
	CHECK_ENTRIES(paging_ept(5, false), plain);
	CHECK_ENTRIES(paging_ept(5, true), marked);
	assert_ptr_equal(paging_of_eptp(0x123401e), paging_ept(4, false));
	assert_ptr_equal(paging_of_eptp(0x1234066), paging_ept(5, true));
	assert_null(paging_of_eptp(0x1234016));
	assert_true(paging_root_of(paging_of_eptp(0x123405e), 0x123405e) == 0x1234000);
}

/* AMD APM 2 15.25.5. */
static void entries_of_npt(void **state)
{
	static const struct entry_case cases[] = {
		{ "4 KiB", 0, 0x5067, 0, 12, 0x5000, P | RWX | U | A | D },
		{ "not the user's", 0, 0x5063, FAULT, 0, 0, 0 },
		{ "global says nothing", 0, 0x5105, 0, 12, 0x5000, P | 1 | 4 | U },
		{ "not present", 0, 0x5066, FAULT, 0, 0, 0 },
		{ "no execution", 0, 0x8000000000005005, 0, 12, 0x5000, P | 1 | U },
		{ "2 MiB", 1, 0x2000e7, 0, 21, 0x200000, P | RWX | U | A | D },
		{ "2 MiB, not the user's", 1, 0x2000e3, FAULT, 0, 0, 0 },
		{ "2 MiB, bit 13 is reserved", 1, 0x2020e7, FAULT, 0, 0, 0 },
		{ "1 GiB", 2, 0x40000085, 0, 30, 0x40000000, P | 1 | 4 | U },
		{ "a table", 1, 0x7007, 0, 0, 0x7000, P | RWX | U | A | D },
		{ "a table that is not the user's", 1, 0x7003, FAULT, 0, 0, 0 },
		{ "a large page at the top", 3, 0x1087, FAULT, 0, 0, 0 },
	};

	(void)state;
	CHECK_ENTRIES(paging_npt(5), cases);
}

/* RISC-V privileged specification 8.5.1. */
static void entries_of_riscv64_guests(void **state)
{
	static const struct entry_case cases[] = {
		{ "4 KiB", 0, 0x1413, 0, 12, 0x5000, P | 1 | U },
		{ "not the user's", 0, 0x1403, FAULT, 0, 0, 0 },
		{ "execute only", 0, 0x1419, 0, 12, 0x5000, P | 4 | U },
		{ "64 KiB", 0, 0x8000000000006013, 0, 16, 0x10000, P | 1 | U },
		{ "64 KiB, not the user's", 0, 0x8000000000006003, FAULT, 0, 0, 0 },
		{ "2 MiB", 1, 0x80017, 0, 21, 0x200000, P | 1 | 2 | U },
		{ "a table", 1, 0x1c01, 0, 0, 0x7000, TABLE_FLAGS },
		{ "not present", 0, 0x1400, FAULT, 0, 0, 0 },
	};

	(void)state;
	CHECK_ENTRIES(paging_riscv64_guest(39), cases);
}

/* ---- formats ---------------------------------------------------------------------------------------- */

/* What is taken for a plain page is the page that the entry says. */
static void check_plain(const struct paging *paging)
{
	struct paging_plain plain = paging_plain_pages(paging);
	uint64_t state = 1, n = 0;

	for (uint32_t i = 0; i < 20000; i++) {
		state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
		/* Mostly bits of few kinds, or no entry would be a page. */
		uint64_t entry = (state >> 11 & plain.mask) | plain.set |
				 (i % 4 ? 0 : UINT64_C(1) << (state >> 58));
		if (paging->entry_size == 4)
			entry &= UINT32_MAX;
		struct paging_entry e = paging_decode(paging, 0, entry),
				    located = paging_locate(paging, 0, entry);
		assert_true(located.pa == e.pa && located.err == e.err && located.leaf == e.leaf &&
			    located.shift == e.shift);
		if ((entry & plain.care) != plain.set)
			continue;
		n++;
		assert_true(e.leaf && !e.err);
		assert_true(UINT64_C(1) << e.shift == plain.size);
		assert_true((entry & plain.mask) << plain.up == e.pa);
	}
	/* All but those whose address comes in two pieces have plain ones. */
	assert_true(paging->levels[0].page_pa.bits ? n == 0 : n > 10000);
}

/* Index bits and the bits of a byte in a page are all of the address. */
static void check_format(const struct paging *paging)
{
	uint32_t at = paging->levels[0].shift;

	assert_true(paging->n_levels >= 1 && paging->n_levels <= PAGING_LEVELS_MAX);
	for (uint32_t level = 0; level < paging->n_levels; level++) {
		assert_int_equal(paging->levels[level].shift, at);
		at += paging->levels[level].bits;
	}
	assert_int_equal(at, paging->va_bits);
	check_plain(paging);
}

static void levels_make_up_the_address(void **state)
{
	size_t n = 0;

	(void)state;
	check_format(paging_x86_64(4));
	check_format(paging_x86_64(5));
	check_format(paging_x86_32(false));
	check_format(paging_x86_32(true));
	for (uint32_t levels = 4; levels <= 5; levels++) {
		check_format(paging_ept(levels, false));
		check_format(paging_ept(levels, true));
		check_format(paging_npt(levels));
	}
	for (uint32_t bits = 0; bits < 64; bits++) {
		if (paging_riscv64(bits))
			check_format(paging_riscv64(bits)), n++;
		if (paging_riscv64_guest(bits))
			check_format(paging_riscv64_guest(bits)), n++;
		for (uint32_t granule = 0; granule < 20; granule++) {
			for (int wide = 0; wide < 2; wide++) {
				if (paging_arm64(granule, bits, wide))
					check_format(paging_arm64(granule, bits, wide)), n++;
			}
		}
	}
	assert_int_equal(n, 3 + 3 + 15);
}

static void registers_hold_roots(void **state)
{
	(void)state;
	assert_true(paging_root_of(paging_x86_64(4), 0x8000000001234fff) == 0x1234000);
	assert_true(paging_root_of(paging_x86_32(true), 0x1234fff) == 0x1234fe0);
	assert_true(paging_root_of(paging_riscv64(39), 0x8fff000000012345) == 0x12345000);
	assert_true(paging_root_of(paging_arm64(12, 48, false), 0xffff000040001001) == 0x40001000);
	assert_true(paging_root_of(paging_arm64(16, 52, true), 0xffff000040010014) ==
		    0x5000040010000);
}

/* ---- small tables ------------------------------------------------------------------------------------ */

#define MEM UINT64_C(0x800000)

struct entry_at {
	uint64_t pa, entry;
};

struct walk_case {
	uint64_t va;
	int32_t err;
	uint64_t pa, page_size;
	uint32_t rights;
};

struct table_case {
	uint32_t n_entries, n_walks, n_runs;
	struct entry_at entries[8];
	struct walk_case walks[8];
	struct sonde_page_run runs[5];
};

struct seen {
	const struct table_case *c;
	uint32_t n;
};

static int see(void *user, const struct sonde_page_run *run)
{
	struct seen *seen = user;

	assert_true(seen->n < seen->c->n_runs);
	const struct sonde_page_run *want = &seen->c->runs[seen->n++];
	assert_true(run->va == want->va && run->pa == want->pa && run->len == want->len);
	assert_int_equal(run->flags, want->flags);
	return 0;
}

static void check_walk(struct fake *fake, struct paging_map map, struct sonde_space *space,
		       const struct walk_case *walk)
{
	struct sonde_translation at;
	uint64_t got = 0;

	assert_int_equal(paging_translate(fake->space, map, walk->va, &at), walk->err);
	assert_int_equal(sonde_space_u64(space, walk->va, &got), walk->err);
	if (walk->err)
		return;
	assert_true(at.pa == walk->pa && at.page_size == walk->page_size);
	assert_int_equal(at.flags & RWX, walk->rights);
	assert_true(got == walk->pa);
}

static void check_tables(struct paging_map map, const struct table_case *c)
{
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);
	struct seen seen = { c, 0 };
	struct sonde_space *space;
	struct fake fake = { 0 };

	fake_open(&fake, loop, MEM, SONDE_WAY_EXTENTS);
	/* Every 8 bytes name their own physical address, where there is no table. */
	for (uint64_t at = 0; at < MEM; at += 8)
		memcpy(fake.bytes + at, &at, 8);
	memset(fake.bytes + 0x100000, 0, 0x100000);
	for (uint32_t i = 0; i < c->n_entries; i++)
		memcpy(fake.bytes + c->entries[i].pa, &c->entries[i].entry, map.paging->entry_size);
	assert_int_equal(paging_space(fake.space, map, 0, &space), 0);
	/* Once more, out of the store of translations. */
	for (int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < c->n_walks; i++)
			check_walk(&fake, map, space, &c->walks[i]);
	}
	assert_int_equal(paging_visit(fake.space, map, 0, UINT64_MAX, PAGING_RIGHTS, see, &seen),
			 0);
	assert_int_equal(seen.n, c->n_runs);
	sonde_space_close(space);
	fake_close(&fake);
	sonde_loop_destroy(loop);
}

static void tables_of_x86_32(void **state)
{
	static const struct table_case c = {
		.n_entries = 5,
		.entries = { { 0x100000 + 4 * 0, 0x101007 },
			     { 0x100000 + 4 * 0x300, 0x4000e3 },
			     { 0x100000 + 4 * 0x3ff, 0x101007 },
			     { 0x101000 + 4 * 1, 0x5005 },
			     { 0x101000 + 4 * 0x3ff, 0x6007 } },
		.n_walks = 7,
		.walks = { { 0x1010, 0, 0x5010, 0x1000, 1 | 4 },
			   { 0x3ffff8, 0, 0x6ff8, 0x1000, RWX },
			   { 0xc0123450, 0, 0x523450, 0x400000, RWX },
			   { 0xfffffff8, 0, 0x6ff8, 0x1000, RWX },
			   { 0x2000, FAULT, 0, 0, 0 },
			   { 0x100001010, FAULT, 0, 0, 0 },
			   { 0xffffffffc0123450, FAULT, 0, 0, 0 } },
		.n_runs = 5,
		.runs = { { 0x1000, 0x5000, 0x1000, 1 | 4 },
			  { 0x3ff000, 0x6000, 0x1000, RWX },
			  { 0xc0000000, 0x400000, 0x400000, RWX },
			  { 0xffc01000, 0x5000, 0x1000, 1 | 4 },
			  { 0xfffff000, 0x6000, 0x1000, RWX } },
	};

	(void)state;
	check_tables(paging_map(paging_x86_32(false), 0x100000), &c);
}

/* CR3 points at four entries in the middle of a page. */
static void tables_of_pae(void **state)
{
	static const struct table_case c = {
		.n_entries = 5,
		.entries = { { 0x100020 + 8 * 0, 0x101001 },
			     { 0x100020 + 8 * 3, 0x101001 },
			     { 0x101000 + 8 * 0, 0x102007 },
			     { 0x101000 + 8 * 1, 0x2000e3 },
			     { 0x102000 + 8 * 1, 0x8000000000005007 } },
		.n_walks = 5,
		.walks = { { 0x1010, 0, 0x5010, 0x1000, 1 | 2 },
			   { 0xc0001010, 0, 0x5010, 0x1000, 1 | 2 },
			   { 0xc0200010, 0, 0x200010, 0x200000, RWX },
			   { 0x40001010, FAULT, 0, 0, 0 },
			   { 0x1c0001010, FAULT, 0, 0, 0 } },
		.n_runs = 4,
		.runs = { { 0x1000, 0x5000, 0x1000, 1 | 2 },
			  { 0x200000, 0x200000, 0x200000, RWX },
			  { 0xc0001000, 0x5000, 0x1000, 1 | 2 },
			  { 0xc0200000, 0x200000, 0x200000, RWX } },
	};

	(void)state;
	check_tables(paging_map(paging_x86_32(true), 0x100020), &c);
}

/* 16 entries of one 64 KiB page, and a 2 MiB page in the upper half. */
static void tables_of_riscv64(void **state)
{
	static const struct table_case c = {
		.n_entries = 6,
		.entries = { { 0x100000 + 8 * 0, 0x101000 >> 2 | 1 },
			     { 0x100000 + 8 * 511, 0x101000 >> 2 | 1 },
			     { 0x101000 + 8 * 0, 0x102000 >> 2 | 1 },
			     { 0x101000 + 8 * 511, 0x400000 >> 2 | 7 },
			     { 0x102000 + 8 * 16, 0x8000000000000000 | 0x18000 >> 2 | 3 },
			     { 0x102000 + 8 * 17, 0x8000000000000000 | 0x18000 >> 2 | 3 } },
		.n_walks = 6,
		.walks = { { 0x10010, 0, 0x10010, 0x10000, 1 },
			   { 0x11ff8, 0, 0x11ff8, 0x10000, 1 },
			   { 0x3fe12340, 0, 0x412340, 0x200000, 1 | 2 },
			   { 0xffffffffffe12340, 0, 0x412340, 0x200000, 1 | 2 },
			   { 0x12000, FAULT, 0, 0, 0 },
			   { 0x4000000000, FAULT, 0, 0, 0 } },
		.n_runs = 4,
		.runs = { { 0x10000, 0x10000, 0x2000, 1 },
			  { 0x3fe00000, 0x400000, 0x200000, 1 | 2 },
			  { 0xffffffffc0010000, 0x10000, 0x2000, 1 },
			  { 0xffffffffffe00000, 0x400000, 0x200000, 1 | 2 } },
	};

	(void)state;
	check_tables(paging_map(paging_riscv64(39), 0x100000), &c);
}

/* Two halves with a root each; rights of a table limit those of its pages. */
static void tables_of_arm64(void **state)
{
	static const struct table_case c = {
		.n_entries = 6,
		.entries = { { 0x100000 + 8 * 0, 0x4000000000102003 }, /* low: no writing below */
			     { 0x101000 + 8 * 511, 0x103003 },         /* high */
			     { 0x102000 + 8 * 0, 0x104003 },
			     { 0x103000 + 8 * 511, 0x400401 },
			     { 0x104000 + 8 * 1, 0x5443 },
			     { 0x104000 + 8 * 2, 0x0020000000006403 } },
		.n_walks = 6,
		.walks = { { 0x1010, 0, 0x5010, 0x1000, 1 | 4 },
			   { 0x2010, 0, 0x6010, 0x1000, 1 },
			   { 0xffffffffffe12340, 0, 0x412340, 0x200000, RWX },
			   { 0xffffff8000001010, FAULT, 0, 0, 0 },
			   { 0x7fffe12340, FAULT, 0, 0, 0 },
			   { 0x8000000000, FAULT, 0, 0, 0 } },
		.n_runs = 3,
		.runs = { { 0x1000, 0x5000, 0x1000, 1 | 4 },
			  { 0x2000, 0x6000, 0x1000, 1 },
			  { 0xffffffffffe00000, 0x400000, 0x200000, RWX } },
	};
	struct paging_map map = { paging_arm64(12, 39, false), 0x100000, 0x101000 };

	(void)state;
	check_tables(map, &c);
}

/* Arm DDI 0487 D8.7.1: what is told is the size that they make up together; each maps its own part. */
static void contiguous_entries_are_one_page(void **state)
{
	static const struct {
		uint32_t granule, va_bits, level;
		uint8_t shift, page_shift;
	} cases[] = {
		{ 12, 48, 0, 12, 16 }, { 12, 48, 1, 21, 25 }, { 12, 48, 2, 30, 34 },
		{ 14, 47, 0, 14, 21 }, { 14, 47, 1, 25, 30 }, { 16, 48, 0, 16, 21 },
		{ 16, 48, 1, 29, 34 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct paging *paging =
			paging_arm64(cases[i].granule, cases[i].va_bits, false);
		uint64_t pa = UINT64_C(3) << cases[i].shift;
		uint64_t entry = pa | UINT64_C(1) << 52 | (cases[i].level ? 0x401 : 0x403);
		struct paging_entry e = paging_decode(paging, cases[i].level, entry);
		assert_int_equal(e.err, 0);
		assert_int_equal(e.shift, cases[i].shift);
		assert_int_equal(e.page_shift, cases[i].page_shift);
		assert_true(e.pa == pa);
	}
}

/* 16 entries of 4 KiB: one run, and every address of it says 64 KiB. */
static void tables_of_arm64_contiguous(void **state)
{
	static const struct table_case c = {
		.n_entries = 5,
		.entries = { { 0x100000 + 8 * 0, 0x101003 },
			     { 0x101000 + 8 * 0, 0x102003 },
			     { 0x102000 + 8 * 16, 0x0010000000010403 },
			     { 0x102000 + 8 * 17, 0x0010000000011403 },
			     { 0x102000 + 8 * 18, 0x12403 } },
		.n_walks = 3,
		.walks = { { 0x10010, 0, 0x10010, 0x10000, RWX },
			   { 0x11ff8, 0, 0x11ff8, 0x10000, RWX },
			   { 0x12008, 0, 0x12008, 0x1000, RWX } },
		.n_runs = 1,
		.runs = { { 0x10000, 0x10000, 0x3000, RWX } },
	};
	struct paging_map map = { paging_arm64(12, 39, false), 0x100000, 0x130000 };

	(void)state;
	check_tables(map, &c);
}

/* Tables of 64 KiB, and a small one at the root. */
static void tables_of_arm64_64k(void **state)
{
	static const struct table_case c = {
		.n_entries = 4,
		.entries = { { 0x100000 + 8 * 0, 0x110003 },
			     { 0x110000 + 8 * 0, 0x120003 },
			     { 0x120000 + 8 * 1, 0x30403 },
			     { 0x120000 + 8 * 8191, 0x40483 } },
		.n_walks = 4,
		.walks = { { 0x1f000, 0, 0x3f000, 0x10000, RWX },
			   { 0x1fff8000, 0, 0x48000, 0x10000, 1 | 4 },
			   { 0x20000, FAULT, 0, 0, 0 },
			   { 0xffff00000001f000, FAULT, 0, 0, 0 } },
		.n_runs = 2,
		.runs = { { 0x10000, 0x30000, 0x10000, RWX },
			  { 0x1fff0000, 0x40000, 0x10000, 1 | 4 } },
	};
	struct paging_map map = { paging_arm64(16, 48, false), 0x100000, 0x130000 };

	(void)state;
	check_tables(map, &c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_of_x86_64),
		cmocka_unit_test(entries_of_x86_32),
		cmocka_unit_test(entries_of_pae),
		cmocka_unit_test(entries_of_riscv64),
		cmocka_unit_test(entries_of_arm64),
		cmocka_unit_test(entries_of_ept),
		cmocka_unit_test(entries_of_npt),
		cmocka_unit_test(entries_of_riscv64_guests),
		cmocka_unit_test(levels_make_up_the_address),
		cmocka_unit_test(registers_hold_roots),
		cmocka_unit_test(tables_of_x86_32),
		cmocka_unit_test(tables_of_pae),
		cmocka_unit_test(tables_of_riscv64),
		cmocka_unit_test(tables_of_arm64),
		cmocka_unit_test(contiguous_entries_are_one_page),
		cmocka_unit_test(tables_of_arm64_contiguous),
		cmocka_unit_test(tables_of_arm64_64k),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
