/* SPDX-License-Identifier: MIT */
/* PE images made by hand: headers of both widths, exports, and headers that lie. */
#include "common/pe.h"

#include <sonde/error.h>
#include <sonde/space.h>
#include <sonde/types.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PE 0x80u
#define OPTIONAL (PE + 24)
#define EXPORTS 0x2000u

static uint8_t image[0x4000];

static void put(size_t at, uint32_t size, uint64_t value)
{
	sonde_store(image + at, size, SONDE_LITTLE, value);
}

static size_t directories(int is_64)
{
	return OPTIONAL + (is_64 ? 112 : 96);
}

/* Two sections, 16 directories, of which the first is that of exports. */
static void make(int is_64)
{
	size_t optional_size = directories(is_64) - OPTIONAL + 16 * 8,
	       table = OPTIONAL + optional_size;

	memset(image, 0, sizeof(image));
	memcpy(image, "MZ", 2);
	put(0x3c, 4, PE);
	memcpy(image + PE, "PE\0\0", 4);
	put(PE + 6, 2, 2);
	put(PE + 20, 2, optional_size);
	put(OPTIONAL, 2, is_64 ? 0x20b : 0x10b);
	put(OPTIONAL + 56, 4, sizeof(image));
	put(directories(is_64) - 4, 4, 16);
	put(directories(is_64), 4, EXPORTS);
	put(directories(is_64) + 4, 4, 0x100);
	memcpy(image + table, ".text", 5);
	put(table + 8, 4, 0x800);
	put(table + 12, 4, 0x1000);
	put(table + 36, 4, 0x60000020);
	memcpy(image + table + 40, ".longest", 8);
	put(table + 48, 4, 0x1000);
	put(table + 52, 4, 0x3000);
	put(table + 76, 4, 0xc0000040);
}

/* "one" and "two", and "away", which leads to another module. */
static void make_exports(void)
{
	static const char *const names[] = { "one", "two", "away" };

	put(EXPORTS + 20, 4, 3);
	put(EXPORTS + 24, 4, 3);
	put(EXPORTS + 28, 4, EXPORTS + 0x40);
	put(EXPORTS + 32, 4, EXPORTS + 0x50);
	put(EXPORTS + 36, 4, EXPORTS + 0x60);
	for (uint32_t i = 0; i < 3; i++) {
		put(EXPORTS + 0x40 + 4 * i, 4, i == 2 ? EXPORTS + 0x90 : 0x1000 + 16 * i);
		put(EXPORTS + 0x50 + 4 * i, 4, EXPORTS + 0x70 + 8 * i);
		put(EXPORTS + 0x60 + 2 * i, 2, i);
		strcpy((char *)image + EXPORTS + 0x70 + 8 * i, names[i]);
	}
}

static int collect(void *user, const char *name, size_t name_len, uint32_t off)
{
	size_t used = strlen(user);

	snprintf((char *)user + used, 64 - used, "%.*s=%x ", (int)name_len, name, off);
	return 0;
}

static void expect_exports(int want, const char *text)
{
	char seen[64] = "";
	struct pe pe;

	assert_int_equal(pe_parse(image, PE_HEAD_BYTES, &pe), 1);
	assert_int_equal(pe_exports(&pe, image + pe.exports_off, collect, seen), want);
	assert_string_equal(seen, text);
}

static void both_widths_have_size_and_sections(void **state)
{
	(void)state;
	for (int is_64 = 0; is_64 < 2; is_64++) {
		struct pe pe;
		make(is_64);
		assert_int_equal(pe_parse(image, PE_HEAD_BYTES, &pe), 1);
		assert_int_equal(pe.is_64, is_64);
		assert_int_equal(pe.size, sizeof(image));
		assert_int_equal(pe.exports_off, EXPORTS);
		assert_int_equal(pe.exports_size, 0x100);
		assert_int_equal(pe.n_sections, 2);
		assert_string_equal(pe.sections[0].name, ".text");
		assert_int_equal(pe.sections[0].flags, SONDE_REGION_READ | SONDE_REGION_EXEC);
		assert_int_equal(pe.sections[0].off, 0x1000);
		assert_int_equal(pe.sections[0].size, 0x800);
		assert_string_equal(pe.sections[1].name, ".longest");
		assert_int_equal(pe.sections[1].flags, SONDE_REGION_READ | SONDE_REGION_WRITE);
	}
}

static void exports_are_those_with_a_name_and_a_place_here(void **state)
{
	(void)state;
	make(1);
	make_exports();
	expect_exports(0, "one=1000 two=1010 ");
}

static void exports_that_lie_are_left_out(void **state)
{
	(void)state;
	make(1);
	make_exports();
	put(EXPORTS + 0x50, 4, EXPORTS + 0x100); /* a name outside          */
	expect_exports(0, "two=1010 ");
	put(EXPORTS + 0x62, 2, 3); /* an ordinal that is none */
	expect_exports(0, "");
	make_exports();
	put(EXPORTS + 0x44, 4, sizeof(image)); /* a place outside         */
	expect_exports(0, "one=1000 ");
	make_exports();
	memset(image + EXPORTS + 0xf8, 'x', 8); /* a name without end      */
	put(EXPORTS + 0x54, 4, EXPORTS + 0xf8);
	expect_exports(0, "one=1000 ");
	put(EXPORTS + 24, 4, 0x40000000); /* more names than fit     */
	expect_exports(SONDE_E_CORRUPT, "");
	make_exports();
	put(EXPORTS + 28, 4, EXPORTS - 4);
	expect_exports(SONDE_E_CORRUPT, "");
}

static void headers_that_lie_are_refused(void **state)
{
	(void)state;
	static const struct {
		size_t at;
		uint32_t size;
		uint64_t value;
		int want;
	} lies[] = {
		{ 0, 2, 0, 0 },
		{ PE, 4, 0, 0 },
		{ 0x3c, 4, 0xffffffff, SONDE_E_LIMIT },
		{ 0x3c, 4, PE_HEAD_BYTES - 100, SONDE_E_LIMIT },
		{ PE + 6, 2, PE_SECTIONS_MAX + 1, SONDE_E_CORRUPT },
		{ PE + 20, 2, 100, SONDE_E_CORRUPT },
		{ PE + 20, 2, 0xffff, SONDE_E_LIMIT },
		{ OPTIONAL, 2, 0x107, SONDE_E_CORRUPT },
		{ OPTIONAL + 56, 4, 0, SONDE_E_CORRUPT },
		{ OPTIONAL + 56, 4, 0x2000, SONDE_E_CORRUPT }, /* the directory lies outside */
		{ OPTIONAL + 112 + 4, 4, 0xffffffff, SONDE_E_CORRUPT },
		{ OPTIONAL + 112 + 16 * 8 + 8, 4, 0xffffffff, SONDE_E_CORRUPT },
	};
	struct pe pe;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		make(1);
		put(lies[i].at, lies[i].size, lies[i].value);
		assert_int_equal(pe_parse(image, PE_HEAD_BYTES, &pe), lies[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_widths_have_size_and_sections),
		cmocka_unit_test(exports_are_those_with_a_name_and_a_place_here),
		cmocka_unit_test(exports_that_lie_are_left_out),
		cmocka_unit_test(headers_that_lie_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
