/* SPDX-License-Identifier: MIT */
/* The arena: zeroed, aligned, apart from one another, bounded; all gone at once. */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void pieces_are_zeroed_aligned_and_apart(void **state)
{
	(void)state;
	static const size_t sizes[] = { 0,     1,     15,    16,    17,      1000,
					16384, 16385, 65536, 65537, 1 << 20, 3 };
	struct arena arena = { 0 };
	unsigned char *pieces[200];

	for (size_t i = 0; i < 200; i++) {
		size_t size = sizes[i % 12];
		pieces[i] = arena_alloc(&arena, size);
		assert_non_null(pieces[i]);
		assert_int_equal((uintptr_t)pieces[i] % 16, 0);
		for (size_t k = 0; k < size; k++)
			assert_int_equal(pieces[i][k], 0);
		memset(pieces[i], (int)i + 1, size);
	}
	for (size_t i = 0; i < 200; i++) {
		for (size_t k = 0; k < sizes[i % 12]; k++)
			assert_int_equal(pieces[i][k], (unsigned char)(i + 1));
	}
	arena_finish(&arena);
}

static void impossible_sizes_are_refused(void **state)
{
	(void)state;
	struct arena arena = { 0 };

	assert_null(arena_alloc(&arena, SIZE_MAX));
	assert_null(arena_array(&arena, SIZE_MAX / 8, 16));
	assert_null(arena_strndup(&arena, "x", SIZE_MAX));
	assert_non_null(arena_alloc(&arena, 1));
	arena_finish(&arena);
}

static void strings_are_terminated_copies(void **state)
{
	(void)state;
	struct arena arena = { 0 };
	char source[] = "abcdef";
	char *copy = arena_strndup(&arena, source, 3);
	char *empty = arena_strndup(&arena, NULL, 0);

	source[0] = 'X';
	assert_string_equal(copy, "abc");
	assert_string_equal(empty, "");
	assert_string_equal(arena_printf(&arena, "%s-%d", copy, 42), "abc-42");
	char *wide = arena_printf(&arena, "%70000d", 1);
	assert_int_equal(strlen(wide), 70000);
	arena_finish(&arena);
}

static void finished_arena_is_empty_and_usable(void **state)
{
	(void)state;
	struct arena arena = { 0 };

	arena_finish(&arena);
	arena_alloc(&arena, 100000);
	arena_alloc(&arena, 1);
	arena_finish(&arena);
	assert_null(arena.blocks);
	assert_non_null(arena_array(&arena, 10, 10));
	arena_finish(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_zeroed_aligned_and_apart),
		cmocka_unit_test(impossible_sizes_are_refused),
		cmocka_unit_test(strings_are_terminated_copies),
		cmocka_unit_test(finished_arena_is_empty_and_usable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
