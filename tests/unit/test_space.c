/* SPDX-License-Identifier: MIT */
/*
 * Spaces over connectors: the callback contract, cancelling and deadlines, connectors that break
 * their contract, on every way. Bytes in files: test_space_files.c.
 */
#include <pthread.h>
#include <sonde/io.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake.h"
#include "io/loop.h"
#include "space/space.h"
#include "spaces.h"

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

/* ---- arguments -------------------------------------------------------------------------- */

static void bad_pieces_touch_nothing(void **state)
{
	struct fake fake = { 0 };
	uint8_t buf[8] = { 9 };
	static const struct {
		uint32_t len;
		int null;
	} bad[] = { { 0, 0 }, { 0x80000000u, 0 }, { UINT32_MAX, 0 }, { 8, 1 } };

	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		fake_open(&fake, *state, 4096, way);
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			struct sonde_xfer x[2] = { piece(16, buf, 8),
						   piece(0, bad[i].null ? NULL : buf, bad[i].len) };
			struct sonde_io io = { .xfers = x, .n = 2, .done = (sonde_done_fn *)abort };
			assert_int_equal(sonde_space_read(fake.space, x, 2), SONDE_E_BAD_ARG);
			assert_int_equal(sonde_io_submit(fake.space, &io), SONDE_E_BAD_ARG);
			assert_int_equal(x[0].done, 77);
			assert_int_equal(x[0].err, 77);
			assert_int_equal(buf[0], 9);
		}
		struct sonde_xfer x = piece(0, buf, 8);
		struct sonde_io io = { .xfers = &x, .n = 1 };
		assert_int_equal(sonde_io_submit(fake.space, &io), SONDE_E_BAD_ARG);
		io.done = (sonde_done_fn *)abort;
		io.op = 2;
		assert_int_equal(sonde_io_submit(fake.space, &io), SONDE_E_BAD_ARG);
		io.op = 0;
		io.n = 0x80000000u;
		assert_int_equal(sonde_io_submit(fake.space, &io), SONDE_E_BAD_ARG);
		assert_int_equal(sonde_space_read(fake.space, &x, (size_t)0x80000000u),
				 SONDE_E_BAD_ARG);
		assert_int_equal(sonde_space_read(fake.space, &x, (size_t)UINT64_C(0x100000000)),
				 SONDE_E_BAD_ARG);
		assert_int_equal(sonde_space_get(fake.space, 0, buf, 0), SONDE_E_BAD_ARG);
		assert_int_equal(sonde_loop_run(*state), 0);
		fake_close(&fake);
	}
}

static void no_piece_at_all_is_done_at_once(void **state)
{
	struct fake fake = { 0 };

	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		fake_open(&fake, *state, 4096, way);
		assert_int_equal(sonde_space_read(fake.space, NULL, 0), 0);
		fake_close(&fake);
	}
}

/* 2 GiB of addresses that cost 16 MiB of memory: one file, mapped over and over. */
static char *map_long_buffer(size_t len, size_t step)
{
	char *buf = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int fd = memfd_create("long", 0);

	assert_true(buf != MAP_FAILED && fd >= 0 && ftruncate(fd, (off_t)step) == 0);
	for (size_t at = 0; at < len; at += step)
		assert_true(mmap(buf + at, step, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0) != MAP_FAILED);
	close(fd);
	return buf;
}

/* A piece of 2^31 - 1 bytes, the longest there is; most of it a hole. */
static void the_longest_piece_is_mostly_hole(void **state)
{
	size_t len = (size_t)1 << 31;
	char *buf = map_long_buffer(len, (size_t)16 << 20);
	struct fake fake = { 0 };
	struct sonde_xfer x = piece(4096 - 16, buf, 0x7fffffff);

	buf[5000] = 1;
	fake_open(&fake, *state, 4096, SONDE_WAY_EXTENTS);
	assert_int_equal(sonde_space_read(fake.space, &x, 1), 0);
	assert_int_equal(x.done, 16);
	assert_int_equal(x.err, SONDE_E_NOT_MAPPED);
	assert_int_equal(x.err_off, 16);
	assert_int_equal(buf[5000], 0);
	munmap(buf, len);
	fake_close(&fake);
}

/* ---- single values -------------------------------------------------------------------------- */

static void values_are_little_endian_and_kept_on_error(void **state)
{
	struct fake fake = { 0 };
	uint64_t u64 = 5;
	uint32_t u32 = 5;
	uint16_t u16 = 5;
	uint8_t u8 = 5;

	fake_open(&fake, *state, 4096, SONDE_WAY_EXTENTS);
	for (int i = 0; i < 8; i++)
		fake.bytes[i] = (uint8_t)(i + 1);
	assert_int_equal(sonde_space_u64(fake.space, 0, &u64), 0);
	assert_true(u64 == UINT64_C(0x0807060504030201));
	assert_int_equal(sonde_space_u32(fake.space, 0, &u32), 0);
	assert_int_equal(u32, 0x04030201);
	assert_int_equal(sonde_space_u16(fake.space, 0, &u16), 0);
	assert_int_equal(u16, 0x0201);
	assert_int_equal(sonde_space_u8(fake.space, 3, &u8), 0);
	assert_int_equal(u8, 4);
	assert_int_equal(sonde_space_u64(fake.space, 4095, &u64), SONDE_E_NOT_MAPPED);
	assert_true(u64 == UINT64_C(0x0807060504030201));
	assert_int_equal(sonde_space_u8(fake.space, UINT64_MAX, &u8), SONDE_E_NOT_MAPPED);
	assert_int_equal(u8, 4);
	fake_close(&fake);
}

static void strings_end_where_they_should(void **state)
{
	static const struct fake_range bad[] = { { 4096, 4096, SONDE_E_IO } };
	struct fake fake = { .bad = bad, .n_bad = 1 };
	char buf[64];

	fake_open(&fake, *state, 8193, SONDE_WAY_EXTENTS);
	memset(fake.bytes, 'x', 8193);
	strcpy((char *)fake.bytes + 4090, "hello"); /* its end is the page's last byte */
	assert_int_equal(sonde_space_string(fake.space, 4090, buf, sizeof(buf)), 5);
	assert_string_equal(buf, "hello");
	fake.bytes[4095] = 'x';
	assert_int_equal(sonde_space_string(fake.space, 4090, buf, sizeof(buf)), SONDE_E_IO);
	assert_string_equal(buf, "hellox");
	assert_int_equal(sonde_space_string(fake.space, 4090, buf, 3), SONDE_E_LIMIT);
	assert_string_equal(buf, "he");
	assert_int_equal(sonde_space_string(fake.space, 4090, buf, 1), SONDE_E_LIMIT);
	assert_string_equal(buf, "");
	assert_int_equal(sonde_space_string(fake.space, 4090, buf, 0), SONDE_E_BAD_ARG);
	assert_int_equal(sonde_space_string(fake.space, 4096, buf, 64), SONDE_E_IO);
	assert_string_equal(buf, "");
	fake_close(&fake);
}

/* Memory that ends with the address space: a string there must not go on at 0. */
static int high_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct sonde_extent e = { .addr = UINT64_MAX - 15,
				  .len = 16,
				  .kind = SONDE_EXTENT_MEMORY,
				  .flags = SONDE_REGION_READ,
				  .ptr = conn };
	struct sonde_extent zero = { .len = 4096, .kind = SONDE_EXTENT_ZERO };
	int r = fn(user, &e);

	(void)err;
	return r ? r : fn(user, &zero);
}

static void nothing_wraps_to_address_zero(void **state)
{
	char memory[17] = "0123456789abcdef", buf[64];
	struct sonde_space *space = open_extents_of(*state, memory, high_extents);
	struct sonde_xfer x = piece(UINT64_MAX - 3, buf, 8);

	assert_int_equal(sonde_space_read(space, &x, 1), 0);
	assert_int_equal(x.done, 4);
	assert_int_equal(x.err_off, 4);
	assert_int_equal(x.err, SONDE_E_NOT_MAPPED);
	assert_memory_equal(buf, "cdef\0\0\0\0", 8);
	assert_int_equal(sonde_space_string(space, UINT64_MAX - 3, buf, 64), SONDE_E_NOT_MAPPED);
	assert_string_equal(buf, "cdef");
	x = piece(0, "", 1);
	assert_int_equal(sonde_space_write(space, &x, 1), 0);
	assert_int_equal(x.err, SONDE_E_READ_ONLY);
	assert_ptr_equal(sonde_space_borrow(space, UINT64_MAX - 15, 16), memory);
	assert_null(sonde_space_borrow(space, UINT64_MAX - 15, 17));
	assert_null(sonde_space_borrow(space, UINT64_MAX - 15, SIZE_MAX));
	assert_null(sonde_space_borrow(space, 0, 1));
	assert_null(sonde_space_borrow(space, UINT64_MAX, 0));
	sonde_space_close(space);
}

/* ---- the completion contract ------------------------------------------------------------------ */

static void callbacks_come_once_and_from_the_loop(void **state)
{
	static const struct fake_range bad[] = { { 100, 50, SONDE_E_IO } };
	uint8_t buf[512];

	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		struct fake fake = { .bad = bad, .n_bad = 1 };
		struct sonde_xfer x[2] = { piece(0, buf, 256), piece(200, buf + 256, 256) };
		struct watch watch = { .io = { .xfers = x, .n = 2, .fragment = count_fragment } };
		fake_open(&fake, *state, 4096, way);
		assert_int_equal(watch_submit(&watch, fake.space), 0);
		assert_int_equal(watch.io.state, SONDE_IO_QUEUED);
		assert_int_equal(sonde_io_submit(fake.space, &watch.io), SONDE_E_BAD_ARG);
		assert_int_equal(sonde_loop_run(*state), 0);
		assert_int_equal(watch.done, 1);
		assert_int_equal(watch.io.result, 1);
		assert_true(watch.covered == 512);
		assert_int_equal(x[0].done, 206);
		assert_int_equal(x[0].err, SONDE_E_IO);
		assert_int_equal(x[0].err_off, 100);
		is_zero(buf + 100, 50);
		assert_int_equal(buf[150], fake_byte(150));
		/* It is idle again and can be used again. */
		assert_int_equal(watch_submit(&watch, fake.space), 0);
		sonde_loop_run(*state);
		assert_int_equal(watch.done, 1);
		fake_close(&fake);
	}
}

static void resubmit(struct sonde_io *io)
{
	int *left = io->user;

	if (--*left > 0)
		assert_int_equal(sonde_io_submit((*(struct fake **)(left + 2))->space, io), 0);
}

static void done_may_submit_the_same_request(void **state)
{
	struct {
		int left, pad;
		struct fake *fake;
	} chain = { .left = 1000 };
	struct fake fake = { 0 };
	uint8_t byte;
	struct sonde_xfer x = piece(0, &byte, 1);
	struct sonde_io io = { .xfers = &x, .n = 1, .done = resubmit, .user = &chain };

	chain.fake = &fake;
	fake_open(&fake, *state, 4096, SONDE_WAY_TRANSFER);
	assert_int_equal(sonde_io_submit(fake.space, &io), 0);
	assert_int_equal(sonde_loop_run(*state), 0);
	assert_int_equal(chain.left, 0);
	fake_close(&fake);
}

/* A resident space answers in the call even while others wait in its queue, and from a callback. */
static void read_resident(struct sonde_io *io)
{
	struct fake *fake = io->user;
	uint8_t byte = 0;

	assert_int_equal(sonde_space_get(fake->space, 64, &byte, 1), 0);
	assert_int_equal(byte, 4);
	fake->calls++;
}

struct closing {
	struct sonde_io io[70];
	struct sonde_xfer x[70];
	uint8_t got[70];
	struct fake fake;
	int left;
};

static void close_behind_the_last(struct sonde_io *io)
{
	struct closing *c = io->user;

	if (--c->left == 0)
		fake_close(&c->fake);
}

static void the_last_callback_may_close_the_space(void **state)
{
	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		struct closing c = { .left = 70 };
		fake_open(&c.fake, *state, 4096, way);
		for (unsigned i = 0; i < 70; i++) {
			c.x[i] = piece(i * 8, &c.got[i], 1);
			c.io[i] = (struct sonde_io){
				.xfers = &c.x[i], .n = 1, .done = close_behind_the_last, .user = &c
			};
			assert_int_equal(sonde_io_submit(c.fake.space, &c.io[i]), 0);
		}
		assert_int_equal(sonde_loop_run(*state), 0);
		assert_int_equal(c.left, 0);
		for (unsigned i = 0; i < 70; i++)
			assert_int_equal(c.got[i], fake_byte(i * 8));
	}
}

static void resident_spaces_never_wait(void **state)
{
	struct fake fake = { 0 };
	uint8_t byte;
	struct sonde_xfer x = piece(0, &byte, 1);
	struct sonde_io io = { .xfers = &x, .n = 1, .done = read_resident, .user = &fake };

	fake_open(&fake, *state, 4096, SONDE_WAY_EXTENTS);
	assert_int_equal(sonde_io_submit(fake.space, &io), 0);
	assert_int_equal(sonde_space_get(fake.space, 32, &byte, 1), 0);
	assert_int_equal(byte, 2);
	assert_int_equal(io.state, SONDE_IO_QUEUED);
	sonde_loop_run(*state);
	assert_int_equal(fake.calls, 1);
	fake_close(&fake);
}

/* ---- cancel and deadlines ------------------------------------------------------------------------ */

static void a_queued_request_is_cancelled_inside_the_loop(void **state)
{
	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		struct fake fake = { 0 };
		uint8_t buf[32] = { 1 };
		struct sonde_xfer x = piece(0, buf, 32);
		struct watch watch = { .io = { .xfers = &x, .n = 1, .fragment = count_fragment } };
		fake_open(&fake, *state, 4096, way);
		assert_int_equal(sonde_io_cancel(&watch.io), 0);
		watch_submit(&watch, fake.space);
		assert_int_equal(sonde_io_cancel(&watch.io), 1);
		assert_int_equal(watch.done + watch.fragments, 0);
		sonde_loop_run(*state);
		assert_int_equal(watch.done, 1);
		assert_int_equal(watch.fragments, 1);
		assert_int_equal(watch.io.result, SONDE_E_CANCELLED);
		assert_int_equal(x.err, SONDE_E_CANCELLED);
		assert_int_equal(x.done, 0);
		is_zero(buf, 32);
		assert_int_equal(fake.calls, 0);
		assert_int_equal(sonde_io_cancel(&watch.io), 0);
		fake_close(&fake);
	}
}

static void a_deadline_in_the_past_sends_nothing(void **state)
{
	struct fake fake = { 0 };
	uint8_t buf[8];
	struct sonde_xfer x = piece(0, buf, 8);
	struct watch watch = { .io = { .xfers = &x, .n = 1, .deadline_ns = 1 } };

	fake_open(&fake, *state, 4096, SONDE_WAY_TRANSFER);
	watch_submit(&watch, fake.space);
	sonde_loop_run(*state);
	assert_int_equal(watch.io.result, SONDE_E_TIMED_OUT);
	assert_int_equal(x.err, SONDE_E_TIMED_OUT);
	assert_int_equal(fake.calls, 0);
	/* One that is kept leaves no timer behind. */
	watch.io.deadline_ns = UINT64_MAX;
	watch_submit(&watch, fake.space);
	assert_int_equal(sonde_loop_run(*state), 0);
	assert_int_equal(watch.io.result, 1);
	fake_close(&fake);
}

/* ---- asynchronous connectors, good and bad ----------------------------------------------------- */

/* Keeps what it takes; user: how many of a call. The test ends them. */
static struct sonde_io *held[64];
static size_t n_held;

static size_t hold_some(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	size_t take = (size_t)(uintptr_t)fake->user;

	take = take < n ? take : n;
	for (size_t i = 0; i < take; i++)
		held[n_held++] = ios[i];
	return take;
}

static void *end_held(void *arg)
{
	struct fake *fake = arg;

	for (size_t i = n_held; i-- > 0;) {
		fake_serve(fake, held[i]);
		space_host.io_done(held[i]);
	}
	return NULL;
}

static void requests_come_home_from_another_thread(void **state)
{
	enum { N = 40 };
	struct fake fake = { .submit = hold_some, .user = (void *)64 };
	struct sonde_xfer x[N];
	struct watch watches[N] = { 0 };
	uint8_t buf[N][32];
	pthread_t thread;

	fake_open(&fake, *state, 4096, SONDE_WAY_SUBMIT);
	n_held = 0;
	for (int i = 0; i < N; i++) {
		x[i] = piece((uint64_t)i * 64, buf[i], 32);
		watches[i].io = (struct sonde_io){ .xfers = &x[i],
						   .n = 1,
						   .fragment = i % 2 ? count_fragment : NULL };
		watch_submit(&watches[i], fake.space);
	}
	sonde_loop_turn(*state);
	assert_int_equal(n_held, N);
	assert_int_equal(fake.calls, 1);
	pthread_create(&thread, NULL, end_held, &fake);
	sonde_loop_run(*state);
	pthread_join(thread, NULL);
	for (int i = 0; i < N; i++) {
		assert_int_equal(watches[i].done, 1);
		assert_int_equal(watches[i].io.result, 1);
		assert_int_equal(buf[i][31], fake_byte((uint64_t)i * 64 + 31));
		assert_int_equal(watches[i].fragments, i % 2);
	}
	fake_close(&fake);
}

/* Fragments of another thread are seen while the request is still in flight. */
static void *tell_one_fragment(void *arg)
{
	(void)arg;
	memset(held[0]->xfers[0].buf, 5, 8);
	space_host.fragment(held[0], 0, 0, 8, 0);
	return NULL;
}

static void fragments_of_another_thread_are_told_as_they_land(void **state)
{
	struct fake fake = { .submit = hold_some, .user = (void *)64 };
	uint8_t buf[16];
	struct sonde_xfer x = piece(0, buf, 16);
	struct watch watch = { .io = { .xfers = &x, .n = 1, .fragment = count_fragment } };
	pthread_t thread;

	fake_open(&fake, *state, 4096, SONDE_WAY_SUBMIT);
	n_held = 0;
	watch_submit(&watch, fake.space);
	sonde_loop_turn(*state);
	pthread_create(&thread, NULL, tell_one_fragment, NULL);
	while (watch.fragments == 0)
		sonde_loop_wait(*state, UINT64_MAX);
	pthread_join(thread, NULL);
	assert_int_equal(watch.done, 0);
	space_host.fragment(held[0], 0, 8, 8, SONDE_E_IO);
	space_host.io_done(held[0]);
	sonde_loop_run(*state);
	assert_int_equal(watch.done, 1);
	assert_int_equal(x.done, 8);
	assert_int_equal(x.err_off, 8);
	assert_int_equal(buf[0], 5);
	is_zero(buf + 8, 8);
	fake_close(&fake);
}

static void what_was_not_taken_is_offered_again(void **state)
{
	enum { N = 10 };
	struct fake fake = { .submit = hold_some, .user = (void *)3 };
	struct sonde_xfer x[N];
	struct watch watches[N] = { 0 };
	uint8_t buf[N][8];

	fake_open(&fake, *state, 4096, SONDE_WAY_SUBMIT);
	n_held = 0;
	for (int i = 0; i < N; i++) {
		x[i] = piece((uint64_t)i * 16, buf[i], 8);
		watches[i].io = (struct sonde_io){ .xfers = &x[i], .n = 1 };
		watch_submit(&watches[i], fake.space);
	}
	sonde_loop_turn(*state);
	assert_int_equal(n_held, 3);
	/* One cancelled before it was taken is not offered again. */
	assert_int_equal(sonde_io_cancel(&watches[9].io), 1);
	for (size_t i = 0; i < n_held; i++) {
		fake_serve(&fake, held[i]);
		space_host.io_done(held[i]);
	}
	assert_int_equal(n_held, 9);
	sonde_loop_run(*state);
	for (int i = 0; i < 9; i++) {
		assert_int_equal(watches[i].io.result, 1);
		assert_int_equal(buf[i][0], i);
	}
	assert_int_equal(watches[9].io.result, SONDE_E_CANCELLED);
	assert_int_equal(watches[9].done, 1);
	fake_close(&fake);
}

/* Ends at once what it takes, one a call: the core must go on offering. */
static size_t one_at_once(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	(void)n;
	fake_serve(fake, ios[0]);
	space_host.io_done(ios[0]);
	return 1;
}

static size_t take_nothing(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	(void)fake, (void)ios, (void)n;
	return 0;
}

/* Runs n_ios requests of one 16-byte piece; returns the sum of their results. */
static int run_against(struct sonde_loop *loop,
		       size_t (*submit)(struct fake *, struct sonde_io *const *, size_t), int n_ios,
		       sonde_fragment_fn *fragment, struct sonde_xfer *x, uint8_t (*buf)[16])
{
	struct fake fake = { .submit = submit };
	struct watch *watches = calloc((size_t)n_ios, sizeof(*watches));
	int sum = 0;

	fake_open(&fake, loop, 4096, SONDE_WAY_SUBMIT);
	for (int i = 0; i < n_ios; i++) {
		memset(buf[i], 0xee, 16);
		x[i] = piece((uint64_t)i * 16, buf[i], 16);
		watches[i].io = (struct sonde_io){ .xfers = &x[i], .n = 1, .fragment = fragment };
		watch_submit(&watches[i], fake.space);
	}
	sonde_loop_run(loop);
	for (int i = 0; i < n_ios; i++) {
		assert_int_equal(watches[i].done, 1);
		sum += watches[i].io.result;
	}
	free(watches);
	fake_close(&fake);
	return sum;
}

static void one_that_ends_each_at_once_is_offered_all(void **state)
{
	struct sonde_xfer x[100];
	uint8_t buf[100][16];

	assert_int_equal(run_against(*state, one_at_once, 100, NULL, x, buf), 100);
	assert_int_equal(buf[99][0], 99);
}

static void one_that_takes_nothing_fails_them(void **state)
{
	struct sonde_xfer x[3];
	uint8_t buf[3][16];

	assert_int_equal(run_against(*state, take_nothing, 3, NULL, x, buf), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(x[i].err, SONDE_E_IO);
		is_zero(buf[i], 16);
	}
}

/* Each breaks the rule about stretches in one way. */
static size_t drop_half(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	(void)fake;
	for (size_t i = 0; i < n; i++) {
		sonde_progress(&space_host, ios[i], 0, 0, 8, 0);
		space_host.io_done(ios[i]);
	}
	return n;
}

static size_t tell_twice(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		fake_serve(fake, ios[i]);
		fake_serve(fake, ios[i]);
		space_host.io_done(ios[i]);
	}
	return n;
}

static size_t tell_outside(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	static const uint32_t bad[][2] = {
		{ 0, 17 }, { 16, 1 }, { 17, 0 }, { 8, UINT32_MAX }, { UINT32_MAX, 8 }
	};

	(void)fake;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < 5; k++) {
			sonde_progress(&space_host, ios[i], 0, bad[k][0], bad[k][1], 0);
			sonde_progress(&space_host, ios[i], 0, bad[k][0], bad[k][1], SONDE_E_GONE);
		}
		if (ios[i]->fragment)
			space_host.fragment(ios[i], 1, 0, 16, 0);
		space_host.io_done(ios[i]);
	}
	return n;
}

static void a_broken_connector_never_succeeds(void **state)
{
	size_t (*const broken[])(struct fake *, struct sonde_io *const *,
				 size_t) = { drop_half, tell_twice, tell_outside };
	struct sonde_xfer x[4];
	uint8_t buf[4][16];

	for (size_t b = 0; b < 3; b++) {
		for (int watched = 0; watched < 2; watched++) {
			sonde_fragment_fn *fragment = watched ? count_fragment : NULL;
			assert_int_equal(run_against(*state, broken[b], 4, fragment, x, buf), 0);
			for (int i = 0; i < 4; i++) {
				assert_int_equal(x[i].err, SONDE_E_IO);
				assert_int_equal(x[i].err_off, 0);
				assert_int_equal(x[i].done, 0);
				is_zero(buf[i], 16);
			}
		}
	}
}

static void a_connector_with_no_way_is_refused(void **state)
{
	struct sonde_connector_ops ops = { .size = sizeof(ops), .close = fake_conn_close };
	struct sonde_space *space = NULL;
	struct sonde_error err = { 0 };

	assert_int_equal(space_from_connector(*state, &ops, NULL, &space, &err),
			 SONDE_E_UNSUPPORTED);
	assert_null(space);
	assert_true(err.text[0]);
}

/* ---- regions --------------------------------------------------------------------------------------- */

static int sum_regions(void *user, const struct sonde_region *region)
{
	uint64_t *sum = user;

	*sum += region->len;
	return region->addr == 64 ? 5 : 0;
}

static void regions_are_the_extents_that_are_there(void **state)
{
	static const struct fake_range bad[] = { { 32, 32, SONDE_E_NOT_SAVED } };
	struct fake fake = { .bad = bad, .n_bad = 1 };
	uint64_t sum = 0;

	fake_open(&fake, *state, 4096, SONDE_WAY_EXTENTS);
	assert_int_equal(sonde_space_regions(fake.space, sum_regions, &sum), 5);
	assert_true(sum == 4096 - 32);
	fake_close(&fake);
	fake_open(&fake, *state, 4096, SONDE_WAY_TRANSFER);
	assert_int_equal(sonde_space_regions(fake.space, sum_regions, &sum), SONDE_E_UNSUPPORTED);
	fake_close(&fake);
}

static int all_addresses(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	const struct sonde_extent low = {
		.len = 4096, .kind = SONDE_EXTENT_MEMORY, .flags = SONDE_REGION_READ, .ptr = conn
	};
	const struct sonde_extent rest = { .addr = 4096,
					   .len = UINT64_MAX - 4095,
					   .kind = SONDE_EXTENT_ZERO,
					   .flags = SONDE_REGION_READ };
	int r = fn(user, &low);

	(void)err;
	return r ? r : fn(user, &rest);
}

static void all_addresses_are_a_region(void **state)
{
	static const struct sonde_connector_ops ops = { .size = sizeof(ops),
							.close = fake_conn_close,
							.info = fake_info,
							.extents = all_addresses };
	static uint8_t bytes[4096];
	struct sonde_space *space;
	uint64_t sum = 0;

	assert_int_equal(space_from_connector(*state, &ops, bytes, &space, NULL), 0);
	assert_int_equal(sonde_space_regions(space, sum_regions, &sum), 0);
	assert_true(sum == UINT64_MAX);
	sonde_space_close(space);
}

static void counts_are_kept(void **state)
{
	struct fake fake = { 0 };
	uint8_t buf[64];
	struct sonde_xfer x[3] = { piece(0, buf, 10), piece(100, buf + 10, 20),
				   piece(5000, buf, 5) };
	struct sonde_space_stats stats;

	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		fake_open(&fake, *state, 4096, way);
		sonde_space_read(fake.space, x, 3);
		sonde_space_stats(fake.space, &stats);
		assert_int_equal(stats.trips, 1);
		assert_int_equal(stats.pieces, 3);
		assert_int_equal(stats.bytes, 35);
		assert_int_equal(stats.failed, 1);
		fake_close(&fake);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(bad_pieces_touch_nothing),
		TEST(no_piece_at_all_is_done_at_once),
		TEST(the_longest_piece_is_mostly_hole),
		TEST(values_are_little_endian_and_kept_on_error),
		TEST(strings_end_where_they_should),
		TEST(nothing_wraps_to_address_zero),
		TEST(callbacks_come_once_and_from_the_loop),
		TEST(done_may_submit_the_same_request),
		TEST(the_last_callback_may_close_the_space),
		TEST(resident_spaces_never_wait),
		TEST(a_queued_request_is_cancelled_inside_the_loop),
		TEST(a_deadline_in_the_past_sends_nothing),
		TEST(requests_come_home_from_another_thread),
		TEST(fragments_of_another_thread_are_told_as_they_land),
		TEST(what_was_not_taken_is_offered_again),
		TEST(one_that_ends_each_at_once_is_offered_all),
		TEST(one_that_takes_nothing_fails_them),
		TEST(a_broken_connector_never_succeeds),
		TEST(a_connector_with_no_way_is_refused),
		TEST(regions_are_the_extents_that_are_there),
		TEST(all_addresses_are_a_region),
		TEST(counts_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
