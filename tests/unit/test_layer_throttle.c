/* SPDX-License-Identifier: MIT */
/* throttle: bytes and batches a second, by a clock of the test; order, bursts, cancelling, bounds. */
#include "layer_plugin.h"

static int n_done;

static void done(struct sonde_io *io)
{
	(void)io;
	n_done++;
}

struct reading {
	struct sonde_io io;
	struct sonde_xfer x;
	uint8_t bytes[4000];
};

struct world {
	struct fake fake;
	struct layer_plugin layer;
	struct reading readings[20];
};

static void open_world(struct world *w, const char *text)
{
	memset(w, 0, sizeof(*w));
	n_done = 0;
	fake_open(&w->fake, loop_new(SONDE_ENGINE_SYNC, 0), 65536, SONDE_WAY_TRANSFER);
	layer_plugin_open(&w->layer, w->fake.space, text, 0);
}

static void close_world(struct world *w)
{
	layer_plugin_close(&w->layer);
	fake_close(&w->fake);
	sonde_loop_destroy(w->fake.loop);
	free(w);
}

/* A batch of its own: the loop is turned. */
static void read_batch(struct world *w, int i, uint32_t len)
{
	struct reading *r = &w->readings[i];

	memset(&r->io, 0, sizeof(r->io));
	r->x = (struct sonde_xfer){ .addr = 16u * (unsigned)i, .buf = r->bytes, .len = len };
	r->io = (struct sonde_io){ .xfers = &r->x, .n = 1, .done = done };
	assert_int_equal(sonde_io_submit(w->layer.space, &r->io), 0);
	sonde_loop_turn(w->fake.loop);
}

static void pass(struct world *w, uint64_t ms)
{
	clock_pass(ms * 1000000);
	sonde_loop_turn(w->fake.loop);
}

static void bytes_have_their_rate(void **state)
{
	struct world *w = malloc(sizeof(*w));

	(void)state;
	open_world(w, "throttle,bytes=1000,burst_ms=0");
	for (int i = 0; i < 10; i++)
		read_batch(w, i, 100);
	assert_int_equal(n_done, 1);
	for (int i = 2; i <= 10; i++) {
		pass(w, 99);
		assert_int_equal(n_done, i - 1);
		pass(w, 1);
		assert_int_equal(n_done, i);
	}
	for (int i = 0; i < 10; i++)
		assert_int_equal(w->readings[i].bytes[0], i);
	assert_int_equal(layer_stat(&w->layer, "batches"), 10);
	assert_int_equal(layer_stat(&w->layer, "bytes"), 1000);
	assert_int_equal(layer_stat(&w->layer, "held"), 9);
	assert_int_equal(layer_stat(&w->layer, "ms of waiting"), 4500);
	close_world(w);
}

static void a_batch_larger_than_its_second_makes_the_next_wait(void **state)
{
	struct world *w = malloc(sizeof(*w));

	(void)state;
	open_world(w, "throttle,bytes=1k,burst_ms=0");
	read_batch(w, 0, 3072);
	assert_int_equal(n_done, 1);
	read_batch(w, 1, 1);
	pass(w, 2999);
	assert_int_equal(n_done, 1);
	pass(w, 1);
	assert_int_equal(n_done, 2);
	close_world(w);
}

static void a_pause_is_good_for_a_burst(void **state)
{
	struct world *w = malloc(sizeof(*w));

	(void)state;
	open_world(w, "throttle,batches=100,burst_ms=50");
	pass(w, 1000); /* a second saved counts as 50 ms */
	for (int i = 0; i < 10; i++)
		read_batch(w, i, 1);
	assert_int_equal(n_done, 6);
	pass(w, 10);
	assert_int_equal(n_done, 7);
	pass(w, 30);
	assert_int_equal(n_done, 10);
	close_world(w);
}

static void the_slower_of_two_limits_counts(void **state)
{
	struct world *w = malloc(sizeof(*w));

	(void)state;
	open_world(w, "throttle,batches=10,bytes=1000,burst_ms=0");
	read_batch(w, 0, 10);
	read_batch(w, 1, 500);
	read_batch(w, 2, 1);
	pass(w, 100); /* batches */
	assert_int_equal(n_done, 2);
	pass(w, 499);
	assert_int_equal(n_done, 2);
	pass(w, 1); /* bytes */
	assert_int_equal(n_done, 3);
	close_world(w);
}

static void a_batch_stays_one(void **state)
{
	struct world *w = malloc(sizeof(*w));

	(void)state;
	open_world(w, "throttle,batches=10,burst_ms=0");
	read_batch(w, 0, 1);
	for (int i = 1; i < 6; i++) {
		struct reading *r = &w->readings[i];
		r->x = (struct sonde_xfer){ .addr = 16u * (unsigned)i, .buf = r->bytes, .len = 1 };
		r->io = (struct sonde_io){ .xfers = &r->x, .n = 1, .done = done };
		sonde_io_submit(w->layer.space, &r->io);
	}
	sonde_loop_turn(w->fake.loop);
	pass(w, 100);
	assert_int_equal(n_done, 6);
	assert_int_equal(w->fake.calls, 2);
	close_world(w);
}

static void who_gives_up_does_not_pay(void **state)
{
	struct world *w = malloc(sizeof(*w));

	(void)state;
	open_world(w, "throttle,bytes=1000,burst_ms=0");
	read_batch(w, 0, 100);
	read_batch(w, 1, 1000);
	read_batch(w, 2, 10);
	assert_int_equal(sonde_io_cancel(&w->readings[1].io), 1);
	sonde_loop_turn(w->fake.loop);
	assert_int_equal(n_done, 2);
	assert_int_equal(w->readings[1].io.result, SONDE_E_CANCELLED);
	pass(w, 100);
	assert_int_equal(n_done, 3);
	/* The last one that waits takes the clock with it. */
	read_batch(w, 3, 10);
	assert_int_equal(test_clock.n, 1);
	sonde_io_cancel(&w->readings[3].io);
	sonde_loop_turn(w->fake.loop);
	assert_int_equal(test_clock.n, 0);
	assert_int_equal(n_done, 4);
	read_batch(w, 4, 1);
	pass(w, 20);
	assert_int_equal(n_done, 5);
	close_world(w);
}

static void who_finds_no_place_to_wait_goes_on(void **state)
{
	enum { N = 65536 };
	struct world *w = malloc(sizeof(*w));
	struct sonde_io *ios = calloc(N + 1, sizeof(*ios));
	struct sonde_xfer x = { .len = 1 };
	struct sonde_xfer *xfers = malloc((N + 1) * sizeof(*xfers));
	uint8_t byte;

	(void)state;
	open_world(w, "throttle,batches=1,burst_ms=0");
	read_batch(w, 0, 1);
	x.buf = &byte;
	for (size_t i = 0; i <= N; i++) {
		xfers[i] = x;
		ios[i] = (struct sonde_io){ .xfers = &xfers[i], .n = 1, .done = done };
		sonde_io_submit(w->layer.space, &ios[i]);
		if (i == N - 1)
			sonde_loop_turn(w->fake.loop);
	}
	assert_int_equal(n_done, 1);
	sonde_loop_turn(w->fake.loop);
	assert_int_equal(n_done, 2);
	assert_int_equal(layer_stat(&w->layer, "not held"), 1);
	pass(w, 3000);
	assert_int_equal(n_done, N + 2);
	close_world(w);
	free(ios);
	free(xfers);
}

static void what_makes_no_sense_is_refused(void **state)
{
	struct fake fake = { 0 };

	(void)state;
	fake_open(&fake, loop_new(SONDE_ENGINE_SYNC, 0), 64, SONDE_WAY_EXTENTS);
	layer_plugin_refuses(fake.space, "throttle", SONDE_E_BAD_ARG, "to what?");
	layer_plugin_refuses(fake.space, "throttle,burst_ms=5", SONDE_E_BAD_ARG, "to what?");
	layer_plugin_refuses(fake.space, "throttle,bytes=0", SONDE_E_BAD_ARG, "nothing pass");
	layer_plugin_refuses(fake.space, "throttle,batches=0", SONDE_E_BAD_ARG, "nothing pass");
	layer_plugin_refuses(fake.space, "throttle,bytes=x", SONDE_E_BAD_ARG, "not a number");
	layer_plugin_refuses(fake.space, "throttle,bytes=1,burst_ms=60001", SONDE_E_BAD_ARG,
			     "above a minute");
	fake_close(&fake);
	sonde_loop_destroy(fake.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_have_their_rate),
		cmocka_unit_test(a_batch_larger_than_its_second_makes_the_next_wait),
		cmocka_unit_test(a_pause_is_good_for_a_burst),
		cmocka_unit_test(the_slower_of_two_limits_counts),
		cmocka_unit_test(a_batch_stays_one),
		cmocka_unit_test(who_gives_up_does_not_pay),
		cmocka_unit_test(who_finds_no_place_to_wait_goes_on),
		cmocka_unit_test(what_makes_no_sense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
