/* SPDX-License-Identifier: MIT */
/* The outcome of a whole batch: bytes done, the lowest failing offset, its error. */
#include <sonde/io.h>
#include <stdbool.h>

#include "fake.h"

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

static const struct fake_range bad[] = { { 100, 50, SONDE_E_PAGED_OUT }, { 300, 10, SONDE_E_IO } };

static void the_lowest_failing_offset_counts_over_all_pieces(void **state)
{
	uint8_t buf[400];

	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		struct fake fake = { .bad = bad, .n_bad = 2 };
		struct sonde_xfer x[3] = {
			{ .addr = 0, .buf = buf, .len = 64 },
			{ .addr = 280, .buf = buf + 64, .len = 100 },
			{ .addr = 90, .buf = buf + 164, .len = 100 },
		};
		struct sonde_total total;
		fake_open(&fake, *state, 4096, way);
		assert_int_equal(sonde_space_read(fake.space, x, 3), 1);
		assert_int_equal(sonde_xfers_total(x, 3, &total), SONDE_E_IO);
		assert_int_equal(total.err, SONDE_E_IO);
		assert_int_equal(total.len, 264);
		assert_int_equal(total.done, 264 - 10 - 50);
		assert_int_equal(total.err_off, 64 + 20);
		assert_int_equal(total.err_piece, 1);
		assert_int_equal(sonde_xfers_total(x, 3, NULL), SONDE_E_IO);
		assert_int_equal(sonde_xfers_total(x, 1, &total), 0);
		assert_int_equal(total.done, 64);
		assert_int_equal(total.err_off, 64);
		assert_int_equal(total.err_piece, 1);
		assert_int_equal(sonde_xfers_total(NULL, 0, &total), 0);
		assert_int_equal(total.len, 0);
		fake_close(&fake);
	}
}

static void no_sum_overflows(void **state)
{
	enum { N = 1000 };
	struct sonde_xfer *x = calloc(N, sizeof(*x));
	struct sonde_total total;

	(void)state;
	for (int i = 0; i < N; i++) {
		x[i] = (struct sonde_xfer){ .len = 0x7fffffff, .done = 0x7fffffff };
		x[i].err_off = x[i].len;
	}
	x[N - 1].err = SONDE_E_GONE;
	x[N - 1].err_off = x[N - 1].done = 5;
	assert_int_equal(sonde_xfers_total(x, N, &total), SONDE_E_GONE);
	assert_true(total.len == UINT64_C(1000) * 0x7fffffff);
	assert_true(total.done == UINT64_C(999) * 0x7fffffff + 5);
	assert_true(total.err_off == UINT64_C(999) * 0x7fffffff + 5);
	free(x);
}

static void take_total(struct sonde_io *io)
{
	struct sonde_total *total = io->user;

	assert_int_equal(sonde_io_total(io, total), SONDE_E_PAGED_OUT);
}

static void a_request_has_a_total_when_it_is_done(void **state)
{
	struct fake fake = { .bad = bad, .n_bad = 2 };
	struct sonde_total total = { .len = 7 };
	uint8_t buf[200];
	struct sonde_xfer x = { .addr = 0, .buf = buf, .len = 200 };
	struct sonde_io io = { .xfers = &x, .n = 1, .done = take_total, .user = &total };

	fake_open(&fake, *state, 4096, SONDE_WAY_SUBMIT);
	assert_int_equal(sonde_io_submit(fake.space, &io), 0);
	assert_int_equal(sonde_io_total(&io, &total), SONDE_E_BUSY);
	assert_int_equal(total.len, 7);
	assert_int_equal(sonde_loop_run(*state), 0);
	assert_int_equal(total.done, 150);
	assert_int_equal(total.err_off, 100);
	fake_close(&fake);
}

static void ignore(struct sonde_io *io)
{
	(void)io;
}

static void a_cancelled_request_says_so_in_its_total(void **state)
{
	struct fake fake = { 0 };
	struct sonde_total total;
	uint8_t buf[16];
	struct sonde_xfer x = { .addr = 0, .buf = buf, .len = 16 };
	struct sonde_io io = { .xfers = &x, .n = 1, .done = ignore };

	fake_open(&fake, *state, 4096, SONDE_WAY_TRANSFER);
	sonde_io_submit(fake.space, &io);
	assert_int_equal(sonde_io_cancel(&io), 1);
	sonde_loop_run(*state);
	assert_int_equal(sonde_io_total(&io, &total), SONDE_E_CANCELLED);
	assert_int_equal(total.done, 0);
	assert_int_equal(total.err_off, 0);
	fake_close(&fake);
}

static void read_all_means_all_or_an_error(void **state)
{
	uint8_t buf[64];

	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		struct fake fake = { .bad = bad, .n_bad = 2 };
		struct sonde_xfer x[2] = { { .addr = 16, .buf = buf, .len = 16 },
					   { .addr = 84, .buf = buf + 16, .len = 16 } };
		fake_open(&fake, *state, 4096, way);
		assert_int_equal(sonde_space_read_all(fake.space, x, 2), 0);
		assert_int_equal(buf[31], fake_byte(99));
		assert_int_equal(sonde_space_write_all(fake.space, x, 2), 0);
		x[1].addr = 85; /* its last byte is the first of the hole */
		assert_int_equal(sonde_space_read_all(fake.space, x, 2), SONDE_E_PAGED_OUT);
		assert_int_equal(sonde_space_write_all(fake.space, x, 2), SONDE_E_PAGED_OUT);
		x[0].addr = 4090; /* the lowest piece speaks */
		assert_int_equal(sonde_space_read_all(fake.space, x, 2), SONDE_E_NOT_MAPPED);
		x[0].len = 0;
		assert_int_equal(sonde_space_read_all(fake.space, x, 2), SONDE_E_BAD_ARG);
		assert_int_equal(sonde_space_read_all(fake.space, x, 0), 0);
		/* One contiguous stretch knows no half success either. */
		assert_int_equal(sonde_space_get(fake.space, 84, buf, 16), 0);
		assert_int_equal(sonde_space_get(fake.space, 84, buf, 17), SONDE_E_PAGED_OUT);
		assert_int_equal(sonde_space_put(fake.space, 84, buf, 17), SONDE_E_PAGED_OUT);
		assert_int_equal(sonde_space_get(fake.space, 4080, buf, 17), SONDE_E_NOT_MAPPED);
		fake_close(&fake);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_lowest_failing_offset_counts_over_all_pieces),
		cmocka_unit_test(no_sum_overflows),
		TEST(a_request_has_a_total_when_it_is_done),
		TEST(a_cancelled_request_says_so_in_its_total),
		TEST(read_all_means_all_or_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
