/* SPDX-License-Identifier: MIT */
/*
 * Entries that are not present, made as linux v6.6 arch/x86/include/asm/pgtable_64.h makes them (__swp_entry), for
 * kernels that number their types differently.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "linux/swap_entry.h"

static const struct swap_layout x86 = { 59, 5, 9, 50, true };

static uint64_t entry_of(uint64_t type, uint64_t offset)
{
	return ~offset << 14 >> 5 | type << 59;
}

struct kernel {
	const char *name;
	struct swap_types types;
	uint8_t kinds[32]; /* by type */
};

#define FILE1 SONDE_ENTRY_SWAPPED
#define NONE SONDE_ENTRY_ABSENT
#define UP_TO(n) [1 ...(n) - 1] = NONE

static const struct kernel kernels[] = {
	{ "6.6 with all of it",
	  { 1, 1, 3, 4, 1 },
	  { FILE1, UP_TO(23), [23] = SONDE_ENTRY_POISONED, [24 ... 26] = SONDE_ENTRY_MIGRATING,
	    [27 ... 28] = SONDE_ENTRY_DEVICE,
	    [29 ... 30] = SONDE_ENTRY_DEVICE_EXCLUSIVE, [31] = SONDE_ENTRY_MARKER } },
	{ "6.15 with all of it",
	  { 1, 1, 3, 3, 1 },
	  { FILE1, UP_TO(24), [24] = SONDE_ENTRY_POISONED, [25 ... 27] = SONDE_ENTRY_MIGRATING,
	    [28 ... 29] = SONDE_ENTRY_DEVICE, [30] = SONDE_ENTRY_DEVICE_EXCLUSIVE,
	    [31] = SONDE_ENTRY_MARKER } },
	{ "5.10, a cloud's",
	  { 1, 1, 2, 0, 0 },
	  { FILE1, UP_TO(29), [29] = SONDE_ENTRY_POISONED, [30 ... 31] = SONDE_ENTRY_MIGRATING } },
	{ "with nothing but swap", { 1, 0, 0, 0, 0 }, { FILE1, UP_TO(32) } },
};

static void each_type_has_its_kind(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(kernels) / sizeof(kernels[0]); k++) {
		for (uint32_t type = 0; type < 32; type++) {
			uint64_t offset = 0;
			uint32_t got = 0,
				 kind = swap_entry_kind(&x86, &kernels[k].types,
							entry_of(type, 0x1234567), &got, &offset);
			if (kind != kernels[k].kinds[type] || got != type || offset != 0x1234567)
				fail_msg("%s: type %u: kind %u, type %u, offset %#llx",
					 kernels[k].name, type, kind, got,
					 (unsigned long long)offset);
		}
	}
}

static void software_bits_change_nothing(void **state)
{
	uint64_t offset;
	uint32_t type;

	(void)state;
	/* Soft-dirty, user-fault and exclusive: bits 1 to 3. */
	assert_int_equal(
		swap_entry_kind(&x86, &kernels[0].types, entry_of(0, 77) | 0xe, &type, &offset),
		SONDE_ENTRY_SWAPPED);
	assert_int_equal(type, 0);
	assert_int_equal(offset, 77);
}

static void without_a_count_all_swap_files_are_believed(void **state)
{
	struct swap_types types = kernels[0].types;
	uint64_t offset;
	uint32_t type;

	(void)state;
	types.n_files = UINT32_MAX;
	assert_int_equal(swap_entry_kind(&x86, &types, entry_of(22, 1), &type, &offset),
			 SONDE_ENTRY_SWAPPED);
	assert_int_equal(swap_entry_kind(&x86, &types, entry_of(23, 1), &type, &offset),
			 SONDE_ENTRY_POISONED);
}

/*
 * linux v6.1 and v6.12 arch/arm64/include/asm/pgtable.h: 2 is exclusive; 3 in v6.12 is user-fault; v6.12
 * arch/riscv/include/asm/pgtable.h: 6 is exclusive.
 */
static void other_architectures_have_type_and_offset_elsewhere(void **state)
{
	static const struct {
		struct swap_layout layout;
		uint64_t entry;
	} cases[] = {
		{ { 3, 5, 8, 50, false }, UINT64_C(26) << 3 | UINT64_C(0x1234567) << 8 | 1 << 2 },
		{ { 7, 5, 12, 52, false }, UINT64_C(26) << 7 | UINT64_C(0x1234567) << 12 | 1 << 6 },
		{ { 6, 5, 12, 50, false }, UINT64_C(26) << 6 | UINT64_C(0x1234567) << 12 | 3 << 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t offset;
		uint32_t type, kind = swap_entry_kind(&cases[i].layout, &kernels[0].types,
						      cases[i].entry, &type, &offset);
		assert_int_equal(kind, SONDE_ENTRY_MIGRATING);
		assert_int_equal(type, 26);
		assert_int_equal(offset, 0x1234567);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_type_has_its_kind),
		cmocka_unit_test(software_bits_change_nothing),
		cmocka_unit_test(without_a_count_all_swap_files_are_believed),
		cmocka_unit_test(other_architectures_have_type_and_offset_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
