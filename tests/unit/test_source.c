/* SPDX-License-Identifier: MIT */
/* Sources of bytes that answer after a while: what they are asked for ahead; and the names of files that count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../../connectors/common/flattened.h"
#include "../../connectors/common/numbered.h"

/* ---- asked for ahead ---------------------------------------------------------------------------- */

#define ASKED_MAX 64u

struct slow {
	const uint8_t *bytes;
	size_t size;
	size_t n_calls, n;
	struct sonde_image_read asked[ASKED_MAX]; /* [n] */
};

static int64_t read_slow(void *user, uint64_t off, void *buf, size_t len)
{
	const struct slow *slow = user;
	size_t left = off < slow->size ? slow->size - (size_t)off : 0;

	len = len < left ? len : left;
	if (slow->bytes)
		memcpy(buf, slow->bytes + off, len);
	return (int64_t)len;
}

static void ahead_slow(void *user, struct sonde_image_read *reads, size_t n)
{
	struct slow *slow = user;

	slow->n_calls++;
	for (size_t i = 0; i < n; i++) {
		assert_null(reads[i].buf);
		assert_true(slow->n < ASKED_MAX);
		slow->asked[slow->n++] = reads[i];
	}
}

static struct source source_of(struct slow *slow)
{
	return (struct source){
		.read = read_slow, .ahead = ahead_slow, .user = slow, .size = slow->size
	};
}

static void who_scans_a_source_has_all_of_it_asked_for_once(void **state)
{
	struct slow slow = { .size = 40u << 20 };
	struct source source = source_of(&slow);
	struct source_scan scan = { 0 };
	uint64_t end = 0;

	(void)state;
	for (uint64_t at = 0; at < slow.size; at += 5000)
		source_scan(&scan, &source, at, 16);
	assert_true(slow.n_calls < 20);
	for (size_t i = 0; i < slow.n; i++) {
		assert_true(slow.asked[i].off <= end + 5000);
		end = slow.asked[i].off + slow.asked[i].len;
	}
	assert_int_equal(end, slow.size);
}

static void what_is_long_is_asked_for_as_it_is_and_as_far_as_it_goes(void **state)
{
	struct slow slow = { .size = 9u << 20 };
	struct source source = source_of(&slow);
	struct source_scan scan = { 0 };
	uint64_t sum = 0;

	(void)state;
	source_scan(&scan, &source, 1u << 20, 32u << 20);
	for (size_t i = 0; i < slow.n; i++)
		sum += slow.asked[i].len;
	assert_int_equal(sum, 8u << 20);
	source_ahead(&source, slow.size, 5);
	source_ahead(&source, UINT64_MAX, 5);
	assert_int_equal(sum, 8u << 20);
}

static void a_source_at_hand_is_not_asked(void **state)
{
	struct slow slow = { .size = 4096 };
	struct source source = source_of(&slow);
	struct source_scan scan = { 0 };
	struct source_lot lot = { 0 };

	(void)state;
	source.ahead = NULL;
	source_scan(&scan, &source, 0, 16);
	source_ahead(&source, 0, 16);
	source_lot_add(&lot, &source, 0, 16);
	source_lot_end(&lot);
	assert_int_equal(slow.n_calls, 0);
}

static void a_lot_is_one_call_a_source(void **state)
{
	struct slow slow[2] = { { .size = 4096 }, { .size = 4096 } };
	struct source sources[2] = { source_of(&slow[0]), source_of(&slow[1]) };
	static struct source_lot lot;

	(void)state;
	for (uint32_t i = 0; i < 6; i++)
		source_lot_add(&lot, &sources[i / 4], i, i + 1);
	source_lot_end(&lot);
	source_lot_end(&lot);
	assert_int_equal(slow[0].n_calls, 1);
	assert_int_equal(slow[0].n, 4);
	assert_int_equal(slow[1].n_calls, 1);
	assert_int_equal(slow[1].n, 2);
	assert_int_equal(slow[1].asked[1].off, 5);
	assert_int_equal(slow[1].asked[1].len, 6);
}

static void put_big(uint8_t *at, uint64_t value)
{
	for (int i = 0; i < 8; i++)
		at[i] = (uint8_t)(value >> (56 - 8 * i));
}

/* Two pieces of 100 bytes with 50 of nothing between them, the second one first. */
static void a_flattened_one_asks_for_the_pieces_below(void **state)
{
	static uint8_t file[FLAT_HEAD_SIZE + 3 * FLAT_PIECE_HEAD + 200];
	struct slow slow = { .bytes = file, .size = sizeof(file) };
	struct source below = source_of(&slow);
	struct flattened flat;
	const char *why;
	uint8_t *at = file + FLAT_HEAD_SIZE;

	(void)state;
	memcpy(file, "makedumpfile", 12);
	put_big(file + FLAT_TYPE_AT, 1);
	put_big(file + FLAT_VERSION_AT, 1);
	for (uint64_t i = 0; i < 2; i++, at += FLAT_PIECE_HEAD + 100) {
		put_big(at, i ? 0 : 150);
		put_big(at + 8, 100);
	}
	memset(at, 0xff, FLAT_PIECE_HEAD);
	assert_int_equal(flattened_open(&flat, &below, &why), 0);
	struct source plain = flattened_source(&flat);
	struct sonde_image_read reads[] = { { .off = 90, .len = 70 }, { .off = 110, .len = 20 } };
	slow.n = slow.n_calls = 0;
	plain.ahead(plain.user, reads, 2);
	assert_int_equal(slow.n_calls, 1);
	assert_int_equal(slow.n, 2);
	assert_int_equal(slow.asked[0].off, FLAT_HEAD_SIZE + 2 * FLAT_PIECE_HEAD + 100 + 90);
	assert_int_equal(slow.asked[0].len, 10);
	assert_int_equal(slow.asked[1].off, FLAT_HEAD_SIZE + FLAT_PIECE_HEAD);
	assert_int_equal(slow.asked[1].len, 10);
	flattened_finish(&flat);
}

/* ---- names that count --------------------------------------------------------------------------- */

static void the_last_number_of_a_name_counts(void **state)
{
	static const struct {
		const char *name;
		int is_url;
		const char *next; /* NULL: it has no number */
	} cases[] = {
		{ "image.001", 0, "image.002" },
		{ "a/image.099", 0, "a/image.100" },
		{ "image.9", 0, "image.10" },
		{ "vmcore-2.kdump", 0, "vmcore-3.kdump" },
		{ "1/vmcore", 0, NULL },
		{ "7", 0, "8" },
		{ "", 0, NULL },
		{ "x1234567", 0, NULL },
		{ "x?9", 0, "x?10" },
		{ "http://host:80/part1?sig=22", 1, "http://host:80/part2?sig=22" },
		{ "http://host:80/part?sig=22", 1, NULL },
		{ "http://host:80/part1#3", 1, "http://host:80/part2#3" },
	};
	char next[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct numbered numbered;
		int found = numbered_find(&numbered, cases[i].name, cases[i].is_url);
		assert_int_equal(found, cases[i].next != NULL);
		if (!found)
			continue;
		assert_true(numbered_name(&numbered, numbered.number + 1, next, sizeof(next)));
		assert_string_equal(next, cases[i].next);
		assert_false(
			numbered_name(&numbered, numbered.number + 1, next, strlen(cases[i].next)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_scans_a_source_has_all_of_it_asked_for_once),
		cmocka_unit_test(what_is_long_is_asked_for_as_it_is_and_as_far_as_it_goes),
		cmocka_unit_test(a_source_at_hand_is_not_asked),
		cmocka_unit_test(a_lot_is_one_call_a_source),
		cmocka_unit_test(a_flattened_one_asks_for_the_pieces_below),
		cmocka_unit_test(the_last_number_of_a_name_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
