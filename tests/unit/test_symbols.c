/* SPDX-License-Identifier: MIT */
/* Symbols: by name, by address, in order; aliases, absolute ones, bounds. */
#include "sym/symbols.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void add(struct sonde_symbols *s, uint64_t addr, char type, const char *name,
		uint32_t module)
{
	assert_int_equal(symbols_add(s, addr, type, name, strlen(name), module), 0);
}

/* Added out of order on purpose. */
static int setup(void **state)
{
	struct sonde_symbols *s = symbols_create(0, 0);

	assert_non_null(s);
	int mod = symbols_add_module(s, "virtio");
	assert_true(mod > 0);
	add(s, 0xffffffff81000200, 'T', "second", 0);
	add(s, 0xffffffff81000100, 'T', "first", 0);
	add(s, 0xffffffff81000100, 't', "first_alias", 0);
	add(s, 0x1000, 'A', "percpu_last", 0);
	add(s, 0, 'A', "percpu_first", 0);
	add(s, 0xffffffffc0000000, 't', "probe", (uint32_t)mod);
	add(s, 0xffffffffc0000040, 't', "second", (uint32_t)mod);
	assert_int_equal(symbols_seal(s), 0);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	symbols_destroy(*state);
	return 0;
}

static void come_by_rising_address_aliases_as_added(void **state)
{
	static const struct {
		const char *name;
		uint64_t addr, size;
	} want[] = {
		{ "percpu_first", 0, 0x1000 },
		{ "percpu_last", 0x1000, 0 },
		{ "first", 0xffffffff81000100, 0x100 },
		{ "first_alias", 0xffffffff81000100, 0x100 },
		{ "second", 0xffffffff81000200, 0xffffffffc0000000 - 0xffffffff81000200 },
		{ "probe", 0xffffffffc0000000, 0x40 },
		{ "second", 0xffffffffc0000040, 0 },
	};
	struct sonde_symbol got;

	assert_int_equal(sonde_symbol_count(*state), 7);
	for (size_t i = 0; i < 7; i++) {
		assert_int_equal(sonde_symbol_get(*state, i, &got), 1);
		if (strcmp(got.name, want[i].name) || got.addr != want[i].addr ||
		    got.size != want[i].size)
			fail_msg("%zu: got %s %llx+%llx", i, got.name, (unsigned long long)got.addr,
				 (unsigned long long)got.size);
	}
	assert_int_equal(sonde_symbol_get(*state, 7, &got), 0);
}

static void found_by_name_the_lowest_of_several(void **state)
{
	struct sonde_symbol got;

	assert_int_equal(sonde_symbol_find(*state, "probe", &got), 1);
	assert_true(got.addr == 0xffffffffc0000000);
	assert_string_equal(got.module, "virtio");
	assert_int_equal(got.type, 't');
	assert_int_equal(sonde_symbol_find(*state, "second", &got), 1);
	assert_true(got.addr == 0xffffffff81000200);
	assert_null(got.module);
	assert_int_equal(sonde_symbol_find(*state, "secon", &got), 0);
	assert_int_equal(sonde_symbol_find(*state, "", &got), 0);
}

static void found_by_address(void **state)
{
	static const struct {
		uint64_t addr;
		const char *want; /* NULL: none */
	} cases[] = {
		{ 0, "percpu_first" },
		{ 0xfff, "percpu_first" },
		{ 0x1000, "percpu_last" },
		{ 0x1001, NULL }, /* user memory is not the last per-CPU variable */
		{ 0x7fffffffffff, NULL },
		{ 0xffffffff810000ff, NULL },
		{ 0xffffffff81000100, "first" },
		{ 0xffffffff810001ff, "first" },
		{ 0xffffffff81000200, "second" },
		{ 0xffffffffc000003f, "probe" },
		{ UINT64_MAX, "second" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sonde_symbol got = { 0 };
		int r = sonde_symbol_at(*state, cases[i].addr, &got);
		if (r != (cases[i].want != NULL) || (r && strcmp(got.name, cases[i].want)))
			fail_msg("%llx: got %d %s", (unsigned long long)cases[i].addr, r,
				 r ? got.name : "");
	}
}

static void empty_symbols_answer_no(void **state)
{
	(void)state;
	struct sonde_symbols *s = symbols_create(0, 0);
	struct sonde_symbol got;

	assert_int_equal(symbols_seal(s), 0);
	assert_int_equal(sonde_symbol_count(s), 0);
	assert_int_equal(sonde_symbol_find(s, "x", &got), 0);
	assert_int_equal(sonde_symbol_at(s, 0, &got), 0);
	assert_int_equal(sonde_symbol_get(s, 0, &got), 0);
	symbols_destroy(s);
	symbols_destroy(NULL);
}

static void bad_module_and_bounds_are_refused(void **state)
{
	(void)state;
	struct sonde_symbols *s = symbols_create(1, 1);

	assert_int_equal(symbols_add(s, 1, 't', "x", 1, 1), SONDE_E_BAD_ARG);
	assert_int_equal(symbols_add(s, 1, 't', "x", SYMBOLS_MAX_NAMES, 0), SONDE_E_LIMIT);
	assert_int_equal(sonde_symbol_count(s), 0);
	symbols_destroy(s);
}

/* 50 000 in a scrambled order: sorted, and each found by its name and its address. */
static void many_scrambled_ones_are_sorted_and_found(void **state)
{
	(void)state;
	const uint32_t n = 50000;
	struct sonde_symbols *s = symbols_create(0, 0);
	struct sonde_symbol got;
	char name[32];

	for (uint32_t i = 0; i < n; i++) {
		uint32_t k = (uint32_t)((uint64_t)i * 31337 % n);
		int len = snprintf(name, sizeof(name), "symbol_%u", k);
		uint64_t addr = (uint64_t)k << 33 | k;
		assert_int_equal(symbols_add(s, addr, 't', name, (size_t)len, 0), 0);
	}
	assert_int_equal(symbols_seal(s), 0);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t addr = (uint64_t)i << 33 | i;
		snprintf(name, sizeof(name), "symbol_%u", i);
		assert_int_equal(sonde_symbol_get(s, i, &got), 1);
		assert_string_equal(got.name, name);
		assert_int_equal(sonde_symbol_find(s, name, &got), 1);
		assert_true(got.addr == addr);
		assert_int_equal(sonde_symbol_at(s, addr + 1, &got), 1);
		assert_true(got.addr == addr);
	}
	symbols_destroy(s);
}

/* Of 300 000 of one name, as modules of riscv64 have labels, the lowest is found, and all others by their own names. */
static void many_of_one_name_hide_no_other(void **state)
{
	(void)state;
	const uint32_t n = 300000;
	struct sonde_symbols *s = symbols_create(0, 0);
	struct sonde_symbol got;
	char name[32];

	for (uint32_t i = n; i > 0; i--)
		assert_int_equal(symbols_add(s, i, 't', ".L0", 3, 0), 0);
	for (uint32_t i = 1; i < n; i += 1000) {
		int len = snprintf(name, sizeof(name), "symbol_%u", i);
		assert_int_equal(symbols_add(s, i, 't', name, (size_t)len, 0), 0);
	}
	assert_int_equal(symbols_seal(s), 0);
	assert_int_equal(sonde_symbol_find(s, ".L0", &got), 1);
	assert_true(got.addr == 1);
	for (uint32_t i = 1; i < n; i += 1000) {
		snprintf(name, sizeof(name), "symbol_%u", i);
		assert_int_equal(sonde_symbol_find(s, name, &got), 1);
		assert_true(got.addr == i);
	}
	assert_int_equal(sonde_symbol_find(s, "symbol_2", &got), 0);
	symbols_destroy(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(come_by_rising_address_aliases_as_added, setup,
						teardown),
		cmocka_unit_test_setup_teardown(found_by_name_the_lowest_of_several, setup,
						teardown),
		cmocka_unit_test_setup_teardown(found_by_address, setup, teardown),
		cmocka_unit_test(empty_symbols_answer_no),
		cmocka_unit_test(bad_module_and_bounds_are_refused),
		cmocka_unit_test(many_scrambled_ones_are_sorted_and_found),
		cmocka_unit_test(many_of_one_name_hide_no_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
