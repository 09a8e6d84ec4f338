/* SPDX-License-Identifier: MIT */
/* Bitmaps of a dump that are read as far as somebody looks, held against all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../connectors/kdump/bitmap.h"
#include <sonde/error.h>

#define AT 4096u                          /* where it lies */
#define N_BITS ((UINT64_C(5) << 19) + 77) /* five stretches of 64 KiB, and some */
#define LEN ((size_t)(N_BITS + 7) / 8)

struct file {
	uint8_t *bytes; /* [AT + LEN]                                    */
	uint64_t bad;   /* a read that holds this offset fails           */
	uint64_t read;  /* bytes so far                                  */
};

static int64_t read_file(void *user, uint64_t off, void *buf, size_t len)
{
	struct file *file = user;

	assert_true(off >= AT && off - AT <= LEN && len <= LEN - (off - AT));
	if (file->bad >= off && file->bad - off < len)
		return SONDE_E_TIMED_OUT;
	file->read += len;
	memcpy(buf, file->bytes + off, len);
	return (int64_t)len;
}

/* Long runs of both, and stretches of noise. */
static void fill(uint8_t *bits)
{
	uint64_t state = 88172645463325252u;

	for (size_t i = 0; i < LEN; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		bits[i] = i / 5000 % 3 == 0 ? 0 : i / 5000 % 3 == 1 ? 0xff : (uint8_t)(state >> 32);
	}
}

static int setup(void **state)
{
	struct file *file = calloc(1, sizeof(*file));

	file->bytes = calloc(1, AT + LEN);
	fill(file->bytes + AT);
	file->bad = UINT64_MAX;
	*state = file;
	return 0;
}

static int teardown(void **state)
{
	struct file *file = *state;

	free(file->bytes);
	free(file);
	return 0;
}

static struct bitmap *create(struct file *file, uint64_t first)
{
	struct source source = { .read = read_file, .user = file, .size = AT + LEN };
	struct bitmap *bitmap;

	assert_int_equal(bitmap_create(&bitmap, &source, AT, N_BITS, first), 0);
	return bitmap;
}

static int bit(const struct file *file, uint64_t i)
{
	return file->bytes[AT + i / 8] >> i % 8 & 1;
}

static void bits_and_ranks_are_those_of_the_file(void **state)
{
	static const uint64_t firsts[] = { 0, 1, 4095, 4096, 4097, 1234567, N_BITS };
	struct file *file = *state;

	for (size_t k = 0; k < sizeof(firsts) / sizeof(firsts[0]); k++) {
		struct bitmap *bitmap = create(file, firsts[k]);
		uint64_t want = 0, rank, last = 0;
		/* What is far away is asked for first. */
		assert_int_equal(bitmap_rank(bitmap, N_BITS, &last), 0);
		for (uint64_t i = firsts[k]; i < N_BITS; i++) {
			if (i % 1021 == 0 || i < firsts[k] + 70) {
				assert_int_equal(bitmap_rank(bitmap, i, &rank), 0);
				assert_int_equal(rank, want);
				assert_int_equal(bitmap_bit(bitmap, i), bit(file, i));
			}
			want += (uint64_t)bit(file, i);
		}
		assert_int_equal(last, want);
		bitmap_destroy(bitmap);
	}
}

static void the_next_one_is_that_of_the_file(void **state)
{
	struct file *file = *state;
	struct bitmap *bitmap = create(file, 0);
	uint64_t n = 0, at = 0, want = 0;

	for (uint64_t i = 0; i < N_BITS; i++)
		want += i == 0 ? bit(file, 0) != 0 : bit(file, i) != bit(file, i - 1);
	for (int side = 1; at < N_BITS; side = !side, n++)
		assert_int_equal(bitmap_next(bitmap, side, at, &at), 0);
	assert_int_equal(n, want + (bit(file, 0) ? 0 : 1));
	assert_int_equal(bitmap_next(bitmap, 1, N_BITS, &at), 0);
	assert_int_equal(at, N_BITS);
	bitmap_destroy(bitmap);
}

static void nothing_is_read_that_nobody_looks_at(void **state)
{
	struct file *file = *state;
	struct bitmap *bitmap = create(file, 3 << 19);
	uint64_t rank;

	assert_int_equal(file->read, 0);
	bitmap_bit(bitmap, (3 << 19) + 5);
	assert_int_equal(bitmap_rank(bitmap, (3 << 19) + 5000, &rank), 0);
	assert_int_equal(file->read, 64 << 10);
	bitmap_bit(bitmap, (3 << 19) + 6);
	assert_int_equal(file->read, 64 << 10);
	bitmap_destroy(bitmap);
}

static void a_stretch_that_cannot_be_read_fails_alone_until_it_can(void **state)
{
	struct file *file = *state;
	struct bitmap *bitmap = create(file, 0);
	uint64_t rank, at;

	file->bad = AT + (100 << 10);
	assert_int_equal(bitmap_bit(bitmap, 1 << 19), SONDE_E_TIMED_OUT);
	assert_int_equal(bitmap_rank(bitmap, 2 << 19, &rank), SONDE_E_TIMED_OUT);
	assert_int_equal(bitmap_next(bitmap, 2, 0, &at), SONDE_E_TIMED_OUT);
	assert_int_equal(bitmap_bit(bitmap, 2 << 19), bit(file, 2 << 19));
	assert_int_equal(bitmap_rank(bitmap, 100, &rank), 0);
	file->bad = UINT64_MAX;
	assert_int_equal(bitmap_rank(bitmap, 2 << 19, &rank), 0);
	bitmap_destroy(bitmap);
}

static void all_that_are_set_are_counted_wherever_ranks_begin(void **state)
{
	struct file *file = *state;
	struct bitmap *bitmap = create(file, 1234567);
	uint64_t n, want = 0;

	for (uint64_t i = 0; i < N_BITS; i++)
		want += (uint64_t)bit(file, i);
	file->bytes[AT + LEN - 1] |= 0xe0; /* behind the last page */
	file->bad = AT + (200 << 10);
	assert_int_equal(bitmap_count(bitmap, &n), SONDE_E_TIMED_OUT);
	file->bad = UINT64_MAX;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(bitmap_count(bitmap, &n), 0);
		assert_int_equal(n, want);
	}
	bitmap_destroy(bitmap);
}

static void two_are_the_same_up_to_the_last_whole_byte(void **state)
{
	struct file *file = *state;
	struct file other = { .bytes = malloc(AT + LEN), .bad = UINT64_MAX };

	memcpy(other.bytes, file->bytes, AT + LEN);
	for (int i = 0; i < 3; i++) {
		struct bitmap *a = create(file, 0), *b = create(&other, 7);
		assert_int_equal(bitmap_same(a, b), i < 2);
		bitmap_destroy(a);
		bitmap_destroy(b);
		other.bytes[AT + LEN - 1 - (size_t)i] ^= 1;
	}
	free(other.bytes);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bits_and_ranks_are_those_of_the_file),
		TEST(the_next_one_is_that_of_the_file),
		TEST(nothing_is_read_that_nobody_looks_at),
		TEST(a_stretch_that_cannot_be_read_fails_alone_until_it_can),
		TEST(all_that_are_set_are_counted_wherever_ranks_begin),
		TEST(two_are_the_same_up_to_the_last_whole_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
