/* SPDX-License-Identifier: MIT */
/* A layer in front of a space: forwarding, holding, ending by itself, and a batch that stays one. */
#include <sonde/io.h>
#include <sonde/task.h>

#include "arch/paging.h"
#include "fake.h"
#include "io/loop.h"
#include "io/request.h"
#include "space/space.h"
#include "synth/page_tables.h"

/* What the layer of a test does with a batch; its state, since layers keep none in files of their own. */
struct filter {
	void *below;
	enum { FORWARD, HOLD, REFUSE, SPLIT } how;
	struct sonde_io *held[64];
	size_t n_held, calls, most;
	struct sonde_timer timer;
	bool open;
};

static struct filter *opening;

static int filter_open(const struct sonde_host *host, const struct sonde_args *args, void *below,
		       void **ret_conn, struct sonde_error *err)
{
	(void)args;
	if (opening->open)
		return host->error_set(err, SONDE_E_BUSY, "filter: open already");
	opening->below = below;
	opening->open = true;
	*ret_conn = opening;
	return 0;
}

static void filter_close(void *conn)
{
	((struct filter *)conn)->open = false;
}

static void let_go(struct sonde_timer *timer)
{
	struct filter *filter = timer->user;
	size_t n = filter->n_held;

	filter->n_held = 0;
	space_host.forward(filter->below, filter->held, n);
}

static void end_as_gone(struct sonde_io *io)
{
	for (uint32_t i = 0; i < io->n; i++)
		sonde_progress(&space_host, io, i, 0, io->xfers[i].len, SONDE_E_GONE);
	space_host.io_done(io);
}

static void filter_submit(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct filter *filter = conn;

	filter->calls++;
	filter->most = n > filter->most ? n : filter->most;
	for (size_t i = 0; i < n; i++) {
		if (filter->how == REFUSE || (filter->how == SPLIT && i % 2))
			end_as_gone(ios[i]);
		else if (filter->how == HOLD)
			filter->held[filter->n_held++] = ios[i];
		else if (filter->how == SPLIT)
			space_host.forward(filter->below, &ios[i], 1);
	}
	if (filter->how == FORWARD)
		space_host.forward(filter->below, ios, n);
	if (filter->how != HOLD || filter->timer.at_ns == 0)
		return;
	filter->timer.fire = let_go;
	filter->timer.user = filter;
	space_host.timer_start(space_host.loop(filter->below), &filter->timer);
}

struct fixture {
	struct sonde_loop *loop;
	struct fake fake;
	struct filter filter;
	struct sonde_space *space;
};

static void open_over(struct fixture *f, uint32_t way)
{
	static const struct sonde_layer_ops ops = { .size = sizeof(ops),
						    .open = filter_open,
						    .close = filter_close,
						    .submit = filter_submit };

	memset(f, 0, sizeof(*f));
	f->loop = loop_new(SONDE_ENGINE_SYNC, 0);
	fake_open(&f->fake, f->loop, 1 << 20, way);
	opening = &f->filter;
	assert_int_equal(
		space_from_layer(f->loop, &ops, &space_host, NULL, f->fake.space, &f->space, NULL),
		0);
}

static void close_all(struct fixture *f)
{
	sonde_space_close(f->space);
	assert_false(f->filter.open);
	fake_close(&f->fake);
	sonde_loop_destroy(f->loop);
}

static uint8_t byte_at(struct fixture *f, uint64_t addr)
{
	uint8_t byte = 0xee;

	assert_int_equal(sonde_space_get(f->space, addr, &byte, 1), 0);
	return byte;
}

static void forwarded_requests_complete_to_their_owners(void **state)
{
	(void)state;
	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		struct fixture f;
		uint8_t buf[16];
		struct sonde_xfer x = { (1 << 20) - 8, buf, 16, 0, 0, 0 };
		struct sonde_space_stats stats;
		open_over(&f, way);
		assert_int_equal(byte_at(&f, 320), 20);
		assert_int_equal(sonde_space_read(f.space, &x, 1), 0);
		assert_int_equal(x.err, SONDE_E_NOT_MAPPED);
		assert_int_equal(x.err_off, 8);
		sonde_space_stats(f.space, &stats);
		assert_int_equal(stats.trips, 2);
		assert_int_equal(stats.bytes, 17);
		close_all(&f);
	}
}

static void a_layer_may_end_requests_itself(void **state)
{
	struct fixture f;
	uint8_t buf[8] = { 1 };
	struct sonde_xfer x = { 0, buf, 8, 0, 0, 0 };

	(void)state;
	open_over(&f, SONDE_WAY_SUBMIT);
	f.filter.how = REFUSE;
	assert_int_equal(sonde_space_read(f.space, &x, 1), 0);
	assert_int_equal(x.err, SONDE_E_GONE);
	assert_int_equal(buf[0], 0);
	assert_int_equal(f.fake.calls, 0);
	close_all(&f);
}

struct reader {
	struct sonde_space *space;
	uint64_t addr;
	uint8_t got;
	int result;
};

static int read_one(struct sonde_task *task, void *arg)
{
	struct reader *reader = arg;
	struct sonde_xfer x = { reader->addr, &reader->got, 1, 0, 0, 0 };

	reader->result = sonde_task_read(task, reader->space, &x, 1);
	return 0;
}

static void a_batch_stays_one_through_a_layer(void **state)
{
	enum { N = 60 };
	struct reader readers[N];
	struct fixture f;

	(void)state;
	open_over(&f, SONDE_WAY_TRANSFER);
	f.filter.how = HOLD;
	f.filter.timer.at_ns = 1;
	for (uint32_t i = 0; i < N; i++) {
		readers[i] = (struct reader){ .space = f.space, .addr = i * 16 };
		sonde_task_spawn(f.loop, read_one, &readers[i], NULL);
	}
	sonde_loop_run(f.loop);
	assert_int_equal(f.filter.calls, 1);
	assert_int_equal(f.filter.most, N);
	assert_int_equal(f.fake.calls, 1);
	for (int i = 0; i < N; i++)
		assert_true(readers[i].result == 1 && readers[i].got == i);
	close_all(&f);
}

static void half_forwarded_half_ended(void **state)
{
	struct reader readers[9];
	struct fixture f;

	(void)state;
	open_over(&f, SONDE_WAY_SUBMIT);
	f.filter.how = SPLIT;
	for (uint32_t i = 0; i < 9; i++) {
		readers[i] = (struct reader){ .space = f.space, .addr = i * 16, .got = 0xee };
		sonde_task_spawn(f.loop, read_one, &readers[i], NULL);
	}
	sonde_loop_run(f.loop);
	for (int i = 0; i < 9; i++) {
		assert_int_equal(readers[i].result, i % 2 == 0);
		assert_int_equal(readers[i].got, i % 2 ? 0 : i);
	}
	close_all(&f);
}

static int n_done;

static void done(struct sonde_io *io)
{
	(void)io;
	n_done++;
}

static void time_runs_out_while_a_layer_holds_it(void **state)
{
	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		struct fixture f;
		uint8_t byte = 1;
		struct sonde_xfer x = { 0, &byte, 1, 0, 0, 0 };
		struct sonde_io io = { .xfers = &x, .n = 1, .done = done };
		(void)state;
		open_over(&f, way);
		n_done = 0;
		f.filter.how = HOLD;
		f.filter.timer.at_ns = sonde_now_ns() + 3000000;
		io.deadline_ns = sonde_now_ns() + 1000000;
		assert_int_equal(sonde_io_submit(f.space, &io), 0);
		sonde_loop_run(f.loop);
		assert_int_equal(n_done, 1);
		assert_int_equal(io.result, SONDE_E_TIMED_OUT);
		assert_int_equal(x.err, SONDE_E_TIMED_OUT);
		assert_int_equal(byte, 0);
		assert_int_equal(f.fake.calls, 0);
		close_all(&f);
	}
}

static void page_tables_behind_a_layer(void **state)
{
	struct fixture f;
	struct page_tables tables;
	struct sonde_space *space;
	struct sonde_space_stats stats;
	uint8_t byte;

	(void)state;
	open_over(&f, SONDE_WAY_EXTENTS);
	tables_build(&tables, f.fake.bytes, f.fake.size, 0x80000, 4, "1000 4k 5000\n");
	paging_space(f.space, paging_map(paging_x86_64(4), tables.root), 0, &space);
	assert_int_equal(sonde_space_get(space, 0x1020, &byte, 1), 0);
	assert_int_equal(byte, fake_byte(0x5020));
	sonde_space_stats(f.space, &stats);
	assert_int_equal(stats.trips, 5);
	sonde_space_close(space);
	close_all(&f);
}

/* Five trips would be needed: the end asked for comes between two of them, and costs the other nothing. */
static void a_walk_is_cancelled_between_two_trips(void **state)
{
	struct fixture f;
	struct page_tables tables;
	struct sonde_space *space;
	uint8_t bytes[2] = { 1, 1 };
	struct sonde_xfer x[2] = { { 0x1000, &bytes[0], 1, 0, 0, 0 },
				   { 0x1001, &bytes[1], 1, 0, 0, 0 } };
	struct sonde_io ios[2] = { { .xfers = &x[0], .n = 1, .done = done },
				   { .xfers = &x[1], .n = 1, .done = done } };

	(void)state;
	open_over(&f, SONDE_WAY_EXTENTS);
	tables_build(&tables, f.fake.bytes, f.fake.size, 0x80000, 4, "1000 4k 5000\n");
	paging_space(f.space, paging_map(paging_x86_64(4), tables.root), 0, &space);
	f.filter.how = HOLD;
	f.filter.timer.at_ns = 1;
	n_done = 0;
	assert_int_equal(sonde_io_submit(space, &ios[0]), 0);
	assert_int_equal(sonde_io_submit(space, &ios[1]), 0);
	while (f.filter.calls < 2)
		sonde_loop_wait(f.loop, UINT64_MAX);
	assert_int_equal(sonde_io_cancel(&ios[0]), 1);
	sonde_loop_run(f.loop);
	assert_int_equal(n_done, 2);
	assert_int_equal(ios[0].result, SONDE_E_CANCELLED);
	assert_int_equal(x[0].err, SONDE_E_CANCELLED);
	assert_int_equal(bytes[0], 0);
	assert_int_equal(ios[1].result, 1);
	assert_int_equal(bytes[1], fake_byte(0x5001));
	/* Alone, it needs no further trip. */
	f.filter.calls = 0;
	assert_int_equal(sonde_io_submit(space, &ios[0]), 0);
	while (f.filter.calls < 1)
		sonde_loop_wait(f.loop, UINT64_MAX);
	sonde_io_cancel(&ios[0]);
	sonde_loop_run(f.loop);
	assert_int_equal(ios[0].result, SONDE_E_CANCELLED);
	assert_int_equal(f.filter.calls, 1);
	sonde_space_close(space);
	close_all(&f);
}

static void a_layer_that_does_not_open_leaves_nothing(void **state)
{
	static const struct sonde_layer_ops ops = { .size = sizeof(ops),
						    .open = filter_open,
						    .close = filter_close,
						    .submit = filter_submit };
	struct fixture f;
	struct sonde_space *second = NULL;
	struct sonde_error err = { 0 };

	(void)state;
	open_over(&f, SONDE_WAY_EXTENTS);
	assert_int_equal(space_from_layer(f.loop, &ops, &space_host, NULL, f.space, &second, &err),
			 SONDE_E_BUSY);
	assert_null(second);
	assert_non_null(strstr(err.text, "filter"));
	close_all(&f);
}

/* ---- requests of a layer's own -------------------------------------------------------------- */

/* Answers each request by one of its own, at twice the address; knows its figures and its machine. */
struct doubling {
	void *below;
	struct sonde_io lower;
	struct sonde_xfer x;
	struct sonde_io *upper;
	uint32_t traits;
	size_t n_invalidated, n_trimmed;
	int own_regions;
};

static struct doubling *doubling_opening;

static int doubling_open(const struct sonde_host *host, const struct sonde_args *args, void *below,
			 void **ret_conn, struct sonde_error *err)
{
	(void)host, (void)args, (void)err;
	doubling_opening->below = below;
	*ret_conn = doubling_opening;
	return 0;
}

static void doubling_close(void *conn)
{
	(void)conn;
}

static void doubling_done(struct sonde_io *io)
{
	struct doubling *d = io->user;
	struct sonde_io *upper = d->upper;

	d->upper = NULL;
	sonde_progress(&space_host, upper, 0, 0, d->x.len, d->x.err);
	space_host.io_done(upper);
}

static void doubling_submit(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct doubling *d = conn;

	assert_int_equal(n, 1);
	d->upper = ios[0];
	d->x = ios[0]->xfers[0];
	d->x.addr *= 2;
	d->lower = (struct sonde_io){ .xfers = &d->x, .n = 1, .done = doubling_done, .user = d };
	assert_int_equal(space_host.issue(d->below, &d->lower), 0);
}

static void doubling_cancel(void *conn, struct sonde_io *io, int32_t why)
{
	struct doubling *d = conn;

	assert_ptr_equal(io, d->upper);
	assert_int_equal(space_host.cancel(&d->lower, why), 1);
}

static uint32_t doubling_traits(void *conn)
{
	return ((struct doubling *)conn)->traits;
}

static void doubling_invalidate(void *conn)
{
	((struct doubling *)conn)->n_invalidated++;
}

static void doubling_trim(void *conn)
{
	((struct doubling *)conn)->n_trimmed++;
}

static int doubling_regions(void *conn, sonde_region_fn *fn, void *user)
{
	struct doubling *d = conn;
	struct sonde_region region = { .addr = 0, .len = 1 << 19, .name = "half" };
	struct sonde_region none = { .addr = 4, .name = "" };
	struct sonde_region wraps = { .addr = UINT64_MAX - 1, .len = 1 << 20, .name = "" };
	int r;

	if (!d->own_regions)
		return space_host.regions(d->below, fn, user);
	if ((r = fn(user, &none)) || (r = fn(user, &region)))
		return r;
	return d->own_regions == 2 ? fn(user, &wraps) : 0;
}

static int doubling_cpu(void *conn, uint32_t index, struct sonde_cpu *ret)
{
	struct doubling *d = conn;
	int r = space_host.cpu(d->below, index, ret);

	ret->pc = 77;
	return index == 0 ? 0 : r;
}

static int64_t doubling_note(void *conn, const char *name, void *buf, size_t cap)
{
	struct doubling *d = conn;

	return strcmp(name, "half") == 0 ? 5 : space_host.note(d->below, name, buf, cap);
}

static void doubling_info(void *conn, struct sonde_target_info *info)
{
	(void)conn;
	info->detail = "doubled";
}

static int doubling_stats(void *conn, sonde_stat_fn *fn, void *user)
{
	struct sonde_stat stat = { .name = "trimmed",
				   .value = ((struct doubling *)conn)->n_trimmed };

	return fn(user, &stat);
}

static const struct sonde_layer_ops doubling_ops = {
	.size = sizeof(doubling_ops),
	.open = doubling_open,
	.close = doubling_close,
	.submit = doubling_submit,
	.traits = doubling_traits,
	.cancel = doubling_cancel,
	.regions = doubling_regions,
	.trim = doubling_trim,
	.invalidate = doubling_invalidate,
	.cpu = doubling_cpu,
	.note = doubling_note,
	.info = doubling_info,
	.stats = doubling_stats,
};

/* ---- maps ---------------------------------------------------------------------------------------- */

static bool no_memory, no_memory_behind_map;

void *__real_mem_alloc(size_t n, size_t size);
void *__wrap_mem_alloc(size_t n, size_t size);

void *__wrap_mem_alloc(size_t n, size_t size)
{
	return no_memory ? NULL : __real_mem_alloc(n, size);
}

static uint64_t map_len;

static int tell_map(void *conn, sonde_stretch_fn *fn, void *user, struct sonde_error *err)
{
	const struct sonde_stretch stretch = { .len = map_len };

	(void)conn, (void)err;
	no_memory = no_memory_behind_map;
	return fn(user, &stretch);
}

static void why_a_map_is_refused_is_told(void **state)
{
	static const struct sonde_layer_ops ops = {
		.size = sizeof(ops), .open = filter_open, .close = filter_close, .map = tell_map
	};
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_SYNC, 0);
	struct fake fake = { 0 };
	struct sonde_error err;
	struct sonde_space *space;

	(void)state;
	fake_open(&fake, loop, 4096, SONDE_WAY_EXTENTS);
	for (int without = 0; without < 2; without++) {
		struct filter filter = { .how = FORWARD };
		opening = &filter;
		map_len = (uint64_t)without * 4096;
		no_memory_behind_map = without;
		int r = space_from_layer(loop, &ops, &space_host, NULL, fake.space, &space, &err);
		no_memory = false;
		assert_int_equal(r, without ? SONDE_E_NO_MEMORY : SONDE_E_BAD_ARG);
		assert_non_null(strstr(err.text, without ? "memory" : "stretches are empty"));
	}
	fake_close(&fake);
	sonde_loop_destroy(loop);
}

struct doubled {
	struct sonde_loop *loop;
	struct fake fake;
	struct doubling layer;
	struct sonde_space *space;
};

static void doubled_open(struct doubled *f, uint32_t way, uint32_t traits)
{
	memset(f, 0, sizeof(*f));
	f->loop = loop_new(SONDE_ENGINE_SYNC, 0);
	fake_open(&f->fake, f->loop, 1 << 20, way);
	f->layer.traits = traits;
	doubling_opening = &f->layer;
	assert_int_equal(space_from_layer(f->loop, &doubling_ops, &space_host, NULL, f->fake.space,
					  &f->space, NULL),
			 0);
}

static void doubled_close(struct doubled *f)
{
	sonde_space_close(f->space);
	fake_close(&f->fake);
	sonde_loop_destroy(f->loop);
}

static void a_layer_asks_below_for_itself(void **state)
{
	(void)state;
	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		for (uint32_t traits = 0; traits <= SONDE_LAYER_INLINE; traits++) {
			struct doubled f;
			uint8_t byte = 0;
			doubled_open(&f, way, traits);
			assert_int_equal(sonde_space_get(f.space, 320, &byte, 1), 0);
			assert_int_equal(byte, 40);
			assert_int_equal(sonde_space_get(f.space, 1 << 19, &byte, 1),
					 SONDE_E_NOT_MAPPED);
			doubled_close(&f);
		}
	}
}

/* The only way to tell from outside: the loop is not turned. */
static void over_memory_an_inline_layer_answers_in_the_call(void **state)
{
	struct doubled f;
	uint8_t byte = 0;
	struct sonde_xfer x = { 160, &byte, 1, 0, 0, 0 };

	(void)state;
	doubled_open(&f, SONDE_WAY_EXTENTS, SONDE_LAYER_INLINE);
	assert_true(space_host.resident(f.space));
	f.loop->inside++; /* as in a callback, where waiting is refused */
	assert_int_equal(sonde_space_read(f.space, &x, 1), 1);
	f.loop->inside--;
	assert_int_equal(byte, 20);
	doubled_close(&f);
	doubled_open(&f, SONDE_WAY_EXTENTS, 0);
	assert_false(space_host.resident(f.space));
	doubled_close(&f);
	doubled_open(&f, SONDE_WAY_TRANSFER, SONDE_LAYER_INLINE);
	assert_false(space_host.resident(f.space));
	doubled_close(&f);
}

static struct sonde_io *kept;

static size_t keep(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	(void)fake;
	kept = ios[0];
	return n;
}

static void a_layer_is_asked_to_end_what_it_holds(void **state)
{
	struct doubled f;
	uint8_t byte = 1;
	struct sonde_xfer x = { 160, &byte, 1, 0, 0, 0 };
	struct sonde_io io = { .xfers = &x, .n = 1, .done = done };

	(void)state;
	for (int timed = 0; timed < 2; timed++) {
		doubled_open(&f, SONDE_WAY_SUBMIT, 0);
		f.fake.submit = keep;
		kept = NULL;
		n_done = 0;
		io.deadline_ns = timed ? sonde_now_ns() + 2000000 : 0;
		assert_int_equal(sonde_io_submit(f.space, &io), 0);
		while (!kept)
			sonde_loop_turn(f.loop);
		if (!timed)
			assert_int_equal(sonde_io_cancel(&io), 1);
		while (!io_stop_code(&f.layer.lower))
			sonde_loop_wait(f.loop, UINT64_MAX);
		assert_int_equal(n_done, 0); /* the connector below cannot give up */
		space_host.io_done(kept);    /* ... and at last has nothing to tell */
		sonde_loop_run(f.loop);
		assert_int_equal(n_done, 1);
		assert_int_equal(io.result, timed ? SONDE_E_TIMED_OUT : SONDE_E_CANCELLED);
		assert_int_equal(x.err, io.result);
		assert_int_equal(byte, 0);
		doubled_close(&f);
	}
}

static int count_region(void *user, const struct sonde_region *region)
{
	assert_true(region->len && region->len - 1 <= UINT64_MAX - region->addr);
	*(uint64_t *)user += region->len;
	return 0;
}

static int take_stat(void *user, const struct sonde_stat *stat)
{
	assert_string_equal(stat->name, "trimmed");
	*(uint64_t *)user = stat->value;
	return 9;
}

static void a_layer_answers_what_else_is_asked(void **state)
{
	struct doubled f;
	struct sonde_space *upper;
	struct filter plain = { .how = FORWARD };
	static const struct sonde_layer_ops plain_ops = { .size = sizeof(plain_ops),
							  .open = filter_open,
							  .close = filter_close,
							  .submit = filter_submit };
	struct sonde_cpu cpu = { 0 };
	struct sonde_target_info info = { .detail = "plain" };
	uint64_t sum = 0;

	(void)state;
	doubled_open(&f, SONDE_WAY_EXTENTS, 0);
	opening = &plain; /* one that has none of the slots passes everything on */
	assert_int_equal(
		space_from_layer(f.loop, &plain_ops, &space_host, NULL, f.space, &upper, NULL), 0);
	assert_int_equal(sonde_space_regions(upper, count_region, &sum), 0);
	assert_int_equal(sum, 1 << 20);
	f.layer.own_regions = 1;
	sum = 0;
	assert_int_equal(sonde_space_regions(upper, count_region, &sum), 0);
	assert_int_equal(sum, 1 << 19);
	f.layer.own_regions = 2;
	sum = 0;
	assert_int_equal(sonde_space_regions(upper, count_region, &sum), 0);
	assert_int_equal(sum, (1 << 19) + 2);
	assert_int_equal(space_cpu(upper, 0, &cpu), 0);
	assert_int_equal(cpu.pc, 77);
	assert_int_equal(space_cpu(upper, 1, &cpu), SONDE_E_UNSUPPORTED);
	assert_int_equal(space_note(upper, "half", NULL, 0), 5);
	assert_int_equal(space_note(upper, "whole", NULL, 0), SONDE_E_NOT_FOUND);
	sonde_space_invalidate(upper);
	assert_int_equal(f.layer.n_invalidated, 1);
	sonde_space_trim(upper);
	assert_int_equal(space_layer_stats(f.space, take_stat, &sum), 9);
	assert_int_equal(sum, 1);
	assert_int_equal(space_layer_stats(upper, take_stat, &sum), 0);
	space_layer_info(upper, &info);
	assert_string_equal(info.detail, "plain");
	space_layer_info(f.space, &info);
	assert_string_equal(info.detail, "doubled");
	sonde_space_close(upper);
	doubled_close(&f);
}

static void memory_below_is_lent_through_a_layer_that_says_so(void **state)
{
	(void)state;
	struct doubled f;

	doubled_open(&f, SONDE_WAY_EXTENTS, 0);
	assert_null(sonde_space_borrow(f.space, 16, 4));
	assert_ptr_equal(space_host.borrow(f.fake.space, 16, 4), f.fake.bytes + 16);
	doubled_close(&f);
	doubled_open(&f, SONDE_WAY_EXTENTS, SONDE_LAYER_SAME_BYTES);
	assert_ptr_equal(sonde_space_borrow(f.space, 16, 4), f.fake.bytes + 16);
	doubled_close(&f);
}

static void issue_refuses_what_submit_refuses(void **state)
{
	struct doubled f;
	uint8_t byte;
	struct sonde_xfer x = { 0, &byte, 0, 0, 0, 0 };
	struct sonde_io io = { .xfers = &x, .n = 1, .done = done };

	(void)state;
	doubled_open(&f, SONDE_WAY_EXTENTS, 0);
	assert_int_equal(space_host.issue(f.fake.space, &io), SONDE_E_BAD_ARG);
	x.len = 1;
	io.done = NULL;
	assert_int_equal(space_host.issue(f.fake.space, &io), SONDE_E_BAD_ARG);
	assert_int_equal(space_host.cancel(&io, SONDE_E_CANCELLED), 0);
	doubled_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forwarded_requests_complete_to_their_owners),
		cmocka_unit_test(a_layer_may_end_requests_itself),
		cmocka_unit_test(a_batch_stays_one_through_a_layer),
		cmocka_unit_test(half_forwarded_half_ended),
		cmocka_unit_test(time_runs_out_while_a_layer_holds_it),
		cmocka_unit_test(page_tables_behind_a_layer),
		cmocka_unit_test(a_walk_is_cancelled_between_two_trips),
		cmocka_unit_test(a_layer_that_does_not_open_leaves_nothing),
		cmocka_unit_test(why_a_map_is_refused_is_told),
		cmocka_unit_test(a_layer_asks_below_for_itself),
		cmocka_unit_test(over_memory_an_inline_layer_answers_in_the_call),
		cmocka_unit_test(a_layer_is_asked_to_end_what_it_holds),
		cmocka_unit_test(a_layer_answers_what_else_is_asked),
		cmocka_unit_test(memory_below_is_lent_through_a_layer_that_says_so),
		cmocka_unit_test(issue_refuses_what_submit_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
