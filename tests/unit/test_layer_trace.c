/* SPDX-License-Identifier: MIT */
/* trace: the lines, word for word, by a clock of the test; and that requests go on as they are. */
#include "layer_plugin.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *path(void)
{
	static char name[64];

	snprintf(name, sizeof(name), "/tmp/sonde-trace-%d", (int)getpid());
	return name;
}

struct world {
	struct fake fake;
	struct fake_range bad;
	struct layer_plugin layer;
	char text[8192];
};

static void open_world(struct world *w, uint32_t way, const char *more)
{
	char text[128];

	memset(w, 0, sizeof(*w));
	w->bad = (struct fake_range){ 0x2000, 0x1000, SONDE_E_NOT_SAVED };
	w->fake.bad = &w->bad;
	w->fake.n_bad = 1;
	snprintf(text, sizeof(text), "trace,file=%s%s", path(), more);
	fake_open(&w->fake, loop_new(SONDE_ENGINE_SYNC, 0), 0x4000, way);
	layer_plugin_open(&w->layer, w->fake.space, text, 1);
}

static void close_world(struct world *w)
{
	layer_plugin_close(&w->layer);
	fake_close(&w->fake);
	sonde_loop_destroy(w->fake.loop);
	unlink(path());
}

static const char *lines(struct world *w)
{
	FILE *file = fopen(path(), "r");

	assert_non_null(file);
	w->text[fread(w->text, 1, sizeof(w->text) - 1, file)] = 0;
	fclose(file);
	return w->text;
}

static size_t take_a_while(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	test_clock.now_ns += 2500;
	for (size_t i = 0; i < n; i++) {
		fake_serve(fake, ios[i]);
		space_host.io_done(ios[i]);
	}
	return n;
}

static int n_done;

static void done(struct sonde_io *io)
{
	(void)io;
	n_done++;
}

/* One batch: a read of two pieces, the second half bad, and a write. */
static void one_batch(struct world *w)
{
	static uint8_t bytes[3][16];
	struct sonde_xfer x[3] = { { 0x1000, bytes[0], 16, 0, 0, 0 },
				   { 0x1ff8, bytes[1], 16, 0, 0, 0 },
				   { 0x3000, bytes[2], 4, 0, 0, 0 } };
	struct sonde_io ios[2] = {
		{ .xfers = x, .n = 2, .done = done },
		{ .xfers = x + 2, .n = 1, .op = SONDE_IO_WRITE, .done = done },
	};

	n_done = 0;
	w->fake.submit = take_a_while;
	test_clock.now_ns += 1000000007;
	sonde_io_submit(w->layer.space, &ios[0]);
	sonde_io_submit(w->layer.space, &ios[1]);
	sonde_loop_run(w->fake.loop);
	assert_int_equal(n_done, 2);
	assert_int_equal(ios[0].result, 1);
	assert_int_equal(x[1].err, SONDE_E_NOT_SAVED);
	assert_int_equal(w->fake.calls, 1);
}

static void a_line_for_each(void **state)
{
	static const struct {
		const char *more, *want;
	} cases[] = {
		{ "", "1.000000007 read 0: 2 pieces, 32 bytes, 1 failed, 2500 ns\n"
		      "1.000000007 write 1: 1 pieces, 4 bytes, 0 failed, 2500 ns\n" },
		{ ",detail=batch",
		  "1.000000007 batch 0: 2 requests, 3 pieces, 36 bytes, 1 failed, 2500 ns\n" },
		{ ",detail=piece",
		  "1.000000007 read 0.0: 0x1000+16: 16 bytes, 2500 ns\n"
		  "1.000000007 read 0.1: 0x1ff8+16: 8 bytes, NOT_SAVED at +8, 2500 ns\n"
		  "1.000000007 write 1.0: 0x3000+4: 4 bytes, 2500 ns\n" },
		{ ",format=json",
		  "{\"time_ns\":1000000007,\"request\":0,\"op\":\"read\",\"pieces\":2,\"bytes\":32,"
		  "\"failed\":1,\"took_ns\":2500}\n"
		  "{\"time_ns\":1000000007,\"request\":1,\"op\":\"write\",\"pieces\":1,\"bytes\":4,"
		  "\"failed\":0,\"took_ns\":2500}\n" },
		{ ",format=json,detail=batch",
		  "{\"time_ns\":1000000007,\"batch\":0,\"requests\":2,\"pieces\":3,\"bytes\":36,"
		  "\"failed\":1,\"took_ns\":2500}\n" },
		{ ",format=json,detail=piece",
		  "{\"time_ns\":1000000007,\"request\":0,\"piece\":0,\"op\":\"read\",\"addr\":4096,"
		  "\"len\":16,\"done\":16,\"took_ns\":2500}\n"
		  "{\"time_ns\":1000000007,\"request\":0,\"piece\":1,\"op\":\"read\",\"addr\":8184,"
		  "\"len\":16,\"done\":8,\"error\":\"NOT_SAVED\",\"error_off\":8,\"took_ns\":2500}"
		  "\n"
		  "{\"time_ns\":1000000007,\"request\":1,\"piece\":0,\"op\":\"write\",\"addr\":"
		  "12288,"
		  "\"len\":4,\"done\":4,\"took_ns\":2500}\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world w;
		open_world(&w, SONDE_WAY_SUBMIT, cases[i].more);
		one_batch(&w);
		assert_string_equal(lines(&w), cases[i].want);
		close_world(&w);
	}
}

static void mapped_memory_is_still_read_in_the_call(void **state)
{
	struct world w;
	uint8_t byte;

	(void)state;
	open_world(&w, SONDE_WAY_EXTENTS, "");
	assert_true(space_host.resident(w.layer.space));
	for (int i = 0; i < 5; i++)
		assert_int_equal(sonde_space_get(w.layer.space, 0x10, &byte, 1), 0);
	assert_int_equal(layer_stat(&w.layer, "lines"), 5);
	assert_non_null(strstr(lines(&w), " read 4: 1 pieces, 1 bytes, 0 failed, 0 ns\n"));
	assert_null(sonde_space_borrow(w.layer.space, 0, 1)); /* or it would go unseen */
	close_world(&w);
}

static struct sonde_io *kept;

static size_t keep(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	(void)fake;
	kept = ios[0];
	return n;
}

static void what_was_cancelled_is_a_line_too(void **state)
{
	struct world w;
	uint8_t byte;
	struct sonde_xfer x = { 0, &byte, 1, 0, 0, 0 };
	struct sonde_io io = { .xfers = &x, .n = 1, .done = done };

	(void)state;
	open_world(&w, SONDE_WAY_SUBMIT, ",detail=piece");
	w.fake.submit = keep;
	n_done = 0;
	sonde_io_submit(w.layer.space, &io);
	sonde_loop_turn(w.fake.loop);
	sonde_io_cancel(&io);
	sonde_loop_turn(w.fake.loop);
	assert_string_equal(lines(&w), "");
	space_host.io_done(kept);
	sonde_loop_run(w.fake.loop);
	assert_int_equal(n_done, 1);
	assert_string_equal(lines(&w),
			    "0.000000000 read 0.0: 0x0+1: 0 bytes, CANCELLED at +0, 0 ns\n");
	close_world(&w);
}

static void many_lines_go_through_a_buffer(void **state)
{
	enum { N = 5000 };
	static struct sonde_xfer x[N];
	static uint8_t bytes[N];
	struct world w;

	(void)state;
	open_world(&w, SONDE_WAY_SUBMIT, ",detail=piece");
	for (uint32_t i = 0; i < N; i++)
		x[i] = (struct sonde_xfer){ i, &bytes[i], 1, 0, 0, 0 };
	assert_int_equal(sonde_space_read(w.layer.space, x, N), N);
	struct stat st;
	assert_int_equal(stat(path(), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	FILE *file = fopen(path(), "r");
	char line[256], want[64];
	for (int i = 0; i < N; i++) {
		assert_non_null(fgets(line, sizeof(line), file));
		snprintf(want, sizeof(want), " read 0.%d: 0x%x+1: 1 bytes, ", i, (unsigned)i);
		assert_non_null(strstr(line, want));
	}
	assert_null(fgets(line, sizeof(line), file));
	fclose(file);
	close_world(&w);
}

static void two_traces_may_share_a_file(void **state)
{
	struct world w;
	struct layer_plugin second;
	char text[128];
	uint8_t byte;

	(void)state;
	open_world(&w, SONDE_WAY_SUBMIT, "");
	snprintf(text, sizeof(text), "trace,file=%s,format=json", path());
	struct sonde_error err;
	assert_int_equal(layer_plugin_try(&second, w.layer.space, text, 0, &err), 0);
	assert_int_equal(sonde_space_get(second.space, 0, &byte, 1), 0);
	layer_plugin_close(&second);
	assert_string_equal(lines(&w),
			    "0.000000000 read 0: 1 pieces, 1 bytes, 0 failed, 0 ns\n"
			    "{\"time_ns\":0,\"request\":0,\"op\":\"read\",\"pieces\":1,\"bytes\":1,"
			    "\"failed\":0,\"took_ns\":0}\n");
	close_world(&w);
}

static void what_makes_no_sense_is_refused(void **state)
{
	struct fake fake = { 0 };

	(void)state;
	fake_open(&fake, loop_new(SONDE_ENGINE_SYNC, 0), 64, SONDE_WAY_EXTENTS);
	layer_plugin_refuses(fake.space, "trace", SONDE_E_BAD_ARG, "into what?");
	layer_plugin_refuses(fake.space, "trace,file=/nowhere/x", SONDE_E_NOT_FOUND,
			     "No such file");
	layer_plugin_refuses(fake.space, "trace,file=/dev/null", SONDE_E_BAD_ARG, "is no file");
	layer_plugin_refuses(fake.space, "trace,file=x,detail=much", SONDE_E_BAD_ARG,
			     "batch, request or piece");
	layer_plugin_refuses(fake.space, "trace,file=x,format=xml", SONDE_E_BAD_ARG,
			     "text or json");
	assert_int_not_equal(access("x", F_OK), 0);
	fake_close(&fake);
	sonde_loop_destroy(fake.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_for_each),
		cmocka_unit_test(mapped_memory_is_still_read_in_the_call),
		cmocka_unit_test(what_was_cancelled_is_a_line_too),
		cmocka_unit_test(many_lines_go_through_a_buffer),
		cmocka_unit_test(two_traces_may_share_a_file),
		cmocka_unit_test(what_makes_no_sense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
