/* SPDX-License-Identifier: MIT */
/*
 * Single values: integers of every size in both orders, strings at every edge, each compared with a
 * model that looks at one byte at a time.
 */
#include <sonde/io.h>
#include <sonde/types.h>
#include <stdbool.h>

#include "fake.h"

#define SIZE 12288u

static int setup(void **state)
{
	*state = loop_new(SONDE_ENGINE_SYNC, 0);
	return 0;
}

static int teardown(void **state)
{
	sonde_loop_destroy(*state);
	return 0;
}

static uint32_t random_next(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* ---- integers -------------------------------------------------------------------------------- */

static void values_come_in_the_order_asked_for(void **state)
{
	struct fake fake = { 0 };
	uint64_t u64 = 0;
	uint32_t u32 = 0;
	uint16_t u16 = 0;

	fake_open(&fake, *state, 4096, SONDE_WAY_EXTENTS);
	for (int i = 0; i < 8; i++)
		fake.bytes[i] = (uint8_t)(i + 1);
	assert_int_equal(sonde_space_u16be(fake.space, 0, &u16), 0);
	assert_int_equal(u16, 0x0102);
	assert_int_equal(sonde_space_u32be(fake.space, 0, &u32), 0);
	assert_int_equal(u32, 0x01020304);
	assert_int_equal(sonde_space_u64be(fake.space, 0, &u64), 0);
	assert_true(u64 == UINT64_C(0x0102030405060708));
	assert_int_equal(sonde_space_uint(fake.space, 1, 3, SONDE_LITTLE, &u64), 0);
	assert_int_equal(u64, 0x040302);
	assert_int_equal(sonde_space_uint(fake.space, 1, 3, SONDE_BIG, &u64), 0);
	assert_int_equal(u64, 0x020304);
	fake_close(&fake);
}

static void every_size_is_written_as_it_is_read(void **state)
{
	struct fake fake = { 0 };
	const uint64_t value = UINT64_C(0xf1e2d3c4b5a69788);

	fake_open(&fake, *state, 4096, SONDE_WAY_TRANSFER);
	for (uint32_t order = SONDE_LITTLE; order <= SONDE_BIG; order++) {
		for (uint32_t size = 1; size <= 8; size++) {
			uint64_t mask = UINT64_MAX >> (64 - 8 * size), back = 0;
			memset(fake.bytes, 0x55, 16);
			assert_int_equal(sonde_space_put_uint(fake.space, 3, size, order, value),
					 0);
			for (uint32_t i = 0; i < size; i++) {
				uint32_t shift = 8 * (order == SONDE_BIG ? size - 1 - i : i);
				assert_int_equal(fake.bytes[3 + i], (uint8_t)(value >> shift));
			}
			assert_int_equal(fake.bytes[2], 0x55);
			assert_int_equal(fake.bytes[3 + size], 0x55);
			assert_int_equal(sonde_space_uint(fake.space, 3, size, order, &back), 0);
			assert_true(back == (value & mask));
		}
	}
	fake_close(&fake);
}

static void each_writer_writes_its_own_bytes_only(void **state)
{
	static const uint8_t want[] = {
		0xee, 1, 2, 3, 4, 5, 6, 7,  8,  9,  10, 11, 12, 13, 14, 15,
		16,   2, 1, 6, 5, 4, 3, 14, 13, 12, 11, 10, 9,  8,  7,  0xee
	};
	struct fake fake = { 0 };
	struct sonde_space *space;

	fake_open(&fake, *state, 4096, SONDE_WAY_EXTENTS);
	space = fake.space;
	memset(fake.bytes, 0xee, 64);
	assert_int_equal(sonde_space_put_u8(space, 1, 1), 0);
	assert_int_equal(sonde_space_put_u16(space, 2, 0x0302), 0);
	assert_int_equal(sonde_space_put_u32(space, 4, 0x07060504), 0);
	assert_int_equal(sonde_space_put_u64(space, 8, UINT64_C(0x0f0e0d0c0b0a0908)), 0);
	assert_int_equal(sonde_space_put_u8(space, 16, 16), 0);
	assert_int_equal(sonde_space_put_u16be(space, 17, 0x0201), 0);
	assert_int_equal(sonde_space_put_u32be(space, 19, 0x06050403), 0);
	assert_int_equal(sonde_space_put_u64be(space, 23, UINT64_C(0x0e0d0c0b0a090807)), 0);
	assert_memory_equal(fake.bytes, want, sizeof(want));
	fake_close(&fake);
}

static void a_value_that_cannot_be_had_leaves_the_old_one(void **state)
{
	static const struct fake_range bad[] = { { 103, 1, SONDE_E_PAGED_OUT } };
	struct fake fake = { .bad = bad, .n_bad = 1 };
	uint64_t u64 = 5;
	uint16_t u16 = 5;

	fake_open(&fake, *state, 4096, SONDE_WAY_EXTENTS);
	assert_int_equal(sonde_space_u64be(fake.space, 100, &u64), SONDE_E_PAGED_OUT);
	assert_int_equal(sonde_space_u16be(fake.space, UINT64_MAX, &u16), SONDE_E_NOT_MAPPED);
	assert_int_equal(sonde_space_uint(fake.space, 0, 0, 0, &u64), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_space_uint(fake.space, 0, 9, 0, &u64), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_space_uint(fake.space, 0, 8, 2, &u64), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_space_put_uint(fake.space, 0, 0, 0, 1), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_space_put_uint(fake.space, 0, 4, 7, 1), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_space_put_u32(fake.space, 101, 1), SONDE_E_PAGED_OUT);
	assert_int_equal(u64, 5);
	assert_int_equal(u16, 5);
	fake_close(&fake);
}

static void signs_are_extended_from_every_size(void **state)
{
	(void)state;
	for (uint32_t size = 1; size <= 8; size++) {
		uint64_t ones = UINT64_MAX >> (64 - 8 * size);
		assert_int_equal(sonde_sign_extend(ones, size), -1);
		assert_int_equal(sonde_sign_extend(ones >> 1, size), (int64_t)(ones >> 1));
		assert_int_equal(sonde_sign_extend((ones >> 1) + 1, size),
				 -(int64_t)(ones >> 1) - 1);
		assert_int_equal(sonde_sign_extend(5, size), 5);
	}
	/* What lies above the size does not count. */
	assert_int_equal(sonde_sign_extend(0xab80, 1), -128);
}

/* ---- strings ----------------------------------------------------------------------------------- */

/* What a string at addr is, one byte at a time. */
static int string_by_byte(const struct fake *fake, uint64_t addr, char *buf, size_t cap)
{
	for (size_t i = 0; i < cap; i++) {
		uint32_t len = 1;
		int32_t err =
			addr + i < addr ? SONDE_E_NOT_MAPPED : fake_at(fake, addr + i, 1, &len);
		buf[i] = err ? 0 : (char)fake->bytes[addr + i];
		if (err)
			return err;
		if (!buf[i])
			return (int)i;
	}
	buf[cap - 1] = 0;
	return SONDE_E_LIMIT;
}

static void strings_are_what_a_reader_of_single_bytes_sees(void **state)
{
	enum { N_BAD = 6, ROUNDS = 300, STRINGS = 60 };
	uint32_t seed = 20;

	for (int round = 0; round < ROUNDS; round++) {
		struct fake_range bad[N_BAD];
		struct fake fake = { .bad = bad, .n_bad = random_next(&seed) % (N_BAD + 1) };
		for (size_t i = 0; i < N_BAD; i++) {
			bool page = random_next(&seed) % 2;
			bad[i].addr = random_next(&seed) % SIZE & (page ? ~4095u : ~0u);
			bad[i].len = page ? 4096 : 1 + random_next(&seed) % 300;
			bad[i].err = SONDE_E_NOT_SAVED; /* alike, for they may overlap */
		}
		fake_open(&fake, *state, SIZE, round % 2 ? SONDE_WAY_EXTENTS : SONDE_WAY_TRANSFER);
		for (uint32_t i = 0; i < SIZE; i++) {
			uint32_t value = random_next(&seed);
			fake.bytes[i] = value % 700 ? (uint8_t)(1 + value % 255) : 0;
		}
		for (int i = 0; i < STRINGS; i++) {
			char got[5000], want[5000];
			size_t cap = 1 + random_next(&seed) % (i % 3 ? 40 : sizeof(got));
			uint64_t addr = random_next(&seed) % (SIZE + 64);
			if (i % 10 == 0)
				addr = (addr | 4095) - random_next(&seed) % 8;
			memset(got, 0x5a, sizeof(got));
			memset(want, 0x5a, sizeof(want));
			int r = string_by_byte(&fake, addr, want, cap);
			assert_int_equal(sonde_space_string(fake.space, addr, got, cap), r);
			assert_string_equal(got, want);
			for (size_t k = cap; k < sizeof(got); k++)
				assert_int_equal(got[k], 0x5a);
		}
		fake_close(&fake);
	}
}

static void a_string_that_ends_with_its_page_needs_no_other(void **state)
{
	static const struct fake_range bad[] = { { 4096, 4096, SONDE_E_GONE } };
	struct fake fake = { .bad = bad, .n_bad = 1 };
	char buf[8];

	fake_open(&fake, *state, 8192, SONDE_WAY_TRANSFER);
	memcpy(fake.bytes + 4092, "abc", 4);
	assert_int_equal(sonde_space_string(fake.space, 4092, buf, sizeof(buf)), 3);
	assert_string_equal(buf, "abc");
	assert_int_equal(fake.pieces, 1);
	/* A room of one byte holds the empty string and nothing else. */
	assert_int_equal(sonde_space_string(fake.space, 4095, buf, 1), 0);
	assert_int_equal(sonde_space_string(fake.space, 4092, buf, 1), SONDE_E_LIMIT);
	assert_string_equal(buf, "");
	assert_int_equal(sonde_space_string(fake.space, 4096, buf, 1), SONDE_E_GONE);
	/* The terminator is the byte that did not fit. */
	assert_int_equal(sonde_space_string(fake.space, 4092, buf, 3), SONDE_E_LIMIT);
	assert_string_equal(buf, "ab");
	assert_int_equal(sonde_space_string(fake.space, 4092, buf, 4), 3);
	fake_close(&fake);
}

static void read_in_callback(struct sonde_io *io)
{
	struct fake *fake = io->user;
	char buf[8] = "unread";

	assert_int_equal(sonde_space_string(fake->space, 0, buf, sizeof(buf)), SONDE_E_BUSY);
	assert_string_equal(buf, "");
	fake->calls = 1000;
}

static void a_string_that_was_refused_is_empty(void **state)
{
	struct fake fake = { 0 };
	uint8_t byte;
	struct sonde_xfer x = { .buf = &byte, .len = 1 };
	struct sonde_io io = { .xfers = &x, .n = 1, .done = read_in_callback, .user = &fake };

	fake_open(&fake, *state, 4096, SONDE_WAY_TRANSFER);
	assert_int_equal(sonde_io_submit(fake.space, &io), 0);
	assert_int_equal(sonde_loop_run(*state), 0);
	assert_int_equal(fake.calls, 1000);
	fake_close(&fake);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(values_come_in_the_order_asked_for),
		TEST(every_size_is_written_as_it_is_read),
		TEST(each_writer_writes_its_own_bytes_only),
		TEST(a_value_that_cannot_be_had_leaves_the_old_one),
		cmocka_unit_test(signs_are_extended_from_every_size),
		TEST(strings_are_what_a_reader_of_single_bytes_sees),
		TEST(a_string_that_ends_with_its_page_needs_no_other),
		TEST(a_string_that_was_refused_is_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
