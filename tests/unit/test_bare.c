/* SPDX-License-Identifier: MIT */
/* Parts of the host for programs without a system, in one that has a system: memory by pieces, messages, its space. */
#include <sonde/bare.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bare/heap.h"
#include "base/text.h"

#define ROOM 65536u
#define N_HELD 64u

/* ---- memory by pieces ------------------------------------------------------------------------------ */

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u; /* Numerical Recipes 7.1 */
	return *state >> 8;
}

struct held {
	uint8_t *at;
	size_t len;
	uint8_t byte;
};

static void expect_whole(const struct held *held)
{
	for (size_t i = 0; i < held->len; i++)
		assert_int_equal(held->at[i], held->byte);
}

/* In a block of exactly its length, so that a sanitizer sees a step beside it. */
static void pieces_do_not_overlap_and_all_comes_back(void **state)
{
	char *room = malloc(ROOM);
	struct held held[N_HELD] = { 0 };
	struct heap heap;
	uint32_t random = 1, n_taken = 0, n_refused = 0;

	(void)state;
	assert_true(heap_init(&heap, room + 3, ROOM - 3)); /* not aligned */
	for (uint32_t i = 0; i < 20000; i++) {
		struct held *one = &held[next_random(&random) % N_HELD];
		if (one->at) {
			expect_whole(one);
			heap_give(&heap, one->at);
			one->at = NULL;
			continue;
		}
		one->len = next_random(&random) % 4096;
		one->byte = (uint8_t)i;
		one->at = heap_take(&heap, one->len);
		n_refused += !one->at;
		if (!one->at)
			continue;
		n_taken++;
		assert_int_equal((uintptr_t)one->at % 16, 0);
		assert_true(heap_room(one->at) >= one->len);
		memset(one->at, one->byte, one->len);
	}
	for (uint32_t i = 0; i < N_HELD; i++) {
		if (held[i].at)
			heap_give(&heap, held[i].at);
	}
	assert_true(n_taken > 1000 && n_refused > 100);
	assert_int_equal(heap.used, 0);
	assert_non_null(heap_take(&heap, heap.total - 16)); /* one piece again */
	assert_null(heap_take(&heap, 0));
	free(room);
}

static void too_much_and_too_little_are_refused(void **state)
{
	char room[256];
	struct heap heap;

	(void)state;
	assert_false(heap_init(&heap, room, 0));
	assert_false(heap_init(&heap, room, 47));
	assert_true(heap_init(&heap, room, sizeof(room)));
	assert_null(heap_take(&heap, sizeof(room)));
	assert_null(heap_take(&heap, SIZE_MAX));
	assert_null(heap_take(&heap, SIZE_MAX - 15));
	assert_non_null(heap_take(&heap, 100));
}

/* ---- messages -------------------------------------------------------------------------------------- */

/* As the C library has it, whole and cut. */
static void __attribute__((format(printf, 1, 2))) expect_as_libc(const char *fmt, ...)
{
	char want[128], got[128];

	for (size_t cap = 1; cap <= sizeof(want); cap++) {
		va_list ap;
		va_start(ap, fmt);
		vsnprintf(want, cap, fmt, ap);
		va_end(ap);
		memset(got, 'x', sizeof(got));
		va_start(ap, fmt);
		text_vformat(got, cap, fmt, ap);
		va_end(ap);
		assert_string_equal(got, want);
	}
}

static void messages_are_those_of_the_c_library(void **state)
{
	(void)state;
	expect_as_libc("nothing to convert");
	expect_as_libc("%d %d %i", 0, INT32_MIN, INT32_MAX);
	expect_as_libc("%u %x %08x", UINT32_MAX, 0xbeefu, 0xbeefu);
	expect_as_libc("%lld %llu 0x%llx", (long long)INT64_MIN, (unsigned long long)UINT64_MAX,
		       (unsigned long long)UINT64_MAX);
	expect_as_libc("%ld %lu %zu", -1L, 1UL, (size_t)-1);
	expect_as_libc("'%s' '%.3s' '%.*s' '%6s' '%-6s'|", "abcdef", "abcdef", 2, "abcdef", "ab",
		       "ab");
	expect_as_libc("%c%c%%", 'a', 'b');
	expect_as_libc("%5d|%-5d|%05d|%5d", 42, 42, -42, -42);
}

/* ---- a space of memory -------------------------------------------------------------------------------- */

struct world {
	struct sonde_loop *loop;
	struct sonde_space *space;
	uint8_t *low, *high;
};

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	world->low = malloc(100);
	world->high = malloc(50);
	memset(world->low, 'l', 100);
	memset(world->high, 'h', 50);
	const struct sonde_bare_range ranges[] = {
		{ .addr = UINT64_MAX - 49,
		  .len = 50,
		  .at = world->high,
		  .flags = SONDE_REGION_READ },
		{ .addr = 1000,
		  .len = 100,
		  .at = world->low,
		  .flags = SONDE_REGION_READ | SONDE_REGION_WRITE },
	};

	*state = world;
	assert_int_equal(sonde_loop_create(NULL, &world->loop, NULL), 0);
	assert_int_equal(sonde_bare_memory(world->loop, ranges, 2, &world->space), 0);
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	sonde_space_close(world->space);
	sonde_loop_destroy(world->loop);
	free(world->low);
	free(world->high);
	free(world);
	return 0;
}

/* Each byte by itself, and all of them in one piece, say the same. */
static void holes_are_where_no_range_is(void **state)
{
	struct world *world = *state;
	uint8_t bytes[300], byte;
	struct sonde_xfer x = { .addr = 900, .buf = bytes, .len = sizeof(bytes) };

	assert_int_equal(sonde_space_read(world->space, &x, 1), 0);
	assert_int_equal(x.done, 100);
	assert_int_equal(x.err, SONDE_E_NOT_MAPPED);
	assert_int_equal(x.err_off, 0);
	for (uint32_t i = 0; i < sizeof(bytes); i++) {
		int there = i >= 100 && i < 200, r = sonde_space_u8(world->space, 900 + i, &byte);
		assert_int_equal(bytes[i], there ? 'l' : 0);
		assert_int_equal(r, there ? 0 : SONDE_E_NOT_MAPPED);
	}
}

static void the_last_byte_of_all_is_read(void **state)
{
	struct world *world = *state;
	uint8_t bytes[8];
	struct sonde_xfer x = { .addr = UINT64_MAX - 3, .buf = bytes, .len = sizeof(bytes) };

	assert_int_equal(sonde_space_read(world->space, &x, 1), 0);
	assert_int_equal(x.done, 4);
	assert_int_equal(x.err_off, 4);
	assert_memory_equal(bytes, "hhhh\0\0\0\0", 8);
}

static void only_what_may_be_written_is(void **state)
{
	struct world *world = *state;

	assert_int_equal(sonde_space_put(world->space, 1010, "abc", 3), 0);
	assert_memory_equal(world->low + 9, "labcl", 5);
	assert_int_equal(sonde_space_put(world->space, UINT64_MAX - 9, "abc", 3),
			 SONDE_E_READ_ONLY);
	assert_int_equal(sonde_space_put(world->space, 1098, "abc", 3), SONDE_E_NOT_MAPPED);
	assert_memory_equal(world->low + 97, "lab", 3);
	assert_int_equal(world->high[40], 'h');
}

static void memory_is_lent_as_far_as_it_goes(void **state)
{
	struct world *world = *state;
	size_t len = 0;

	assert_ptr_equal(sonde_space_borrow(world->space, 1040, 60), world->low + 40);
	assert_null(sonde_space_borrow(world->space, 1040, 61));
	assert_null(sonde_space_borrow(world->space, 999, 1));
	assert_ptr_equal(sonde_space_borrow_run(world->space, 1040, 1000, &len), world->low + 40);
	assert_int_equal(len, 60);
}

static void unsound_ranges_are_refused(void **state)
{
	struct world *world = *state;
	const struct sonde_bare_range empty = { .addr = 5 },
				      wraps = { .addr = UINT64_MAX, .len = 2 };
	const struct sonde_bare_range twice[] = { { .addr = 9, .len = 1 },
						  { .addr = 0, .len = 10 } };
	struct sonde_space *space = NULL;

	assert_int_equal(sonde_bare_memory(world->loop, &empty, 1, &space), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_bare_memory(world->loop, &wraps, 1, &space), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_bare_memory(world->loop, twice, 2, &space), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_bare_memory(world->loop, twice, SIZE_MAX / 2, &space),
			 SONDE_E_NO_MEMORY);
	assert_null(space);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_do_not_overlap_and_all_comes_back),
		cmocka_unit_test(too_much_and_too_little_are_refused),
		cmocka_unit_test(messages_are_those_of_the_c_library),
		cmocka_unit_test_setup_teardown(holes_are_where_no_range_is, setup, teardown),
		cmocka_unit_test_setup_teardown(the_last_byte_of_all_is_read, setup, teardown),
		cmocka_unit_test_setup_teardown(only_what_may_be_written_is, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_is_lent_as_far_as_it_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(unsound_ranges_are_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
