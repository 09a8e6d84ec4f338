/* SPDX-License-Identifier: MIT */
/* A layer in front of a space: forwarding, holding, ending by itself, and a batch that stays one. */
#include <sonde/io.h>
#include <sonde/task.h>

#include "arch/paging.h"
#include "fake.h"
#include "io/loop.h"
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
	paging_space(f.space, paging_x86_64(4), tables.root, 0, &space);
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
	paging_space(f.space, paging_x86_64(4), tables.root, 0, &space);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
