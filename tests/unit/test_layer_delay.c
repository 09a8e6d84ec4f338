/* SPDX-License-Identifier: MIT */
/* delay: each batch waits its time, whatever its size, and goes on as it was; cancelled, it waits no longer. */
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
	uint8_t byte;
};

static void start(struct sonde_space *space, struct reading *r, uint64_t addr)
{
	memset(r, 0, sizeof(*r));
	r->byte = 0xee;
	r->x = (struct sonde_xfer){ .addr = addr, .buf = &r->byte, .len = 1 };
	r->io = (struct sonde_io){ .xfers = &r->x, .n = 1, .done = done };
	assert_int_equal(sonde_io_submit(space, &r->io), 0);
}

static void open_both(struct fake *fake, struct layer_plugin *layer, const char *text)
{
	memset(fake, 0, sizeof(*fake));
	n_done = 0;
	fake_open(fake, loop_new(SONDE_ENGINE_SYNC, 0), 8192, SONDE_WAY_TRANSFER);
	layer_plugin_open(layer, fake->space, text, 0);
}

static void close_both(struct fake *fake, struct layer_plugin *layer)
{
	layer_plugin_close(layer);
	fake_close(fake);
	sonde_loop_destroy(fake->loop);
}

static void a_batch_waits_once_and_stays_one(void **state)
{
	struct fake fake;
	struct layer_plugin layer;
	struct reading readings[100];

	(void)state;
	open_both(&fake, &layer, "delay,ms=2,us=500");
	for (uint64_t i = 0; i < 100; i++)
		start(layer.space, &readings[i], i * 16);
	sonde_loop_turn(fake.loop);
	clock_pass(2499999);
	sonde_loop_turn(fake.loop);
	assert_int_equal(fake.calls, 0);
	clock_pass(1);
	sonde_loop_turn(fake.loop);
	assert_int_equal(fake.calls, 1);
	assert_int_equal(n_done, 100);
	for (int i = 0; i < 100; i++)
		assert_int_equal(readings[i].byte, i);
	assert_int_equal(layer_stat(&layer, "batches"), 1);
	assert_int_equal(layer_stat(&layer, "requests"), 100);
	close_both(&fake, &layer);
}

static void cancelled_it_ends_at_once_and_alone(void **state)
{
	struct fake fake;
	struct layer_plugin layer;
	struct reading readings[3];

	(void)state;
	open_both(&fake, &layer, "delay,ms=50");
	for (uint64_t i = 0; i < 3; i++)
		start(layer.space, &readings[i], i * 16);
	sonde_loop_turn(fake.loop);
	assert_int_equal(test_clock.n, 1);
	assert_int_equal(sonde_io_cancel(&readings[1].io), 1);
	assert_int_equal(n_done, 0); /* not inside the call */
	sonde_loop_turn(fake.loop);
	assert_int_equal(n_done, 1);
	assert_int_equal(readings[1].io.result, SONDE_E_CANCELLED);
	assert_int_equal(readings[1].x.err, SONDE_E_CANCELLED);
	assert_int_equal(readings[1].byte, 0);
	assert_int_equal(sonde_io_cancel(&readings[1].io), 0);
	clock_pass(50000000);
	sonde_loop_turn(fake.loop);
	assert_int_equal(n_done, 3);
	assert_int_equal(readings[2].byte, 2);
	assert_int_equal(fake.pieces, 2);
	close_both(&fake, &layer);
}

static void the_last_of_a_batch_takes_its_timer_with_it(void **state)
{
	struct fake fake;
	struct layer_plugin layer;
	struct reading readings[2];

	(void)state;
	open_both(&fake, &layer, "delay,ms=50");
	start(layer.space, &readings[0], 0);
	start(layer.space, &readings[1], 16);
	sonde_loop_turn(fake.loop);
	sonde_io_cancel(&readings[0].io);
	sonde_io_cancel(&readings[1].io);
	sonde_loop_turn(fake.loop);
	assert_int_equal(n_done, 2);
	assert_int_equal(test_clock.n, 0);
	assert_int_equal(fake.calls, 0);
	start(layer.space, &readings[0], 32); /* and the batch is used again */
	sonde_loop_turn(fake.loop);
	clock_pass(50000000);
	sonde_loop_turn(fake.loop);
	assert_int_equal(readings[0].byte, 2);
	close_both(&fake, &layer);
}

static void its_own_deadline_ends_it(void **state)
{
	struct fake fake;
	struct layer_plugin layer;
	struct reading r;

	(void)state;
	open_both(&fake, &layer, "delay,ms=50");
	memset(&r, 0, sizeof(r));
	r.x = (struct sonde_xfer){ .buf = &r.byte, .len = 1 };
	r.io = (struct sonde_io){
		.xfers = &r.x, .n = 1, .done = done, .deadline_ns = sonde_now_ns() + 1000000
	};
	sonde_io_submit(layer.space, &r.io);
	sonde_loop_run(fake.loop);
	assert_int_equal(n_done, 1);
	assert_int_equal(r.io.result, SONDE_E_TIMED_OUT);
	close_both(&fake, &layer);
}

static void what_makes_no_sense_is_refused(void **state)
{
	struct fake fake;

	(void)state;
	memset(&fake, 0, sizeof(fake));
	fake_open(&fake, loop_new(SONDE_ENGINE_SYNC, 0), 64, SONDE_WAY_EXTENTS);
	layer_plugin_refuses(fake.space, "delay", SONDE_E_BAD_ARG, "how long?");
	layer_plugin_refuses(fake.space, "delay,ms=60001", SONDE_E_BAD_ARG, "a minute");
	layer_plugin_refuses(fake.space, "delay,ms=x", SONDE_E_BAD_ARG, "not a number");
	layer_plugin_refuses(fake.space, "delay,s=1", SONDE_E_BAD_ARG, "unknown argument 's'");
	fake_close(&fake);
	sonde_loop_destroy(fake.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_batch_waits_once_and_stays_one),
		cmocka_unit_test(cancelled_it_ends_at_once_and_alone),
		cmocka_unit_test(the_last_of_a_batch_takes_its_timer_with_it),
		cmocka_unit_test(its_own_deadline_ends_it),
		cmocka_unit_test(what_makes_no_sense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
