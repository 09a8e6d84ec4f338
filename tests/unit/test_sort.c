/* SPDX-License-Identifier: MIT */
/* Sorting in place: every order of a few, large and lopsided ones, and how often it compares. */
#include "base/sort.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MANY 5000u

struct item {
	uint32_t key, id;
	char rest[48]; /* moves with the key: all bytes are key's lowest */
};

static size_t n_compared;

static int by_key_and_id(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	n_compared++;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static struct item make(uint32_t key, uint32_t id)
{
	struct item item = { .key = key, .id = id };

	memset(item.rest, (int)(key & 0xff), sizeof(item.rest));
	return item;
}

/* In order, whole, and none lost: ids are 0..n-1. */
static void assert_sorted(const struct item *items, size_t n)
{
	static bool seen[MANY];

	memset(seen, 0, sizeof(seen));
	for (size_t i = 0; i < n; i++) {
		assert_true(i == 0 || by_key_and_id(&items[i - 1], &items[i]) < 0);
		assert_false(seen[items[i].id]);
		seen[items[i].id] = true;
		for (size_t k = 0; k < sizeof(items[i].rest); k++)
			assert_int_equal((uint8_t)items[i].rest[k], items[i].key & 0xff);
	}
}

static void sort(struct item *items, size_t n)
{
	sort_items(items, n, sizeof(*items), by_key_and_id);
}

static void every_sequence_of_six_keys_is_sorted(void **state)
{
	(void)state;
	struct item items[6];

	/* The digits of code, base 6. */
	for (uint32_t code = 0; code < 6 * 6 * 6 * 6 * 6 * 6; code++) {
		uint32_t rest = code;
		for (uint32_t i = 0; i < 6; i++, rest /= 6)
			items[i] = make(rest % 6, i);
		sort(items, 6);
		assert_sorted(items, 6);
	}
}

static void none_and_one_are_left_alone(void **state)
{
	(void)state;
	struct item one = make(3, 0);

	sort(NULL, 0);
	sort(&one, 0);
	sort(&one, 1);
	assert_sorted(&one, 1);
}

static uint32_t key_of(unsigned shape, uint32_t i)
{
	switch (shape) {
	case 0:
		return i;
	case 1:
		return MANY - i;
	case 2:
		return 7;
	case 3:
		return i < MANY / 2 ? i : MANY - i; /* an organ pipe */
	case 4:
		return i % 64;
	default:
		return i * 2654435761u;
	}
}

static void no_input_costs_more_than_n_log_n(void **state)
{
	(void)state;
	static struct item items[MANY];

	for (unsigned shape = 0; shape < 6; shape++) {
		for (uint32_t i = 0; i < MANY; i++)
			items[i] = make(key_of(shape, i), i);
		n_compared = 0;
		sort(items, MANY);
		assert_true(n_compared < 2 * 13 * MANY); /* 2^13 > MANY; two a step down */
		assert_sorted(items, MANY);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_sequence_of_six_keys_is_sorted),
		cmocka_unit_test(none_and_one_are_left_alone),
		cmocka_unit_test(no_input_costs_more_than_n_log_n),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
