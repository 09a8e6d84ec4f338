/* SPDX-License-Identifier: MIT */
/*
 * Tables of exported symbols, written here as linux v6.1 include/linux/export.h (PREL32) lays them out, and what
 * aarch64 code refers to, in instructions of real functions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "linux/arch.h"
#include "linux/ksymtab.h"

#define VA UINT64_C(0xffff800008f00000)
#define VALUES (VA + 0x100000) /* value of name i is VALUES + 16 * i */
#define NAMES_AT 0x4000u
#define NAME_SIZE 16u

/* Read-only data: tables of entries, names at NAMES_AT. */
struct image {
	uint8_t bytes[0x8000];
};

static void put32(uint8_t *at, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

/* Entry of name i at `at`. */
static void put_entry(struct image *image, uint32_t at, uint32_t i)
{
	uint32_t name = NAMES_AT + NAME_SIZE * i;

	put32(image->bytes + at, (uint32_t)(VALUES + 16 * i - (VA + at)));
	put32(image->bytes + at + 4, name - (at + 4));
	put32(image->bytes + at + 8, name - (at + 8));
	snprintf((char *)image->bytes + name, NAME_SIZE, "symbol_%04u", i);
}

struct told {
	uint32_t n, first, last; /* numbers in the names */
	uint32_t n_wrong;        /* whose value is another's */
};

static int tell(void *user, const char *name, uint64_t value)
{
	struct told *told = user;
	uint32_t i = 0;

	told->n_wrong += sscanf(name, "symbol_%4u", &i) != 1 || value != VALUES + 16 * i;
	if (!told->n++)
		told->first = i;
	told->last = i;
	return 0;
}

static struct told find(const struct image *image)
{
	struct told told = { 0 };

	int n = ksymtab_find(image->bytes, sizeof(image->bytes), VA, tell, &told);
	assert_int_equal(n, told.n);
	assert_int_equal(told.n_wrong, 0);
	return told;
}

/* n entries from number first on, at `at`. */
static void put_table(struct image *image, uint32_t at, uint32_t first, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		put_entry(image, at + 12 * i, first + i);
}

static void a_table_is_told_whole(void **state)
{
	static struct image image;

	(void)state;
	put_table(&image, 0x104, 0, 300);
	struct told told = find(&image);
	assert_int_equal(told.n, 300);
	assert_int_equal(told.first, 0);
	assert_int_equal(told.last, 299);
}

static void two_tables_may_follow_each_other(void **state)
{
	static struct image image;

	(void)state;
	put_table(&image, 0x100, 100, 200);
	put_table(&image, 0x100 + 12 * 200, 0, 100);
	struct told told = find(&image);
	assert_int_equal(told.n, 300);
	assert_int_equal(told.first, 100);
	assert_int_equal(told.last, 99);
}

static void a_few_entries_are_no_table(void **state)
{
	static struct image image;

	(void)state;
	put_table(&image, 0x100, 0, KSYMTAB_MIN - 1);
	assert_int_equal(find(&image).n, 0);
}

static void a_table_ends_where_a_name_is_none(void **state)
{
	static struct image image;

	(void)state;
	put_table(&image, 0x100, 0, 200);
	image.bytes[NAMES_AT + NAME_SIZE * 150 + 3] = 0x80;
	struct told told = find(&image);
	assert_int_equal(told.n, 150);
	assert_int_equal(told.last, 149);
}

static void names_that_do_not_end_are_none(void **state)
{
	static struct image image;

	(void)state;
	put_table(&image, 0x100, 0, 100);
	memset(image.bytes + NAMES_AT, 'a', sizeof(image.bytes) - NAMES_AT);
	assert_int_equal(find(&image).n, 0);
}

static int stop(void *user, const char *name, uint64_t value)
{
	(void)name;
	(void)value;
	return --*(int *)user ? 0 : SONDE_E_NO_MEMORY;
}

static void who_is_told_may_stop(void **state)
{
	static struct image image;
	int left = 10;

	(void)state;
	put_table(&image, 0x100, 0, 100);
	assert_int_equal(ksymtab_find(image.bytes, sizeof(image.bytes), VA, stop, &left),
			 SONDE_E_NO_MEMORY);
	assert_int_equal(left, 0);
}

/* ---- code ------------------------------------------------------------------------------------------ */

struct snippet {
	const char *name;
	uint64_t va;
	uint32_t code[4];
	uint64_t refers; /* to this, at least */
};

static const struct snippet snippets[] = {
	{ "adrp x20, 0xffffa6da642bc000; add x20, x20, #0x5c0; ldr x19, [x20, #0x50]!",
	  UINT64_C(0xffffa6da635a04c4),
	  { 0x900068f4, 0x91170294, 0xf8450e93 },
	  UINT64_C(0xffffa6da642bc610) },
	{ "... and from then on the register holds that",
	  UINT64_C(0xffffa6da635a04c4),
	  { 0x900068f4, 0x91170294, 0xf8450e93, 0xf9400280 /* ldr x0, [x20] */ },
	  UINT64_C(0xffffa6da642bc610) },
	{ "adrp x20, 0xffffa6da64442000; add x20, x20, #0xf50; ldp x2, x0, [x20, #8]",
	  UINT64_C(0xffffa6da62b814ac),
	  { 0xb000c614, 0x913d4294, 0xa9408282 },
	  UINT64_C(0xffffa6da64442f60) },
	{ "a page below: adrp x0, -0x1000; ldr w0, [x0, #8]",
	  UINT64_C(0xffff800008001000),
	  { 0xf0ffffe0, 0xb9400800 },
	  UINT64_C(0xffff800008000008) },
};

static void code_refers_to_what_its_instructions_make(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(snippets) / sizeof(snippets[0]); k++) {
		const struct snippet *s = &snippets[k];
		uint8_t code[sizeof(s->code)];
		uint64_t refs[16];
		size_t n_same = 0;
		for (size_t i = 0; i < 4; i++)
			put32(code + 4 * i, s->code[i]);
		size_t n = linux_arm64.references(code, sizeof(code), s->va, refs, 16);
		for (size_t i = 0; i < n; i++)
			n_same += refs[i] == s->refers;
		if (!n_same)
			fail_msg("%s: %#llx is not among %zu", s->name,
				 (unsigned long long)s->refers, n);
	}
}

static void no_more_is_told_than_there_is_room(void **state)
{
	static const uint32_t code[] = { 0x900068f4, 0x91170294, 0x91170294, 0xa9408282 };
	uint8_t bytes[sizeof(code)];
	uint64_t refs[2] = { 0, 7 };

	(void)state;
	for (size_t i = 0; i < 4; i++)
		put32(bytes + 4 * i, code[i]);
	assert_int_equal(linux_arm64.references(bytes, sizeof(bytes), VA, refs, 1), 1);
	assert_int_equal(refs[1], 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_is_told_whole),
		cmocka_unit_test(two_tables_may_follow_each_other),
		cmocka_unit_test(a_few_entries_are_no_table),
		cmocka_unit_test(a_table_ends_where_a_name_is_none),
		cmocka_unit_test(names_that_do_not_end_are_none),
		cmocka_unit_test(who_is_told_may_stop),
		cmocka_unit_test(code_refers_to_what_its_instructions_make),
		cmocka_unit_test(no_more_is_told_than_there_is_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
