/* SPDX-License-Identifier: MIT */
/*
 * Ordering a window of parts and cutting it into operations, against the naive way: a sort by
 * insertion, and the rules of joining applied to each neighbour in turn.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "space/merge.h"

#define PAGE SONDE_PAGE_SIZE
#define GAP 1024u

struct window {
	struct part parts[MERGE_WINDOW];
	struct part *at[MERGE_WINDOW]; /* [n] */
	size_t n;
};
static struct window window, before;
static struct merge_room room;

static uint32_t seed;

static uint32_t next(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)(seed >> 4) * n >> 28);
}

static void add(uint64_t off, uint32_t len)
{
	struct part *part = &window.parts[window.n];

	*part = (struct part){ .off = off, .len = len, .piece = (uint32_t)window.n };
	window.at[window.n++] = part;
}

static void shuffle(void)
{
	for (size_t i = window.n; i > 1; i--) {
		size_t k = next((uint32_t)i);
		struct part *part = window.at[k];
		window.at[k] = window.at[i - 1];
		window.at[i - 1] = part;
	}
}

/* Close to each other in places, far in others, equal at times; of several files and both directions. */
static void make_window(uint32_t n, uint32_t n_files, bool writes)
{
	uint64_t at = next(1u << 20);

	window.n = 0;
	while (window.n < n) {
		uint32_t len = next(8) ? 1 + next(300) : 1 + next(12000);
		uint32_t how = next(8);
		at = how == 0   ? (uint64_t)next(1u << 30) * 64
		     : how == 1 ? at
		     : how < 4  ? at + next(2000)
				: at + window.parts[window.n ? window.n - 1 : 0].len;
		add(at, len);
		window.parts[window.n - 1].fd = (int32_t)next(n_files);
		window.parts[window.n - 1].write = writes && next(4) == 0;
		window.parts[window.n - 1].alone = next(40) == 0;
	}
	if (next(2))
		shuffle();
	before = window;
}

/* ---- ordering --------------------------------------------------------------------------------- */

static bool is_alike(const struct part *a, const struct part *b)
{
	return a->fd == b->fd && a->write == b->write;
}

/* Each part once, those of a file and a direction together and by their offsets. */
static void check_order(void)
{
	static bool seen[MERGE_WINDOW];

	memset(seen, 0, sizeof(seen));
	for (size_t i = 0; i < window.n; i++) {
		size_t k = (size_t)(window.at[i] - window.parts);
		assert_true(k < window.n && !seen[k]);
		seen[k] = true;
		if (i && is_alike(window.at[i], window.at[i - 1]))
			assert_true(window.at[i]->off >= window.at[i - 1]->off);
		for (size_t j = i; j > 1 && !is_alike(window.at[i], window.at[i - 1]); j--)
			assert_false(is_alike(window.at[i], window.at[j - 2]));
	}
}

static void a_window_is_in_order_or_as_it_was(void **state)
{
	(void)state;
	seed = 1;
	for (int round = 0; round < 3000; round++) {
		uint32_t n = round % 100 == 0 ? MERGE_WINDOW : 1 + next(round % 2 ? 40 : 600);
		make_window(n, 1 + next(4), round % 3 == 0);
		if (merge_order(window.at, window.n, &room, GAP))
			check_order();
		else
			for (size_t i = 0; i < window.n; i++)
				assert_ptr_equal(window.at[i], before.at[i]);
	}
}

/* Of one file: exactly what a sort by insertion makes of it, equal offsets in their order. */
static void of_one_file_the_order_is_that_of_a_naive_sort(void **state)
{
	static struct part *naive[MERGE_WINDOW];

	(void)state;
	seed = 2;
	for (int round = 0; round < 1000; round++) {
		make_window(2 + next(round % 20 ? 100 : MERGE_WINDOW - 2), 1, false);
		for (size_t i = 0; i < window.n; i++) {
			struct part *part = window.at[i];
			size_t k = i;
			for (; k && naive[k - 1]->off > part->off; k--)
				naive[k] = naive[k - 1];
			naive[k] = part;
		}
		if (!merge_order(window.at, window.n, &room, GAP))
			continue;
		for (size_t i = 0; i < window.n; i++)
			assert_ptr_equal(window.at[i], naive[i]);
	}
}

static void neighbours_are_found_and_strangers_are_not_sorted(void **state)
{
	(void)state;
	seed = 3;
	for (uint32_t n = 2; n <= MERGE_WINDOW; n += n / 3 + 1) {
		window.n = 0;
		for (uint32_t i = 0; i < n; i++)
			add(i * UINT64_C(16), 16);
		shuffle();
		assert_true(merge_order(window.at, n, &room, GAP));
		for (uint32_t i = 0; i < n; i++)
			assert_true(window.at[i]->off == i * UINT64_C(16));
		if (n <= 40)
			continue;
		window.n = 0;
		for (uint32_t i = 0; i < n; i++)
			add(i * UINT64_C(1009) * PAGE, 16);
		shuffle();
		before = window;
		assert_false(merge_order(window.at, n, &room, GAP));
		assert_memory_equal(window.at, before.at, n * sizeof(struct part *));
	}
}

/* ---- joining ------------------------------------------------------------------------------------ */

/* The rules in words: same file and direction, not alone, not long, the whole not too long, and near. */
static bool may_join(const struct merged *merged, const struct part *first, const struct part *part,
		     uint32_t gap)
{
	uint64_t end = merged->off + merged->len;

	if (gap == UINT32_MAX || first->alone || part->alone || !is_alike(first, part))
		return false;
	if (first->len > MERGE_PART_MAX || part->len > MERGE_PART_MAX || part->off < first->off)
		return false;
	if (part->off + part->len - merged->off > MERGE_SPAN_MAX)
		return false;
	if (part->write)
		return part->off == end;
	return part->off <= end || part->off - end <= gap || part->off / PAGE == (end - 1) / PAGE;
}

static void check_front(struct part *const *at, size_t n, uint32_t gap, struct merged got)
{
	struct merged want = { .n = 1, .off = at[0]->off, .len = at[0]->len };

	while (want.n < n && may_join(&want, at[0], at[want.n], gap)) {
		uint64_t end = at[want.n]->off + at[want.n]->len;
		if (end > want.off + want.len)
			want.len = (uint32_t)(end - want.off);
		want.n++;
	}
	assert_int_equal(got.n, want.n);
	assert_true(got.off == want.off);
	assert_int_equal(got.len, want.len);
	assert_true(got.n == 1 || got.len <= MERGE_SPAN_MAX);
}

static void operations_are_as_long_as_the_rules_let_them_be(void **state)
{
	static const uint32_t gaps[] = { 0, 1, 64, GAP, 65536, UINT32_MAX };
	size_t n_joined = 0;

	(void)state;
	seed = 4;
	for (int round = 0; round < 3000; round++) {
		uint32_t gap = gaps[next(6)];
		make_window(1 + next(300), 1 + next(3), true);
		merge_order(window.at, window.n, &room, gap);
		for (size_t i = 0; i < window.n;) {
			struct merged merged = merge_front(window.at + i, window.n - i, gap);
			check_front(window.at + i, window.n - i, gap, merged);
			n_joined += merged.n - 1;
			i += merged.n;
		}
	}
	assert_true(n_joined > 10000);
}

static struct merged front_of_two(struct part a, struct part b, uint32_t gap)
{
	struct part *at[2] = { &a, &b };

	return merge_front(at, 2, gap);
}

static void reads_join_over_a_gap_writes_only_without(void **state)
{
	struct part a = { .off = 10 * PAGE - 8, .len = 8 },
		    b = { .off = 10 * PAGE + 100, .len = 8 };

	(void)state;
	assert_int_equal(front_of_two(a, b, 100).n, 2);
	assert_int_equal(front_of_two(a, b, 100).len, 116);
	assert_int_equal(front_of_two(a, b, 99).n, 1);
	b.off = 10 * PAGE - 4; /* they overlap */
	assert_int_equal(front_of_two(a, b, 0).n, 2);
	assert_int_equal(front_of_two(a, b, 0).len, 12);
	a.write = b.write = true;
	assert_int_equal(front_of_two(a, b, 4096).n, 1);
	b.off = 10 * PAGE;
	assert_int_equal(front_of_two(a, b, 4096).n, 2);
	b.off++;
	assert_int_equal(front_of_two(a, b, 4096).n, 1);
	b.write = false;
	b.off = 10 * PAGE;
	assert_int_equal(front_of_two(a, b, 4096).n, 1);
}

static void one_page_is_never_read_twice(void **state)
{
	struct part a = { .off = 10 * PAGE, .len = 1 }, b = { .off = 11 * PAGE - 1, .len = 1 };

	(void)state;
	assert_int_equal(front_of_two(a, b, 1).n, 2);
	b.off = 11 * PAGE; /* the next one */
	assert_int_equal(front_of_two(a, b, 1).n, 1);
}

static void what_lies_inside_another_makes_it_no_longer(void **state)
{
	struct part a = { .off = 100, .len = 4000 }, b = { .off = 200, .len = 8 };
	struct merged merged = front_of_two(a, b, GAP);

	(void)state;
	assert_int_equal(merged.n, 2);
	assert_int_equal(merged.len, 4000);
}

static void long_ones_and_those_alone_stay_by_themselves(void **state)
{
	struct part a = { .off = 0, .len = MERGE_PART_MAX },
		    b = { .off = MERGE_PART_MAX, .len = 8 };

	(void)state;
	assert_int_equal(front_of_two(a, b, GAP).n, 2);
	a.len++;
	assert_int_equal(front_of_two(a, b, GAP).n, 1);
	a.len--;
	b.len = MERGE_PART_MAX + 1;
	assert_int_equal(front_of_two(a, b, GAP).n, 1);
	b.len = 8;
	b.alone = true;
	assert_int_equal(front_of_two(a, b, GAP).n, 1);
	b.alone = false;
	a.alone = true;
	assert_int_equal(front_of_two(a, b, GAP).n, 1);
}

/* At the far end of what a file can hold nothing wraps. */
static void the_end_of_all_files_is_no_trap(void **state)
{
	struct part a = { .off = INT64_MAX - 16, .len = 8 }, b = { .off = INT64_MAX - 8, .len = 8 };

	(void)state;
	assert_int_equal(front_of_two(a, b, GAP).n, 2);
	assert_int_equal(front_of_two(a, b, GAP).len, 16);
	b.off = 0;
	assert_int_equal(front_of_two(a, b, GAP).n, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_window_is_in_order_or_as_it_was),
		cmocka_unit_test(of_one_file_the_order_is_that_of_a_naive_sort),
		cmocka_unit_test(neighbours_are_found_and_strangers_are_not_sorted),
		cmocka_unit_test(operations_are_as_long_as_the_rules_let_them_be),
		cmocka_unit_test(reads_join_over_a_gap_writes_only_without),
		cmocka_unit_test(one_page_is_never_read_twice),
		cmocka_unit_test(what_lies_inside_another_makes_it_no_longer),
		cmocka_unit_test(long_ones_and_those_alone_stay_by_themselves),
		cmocka_unit_test(the_end_of_all_files_is_no_trap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
