/* SPDX-License-Identifier: MIT */
/*
 * Spaces made of stretches of others: cutting, holes, ends of the address space, outcomes byte by byte,
 * over memory and over a connector that answers later; cancelling; nothing allocated once it runs.
 */
#include <sonde/io.h>

#include "base/mem.h"
#include "fake.h"
#include "io/loop.h"
#include "space/space.h"

/* ---- memory, counted and refused at will: in the place of base/mem_libc.c ------------------- */

static size_t n_allocs;
static long refuse_after = -1; /* allocations that still succeed; below 0: all */

static bool refused(void)
{
	n_allocs++;
	return refuse_after >= 0 && refuse_after-- == 0;
}

void *mem_alloc(size_t n, size_t size)
{
	return refused() ? NULL : calloc(n, size);
}

void *mem_resize(void *p, size_t n, size_t size)
{
	return refused() ? NULL : realloc(p, n * size);
}

void mem_release(void *p)
{
	free(p);
}

/* ---- the world: two memories, the second answers as the test wants --------------------------- */

#define MEM UINT64_C(0x10000)

struct world {
	struct sonde_loop *loop;
	struct fake a, b;
	struct fake_range bad;
	struct sonde_io *held[512]; /* submit way: what b has and has not ended */
	size_t n_held, n_cancelled;
	struct sonde_space *space;
};

static size_t hold(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	struct world *w = fake->user;

	for (size_t i = 0; i < n; i++)
		w->held[w->n_held++] = ios[i];
	return n;
}

static void let_go(struct world *w)
{
	size_t n = w->n_held;
	struct sonde_io *held[512];

	memcpy(held, w->held, sizeof(held));
	w->n_held = 0;
	for (size_t i = n; i-- > 0;) { /* the last first */
		fake_serve(&w->b, held[i]);
		space_host.io_done(held[i]);
	}
}

static void open_world(struct world *w, uint32_t way)
{
	memset(w, 0, sizeof(*w));
	w->loop = loop_new(SONDE_ENGINE_SYNC, 0);
	w->bad = (struct fake_range){ 0x2100, 0x80, SONDE_E_PAGED_OUT };
	w->a.bad = &w->bad;
	w->a.n_bad = 1;
	w->b.user = w;
	fake_open(&w->a, w->loop, MEM, SONDE_WAY_EXTENTS);
	fake_open(&w->b, w->loop, MEM, way);
	for (uint64_t i = 0; i < MEM; i++)
		w->b.bytes[i] = (uint8_t)(i / 16 + 128);
}

static void close_world(struct world *w)
{
	sonde_space_close(w->space);
	fake_close(&w->a);
	fake_close(&w->b);
	sonde_loop_destroy(w->loop);
}

/* b, a hole, a in reverse pages, the end of all addresses. */
static void make(struct world *w)
{
	struct sonde_stretch s[] = {
		{ 0x3000, 0x1000, w->a.space, 0x2000 },
		{ 0x0800, 0x0800, w->b.space, 0xf900 }, /* its end is a hole below */
		{ 0x4000, 0x1000, w->a.space, 0x1000 },
		{ 0x5000, 0x1000, w->b.space, 0x1000 },
		{ 0x6000, 0x1000, w->b.space, 0x2000 },
		{ UINT64_MAX - 0xff, 0x100, w->a.space, 0 },
	};

	assert_int_equal(sonde_space_remap(w->loop, s, 6, &w->space), 0);
}

/* What stands at addr; the code of reading it where nothing does. */
static int32_t truth(const struct world *w, uint64_t addr, uint8_t *ret)
{
	uint64_t at;

	if (addr >= UINT64_MAX - 0xff) {
		*ret = w->a.bytes[addr - (UINT64_MAX - 0xff)];
		return 0;
	}
	if (addr >= 0x3000 && addr < 0x5000) {
		at = addr < 0x4000 ? addr - 0x1000 : addr - 0x3000;
		*ret = w->a.bytes[at];
		return at >= 0x2100 && at < 0x2180 ? SONDE_E_PAGED_OUT : 0;
	}
	at = addr >= 0x5000 && addr < 0x7000   ? addr - 0x4000
	     : addr >= 0x0800 && addr < 0x1000 ? addr + 0xf100
					       : MEM;
	*ret = at < MEM ? w->b.bytes[at] : 0;
	return at < MEM ? 0 : SONDE_E_NOT_MAPPED;
}

static void check(const struct world *w, const struct sonde_xfer *x)
{
	uint32_t done = 0, first = x->len;
	int32_t err = 0;

	for (uint32_t i = 0; i < x->len; i++) {
		uint8_t want = 0, got = ((uint8_t *)x->buf)[i];
		int32_t one =
			x->addr + i < x->addr ? SONDE_E_NOT_MAPPED : truth(w, x->addr + i, &want);
		want = one ? 0 : want;
		if (got != want)
			fail_msg("at 0x%llx+%u: got %u, want %u", (unsigned long long)x->addr, i,
				 got, want);
		done += one == 0;
		if (one && !err) {
			err = one;
			first = i;
		}
	}
	assert_int_equal(x->done, done);
	assert_int_equal(x->err, err);
	assert_int_equal(x->err_off, first);
}

static const struct {
	uint64_t addr;
	uint32_t len;
} pieces[] = {
	{ 0x3000, 8 },
	{ 0x0800, 16 },
	{ 0x0efc, 8 },
	{ 0x0fff, 2 },
	{ 0x3ff8, 16 },
	{ 0x4ff0, 0x1020 },
	{ 0x0000, 0x8000 },
	{ 0x30f0, 0x200 },
	{ 0x7000, 4 },
	{ UINT64_MAX, 1 },
	{ UINT64_MAX - 3, 8 },
	{ 0x5fff, 2 },
	{ 0x8000, 0x1000 },
	{ UINT64_MAX - 0xff, 16 },
	{ UINT64_MAX - 0x1ff, 0x200 },
};
enum { N_PIECES = sizeof(pieces) / sizeof(pieces[0]) };

static struct sonde_xfer xfers[N_PIECES];

static void make_pieces(uint8_t *bytes)
{
	for (uint32_t i = 0; i < N_PIECES; i++)
		xfers[i] = (struct sonde_xfer){ .addr = pieces[i].addr,
						.len = pieces[i].len,
						.buf = memset(bytes + i * 0x8000, 0xee, 0x8000) };
}

static void every_byte_comes_from_its_stretch(void **state)
{
	uint8_t *bytes = malloc(N_PIECES * 0x8000);

	(void)state;
	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		struct world w;
		open_world(&w, way);
		make(&w);
		make_pieces(bytes);
		sonde_space_read(w.space, xfers, N_PIECES);
		for (uint32_t i = 0; i < N_PIECES; i++) {
			assert_true(xfers[i].addr == pieces[i].addr);
			check(&w, &xfers[i]);
		}
		for (uint32_t i = 0; i < N_PIECES; i++) { /* each alone, too */
			make_pieces(bytes);
			sonde_space_read(w.space, &xfers[i], 1);
			check(&w, &xfers[i]);
		}
		close_world(&w);
	}
	free(bytes);
}

static uint32_t told[N_PIECES];

static void tell(struct sonde_io *io, const struct sonde_fragment *f)
{
	assert_true(io->xfers[f->piece].addr == pieces[f->piece].addr);
	told[f->piece] += f->len;
}

static int n_done;

static void done(struct sonde_io *io)
{
	(void)io;
	n_done++;
}

static void watchers_hear_of_every_byte_once(void **state)
{
	uint8_t *bytes = malloc(N_PIECES * 0x8000);

	(void)state;
	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		struct world w;
		struct sonde_io io = {
			.xfers = xfers, .n = N_PIECES, .done = done, .fragment = tell
		};
		open_world(&w, way);
		make(&w);
		make_pieces(bytes);
		memset(told, 0, sizeof(told));
		n_done = 0;
		assert_int_equal(sonde_io_submit(w.space, &io), 0);
		sonde_loop_run(w.loop);
		assert_int_equal(n_done, 1);
		for (uint32_t i = 0; i < N_PIECES; i++) {
			assert_int_equal(told[i], xfers[i].len);
			check(&w, &xfers[i]);
		}
		close_world(&w);
	}
	free(bytes);
}

static void writes_go_where_reads_come_from(void **state)
{
	(void)state;
	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		struct world w;
		uint8_t bytes[0x20];
		struct sonde_xfer x[2] = { { 0x4ff0, bytes, 0x20, 0, 0, 0 },
					   { 0x2ff0, bytes, 0x20, 0, 0, 0 } };
		open_world(&w, way);
		make(&w);
		memset(bytes, 0x77, sizeof(bytes));
		assert_int_equal(sonde_space_write(w.space, x, 2), 1);
		assert_int_equal(w.a.bytes[0x1ff0], 0x77);
		assert_int_equal(w.a.bytes[0x1fff], 0x77);
		assert_int_equal(w.b.bytes[0x1000], 0x77);
		assert_int_equal(w.b.bytes[0x100f], 0x77);
		assert_int_not_equal(w.b.bytes[0x1010], 0x77);
		assert_int_equal(x[1].err, SONDE_E_NOT_MAPPED);
		assert_int_equal(x[1].err_off, 0);
		assert_int_equal(x[1].done, 0x10);
		assert_int_equal(w.a.bytes[0x200f], 0x77);
		close_world(&w);
	}
}

static void stretches_that_make_no_sense_are_refused(void **state)
{
	struct world w;
	struct sonde_space *other = NULL;

	(void)state;
	open_world(&w, SONDE_WAY_EXTENTS);
	make(&w);
	struct sonde_stretch bad[][2] = {
		{ { 0, 0, w.a.space, 0 }, { 16, 1, w.a.space, 0 } },
		{ { 8, UINT64_MAX, w.a.space, 0 }, { 1, 1, w.a.space, 0 } },
		{ { 8, 16, w.a.space, UINT64_MAX - 14 }, { 1, 1, w.a.space, 0 } },
		{ { 0, 16, NULL, 0 }, { 16, 1, w.a.space, 0 } },
		{ { 0, 17, w.a.space, 0 }, { 16, 1, w.a.space, 0 } },
		{ { 16, 1, w.a.space, 0 }, { 0, UINT64_MAX, w.a.space, 0 } },
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(sonde_space_remap(w.loop, bad[i], 2, &other), SONDE_E_BAD_ARG);
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);
	assert_int_equal(sonde_space_remap(loop, &bad[0][1], 1, &other), SONDE_E_BAD_ARG);
	sonde_loop_destroy(loop);
	assert_int_equal(sonde_space_remap(w.loop, bad[0], (1u << 20) + 1, &other), SONDE_E_LIMIT);
	assert_int_equal(sonde_space_remap(w.loop, NULL, 1, &other), SONDE_E_BAD_ARG);
	assert_null(other);
	close_world(&w);
}

/* The guide's last step goes on behind it, and so does the memory below. */
static void behind_the_last_stretch_is_a_hole(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, SONDE_WAY_EXTENTS);
	struct sonde_stretch s[] = { { 0, 0x1000, w.b.space, 0 },
				     { 0x4000, 0x10, w.b.space, 0x4000 } };
	assert_int_equal(sonde_space_remap(w.loop, s, 2, &w.space), 0);
	for (uint64_t addr = 0x4010; addr < 0x8000; addr += 0x3f0) {
		uint8_t byte = 0xee;
		assert_int_equal(sonde_space_get(w.space, addr, &byte, 1), SONDE_E_NOT_MAPPED);
		assert_int_equal(byte, 0);
		assert_null(sonde_space_borrow(w.space, addr, 1));
	}
	close_world(&w);
}

static void a_space_of_nothing_is_one_hole(void **state)
{
	struct world w;
	uint8_t byte = 1;

	(void)state;
	open_world(&w, SONDE_WAY_EXTENTS);
	assert_int_equal(sonde_space_remap(w.loop, NULL, 0, &w.space), 0);
	assert_int_equal(sonde_space_get(w.space, 0, &byte, 1), SONDE_E_NOT_MAPPED);
	assert_int_equal(sonde_space_get(w.space, UINT64_MAX, &byte, 1), SONDE_E_NOT_MAPPED);
	assert_null(sonde_space_borrow(w.space, 0, 1));
	close_world(&w);
}

/* Two pages whose bytes cross the end of the address space below stay two. */
static void all_of_the_address_space_can_be_mapped(void **state)
{
	struct world w;
	uint8_t bytes[4];
	struct sonde_stretch s[] = { { 0, UINT64_MAX, NULL, 0 } };
	/* One stretch of 2^64 bytes, which no length can tell. */
	struct sonde_stretch whole[] = { { 0, UINT64_MAX, NULL, 0 },
					 { UINT64_MAX, 1, NULL, UINT64_MAX } };
	struct sonde_space *clone;
	struct sonde_stretch two[] = { { 0, 0x1000, NULL, UINT64_MAX - 0xfff },
				       { 0x1000, 0x1000, NULL, 0 } };

	(void)state;
	open_world(&w, SONDE_WAY_EXTENTS);
	s[0].space = two[0].space = two[1].space = w.a.space;
	whole[0].space = whole[1].space = w.a.space;
	assert_int_equal(sonde_space_remap(w.loop, s, 1, &w.space), 0);
	assert_int_equal(sonde_space_get(w.space, MEM - 4, bytes, 4), 0);
	assert_int_equal(bytes[3], fake_byte(MEM - 1));
	assert_int_equal(sonde_space_get(w.space, UINT64_MAX, bytes, 1), SONDE_E_NOT_MAPPED);
	sonde_space_close(w.space);
	assert_int_equal(sonde_space_remap(w.loop, whole, 2, &w.space), 0);
	assert_int_equal(sonde_space_clone(w.space, w.loop, &clone, NULL), 0);
	assert_int_equal(sonde_space_get(clone, MEM - 4, bytes, 4), 0);
	assert_int_equal(bytes[3], fake_byte(MEM - 1));
	sonde_space_close(clone);
	sonde_space_close(w.space);
	assert_int_equal(sonde_space_remap(w.loop, two, 2, &w.space), 0);
	struct sonde_xfer x = { 0xffe, bytes, 4, 0, 0, 0 };
	sonde_space_read(w.space, &x, 1);
	assert_int_equal(x.done, 2);
	assert_int_equal(x.err_off, 0);
	assert_int_equal(bytes[2], fake_byte(0));
	close_world(&w);
}

static void many_stretches_are_found_each(void **state)
{
	enum { N = 5000 };
	static struct sonde_stretch s[N];
	struct world w;
	uint64_t at = 3;

	(void)state;
	open_world(&w, SONDE_WAY_EXTENTS);
	srand(7);
	for (uint32_t i = 0; i < N; i++) {
		uint64_t len = 1 + (uint64_t)rand() % (i % 50 == 0 ? 4096 : 7);
		s[i] = (struct sonde_stretch){ at, len, w.b.space, (uint64_t)rand() % 0x8000 };
		at += len + (uint64_t)rand() % (i % 100 == 0 ? 1000000 : 3);
	}
	for (uint32_t i = 0; i < N; i++) { /* told in any order */
		uint32_t k = (uint32_t)rand() % N;
		struct sonde_stretch t = s[i];
		s[i] = s[k];
		s[k] = t;
	}
	assert_int_equal(sonde_space_remap(w.loop, s, N, &w.space), 0);
	for (uint32_t i = 0; i < N; i++) {
		uint8_t first, last;
		assert_int_equal(sonde_space_get(w.space, s[i].addr, &first, 1), 0);
		assert_int_equal(sonde_space_get(w.space, s[i].addr + s[i].len - 1, &last, 1), 0);
		assert_int_equal(first, w.b.bytes[s[i].at]);
		assert_int_equal(last, w.b.bytes[s[i].at + s[i].len - 1]);
	}
	assert_int_equal(sonde_space_get(w.space, 2, s, 1), SONDE_E_NOT_MAPPED);
	assert_int_equal(sonde_space_get(w.space, at + 1000000, s, 1), SONDE_E_NOT_MAPPED);
	close_world(&w);
}

static void a_batch_stays_one_below(void **state)
{
	enum { N = 9000 };
	static struct sonde_xfer many[N];
	static uint8_t bytes[N];
	struct world w;

	(void)state;
	open_world(&w, SONDE_WAY_TRANSFER);
	make(&w);
	for (uint32_t i = 0; i < N; i++)
		many[i] = (struct sonde_xfer){ .addr = 0x5000 + i % 0x2000,
					       .buf = &bytes[i],
					       .len = 1 };
	assert_int_equal(sonde_space_read(w.space, many, N), N);
	assert_int_equal(w.b.calls, 1);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(bytes[i], w.b.bytes[0x1000 + i % 0x2000]);
	close_world(&w);
}

/* More than all operations hold: what is left goes when some are back. */
static void a_huge_batch_goes_in_steps(void **state)
{
	enum { N = 40000 };
	struct sonde_xfer *many = calloc(N, sizeof(*many));
	uint8_t *bytes = malloc(N);
	struct world w;

	(void)state;
	open_world(&w, SONDE_WAY_SUBMIT);
	make(&w);
	w.b.submit = hold;
	for (uint32_t i = 0; i < N; i++)
		many[i] =
			(struct sonde_xfer){ .addr = i % 3 ? 0x5000 + i % 0x2000 : 0x3000 + i % 256,
					     .buf = &bytes[i],
					     .len = 1 };
	struct sonde_io io = { .xfers = many, .n = N, .done = done };
	n_done = 0;
	assert_int_equal(sonde_io_submit(w.space, &io), 0);
	while (!n_done) {
		sonde_loop_turn(w.loop);
		assert_true(w.n_held <= 256);
		let_go(&w);
	}
	assert_int_equal(io.result, N);
	for (uint32_t i = 0; i < N; i++)
		check(&w, &many[i]);
	close_world(&w);
	free(many);
	free(bytes);
}

static void nothing_is_allocated_once_it_runs(void **state)
{
	(void)state;
	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		static uint8_t bytes[N_PIECES * 0x8000];
		struct world w;
		open_world(&w, way);
		make(&w);
		make_pieces(bytes);
		sonde_space_read(w.space, xfers, N_PIECES);
		size_t before = n_allocs;
		for (int i = 0; i < 100; i++)
			sonde_space_read(w.space, xfers, N_PIECES);
		assert_int_equal(n_allocs, before);
		close_world(&w);
	}
}

static void without_memory_there_is_no_space_but_never_a_wrong_one(void **state)
{
	static uint8_t bytes[N_PIECES * 0x8000];
	struct world w;
	int r = SONDE_E_NO_MEMORY;

	(void)state;
	open_world(&w, SONDE_WAY_SUBMIT);
	struct sonde_stretch s = { 0, MEM, w.b.space, 0 };
	for (long n = 0; r == SONDE_E_NO_MEMORY; n++) {
		refuse_after = n;
		r = sonde_space_remap(w.loop, &s, 1, &w.space);
		refuse_after = -1;
		assert_true(n < 20);
	}
	assert_int_equal(r, 0);
	sonde_space_close(w.space);
	make(&w);
	make_pieces(bytes);
	refuse_after = 0; /* the one operation it began with has to do */
	sonde_space_read(w.space, xfers, N_PIECES);
	refuse_after = -1;
	for (uint32_t i = 0; i < N_PIECES; i++)
		check(&w, &xfers[i]);
	close_world(&w);
}

/* ---- cancelling ------------------------------------------------------------------------------ */

static void give_up(void *conn, struct sonde_io *io, int32_t why)
{
	struct fake *fake = conn;
	struct world *w = fake->user;

	(void)why;
	for (size_t i = 0; i < w->n_held; i++) {
		if (w->held[i] == io) {
			w->held[i] = w->held[--w->n_held];
			w->n_cancelled++;
			space_host.io_done(io);
			return;
		}
	}
}

static void open_cancelling(struct world *w)
{
	struct sonde_connector_ops ops = { .size = sizeof(ops),
					   .close = fake_conn_close,
					   .info = fake_info,
					   .submit = fake_submit,
					   .cancel = give_up };

	open_world(w, SONDE_WAY_SUBMIT);
	sonde_space_close(w->b.space);
	assert_int_equal(space_from_connector(w->loop, &ops, &w->b, &w->b.space, NULL), 0);
	w->b.submit = hold;
	make(w);
}

static void an_end_asked_for_reaches_the_connector(void **state)
{
	struct world w;
	uint8_t bytes[0x3000];
	struct sonde_xfer x = { 0x4000, bytes, sizeof(bytes), 0, 0, 0 };
	struct sonde_io io = { .xfers = &x, .n = 1, .done = done };

	(void)state;
	for (int timed = 0; timed < 2; timed++) {
		open_cancelling(&w);
		memset(bytes, 0xee, sizeof(bytes));
		n_done = 0;
		io.deadline_ns = timed ? sonde_now_ns() + 1000000 : 0;
		assert_int_equal(sonde_io_submit(w.space, &io), 0);
		while (!w.n_held)
			sonde_loop_turn(w.loop);
		if (!timed)
			assert_int_equal(sonde_io_cancel(&io), 1);
		assert_int_equal(n_done, 0);
		sonde_loop_run(w.loop);
		assert_int_equal(n_done, 1);
		assert_int_equal(w.n_cancelled, 1);
		assert_int_equal(io.result, timed ? SONDE_E_TIMED_OUT : SONDE_E_CANCELLED);
		assert_int_equal(x.err, io.result);
		assert_int_equal(x.err_off, 0x1000);
		assert_int_equal(x.done, 0x1000); /* what lay in memory has come */
		assert_int_equal(bytes[0xfff], fake_byte(0x1fff));
		assert_int_equal(bytes[0x1000], 0);
		close_world(&w);
	}
}

static void who_shares_a_trip_is_not_cancelled_with_it(void **state)
{
	struct world w;
	uint8_t bytes[2] = { 0xee, 0xee };
	struct sonde_xfer x[2] = { { 0x5000, &bytes[0], 1, 0, 0, 0 },
				   { 0x5010, &bytes[1], 1, 0, 0, 0 } };
	struct sonde_io ios[2] = { { .xfers = &x[0], .n = 1, .done = done },
				   { .xfers = &x[1], .n = 1, .done = done } };

	(void)state;
	open_cancelling(&w);
	n_done = 0;
	sonde_io_submit(w.space, &ios[0]);
	sonde_io_submit(w.space, &ios[1]);
	while (!w.n_held)
		sonde_loop_turn(w.loop);
	sonde_io_cancel(&ios[0]);
	for (int i = 0; i < 10; i++)
		sonde_loop_turn(w.loop);
	assert_int_equal(w.n_cancelled, 0);
	assert_int_equal(w.n_held, 1);
	let_go(&w);
	sonde_loop_run(w.loop);
	assert_int_equal(n_done, 2);
	assert_int_equal(ios[1].result, 1);
	assert_int_equal(bytes[1], w.b.bytes[0x1010]);
	close_world(&w);
}

static void hear(struct sonde_io *io, const struct sonde_fragment *f)
{
	assert_int_equal(f->err, io->xfers->err);
}

static void who_shares_a_trip_ends_with_a_code_of_its_own(void **state)
{
	struct world w;
	uint8_t bytes[2];
	struct sonde_xfer x[2] = { { 0x5000, &bytes[0], 1, 0, 0, 0 },
				   { 0x5010, &bytes[1], 1, 0, 0, 0 } };
	struct sonde_io ios[2] = { { .xfers = &x[0], .n = 1, .done = done },
				   { .xfers = &x[1], .n = 1, .done = done } };

	(void)state;
	for (int watched = 0; watched < 2; watched++) {
		open_cancelling(&w);
		for (int i = 0; i < 2; i++) {
			ios[i].fragment = watched ? hear : NULL;
			assert_int_equal(sonde_io_submit(w.space, &ios[i]), 0);
		}
		while (!w.n_held)
			sonde_loop_turn(w.loop);
		assert_int_equal(space_stop(&ios[0], SONDE_E_TIMED_OUT), 1);
		assert_int_equal(sonde_io_cancel(&ios[1]), 1);
		sonde_loop_run(w.loop);
		assert_int_equal(w.n_cancelled, 1);
		assert_int_equal(x[0].err, SONDE_E_TIMED_OUT);
		assert_int_equal(x[1].err, SONDE_E_CANCELLED);
		close_world(&w);
	}
}

static void what_waits_for_room_ends_at_once(void **state)
{
	enum { N = 30000 };
	struct sonde_xfer *many = calloc(N, sizeof(*many)), one;
	uint8_t *bytes = malloc(N), byte = 0xee;
	struct world w;

	(void)state;
	open_cancelling(&w);
	for (uint32_t i = 0; i < N; i++)
		many[i] = (struct sonde_xfer){ .addr = 0x5000, .buf = &bytes[i], .len = 1 };
	one = (struct sonde_xfer){ .addr = 0x6000, .buf = &byte, .len = 1 };
	struct sonde_io all = { .xfers = many, .n = N, .done = done };
	struct sonde_io last = { .xfers = &one, .n = 1, .done = done };
	n_done = 0;
	sonde_io_submit(w.space, &all);
	sonde_io_submit(w.space, &last);
	while (!w.n_held)
		sonde_loop_turn(w.loop);
	sonde_io_cancel(&last);
	while (!n_done)
		sonde_loop_turn(w.loop);
	assert_int_equal(last.result, SONDE_E_CANCELLED);
	assert_int_equal(one.err, SONDE_E_CANCELLED);
	assert_int_equal(byte, 0);
	sonde_io_cancel(&all);
	sonde_loop_run(w.loop);
	assert_int_equal(n_done, 2);
	assert_int_equal(all.result, SONDE_E_CANCELLED);
	for (uint32_t i = 0; i < N; i++)
		assert_true(many[i].err == SONDE_E_CANCELLED && bytes[i] == 0);
	close_world(&w);
	free(many);
	free(bytes);
}

/* ---- what else a space can tell ------------------------------------------------------------ */

struct seen {
	struct sonde_region at[8];
	size_t n, stop_at;
};

static int see(void *user, const struct sonde_region *region)
{
	struct seen *seen = user;

	assert_true(seen->n < 8);
	seen->at[seen->n++] = *region;
	return seen->n == seen->stop_at ? 1 : 0;
}

static void regions_are_those_below_as_far_as_they_are_mapped(void **state)
{
	static const struct {
		uint64_t addr, len;
	} want[] = {
		{ 0x800, 0x700 },   { 0x3000, 0x100 },  { 0x3180, 0xe80 },
		{ 0x4000, 0x1000 }, { 0x5000, 0x2000 }, { UINT64_MAX - 0xff, 0x100 },
	};
	struct world w;
	struct seen seen = { .n = 0 };

	(void)state;
	open_world(&w, SONDE_WAY_EXTENTS);
	make(&w);
	assert_int_equal(sonde_space_regions(w.space, see, &seen), 0);
	assert_int_equal(seen.n, sizeof(want) / sizeof(want[0]));
	for (size_t i = 0; i < seen.n; i++) {
		assert_true(seen.at[i].addr == want[i].addr);
		assert_true(seen.at[i].len == want[i].len);
	}
	seen = (struct seen){ .stop_at = 2 };
	assert_int_equal(sonde_space_regions(w.space, see, &seen), 1);
	assert_int_equal(seen.n, 2);
	close_world(&w);
	/* A connector that cannot tell: the stretches themselves. */
	open_world(&w, SONDE_WAY_SUBMIT);
	make(&w);
	seen = (struct seen){ .n = 0 };
	assert_int_equal(sonde_space_regions(w.space, see, &seen), 0);
	assert_int_equal(seen.n, 6);
	assert_true(seen.at[0].addr == 0x800 && seen.at[0].len == 0x800);
	close_world(&w);
}

static void memory_is_lent_where_it_lies_in_one_stretch(void **state)
{
	struct world w;

	(void)state;
	open_world(&w, SONDE_WAY_SUBMIT);
	make(&w);
	assert_ptr_equal(sonde_space_borrow(w.space, 0x4010, 0xff0), w.a.bytes + 0x1010);
	assert_null(sonde_space_borrow(w.space, 0x4010, 0xff1));
	assert_null(sonde_space_borrow(w.space, 0x3080, 0x200)); /* a hole below */
	assert_null(sonde_space_borrow(w.space, 0x5000, 1));     /* not memory   */
	assert_null(sonde_space_borrow(w.space, 0x7000, 1));
	sonde_space_trim(w.space);
	sonde_space_invalidate(w.space);
	close_world(&w);
}

static void spaces_of_spaces_of_spaces(void **state)
{
	struct world w;
	struct sonde_space *upper;
	uint8_t byte;

	(void)state;
	open_world(&w, SONDE_WAY_SUBMIT);
	make(&w);
	struct sonde_stretch s[] = { { 0, 0x100, w.space, 0x4000 },
				     { 0x100, 0x100, w.space, 0x5000 } };
	assert_int_equal(sonde_space_remap(w.loop, s, 2, &upper), 0);
	assert_int_equal(sonde_space_get(upper, 0x20, &byte, 1), 0);
	assert_int_equal(byte, w.a.bytes[0x1020]);
	assert_int_equal(sonde_space_get(upper, 0x120, &byte, 1), 0);
	assert_int_equal(byte, w.b.bytes[0x1020]);
	sonde_space_close(upper);
	close_world(&w);
}

/* ---- memory that answers in the call, until it does not --------------------------------------- */

/* As files are that leave the cache: that it is resident no longer shows in the batch that finds out. */
struct fickle {
	struct sonde_space space;
	bool resident;
	struct sonde_io *held;
	int32_t why; /* its end was asked for */
};

static void fickle_submit(struct sonde_space *space, struct sonde_io *list)
{
	struct fickle *fickle = (struct fickle *)(void *)space;

	assert_null(io_core(list)->next);
	fickle->held = list;
	fickle->resident = false;
}

static void fickle_cancel(struct sonde_space *space, struct sonde_io *io)
{
	struct fickle *fickle = (struct fickle *)(void *)space;

	assert_ptr_equal(io, fickle->held);
	fickle->why = io_stop_code(io);
	io_account(io, 0, 0, io->xfers[0].len, SONDE_OK);
	for (uint32_t i = 1; i < io->n; i++)
		io_account(io, i, 0, io->xfers[i].len, fickle->why);
	io_finish(io);
}

static void what_was_resident_a_moment_ago_can_be_cancelled(void **state)
{
	static const struct space_ops ops = { .submit = fickle_submit, .cancel = fickle_cancel };
	struct fickle fickle = { .resident = true };
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);
	struct sonde_stretch s = { 0x5000, 0x1000, &fickle.space, 0 };
	struct sonde_space *space;
	uint8_t bytes[2][16];
	struct sonde_xfer x[2] = { { .addr = 0x5010, .buf = bytes[0], .len = 16 },
				   { .addr = 0x5800, .buf = bytes[1], .len = 16 } };
	struct sonde_io io = { .xfers = x, .n = 2, .done = done };

	(void)state;
	space_init(&fickle.space, &ops, loop, &fickle.resident);
	assert_int_equal(sonde_space_remap(loop, &s, 1, &space), 0);
	n_done = 0;
	assert_int_equal(sonde_io_submit(space, &io), 0);
	while (!fickle.held)
		sonde_loop_turn(loop);
	assert_int_equal(sonde_io_cancel(&io), 1);
	sonde_loop_run(loop);
	assert_int_equal(n_done, 1);
	assert_int_equal(fickle.why, SONDE_E_CANCELLED);
	assert_int_equal(io.result, SONDE_E_CANCELLED);
	assert_int_equal(x[0].err, 0);
	assert_int_equal(x[1].err, SONDE_E_CANCELLED);
	assert_int_equal(x[0].addr, 0x5010);
	assert_int_equal(x[1].addr, 0x5800);
	sonde_space_close(space);
	sonde_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_comes_from_its_stretch),
		cmocka_unit_test(watchers_hear_of_every_byte_once),
		cmocka_unit_test(writes_go_where_reads_come_from),
		cmocka_unit_test(stretches_that_make_no_sense_are_refused),
		cmocka_unit_test(behind_the_last_stretch_is_a_hole),
		cmocka_unit_test(a_space_of_nothing_is_one_hole),
		cmocka_unit_test(all_of_the_address_space_can_be_mapped),
		cmocka_unit_test(many_stretches_are_found_each),
		cmocka_unit_test(a_batch_stays_one_below),
		cmocka_unit_test(a_huge_batch_goes_in_steps),
		cmocka_unit_test(nothing_is_allocated_once_it_runs),
		cmocka_unit_test(without_memory_there_is_no_space_but_never_a_wrong_one),
		cmocka_unit_test(an_end_asked_for_reaches_the_connector),
		cmocka_unit_test(who_shares_a_trip_is_not_cancelled_with_it),
		cmocka_unit_test(who_shares_a_trip_ends_with_a_code_of_its_own),
		cmocka_unit_test(what_waits_for_room_ends_at_once),
		cmocka_unit_test(what_was_resident_a_moment_ago_can_be_cancelled),
		cmocka_unit_test(regions_are_those_below_as_far_as_they_are_mapped),
		cmocka_unit_test(memory_is_lent_where_it_lies_in_one_stretch),
		cmocka_unit_test(spaces_of_spaces_of_spaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
