/* SPDX-License-Identifier: MIT */
/*
 * A piece that a connector drops is an error, never success over stale bytes: connectors that break the
 * one rule about stretches in every way, asked through each way and door, alone and below others.
 */
#include <pthread.h>
#include <sonde/io.h>
#include <sonde/task.h>
#include <stdbool.h>

#include "arch/paging.h"
#include "fake.h"
#include "io/loop.h"
#include "synth/page_tables.h"

#define LEN 64u
#define STALE 0xee

/* How the piece at ADDR is told; every other piece is served as it should be. */
#define ADDR 256u

struct stretch {
	uint32_t off, len;
	int32_t err;
};

static const struct {
	const char *name;
	struct stretch told[6]; /* up to one of no length */
} ways_to_break[] = {
	{ "nothing is told", { { 0, 0, 0 } } },
	{ "the end is dropped", { { 0, LEN - 1, 0 } } },
	{ "the start is dropped", { { 1, LEN - 1, 0 } } },
	{ "the middle is dropped", { { 0, 16, 0 }, { 32, 32, 0 } } },
	{ "all is told twice", { { 0, LEN, 0 }, { 0, LEN, 0 } } },
	{ "one half is told twice, the other not at all", { { 0, 32, 0 }, { 0, 32, 0 } } },
	{ "quarters are told in place of others",
	  { { 0, 16, 0 }, { 32, 16, 0 }, { 32, 16, 0 }, { 48, 16, 0 } } },
	{ "two overlap as far as a third is missing", { { 0, 40, 0 }, { 16, 24, 0 } } },
	{ "it ends behind the piece", { { 0, LEN + 1, 0 } } },
	{ "it begins behind the piece", { { LEN, 1, 0 }, { 0, LEN - 1, 0 } } },
	{ "it wraps", { { 8, UINT32_MAX, 0 }, { 0, LEN - 1, 0 } } },
	{ "a failure hides what was not told", { { 0, 8, SONDE_E_PAGED_OUT } } },
	{ "a failure is told twice",
	  { { 0, 32, 0 }, { 32, 16, SONDE_E_GONE }, { 32, 16, SONDE_E_GONE } } },
	{ "good and bad are told of the same bytes", { { 0, LEN, 0 }, { 8, 8, SONDE_E_GONE } } },
	{ "good for bad, and the rest dropped", { { 0, 32, 0 }, { 0, 32, SONDE_E_GONE } } },
};
#define N_BREAKS (sizeof(ways_to_break) / sizeof(ways_to_break[0]))

static size_t how;

/* Does as a connector would that fills only what it tells. */
static void serve_badly(struct fake *fake, struct sonde_io *io)
{
	for (uint32_t i = 0; i < io->n; i++) {
		struct sonde_xfer *x = &io->xfers[i];
		const struct stretch *s = ways_to_break[how].told;
		if (x->addr != ADDR) {
			if (io->op == SONDE_IO_READ)
				memcpy(x->buf, fake->bytes + x->addr, x->len);
			sonde_progress(&space_host, io, i, 0, x->len, 0);
			continue;
		}
		for (; s->len; s++) {
			if (!s->err && s->off < LEN && s->len <= LEN - s->off &&
			    io->op == SONDE_IO_READ)
				memcpy((char *)x->buf + s->off, fake->bytes + ADDR + s->off,
				       s->len);
			sonde_progress(&space_host, io, i, s->off, s->len, s->err);
		}
	}
}

static size_t submit_badly(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		serve_badly(fake, ios[i]);
		space_host.io_done(ios[i]);
	}
	return n;
}

static void transfer_badly(void *conn, struct sonde_io *const *ios, size_t n)
{
	for (size_t i = 0; i < n; i++)
		serve_badly(conn, ios[i]);
}

/* Submit, from a thread of its own; one batch at a time is all these tests send. */
static struct sonde_io *thread_ios[8];
static size_t thread_n;
static pthread_t thread;

static void *serve_in_thread(void *arg)
{
	for (size_t i = 0; i < thread_n; i++) {
		serve_badly(arg, thread_ios[i]);
		space_host.io_done(thread_ios[i]);
	}
	return NULL;
}

static size_t submit_to_thread(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	assert_in_range(n, 1, 8);
	memcpy(thread_ios, ios, n * sizeof(*ios));
	thread_n = n;
	assert_int_equal(pthread_create(&thread, NULL, serve_in_thread, fake), 0);
	return n;
}

enum way { TRANSFER, SUBMIT, FROM_THREAD, N_WAYS };

static void open_badly(struct fake *fake, struct sonde_loop *loop, enum way way)
{
	struct sonde_connector_ops ops = { .size = sizeof(ops),
					   .close = fake_conn_close,
					   .info = fake_info,
					   .transfer = transfer_badly };

	fake_open(fake, loop, 4096, SONDE_WAY_SUBMIT);
	fake->submit = way == SUBMIT ? submit_badly : submit_to_thread;
	if (way != TRANSFER)
		return;
	sonde_space_close(fake->space);
	assert_int_equal(space_from_connector(loop, &ops, fake, &fake->space, NULL), 0);
}

/* ---- three pieces, the middle one broken -------------------------------------------------------- */

struct asked {
	uint8_t buf[3][LEN];
	struct sonde_xfer x[3];
	uint32_t told[3]; /* bytes, by fragments */
};

static void ask(struct asked *asked)
{
	memset(asked, 0, sizeof(*asked));
	memset(asked->buf, STALE, sizeof(asked->buf));
	for (uint32_t i = 0; i < 3; i++)
		asked->x[i] = (struct sonde_xfer){
			.addr = i * ADDR, .buf = asked->buf[i], .len = LEN, .done = 77
		};
}

static void is_dropped(const struct asked *asked, uint32_t op)
{
	for (uint32_t i = 0; i < 3; i++) {
		const struct sonde_xfer *x = &asked->x[i];
		bool bad = x->addr == ADDR;
		if (bad && (!x->err || x->err_off || x->done))
			fail_msg("%s: got %u bytes, error %d at %u", ways_to_break[how].name,
				 x->done, x->err, x->err_off);
		assert_int_equal(x->done, bad ? 0 : LEN);
		assert_int_equal(x->err_off, bad ? 0 : LEN);
		for (uint32_t k = 0; k < LEN; k++)
			assert_int_equal(asked->buf[i][k], op == SONDE_IO_WRITE ? STALE
							   : bad                ? 0
								 : fake_byte(x->addr + k));
	}
}

static void watch(struct sonde_io *io, const struct sonde_fragment *f)
{
	struct asked *asked = io->user;

	assert_true(f->off <= LEN && f->len <= LEN - f->off);
	asked->told[f->piece] += f->len;
}

static void ignore(struct sonde_io *io)
{
	assert_non_null(io->user);
}

static void by_completion(struct sonde_loop *loop, struct sonde_space *space, uint32_t op,
			  sonde_fragment_fn *fragment)
{
	struct asked asked;
	struct sonde_io io = { .xfers = asked.x,
			       .n = 3,
			       .op = op,
			       .done = ignore,
			       .fragment = fragment,
			       .user = &asked };

	ask(&asked);
	assert_int_equal(sonde_io_submit(space, &io), 0);
	assert_int_equal(sonde_loop_run(loop), 0);
	assert_int_equal(io.result, 2);
	assert_ptr_equal(io.fragment, fragment);
	is_dropped(&asked, op);
	if (fragment) {
		assert_int_equal(asked.told[0], LEN);
		assert_int_equal(asked.told[2], LEN);
	}
}

static void by_blocking(struct sonde_space *space)
{
	struct asked asked;
	struct sonde_total total;

	ask(&asked);
	assert_int_equal(sonde_space_read(space, asked.x, 3), 2);
	is_dropped(&asked, SONDE_IO_READ);
	assert_true(sonde_xfers_total(asked.x, 3, &total) < 0);
	assert_int_equal(total.done, 2 * LEN);
	assert_int_equal(total.err_off, LEN);
}

static void run_all(uint32_t engine, enum way way)
{
	struct sonde_loop *loop = loop_new(engine, 0);
	struct fake fake = { 0 };

	open_badly(&fake, loop, way);
	for (how = 0; how < N_BREAKS; how++) {
		by_blocking(fake.space);
		if (way == FROM_THREAD)
			pthread_join(thread, NULL);
		for (int watched = 0; watched < 2; watched++) {
			for (uint32_t op = SONDE_IO_READ; op <= SONDE_IO_WRITE; op++) {
				by_completion(loop, fake.space, op, watched ? watch : NULL);
				if (way == FROM_THREAD)
					pthread_join(thread, NULL);
			}
		}
	}
	fake_close(&fake);
	sonde_loop_destroy(loop);
}

static void a_piece_that_a_connector_drops_is_an_error_never_success_over_stale_bytes(void **state)
{
	(void)state;
	for (uint32_t way = TRANSFER; way < N_WAYS; way++) {
		run_all(SONDE_ENGINE_SYNC, way);
		run_all(SONDE_ENGINE_THREADS, way);
	}
}

/* ---- below others ----------------------------------------------------------------------------------- */

/* Virtual pages over it: a page that holds a dropped stretch never comes as a success either. */
static void what_is_dropped_below_page_tables_is_dropped_above_them(void **state)
{
	enum { VA = 0x400000, RAM = 1 << 16 };
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);
	struct fake fake = { 0 };
	struct page_tables tables;
	struct sonde_space *space = NULL;

	(void)state;
	fake_open(&fake, loop, RAM, SONDE_WAY_SUBMIT);
	fake.submit = submit_badly;
	tables_build(&tables, fake.bytes, RAM, 0x8000, 4, "");
	*tables_entry(&tables, VA, 0) = 0 | 3;
	assert_int_equal(
		paging_space(fake.space, paging_map(paging_x86_64(4), tables.root), 0, &space), 0);
	for (how = 0; how < N_BREAKS; how++) {
		for (uint32_t watched = 0; watched < 2; watched++) {
			struct asked asked;
			struct sonde_io io = { .xfers = asked.x,
					       .n = 3,
					       .done = ignore,
					       .fragment = watched ? watch : NULL,
					       .user = &asked };
			ask(&asked);
			for (uint32_t i = 0; i < 3; i++)
				asked.x[i].addr += VA;
			assert_int_equal(sonde_io_submit(space, &io), 0);
			assert_int_equal(sonde_loop_run(loop), 0);
			assert_int_equal(io.result, 2);
			for (uint32_t i = 0; i < 3; i++)
				asked.x[i].addr -= VA;
			is_dropped(&asked, SONDE_IO_READ);
		}
	}
	sonde_space_close(space);
	fake_close(&fake);
	sonde_loop_destroy(loop);
}

/* Drops what lies at 0, has nothing from 0x2000 to the tables. */
static size_t submit_with_hole(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		for (uint32_t i = 0; i < ios[k]->n; i++) {
			struct sonde_xfer *x = &ios[k]->xfers[i];
			bool hole = x->addr >= 0x2000 && x->addr < 0x8000;
			if (x->addr == 0)
				continue;
			if (!hole)
				memcpy(x->buf, fake->bytes + x->addr, x->len);
			sonde_progress(&space_host, ios[k], i, 0, x->len,
				       hole ? SONDE_E_NOT_MAPPED : 0);
		}
		space_host.io_done(ios[k]);
	}
	return n;
}

/* In one trip with a piece that is dropped: a hole hides nothing of what lies behind it. */
static void what_is_dropped_costs_another_request_no_byte(void **state)
{
	enum { VA = 0x400000, RAM = 1 << 16 };
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);
	struct fake fake = { 0 };
	struct page_tables tables;
	struct sonde_space *space = NULL;
	uint8_t dropped[8], bytes[16];
	struct sonde_xfer x[2] = { { .addr = VA, .buf = dropped, .len = 8 },
				   { .addr = VA + 0x2000 - 8, .buf = bytes, .len = 16 } };
	struct asked asked = { 0 };
	struct sonde_io ios[2] = { { .xfers = &x[0], .n = 1, .done = ignore, .user = &asked },
				   { .xfers = &x[1], .n = 1, .done = ignore, .user = &asked } };

	(void)state;
	fake_open(&fake, loop, RAM, SONDE_WAY_SUBMIT);
	fake.submit = submit_with_hole;
	tables_build(&tables, fake.bytes, RAM, 0x8000, 4, "");
	*tables_entry(&tables, VA, 0) = 0 | 3;
	*tables_entry(&tables, VA + 0x1000, 0) = 0x3000 | 3;
	*tables_entry(&tables, VA + 0x2000, 0) = 0x1000 | 3;
	assert_int_equal(
		paging_space(fake.space, paging_map(paging_x86_64(4), tables.root), 0, &space), 0);
	assert_int_equal(sonde_io_submit(space, &ios[0]), 0);
	assert_int_equal(sonde_io_submit(space, &ios[1]), 0);
	assert_int_equal(sonde_loop_run(loop), 0);
	assert_int_equal(x[0].err, SONDE_E_IO);
	assert_int_equal(x[1].err, SONDE_E_NOT_MAPPED);
	assert_int_equal(x[1].done, 8);
	assert_memory_equal(bytes + 8, fake.bytes + 0x1000, 8);
	sonde_space_close(space);
	fake_close(&fake);
	sonde_loop_destroy(loop);
}

/* Over resident memory remap changes addresses in place; here it sends pieces of its own. */
static void what_is_dropped_below_a_map_is_dropped_above_it(void **state)
{
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);
	struct fake fake = { 0 };
	struct sonde_space *space = NULL;

	(void)state;
	open_badly(&fake, loop, SUBMIT);
	const struct sonde_stretch stretch = { .len = 4096, .space = fake.space };
	assert_int_equal(sonde_space_remap(loop, &stretch, 1, &space), 0);
	for (how = 0; how < N_BREAKS; how++) {
		by_blocking(space);
		by_completion(loop, space, SONDE_IO_READ, NULL);
		by_completion(loop, space, SONDE_IO_READ, watch);
	}
	sonde_space_close(space);
	fake_close(&fake);
	sonde_loop_destroy(loop);
}

struct front {
	void *below;
	bool forwards;
};
static struct front front;

static int front_open(const struct sonde_host *host, const struct sonde_args *args, void *below,
		      void **ret_conn, struct sonde_error *err)
{
	(void)host, (void)args, (void)err;
	front.below = below;
	*ret_conn = &front;
	return 0;
}

static void front_close(void *conn)
{
	(void)conn;
}

static void front_submit(void *conn, struct sonde_io *const *ios, size_t n)
{
	static struct fake model = { 0 };
	static uint8_t bytes[4096];

	model.bytes = bytes;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = fake_byte(i);
	if (((struct front *)conn)->forwards) {
		space_host.forward(front.below, ios, n);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		serve_badly(&model, ios[i]);
		space_host.io_done(ios[i]);
	}
}

/* A layer that answers by itself is held to the same, and one that forwards hides nothing. */
static void layers_drop_no_better(void **state)
{
	static const struct sonde_layer_ops ops = { .size = sizeof(ops),
						    .open = front_open,
						    .close = front_close,
						    .submit = front_submit };
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);
	struct fake fake = { 0 };
	struct sonde_space *space = NULL;

	(void)state;
	open_badly(&fake, loop, SUBMIT);
	assert_int_equal(space_from_layer(loop, &ops, &space_host, NULL, fake.space, &space, NULL),
			 0);
	for (int forwards = 0; forwards < 2; forwards++) {
		front.forwards = forwards;
		for (how = 0; how < N_BREAKS; how++) {
			by_blocking(space);
			by_completion(loop, space, SONDE_IO_READ, NULL);
			by_completion(loop, space, SONDE_IO_READ, watch);
			by_completion(loop, space, SONDE_IO_WRITE, NULL);
		}
	}
	sonde_space_close(space);
	fake_close(&fake);
	sonde_loop_destroy(loop);
}

/* ---- and none that tells well is punished ------------------------------------------------------------ */

static uint32_t random_next(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Cuts the piece anywhere and tells the parts in any order, some of them failing. */
static size_t submit_in_any_order(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	static uint32_t seed = 11;

	for (size_t k = 0; k < n; k++) {
		struct sonde_xfer *x = &ios[k]->xfers[0];
		struct stretch parts[LEN];
		uint32_t n_parts = 0;
		for (uint32_t off = 0; off < x->len; n_parts++) {
			uint32_t len = 1 + random_next(&seed) % 24;
			len = len < x->len - off ? len : x->len - off;
			parts[n_parts] =
				(struct stretch){ off, len,
						  random_next(&seed) % 3 ? 0 : SONDE_E_GONE };
			off += len;
		}
		struct sonde_xfer *want = fake->user;
		*want = (struct sonde_xfer){ .err_off = LEN };
		for (uint32_t i = 0; i < n_parts; i++) {
			want->done += parts[i].err ? 0 : parts[i].len;
			if (parts[i].err && !want->err) {
				want->err = parts[i].err;
				want->err_off = parts[i].off;
			}
		}
		while (n_parts) {
			uint32_t i = random_next(&seed) % n_parts;
			struct stretch s = parts[i];
			if (!s.err)
				memcpy((char *)x->buf + s.off, fake->bytes + x->addr + s.off,
				       s.len);
			sonde_progress(&space_host, ios[k], 0, s.off, s.len, s.err);
			parts[i] = parts[--n_parts];
		}
		space_host.io_done(ios[k]);
	}
	return n;
}

static void stretches_in_any_order_are_believed(void **state)
{
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);
	struct sonde_xfer want;
	struct fake fake = { .submit = submit_in_any_order, .user = &want };

	(void)state;
	fake_open(&fake, loop, 4096, SONDE_WAY_SUBMIT);
	for (int round = 0; round < 20000; round++) {
		uint8_t buf[LEN];
		struct sonde_xfer x = { .addr = 512, .buf = buf, .len = LEN };
		memset(buf, STALE, LEN);
		int full = sonde_space_read(fake.space, &x, 1);
		assert_int_equal(full, want.err == 0);
		assert_int_equal(x.done, want.done);
		assert_int_equal(x.err, want.err);
		assert_int_equal(x.err_off, want.err_off);
		for (uint32_t i = 0; i < LEN; i++)
			assert_true(buf[i] == 0 || buf[i] == fake_byte(512 + i));
	}
	fake_close(&fake);
	sonde_loop_destroy(loop);
}

/* A code that is none counts as SONDE_E_IO. */
static size_t submit_odd_code(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	for (size_t k = 0; k < n; k++) {
		int32_t code = *(const int32_t *)fake->user;
		sonde_progress(&space_host, ios[k], 0, 8, LEN - 8, 0);
		sonde_progress(&space_host, ios[k], 0, 0, 8, code);
		space_host.io_done(ios[k]);
	}
	return n;
}

static void a_code_that_is_none_counts_as_io(void **state)
{
	static const int32_t codes[][2] = { { 5, SONDE_E_IO },
					    { INT32_MAX, SONDE_E_IO },
					    { INT32_MIN, SONDE_E_IO },
					    { -128, SONDE_E_IO },
					    { -127, -127 },
					    { -1, -1 } };
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);
	struct fake fake = { .submit = submit_odd_code };

	(void)state;
	fake_open(&fake, loop, 4096, SONDE_WAY_SUBMIT);
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		uint8_t buf[LEN];
		struct sonde_xfer x = { .buf = buf, .len = LEN };
		fake.user = (void *)&codes[i][0];
		assert_int_equal(sonde_space_read(fake.space, &x, 1), 0);
		assert_int_equal(x.err, codes[i][1]);
		assert_int_equal(x.done, LEN - 8);
	}
	fake_close(&fake);
	sonde_loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_piece_that_a_connector_drops_is_an_error_never_success_over_stale_bytes),
		cmocka_unit_test(what_is_dropped_below_page_tables_is_dropped_above_them),
		cmocka_unit_test(what_is_dropped_costs_another_request_no_byte),
		cmocka_unit_test(what_is_dropped_below_a_map_is_dropped_above_it),
		cmocka_unit_test(layers_drop_no_better),
		cmocka_unit_test(stretches_in_any_order_are_believed),
		cmocka_unit_test(a_code_that_is_none_counts_as_io),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
