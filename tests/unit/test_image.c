/* SPDX-License-Identifier: MIT */
/* ELF images as they lie in a process: of both classes and orders, and headers that lie. */
#include "../../connectors/common/elf_image.h"

#include <sonde/error.h>
#include <sonde/types.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { LOAD = 1, NOTE = 4 };

struct segment {
	uint32_t type;
	uint64_t va, file_size, mem_size;
};

/* Linked for 0x400000: two parts with a gap between, and a note in the first. */
static const struct segment sane[] = {
	{ LOAD, 0x400000, 0x800, 0x800 },
	{ NOTE, 0x400200, 0x24, 0x24 },
	{ LOAD, 0x402ff0, 0x10, 0x20 },
};

struct kind {
	uint32_t is_64, order;
};

static const struct kind kinds[] = {
	{ 1, SONDE_LITTLE }, { 1, SONDE_BIG }, { 0, SONDE_LITTLE }, { 0, SONDE_BIG }
};

static uint8_t head[4096];

static void put(size_t at, uint32_t size, const struct kind *kind, uint64_t value)
{
	sonde_store(head + at, size, kind->order, value);
}

/* gABI 4.1: figures 4-3 and 5-1. */
static void make(const struct kind *kind, const struct segment *segments, uint32_t n)
{
	uint32_t word = kind->is_64 ? 8 : 4, table = kind->is_64 ? 64 : 52,
		 size = kind->is_64 ? 56 : 32;

	memset(head, 0, sizeof(head));
	memcpy(head, "\177ELF", 4);
	head[4] = kind->is_64 ? 2 : 1;
	head[5] = kind->order == SONDE_BIG ? 2 : 1;
	put(kind->is_64 ? 32 : 28, word, kind, table);
	put(kind->is_64 ? 54 : 42, 2, kind, size);
	put(kind->is_64 ? 56 : 44, 2, kind, n);
	for (uint32_t i = 0; i < n; i++) {
		size_t at = table + (size_t)i * size;
		put(at, 4, kind, segments[i].type);
		put(at + (kind->is_64 ? 16 : 8), word, kind, segments[i].va);
		put(at + (kind->is_64 ? 32 : 16), word, kind, segments[i].file_size);
		put(at + (kind->is_64 ? 40 : 20), word, kind, segments[i].mem_size);
	}
}

static void every_class_and_order_says_how_far_it_reaches(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		struct image image;
		make(&kinds[k], sane, 3);
		assert_int_equal(image_parse(head, sizeof(head), &image), 1);
		assert_int_equal(image.size, 0x4000);
		assert_int_equal(image.order, kinds[k].order);
		assert_int_equal(image.n_notes, 1);
		assert_int_equal(image.notes[0].off, 0x200);
		assert_int_equal(image.notes[0].len, 0x24);
	}
}

static void what_is_no_elf_is_none(void **state)
{
	(void)state;
	struct image image;

	make(&kinds[0], sane, 3);
	assert_int_equal(image_parse(head, 63, &image), 0);
	head[4] = 3;
	assert_int_equal(image_parse(head, sizeof(head), &image), 0);
	make(&kinds[0], sane, 3);
	head[0] = 'M';
	assert_int_equal(image_parse(head, sizeof(head), &image), 0);
}

static void headers_that_lie_are_refused(void **state)
{
	(void)state;
	static const struct {
		struct segment segment;
		int want;
	} cases[] = {
		{ { NOTE, 0, 8, 8 }, SONDE_E_CORRUPT },          /* nothing is loaded */
		{ { LOAD, 0x1000, 0, 0 }, SONDE_E_CORRUPT },     /* nothing of it     */
		{ { LOAD, UINT64_MAX, 1, 2 }, SONDE_E_CORRUPT }, /* wraps             */
		{ { LOAD, 0, 1, UINT64_MAX }, SONDE_E_CORRUPT }, /* all there is      */
		{ { LOAD, 0, 1, UINT64_C(1) << 48 }, SONDE_E_CORRUPT },
	};
	struct image image;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		make(&kinds[0], &cases[i].segment, 1);
		assert_int_equal(image_parse(head, sizeof(head), &image), cases[i].want);
	}
	make(&kinds[0], sane, 3);
	put(56, 2, &kinds[0], 0xffff);
	assert_int_equal(image_parse(head, sizeof(head), &image), SONDE_E_LIMIT);
	make(&kinds[0], sane, 3);
	put(32, 8, &kinds[0], UINT64_MAX);
	assert_int_equal(image_parse(head, sizeof(head), &image), SONDE_E_LIMIT);
	make(&kinds[0], sane, 3);
	put(54, 2, &kinds[0], 55);
	assert_int_equal(image_parse(head, sizeof(head), &image), SONDE_E_CORRUPT);
}

static void notes_outside_the_image_are_left_out(void **state)
{
	(void)state;
	static const struct segment segments[] = {
		{ LOAD, 0x1000, 0x1000, 0x1000 }, { NOTE, 0xff0, 8, 8 }, /* in front of it */
		{ NOTE, 0x1ffc, 8, 8 },                                  /* over its end   */
		{ NOTE, 0x1004, UINT64_MAX, 8 },                         /* larger than it */
		{ NOTE, 0x1ff8, 8, 8 },
	};
	struct image image;

	make(&kinds[0], segments, 5);
	assert_int_equal(image_parse(head, sizeof(head), &image), 1);
	assert_int_equal(image.n_notes, 1);
	assert_int_equal(image.notes[0].off, 0xff8);
}

static void a_build_id_is_found_behind_other_notes(void **state)
{
	(void)state;
	uint8_t notes[64] = { 0 };
	char text[2 * IMAGE_BUILD_ID_MAX + 1];

	sonde_store(notes, 4, SONDE_BIG, 4); /* a note of another type, 5 bytes padded to 8 */
	sonde_store(notes + 4, 4, SONDE_BIG, 5);
	sonde_store(notes + 8, 4, SONDE_BIG, 1);
	memcpy(notes + 12, "GNU", 4);
	sonde_store(notes + 24, 4, SONDE_BIG, 4);
	sonde_store(notes + 28, 4, SONDE_BIG, 3);
	sonde_store(notes + 32, 4, SONDE_BIG, 3);
	memcpy(notes + 36, "GNU", 4);
	memcpy(notes + 40, "\xab\x00\x7f", 3);
	assert_int_equal(image_build_id(notes, 44, SONDE_BIG, text), 1);
	assert_string_equal(text, "ab007f");
	assert_int_equal(image_build_id(notes, 43, SONDE_BIG, text), 0);
	assert_int_equal(image_build_id(notes, 44, SONDE_LITTLE, text), 0);
	sonde_store(notes + 28, 4, SONDE_BIG, UINT32_MAX);
	assert_int_equal(image_build_id(notes, sizeof(notes), SONDE_BIG, text), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_class_and_order_says_how_far_it_reaches),
		cmocka_unit_test(what_is_no_elf_is_none),
		cmocka_unit_test(headers_that_lie_are_refused),
		cmocka_unit_test(notes_outside_the_image_are_left_out),
		cmocka_unit_test(a_build_id_is_found_behind_other_notes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
