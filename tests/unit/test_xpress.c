/* SPDX-License-Identifier: MIT */
/* Xpress unpacked: the specification's own examples, what a packer by it makes, and what is broken. */
#include "../../connectors/common/xpress.h"
#include "synth/xpress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct xpress_table table;

static int huffman(const uint8_t *from, size_t len, uint8_t *to, size_t size)
{
	return xpress_huffman(&table, from, len, to, size);
}

typedef int unpack_fn(const uint8_t *from, size_t len, uint8_t *to, size_t size);

static const struct kind {
	unpack_fn *unpack;
	size_t (*pack)(const uint8_t *from, size_t len, uint8_t *to);
} kinds[] = { { xpress_plain, synth_xpress_plain }, { huffman, synth_xpress_huffman } };

/* ---- [MS-XCA] 3.1 and 3.2 -------------------------------------------------------------------------- */

static const uint8_t alphabet[] = "abcdefghijklmnopqrstuvwxyz";

static void fill_abc(uint8_t *bytes)
{
	for (int i = 0; i < 300; i++)
		bytes[i] = (uint8_t)('a' + i % 3);
}

static void examples_of_plain_are_unpacked(void **state)
{
	static const uint8_t long_match[] = { 0xff, 0xff, 0xff, 0x1f, 0x61, 0x62, 0x63,
					      0x17, 0x00, 0x0f, 0xff, 0x26, 0x01 };
	uint8_t literals[30] = { 0x3f, 0, 0, 0 }, want[300], got[300];

	(void)state;
	memcpy(literals + 4, alphabet, 26);
	assert_int_equal(xpress_plain(literals, sizeof(literals), got, 26), 1);
	assert_memory_equal(got, alphabet, 26);
	fill_abc(want);
	assert_int_equal(xpress_plain(long_match, sizeof(long_match), got, 300), 1);
	assert_memory_equal(got, want, 300);
}

static void examples_of_huffman_are_unpacked(void **state)
{
	static const uint8_t literals[] = { 0xd8, 0x52, 0x3e, 0xd7, 0x94, 0x11, 0x5b,
					    0xe9, 0x19, 0x5f, 0xf9, 0xd6, 0x7c, 0xdf,
					    0x8d, 0x04, 0x00, 0x00, 0x00, 0x00 };
	static const uint8_t long_match[] = { 0xa8, 0xdc, 0x00, 0x00, 0xff, 0x26, 0x01 };
	uint8_t packed[256 + 20] = { [0x30] = 0x50, [0x3b] = 0x45, 0x44, 0x04, [0x80] = 0x04 };
	uint8_t want[300], got[300];

	(void)state;
	memset(packed + 0x31, 0x55, 10);
	memcpy(packed + 256, literals, sizeof(literals));
	assert_int_equal(huffman(packed, sizeof(packed), got, 26), 1);
	assert_memory_equal(got, alphabet, 26);
	memset(packed, 0, 256);
	packed[0x30] = 0x30;
	packed[0x31] = 0x23;
	packed[0x80] = 0x02;
	packed[0x8f] = 0x20;
	memcpy(packed + 256, long_match, sizeof(long_match));
	fill_abc(want);
	assert_int_equal(huffman(packed, 256 + sizeof(long_match), got, 300), 1);
	assert_memory_equal(got, want, 300);
}

/* ---- round trips ----------------------------------------------------------------------------------- */

/* Bytes that repeat now and then: how often, and how far back, goes with the seed. */
static void fill_mixed(uint8_t *bytes, size_t len, uint32_t seed)
{
	uint32_t x = seed * 2654435761u + 1;

	for (size_t i = 0; i < len;) {
		x = x * 1664525u + 1013904223u;
		size_t back = x >> 8, n = x >> 4 & (seed & 1 ? 0x3ff : 0x1f);
		if (i && x >> 30 && back % i) {
			for (back %= i; n-- && i < len; i++)
				bytes[i] = bytes[i - back];
		} else {
			bytes[i++] = (uint8_t)(x >> 16);
		}
	}
}

static void check(const struct kind *kind, const uint8_t *bytes, size_t len)
{
	uint8_t *packed = malloc(SYNTH_XPRESS_ROOM(len));
	size_t n = kind->pack(bytes, len, packed);
	uint8_t *exact = malloc(n), *got = malloc(len);

	assert_true(n <= SYNTH_XPRESS_ROOM(len));
	memcpy(exact, packed, n);
	memset(got, 0xa5, len);
	assert_int_equal(kind->unpack(exact, n, got, len), 1);
	assert_memory_equal(got, bytes, len);
	free(packed);
	free(exact);
	free(got);
}

static void what_was_packed_is_unpacked(void **state)
{
	static const size_t sizes[] = { 1, 2, 3, 31, 32, 33, 255, 4096, 40960, 65535, 65536 };
	static uint8_t bytes[65536];

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			memset(bytes, 0, sizes[i]);
			check(&kinds[k], bytes, sizes[i]);
			for (uint32_t seed = 1; seed < 9; seed++) {
				fill_mixed(bytes, sizes[i], seed);
				check(&kinds[k], bytes, sizes[i]);
			}
		}
	}
}

/* A match of each length that is written differently, and one before and behind it. */
static void lengths_of_every_kind_are_unpacked(void **state)
{
	static uint8_t bytes[4096];

	(void)state;
	for (size_t n = 3; n < 600; n++) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (uint8_t)(i % (n + 7) * 7 + (i % (n + 7) >> 3) * 31);
		for (size_t k = 0; k < 2; k++)
			check(&kinds[k], bytes, 2 * n + 20);
	}
}

/* ---- broken ---------------------------------------------------------------------------------------- */

static void less_than_all_of_it_is_not_enough(void **state)
{
	static uint8_t bytes[2048], packed[SYNTH_XPRESS_ROOM(2048)], got[2048];

	(void)state;
	fill_mixed(bytes, sizeof(bytes), 2);
	for (size_t k = 0; k < 2; k++) {
		size_t n = kinds[k].pack(bytes, sizeof(bytes), packed);
		/* The code of the end and the word behind it are not needed. */
		for (size_t len = 0; len + 6 < n; len++) {
			uint8_t *exact = malloc(len ? len : 1);
			memcpy(exact, packed, len);
			assert_int_equal(kinds[k].unpack(exact, len, got, sizeof(got)), 0);
			free(exact);
		}
	}
}

static void matches_lead_nowhere_else_than_to_what_was_made(void **state)
{
	/* One literal, and a match two bytes back. */
	static const uint8_t plain[] = { 0xff, 0xff, 0xff, 0x7f, 'a', 0x08, 0x00 };
	/* A 32-bit length that is less than what the shorter ones say. */
	static const uint8_t length[] = { 0xff, 0xff, 0xff, 0x7f, 'a', 0x07, 0x00, 0x0f,
					  0xff, 0x00, 0x00, 0x05, 0,   0,    0 };
	uint8_t packed[270] = { [0x30] = 0x10, [0x88] = 0x01 }, got[64];

	(void)state;
	assert_int_equal(xpress_plain(plain, sizeof(plain), got, 4), 0);
	assert_int_equal(xpress_plain(length, sizeof(length), got, sizeof(got)), 0);
	/* 'a' is 0, symbol 272 is 1: three bytes, two or three back; the bits are 0 1 0 ... */
	packed[257] = 0x40;
	assert_int_equal(huffman(packed, sizeof(packed), got, 4), 0);
	packed[257] = 0x20; /* 0 0 1 0: two back, which is there */
	assert_int_equal(huffman(packed, sizeof(packed), got, 5), 1);
	assert_memory_equal(got, "aaaaa", 5);
}

static void codes_that_are_too_many_or_too_few_are_refused(void **state)
{
	uint8_t packed[300] = { 0 }, got[4];

	(void)state;
	assert_int_equal(huffman(packed, sizeof(packed), got, 4), 0);
	memset(packed, 0x11, 2); /* four of one bit */
	assert_int_equal(huffman(packed, sizeof(packed), got, 4), 0);
	packed[0] = 0x21; /* 1/2 + 1/4 */
	packed[1] = 0;
	assert_int_equal(huffman(packed, sizeof(packed), got, 4), 0);
	packed[1] = 0x02; /* and the other 1/4 */
	assert_int_equal(huffman(packed, sizeof(packed), got, 4), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples_of_plain_are_unpacked),
		cmocka_unit_test(examples_of_huffman_are_unpacked),
		cmocka_unit_test(what_was_packed_is_unpacked),
		cmocka_unit_test(lengths_of_every_kind_are_unpacked),
		cmocka_unit_test(less_than_all_of_it_is_not_enough),
		cmocka_unit_test(matches_lead_nowhere_else_than_to_what_was_made),
		cmocka_unit_test(codes_that_are_too_many_or_too_few_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
