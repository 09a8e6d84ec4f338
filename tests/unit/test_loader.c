/* SPDX-License-Identifier: MIT */
/* The loader's list of a process with Wine, of both widths, sane and lying: records at fixed places of a small memory. */
#include "native/loader.h"
#include "synth/array_space.h"

#include <sonde/loop.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define BASE UINT64_C(0x10000)
#define SIZE 0x4000u
#define PEB BASE
#define LDR (BASE + 0x100)
#define ENTRY(i) (BASE + 0x1000 + (uint64_t)(i)*0x80)
#define NAME(i) (BASE + 0x2000 + (uint64_t)(i)*0x40)
#define N 3

/* Offsets of winternl.h, written down a second time. */
struct width {
	enum loader_width width;
	uint32_t word, self, peb, ldr, list, base, size, name;
};

static const struct width widths[] = {
	{ LOADER_32, 4, 0x18, 0x30, 0x0c, 0x0c, 0x18, 0x20, 0x24 },
	{ LOADER_64, 8, 0x30, 0x60, 0x18, 0x10, 0x30, 0x40, 0x48 },
};

static uint8_t memory[SIZE];
static struct sonde_loop *loop;
static struct sonde_space *space;
static struct arena arena;

static struct array_space array = { BASE, SIZE, memory };

static void put(const struct width *w, uint64_t at, uint64_t value)
{
	sonde_store(memory + (at - BASE), w->word, SONDE_LITTLE, value);
}

/* Modules 0, 1, 2 at 1, 2 and 3 GiB / 16, called "C:\a" and so on. */
static void make(const struct width *w)
{
	memset(memory, 0, sizeof(memory));
	put(w, PEB + w->ldr, LDR);
	put(w, LDR + w->list, ENTRY(0));
	for (uint32_t i = 0; i < N; i++) {
		put(w, ENTRY(i), i + 1 < N ? ENTRY(i + 1) : LDR + w->list);
		put(w, ENTRY(i) + w->word, i ? ENTRY(i - 1) : LDR + w->list);
		put(w, ENTRY(i) + w->base, (uint64_t)(i + 1) << 26);
		put(w, ENTRY(i) + w->size, 0x1000 * (i + 1));
		sonde_store(memory + (ENTRY(i) + w->name - BASE), 2, SONDE_LITTLE, 8);
		put(w, ENTRY(i) + w->name + w->word, NAME(i));
		for (uint32_t c = 0; c < 4; c++)
			memory[NAME(i) - BASE + 2 * c] =
				c == 3 ? (uint8_t)('a' + i) : (uint8_t) "C:\\"[c];
	}
}

static struct loader_list read_list(const struct width *w)
{
	struct loader_list list;

	assert_int_equal(loader_read(space, PEB, w->width, &arena, &list), 0);
	return list;
}

static void modules_come_with_their_names_in_order(void **state)
{
	(void)state;
	for (size_t k = 0; k < 2; k++) {
		make(&widths[k]);
		struct loader_list list = read_list(&widths[k]);
		assert_int_equal(list.n, N);
		assert_null(list.damage);
		for (uint32_t i = 0; i < N; i++) {
			const char want[] = { 'C', ':', '\\', (char)('a' + i), '\0' };
			assert_int_equal(list.modules[i].base, (uint64_t)(i + 1) << 26);
			assert_int_equal(list.modules[i].size, 0x1000 * (i + 1));
			assert_int_equal(list.modules[i].err, 0);
			assert_string_equal(list.modules[i].path, want);
		}
	}
}

static void characters_beyond_ascii_become_utf8(void **state)
{
	(void)state;
	static const uint16_t units[] = { 0xe9, 0x20ac, 0xd83d, 0xde00, 0xd800, 'x', 0xdc00 };
	const struct width *w = &widths[1];

	make(w);
	sonde_store(memory + (ENTRY(0) + w->name - BASE), 2, SONDE_LITTLE, sizeof(units));
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		sonde_store(memory + (NAME(0) - BASE) + 2 * i, 2, SONDE_LITTLE, units[i]);
	assert_string_equal(read_list(w).modules[0].path,
			    "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbdx\xef\xbf\xbd");
}

static void a_teb_knows_its_own_address(void **state)
{
	(void)state;
	for (size_t k = 0; k < 2; k++) {
		uint8_t teb[LOADER_TEB_BYTES] = { 0 };
		uint64_t peb = 0;
		sonde_store(teb + widths[k].self, widths[k].word, SONDE_LITTLE, 0x7000);
		sonde_store(teb + widths[k].peb, widths[k].word, SONDE_LITTLE, 0x9000);
		assert_int_equal(loader_peb(teb, 0x7000, widths[k].width, &peb), 1);
		assert_int_equal(peb, 0x9000);
		assert_int_equal(loader_peb(teb, 0x8000, widths[k].width, &peb), 0);
		sonde_store(teb + widths[k].peb, widths[k].word, SONDE_LITTLE, 0x9001);
		assert_int_equal(loader_peb(teb, 0x7000, widths[k].width, &peb), 0);
	}
}

static void a_list_that_lies_gives_what_was_before(void **state)
{
	(void)state;
	const struct width *w = &widths[1];
	/* Where a link leads to instead, and how many modules are known by then. */
	static const struct {
		uint64_t at, value;
		uint32_t n;
	} lies[] = {
		{ ENTRY(1), ENTRY(0), 2 }, /* back: a cycle without the head */
		{ ENTRY(1), ENTRY(1), 2 }, /* to itself                      */
		{ ENTRY(1), 0, 2 },
		{ ENTRY(1), UINT64_MAX - 7, 2 },  /* a record that wraps            */
		{ ENTRY(1), BASE + SIZE - 8, 2 }, /* ... that ends behind memory    */
		{ ENTRY(2) + 8, ENTRY(0), 2 },    /* one that leads back wrongly    */
		{ ENTRY(2), BASE - 8, 3 },
	};

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		make(w);
		put(w, lies[i].at, lies[i].value);
		struct loader_list list = read_list(w);
		assert_int_equal(list.n, lies[i].n);
		assert_non_null(list.damage);
		assert_string_equal(list.modules[0].path, "C:\\a");
	}
}

static void a_name_that_cannot_be_read_is_its_modules_error(void **state)
{
	(void)state;
	const struct width *w = &widths[1];

	make(w);
	put(w, ENTRY(0) + w->name + w->word, BASE + SIZE);
	sonde_store(memory + (ENTRY(1) + w->name - BASE), 2, SONDE_LITTLE, 0xffff);
	sonde_store(memory + (ENTRY(2) + w->name - BASE), 2, SONDE_LITTLE, 1);
	struct loader_list list = read_list(w);
	assert_int_equal(list.n, N);
	assert_int_equal(list.modules[0].err, SONDE_E_NOT_MAPPED);
	assert_int_equal(list.modules[1].err, SONDE_E_LIMIT);
	assert_int_equal(list.modules[2].err, SONDE_E_CORRUPT);
}

static void without_a_list_there_is_none(void **state)
{
	(void)state;
	const struct width *w = &widths[1];
	struct loader_list list;

	make(w);
	put(w, LDR + w->list, LDR + w->list);
	assert_int_equal(loader_read(space, PEB, w->width, &arena, &list), SONDE_E_NOT_FOUND);
	put(w, PEB + w->ldr, 0);
	assert_int_equal(loader_read(space, PEB, w->width, &arena, &list), SONDE_E_NOT_FOUND);
	put(w, PEB + w->ldr, UINT64_MAX - 0x10);
	assert_int_equal(loader_read(space, PEB, w->width, &arena, &list), SONDE_E_NOT_MAPPED);
}

static int set_up(void **state)
{

	(void)state;
	if (sonde_loop_create(NULL, &loop, NULL) < 0)
		return -1;
	return array_space_open(&array, loop, &space);
}

static int tear_down(void **state)
{
	(void)state;
	arena_finish(&arena);
	sonde_space_close(space);
	sonde_loop_destroy(loop);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modules_come_with_their_names_in_order),
		cmocka_unit_test(characters_beyond_ascii_become_utf8),
		cmocka_unit_test(a_teb_knows_its_own_address),
		cmocka_unit_test(a_list_that_lies_gives_what_was_before),
		cmocka_unit_test(a_name_that_cannot_be_read_is_its_modules_error),
		cmocka_unit_test(without_a_list_there_is_none),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
