/* SPDX-License-Identifier: MIT */
/* Writing that is read again: what is told of each byte, and what a target that lies is caught at. */
#include <sonde/io.h>
#include <sonde/task.h>
#include <sonde/write.h>

#include "fake.h"

enum { SIZE = 1 << 18, TOLD_MAX = 64 };

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

/* What was told, neighbours that fared alike joined. */
struct told {
	struct sonde_written runs[TOLD_MAX];
	size_t n;
	uint8_t got[16]; /* of the first byte that differs on */
};

static void listen(void *user, const struct sonde_written *w)
{
	struct told *told = user;
	struct sonde_written *last = told->n ? &told->runs[told->n - 1] : NULL;

	assert_true(w->len > 0);
	assert_int_equal(w->got != NULL, w->result == SONDE_WRITE_DIFFERS);
	if (w->got && told->got[0] == 0)
		memcpy(told->got, w->got, w->len < 16 ? w->len : 16);
	if (last && last->piece == w->piece && last->result == w->result && last->err == w->err) {
		assert_int_equal(w->off, last->off + last->len);
		last->len += w->len;
		return;
	}
	assert_int_equal(w->off, last && last->piece == w->piece ? last->off + last->len : 0);
	assert_true(told->n < TOLD_MAX);
	told->runs[told->n++] = *w;
}

static void expect_run(const struct told *told, size_t i, uint32_t piece, uint32_t off,
		       uint32_t len, uint32_t result, int32_t err)
{
	assert_true(i < told->n);
	assert_int_equal(told->runs[i].piece, piece);
	assert_int_equal(told->runs[i].off, off);
	assert_int_equal(told->runs[i].len, len);
	assert_int_equal(told->runs[i].result, result);
	assert_int_equal(told->runs[i].err, err);
}

static void each_range_is_told_with_its_own_reason(void **state)
{
	static const struct fake_range bad[] = { { 100, 50, SONDE_E_PAGED_OUT },
						 { 300, 10, SONDE_E_READ_ONLY } };
	static uint8_t bytes[400];

	memset(bytes, 0xc3, sizeof(bytes));
	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		struct fake fake = { .bad = bad, .n_bad = 2 };
		struct told told = { 0 };
		struct sonde_xfer x[2] = { { .addr = 50, .buf = bytes, .len = 300 },
					   { .addr = 8, .buf = bytes, .len = 3 } };
		fake_open(&fake, *state, SIZE, way);
		assert_int_equal(sonde_space_write_verified(fake.space, x, 2, 0, listen, &told), 1);
		assert_int_equal(told.n, 6);
		expect_run(&told, 0, 0, 0, 50, SONDE_WRITE_DONE, 0);
		expect_run(&told, 1, 0, 50, 50, SONDE_WRITE_REFUSED, SONDE_E_PAGED_OUT);
		expect_run(&told, 2, 0, 100, 150, SONDE_WRITE_DONE, 0);
		expect_run(&told, 3, 0, 250, 10, SONDE_WRITE_REFUSED, SONDE_E_READ_ONLY);
		expect_run(&told, 4, 0, 260, 40, SONDE_WRITE_DONE, 0);
		expect_run(&told, 5, 1, 0, 3, SONDE_WRITE_DONE, 0);
		assert_int_equal(x[0].done, 240);
		assert_int_equal(x[0].err, SONDE_E_PAGED_OUT);
		assert_int_equal(x[0].err_off, 50);
		assert_int_equal(x[1].err_off, 3);
		for (uint32_t i = 0; i < 400; i++) {
			int ours = (i >= 8 && i < 11) ||
				   (i >= 50 && i < 350 && (i < 100 || i >= 150) &&
				    (i < 300 || i >= 310));
			assert_int_equal(fake.bytes[i], ours ? 0xc3 : fake_byte(i));
		}
		fake_close(&fake);
	}
}

/* ---- a target that does not keep what is written ------------------------------------------------ */

enum lie { LIE_CHANGES = 1, LIE_HIDES };

static size_t lying_submit(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int hides = *(enum lie *)fake->user == LIE_HIDES && ios[i]->op == SONDE_IO_READ;
		struct fake_range hole = { 40, 8, SONDE_E_GONE };
		fake->bad = hides ? &hole : NULL;
		fake->n_bad = (size_t)hides;
		fake_serve(fake, ios[i]);
		if (*(enum lie *)fake->user == LIE_CHANGES && ios[i]->op == SONDE_IO_WRITE)
			memcpy(fake->bytes + 40, "guest", 5);
		space_host.io_done(ios[i]);
	}
	return n;
}

static void write_lied_to(void **state, enum lie lie, uint32_t flags, struct told *told, int want)
{
	struct fake fake = { .submit = lying_submit, .user = &lie };
	uint8_t bytes[64];
	struct sonde_xfer x = { .addr = 16, .buf = bytes, .len = sizeof(bytes) };

	memset(bytes, 'w', sizeof(bytes));
	fake_open(&fake, *state, SIZE, SONDE_WAY_SUBMIT);
	assert_int_equal(sonde_space_write_verified(fake.space, &x, 1, flags, listen, told), want);
	assert_int_equal(x.done, 64);
	assert_int_equal(x.err, 0);
	fake_close(&fake);
}

static void what_the_target_changed_meanwhile_is_told_with_what_stands_there(void **state)
{
	struct told told = { 0 };

	write_lied_to(state, LIE_CHANGES, 0, &told, 0);
	assert_int_equal(told.n, 3);
	expect_run(&told, 0, 0, 0, 24, SONDE_WRITE_DONE, 0);
	expect_run(&told, 1, 0, 24, 5, SONDE_WRITE_DIFFERS, 0);
	expect_run(&told, 2, 0, 29, 35, SONDE_WRITE_DONE, 0);
	assert_memory_equal(told.got, "guest", 5);
}

static void what_cannot_be_read_again_is_told(void **state)
{
	struct told told = { 0 };

	write_lied_to(state, LIE_HIDES, 0, &told, 0);
	assert_int_equal(told.n, 3);
	expect_run(&told, 1, 0, 24, 8, SONDE_WRITE_UNREAD, SONDE_E_GONE);
}

static void unverified_writes_are_not_read_again(void **state)
{
	struct told told = { 0 };

	write_lied_to(state, LIE_CHANGES, SONDE_WRITE_UNVERIFIED, &told, 1);
	assert_int_equal(told.n, 1);
	expect_run(&told, 0, 0, 0, 64, SONDE_WRITE_DONE, 0);
}

/* ---- sizes --------------------------------------------------------------------------------------- */

static void pieces_beyond_one_window_are_pieces_all_the_same(void **state)
{
	static const struct fake_range bad[] = { { 70000, 1, SONDE_E_IO } };
	enum { LARGE = 200000, MANY = 1000 };
	struct fake fake = { .bad = bad, .n_bad = 1 };
	struct told told = { 0 };
	uint8_t *bytes = malloc(LARGE);
	struct sonde_xfer *x = calloc(MANY, sizeof(*x)), large = { .addr = 1, .len = LARGE };

	assert_true(bytes && x);
	for (uint32_t i = 0; i < LARGE; i++)
		bytes[i] = (uint8_t)(i * 7);
	large.buf = bytes;
	fake_open(&fake, *state, SIZE, SONDE_WAY_TRANSFER);
	assert_int_equal(sonde_space_write_verified(fake.space, &large, 1, 0, listen, &told), 0);
	assert_int_equal(told.n, 3);
	expect_run(&told, 1, 0, 69999, 1, SONDE_WRITE_REFUSED, SONDE_E_IO);
	assert_int_equal(large.done, LARGE - 1);
	assert_int_equal(large.err_off, 69999);
	assert_memory_equal(fake.bytes + 70001, bytes + 70000, LARGE - 70000);

	for (uint32_t i = 0; i < MANY; i++)
		x[i] = (struct sonde_xfer){ .addr = 200 * i + 1, .buf = bytes + i, .len = 3 };
	fake.calls = 0;
	assert_int_equal(sonde_space_write_verified(fake.space, x, MANY, 0, NULL, NULL), MANY);
	assert_true(fake.calls <= 16); /* 4 windows, of 2 trips, of 128 pieces */
	for (uint32_t i = 0; i < MANY; i++)
		assert_memory_equal(fake.bytes + 200 * i + 1, bytes + i, 3);
	fake_close(&fake);
	free(bytes);
	free(x);
}

static void what_lies_behind_the_last_address_is_a_hole(void **state)
{
	struct fake fake = { 0 };
	struct told told = { 0 };
	uint8_t *bytes = calloc(1, 100000);
	struct sonde_xfer x = { .addr = UINT64_MAX - 9, .buf = bytes, .len = 100000 };

	fake_open(&fake, *state, SIZE, SONDE_WAY_TRANSFER);
	assert_int_equal(sonde_space_write_verified(fake.space, &x, 1, 0, listen, &told), 0);
	assert_int_equal(told.n, 1);
	expect_run(&told, 0, 0, 0, 100000, SONDE_WRITE_REFUSED, SONDE_E_NOT_MAPPED);
	assert_int_equal(fake.bytes[16], 1);
	assert_int_equal(fake.bytes[100000 - 11], fake_byte(100000 - 11));
	assert_int_equal(x.err_off, 0);
	fake_close(&fake);
	free(bytes);
}

static void what_is_no_request_touches_nothing(void **state)
{
	struct fake fake = { 0 };
	struct told told = { 0 };
	uint8_t byte = 9;
	struct sonde_xfer x[2] = { { .addr = 0, .buf = &byte, .len = 1 }, { .addr = 0, .len = 1 } };

	fake_open(&fake, *state, SIZE, SONDE_WAY_TRANSFER);
	assert_int_equal(sonde_space_write_verified(fake.space, x, 2, 0, listen, &told),
			 SONDE_E_BAD_ARG);
	assert_int_equal(sonde_space_write_verified(fake.space, x, 1, 2, listen, &told),
			 SONDE_E_BAD_ARG);
	assert_int_equal(sonde_space_write_verified(fake.space, NULL, 0, 0, listen, &told), 0);
	assert_int_equal(told.n, 0);
	assert_int_equal(fake.calls, 0);
	fake_close(&fake);
}

/* ---- doors --------------------------------------------------------------------------------------- */

struct parked {
	struct fake fake;
	int result;
};

static int write_in_task(struct sonde_task *self, void *user)
{
	struct parked *parked = user;
	uint8_t bytes[5] = { 'p', 'r', 'o', 'b', 'e' };
	struct sonde_xfer x = { .addr = 64, .buf = bytes, .len = 5 };

	(void)self;
	parked->result = sonde_space_write_verified(parked->fake.space, &x, 1, 0, NULL, NULL);
	return 0;
}

static void a_task_parks_in_it(void **state)
{
	struct parked parked = { 0 };

	fake_open(&parked.fake, *state, SIZE, SONDE_WAY_SUBMIT);
	assert_int_equal(sonde_task_spawn(*state, write_in_task, &parked, NULL), 0);
	assert_true(sonde_loop_run(*state) >= 0);
	assert_int_equal(parked.result, 1);
	assert_memory_equal(parked.fake.bytes + 64, "probe", 5);
	fake_close(&parked.fake);
}

struct called_off {
	struct fake fake;
	struct sonde_task *task;
	size_t n_writes;
	int before; /* its end is asked for in front of it, not while it writes */
	uint8_t bytes[200000];
	struct sonde_xfer x[2];
	int result;
};

static size_t call_off(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	struct called_off *off = fake->user;

	for (size_t i = 0; i < n; i++) {
		if (ios[i]->op == SONDE_IO_WRITE && ++off->n_writes == 2)
			sonde_task_cancel(off->task);
		fake_serve(fake, ios[i]);
		space_host.io_done(ios[i]);
	}
	return n;
}

static int write_until_called_off(struct sonde_task *self, void *user)
{
	struct called_off *off = user;

	if (off->before)
		sonde_task_cancel(self);
	off->result = sonde_space_write_verified(off->fake.space, off->x, 2, 0, NULL, NULL);
	return 0;
}

static void what_was_not_reached_says_why(void **state)
{
	for (int before = 0; before < 2; before++) {
		struct called_off *off = calloc(1, sizeof(*off));
		uint32_t there = 0;
		assert_non_null(off);
		memset(off->bytes, 0xc3, sizeof(off->bytes));
		off->before = before;
		off->x[0] = (struct sonde_xfer){ .buf = off->bytes, .len = sizeof(off->bytes) };
		off->x[1] = (struct sonde_xfer){ .addr = 240000, .buf = off->bytes, .len = 4 };
		off->fake.submit = call_off;
		off->fake.user = off;
		fake_open(&off->fake, *state, SIZE, SONDE_WAY_SUBMIT);
		memset(off->fake.bytes, 0, SIZE);
		assert_int_equal(sonde_task_spawn(*state, write_until_called_off, off, &off->task),
				 0);
		assert_int_equal(sonde_task_join(NULL, off->task), 0);
		while (off->fake.bytes[there])
			there++;
		assert_int_equal(there, before ? 0 : 2 * 65536);
		assert_int_equal(off->result, SONDE_E_CANCELLED);
		assert_int_equal(off->x[0].err, SONDE_E_CANCELLED);
		assert_int_equal(off->x[0].err_off, there);
		assert_int_equal(off->x[0].done, there);
		assert_int_equal(off->x[1].err, SONDE_E_CANCELLED);
		assert_int_equal(off->x[1].err_off, 0);
		assert_int_equal(off->x[1].done, 0);
		fake_close(&off->fake);
		free(off);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_range_is_told_with_its_own_reason),
		cmocka_unit_test(what_the_target_changed_meanwhile_is_told_with_what_stands_there),
		cmocka_unit_test(what_cannot_be_read_again_is_told),
		cmocka_unit_test(unverified_writes_are_not_read_again),
		cmocka_unit_test(pieces_beyond_one_window_are_pieces_all_the_same),
		cmocka_unit_test(what_lies_behind_the_last_address_is_a_hole),
		cmocka_unit_test(what_is_no_request_touches_nothing),
		cmocka_unit_test(a_task_parks_in_it),
		cmocka_unit_test(what_was_not_reached_says_why),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
