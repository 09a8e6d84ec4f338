/* SPDX-License-Identifier: MIT */
/* fault: exactly what the rule says goes wrong, the same each time; everything else passes. */
#include "layer_plugin.h"

#include <errno.h>
#include <sonde/target.h>

#include "io/engine.h"

struct world {
	struct fake fake;
	struct layer_plugin layer;
};

static void open_world(struct world *w, uint32_t way, const char *text)
{
	memset(w, 0, sizeof(*w));
	fake_open(&w->fake, loop_new(SONDE_ENGINE_SYNC, 0), 0x10000, way);
	layer_plugin_open(&w->layer, w->fake.space, text, 1);
}

static void close_world(struct world *w)
{
	layer_plugin_close(&w->layer);
	fake_close(&w->fake);
	sonde_loop_destroy(w->fake.loop);
}

#define WAYS(way)                                                                                  \
	uint32_t way = SONDE_WAY_EXTENTS;                                                          \
	way <= SONDE_WAY_SUBMIT;                                                                   \
	way <<= 1

/* ---- what goes wrong ------------------------------------------------------------------------------ */

static const struct {
	const char *text;
	uint64_t addr;
	uint32_t len, done;
	int32_t err;
	uint32_t err_off;
} cases[] = {
	{ "fault,error=GONE", 0x100, 16, 0, SONDE_E_GONE, 0 },
	{ "fault,errno=EIO", 0x100, 16, 0, SONDE_E_IO, 0 },
	{ "fault,errno=6", 0x100, 16, 0, SONDE_E_GONE, 0 },
	{ "fault,short=5", 0x100, 16, 5, SONDE_E_TRUNCATED, 5 },
	{ "fault,short=0", 0x100, 16, 0, SONDE_E_TRUNCATED, 0 },
	{ "fault,short=16", 0x100, 16, 16, 0, 16 },
	{ "fault,short=5,error=PAGED_OUT", 0x100, 16, 5, SONDE_E_PAGED_OUT, 5 },
	{ "fault,short=5,errno=ENODEV", 0x100, 16, 5, SONDE_E_GONE, 5 },
	{ "fault,drop=yes", 0x100, 16, 0, SONDE_E_IO, 0 },
	{ "fault,error=IO,at=0x108+4", 0x100, 16, 12, SONDE_E_IO, 8 },
	{ "fault,error=IO,at=0x10f+1;0x104+2", 0x100, 16, 13, SONDE_E_IO, 4 },
	{ "fault,error=IO,at=0x110+1", 0x100, 16, 16, 0, 16 },
	{ "fault,error=IO,at=0xf0+16", 0x100, 16, 16, 0, 16 },
	{ "fault,error=IO,at=0xf0+17", 0x100, 16, 15, SONDE_E_IO, 0 },
	{ "fault,error=IO,at=0xfff0+4k", 0xffe8, 16, 8, SONDE_E_IO, 8 },
	{ "fault,short=9,at=0x108+4", 0x100, 16, 13, SONDE_E_TRUNCATED, 9 },
	{ "fault,drop=yes,at=0x108+4", 0x100, 16, 0, SONDE_E_IO, 0 },
	{ "fault,error=IO,op=write", 0x100, 16, 16, 0, 16 },
	{ "fault,error=IO,after=1", 0x100, 16, 16, 0, 16 },
	{ "fault,error=IO", UINT64_MAX - 3, 8, 0, SONDE_E_IO, 0 },
	{ "fault,error=IO,at=0xfffffffffffffffe+2", UINT64_MAX - 3, 8, 0, SONDE_E_NOT_MAPPED, 0 },
	{ "fault,error=IO,at=0+16", UINT64_MAX - 3, 8, 0, SONDE_E_NOT_MAPPED, 0 },
};

static void exactly_the_bytes_of_the_rule_fail(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (WAYS(way)) {
			struct world w;
			uint8_t bytes[16];
			struct sonde_xfer x = { cases[i].addr, bytes, cases[i].len, 0, 0, 0 };
			open_world(&w, way, cases[i].text);
			memset(bytes, 0xee, sizeof(bytes));
			sonde_space_read(w.layer.space, &x, 1);
			if (x.done != cases[i].done || x.err != cases[i].err ||
			    x.err_off != cases[i].err_off)
				fail_msg("%s, way %u: got %u bytes, %s at %u", cases[i].text, way,
					 x.done, sonde_error_name(x.err), x.err_off);
			for (uint32_t k = 0; k < x.err_off; k++)
				assert_int_equal(bytes[k], fake_byte(x.addr + k));
			if (x.err)
				assert_int_equal(bytes[x.err_off], 0);
			close_world(&w);
		}
	}
}

static void writes_fail_alike_and_do_not_arrive(void **state)
{
	(void)state;
	for (WAYS(way)) {
		struct world w;
		struct sonde_xfer x = { 0x100, "sixteen letters.", 16, 0, 0, 0 };
		open_world(&w, way, "fault,errno=EROFS,at=0x108+4,op=write");
		sonde_space_write(w.layer.space, &x, 1);
		assert_int_equal(x.done, 12);
		assert_int_equal(x.err, SONDE_E_READ_ONLY);
		assert_int_equal(x.err_off, 8);
		assert_memory_equal(w.fake.bytes + 0x100, "sixteen ", 8);
		assert_int_equal(w.fake.bytes[0x108], fake_byte(0x108));
		assert_memory_equal(w.fake.bytes + 0x10c, "ers.", 4);
		close_world(&w);
	}
}

static uint32_t told;

static void tell(struct sonde_io *io, const struct sonde_fragment *f)
{
	(void)io;
	told += f->len;
}

static int n_done;

static void done(struct sonde_io *io)
{
	(void)io;
	n_done++;
}

static uint32_t bits_wrong(const uint8_t *bytes, uint64_t addr, uint32_t len)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < len; i++)
		n += (uint32_t)__builtin_popcount(bytes[i] ^ fake_byte(addr + i));
	return n;
}

static void bits_turn_over_where_they_may_and_nobody_is_told(void **state)
{
	(void)state;
	for (WAYS(way)) {
		struct world w;
		uint8_t bytes[0x2000];
		struct sonde_xfer x = { 0x800, bytes, sizeof(bytes), 0, 0, 0 };
		struct sonde_io io = { .xfers = &x, .n = 1, .done = done, .fragment = tell };
		open_world(&w, way, "fault,flip=3,op=read,at=0x1000+4k");
		told = 0;
		n_done = 0;
		sonde_io_submit(w.layer.space, &io);
		sonde_loop_run(w.fake.loop);
		assert_int_equal(n_done, 1);
		assert_int_equal(io.result, 1);
		assert_int_equal(told, sizeof(bytes));
		assert_int_equal(bits_wrong(bytes, 0x800, 0x800), 0);
		assert_int_equal(bits_wrong(bytes + 0x800, 0x1000, 0x1000), 3);
		assert_int_equal(bits_wrong(bytes + 0x1800, 0x2000, 0x800), 0);
		assert_int_equal(layer_stat(&w.layer, "bits"), 3);
		close_world(&w);
	}
}

/* No bit is turned over twice: of a small piece all are, and no more. */
static void each_bit_turns_over_once(void **state)
{
	static const uint32_t asked[] = { 1, 9, 63, 64, 1024 };

	(void)state;
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		struct world w;
		uint8_t bytes[8];
		struct sonde_xfer x = { 0x1000, bytes, sizeof(bytes), 0, 0, 0 };
		char words[64];
		snprintf(words, sizeof(words), "fault,flip=%u,op=read", asked[i]);
		open_world(&w, SONDE_WAY_TRANSFER, words);
		for (int k = 0; k < 20; k++) {
			assert_int_equal(sonde_space_read(w.layer.space, &x, 1), 1);
			assert_int_equal(bits_wrong(bytes, 0x1000, 8),
					 asked[i] < 64 ? asked[i] : 64);
		}
		close_world(&w);
	}
}

/* ---- errors of the host ------------------------------------------------------------------------------- */

/* linux v6.6 include/uapi/asm-generic/errno-base.h: 1 to 34 in this order. */
static const char *const errno_base[] = {
	"EPERM",  "ENOENT",  "ESRCH",  "EINTR",  "EIO",    "ENXIO",   "E2BIG",  "ENOEXEC", "EBADF",
	"ECHILD", "EAGAIN",  "ENOMEM", "EACCES", "EFAULT", "ENOTBLK", "EBUSY",  "EEXIST",  "EXDEV",
	"ENODEV", "ENOTDIR", "EISDIR", "EINVAL", "ENFILE", "EMFILE",  "ENOTTY", "ETXTBSY", "EFBIG",
	"ENOSPC", "ESPIPE",  "EROFS",  "EMLINK", "EPIPE",  "EDOM",    "ERANGE",
};
enum { N_ERRNOS = sizeof(errno_base) / sizeof(errno_base[0]) };

struct what_stat {
	char text[128];
};

static int take_what(void *user, const struct sonde_stat *stat)
{
	snprintf(((struct what_stat *)user)->text, 128, "%s", stat->text);
	return 1;
}

static void every_errno_of_a_file_operation_gives_what_the_engines_give(void **state)
{
	(void)state;
	assert_int_equal(N_ERRNOS, ERANGE);
	for (int number = 1; number <= N_ERRNOS; number++) {
		struct world w;
		char text[64], words[128];
		uint8_t byte = 0xee;
		struct what_stat what;
		snprintf(text, sizeof(text), "fault,errno=%s", errno_base[number - 1]);
		open_world(&w, SONDE_WAY_EXTENTS, text);
		int r = sonde_space_get(w.layer.space, 0, &byte, 1);
		assert_int_equal(r, errno_code(number, SONDE_IO_READ));
		assert_int_equal(byte, 0);
		assert_true(r < 0 && strcmp(sonde_error_name(r), "UNKNOWN") != 0);
		r = sonde_space_put(w.layer.space, 0, &byte, 1);
		assert_int_equal(r, errno_code(number, SONDE_IO_WRITE));
		space_layer_stats(w.layer.space, take_what, &what);
		snprintf(words, sizeof(words), "error (errno %d, %s)", number, strerror(number));
		assert_string_equal(what.text, words);
		close_world(&w);
	}
}

static void every_errno_of_opening_is_told_in_words(void **state)
{
	struct fake fake = { 0 };

	(void)state;
	fake_open(&fake, loop_new(SONDE_ENGINE_SYNC, 0), 64, SONDE_WAY_EXTENTS);
	for (int number = 1; number <= N_ERRNOS; number++) {
		char text[64], words[128];
		snprintf(text, sizeof(text), "fault,open=%s", errno_base[number - 1]);
		snprintf(words, sizeof(words), "fault: asked to fail: %s", strerror(number));
		layer_plugin_refuses(fake.space, text, sonde_error_os(NULL, number, "x"), words);
	}
	for (int code = -1; strcmp(sonde_error_name(code), "UNKNOWN") != 0; code--) {
		char text[64];
		struct world w;
		uint8_t byte;
		snprintf(text, sizeof(text), "fault,open=%s", sonde_error_name(code));
		layer_plugin_refuses(fake.space, text, code, sonde_strerror(code));
		snprintf(text, sizeof(text), "fault,error=%s", sonde_error_name(code));
		open_world(&w, SONDE_WAY_TRANSFER, text);
		assert_int_equal(sonde_space_get(w.layer.space, 0, &byte, 1), code);
		close_world(&w);
	}
	fake_close(&fake);
	sonde_loop_destroy(fake.loop);
}

/* ---- which pieces ---------------------------------------------------------------------------------- */

enum { N = 1000 };

/* Which of N pieces fail, one request each `step` pieces. */
static void run(const char *text, uint32_t step, uint8_t *failed)
{
	static struct sonde_xfer x[N];
	static uint8_t bytes[N];
	struct world w;

	open_world(&w, SONDE_WAY_TRANSFER, text);
	for (uint32_t i = 0; i < N; i++)
		x[i] = (struct sonde_xfer){ i * 16, &bytes[i], 1, 0, 0, 0 };
	for (uint32_t i = 0; i < N; i += step)
		sonde_space_read(w.layer.space, &x[i], step);
	for (uint32_t i = 0; i < N; i++) {
		failed[i] = x[i].err != 0;
		assert_int_equal(bytes[i], failed[i] ? 0 : (uint8_t)i);
	}
	close_world(&w);
}

static void each_nth_is_hit_in_the_order_of_pieces(void **state)
{
	uint8_t failed[N];

	(void)state;
	for (uint32_t step = 1; step <= N; step *= 10) {
		run("fault,error=IO,every=7,after=10,times=5", step, failed);
		for (uint32_t i = 0; i < N; i++)
			assert_int_equal(failed[i], i >= 10 && i < 45 && (i - 9) % 7 == 0);
	}
}

static void chance_follows_from_the_seed(void **state)
{
	uint8_t a[N], b[N], c[N];
	uint32_t n = 0;

	(void)state;
	run("fault,error=IO,random=4,seed=9", 1, a);
	run("fault,error=IO,random=4,seed=9", 50, b);
	run("fault,error=IO,random=4,seed=10", 1, c);
	assert_memory_equal(a, b, N);
	assert_memory_not_equal(a, c, N);
	for (uint32_t i = 0; i < N; i++)
		n += a[i];
	assert_in_range(n, 200, 300);
}

/* ---- time and cancelling ----------------------------------------------------------------------------- */

static void an_end_can_be_put_off_and_cancelled(void **state)
{
	struct world w;
	uint8_t bytes[2];
	struct sonde_xfer x[2] = { { 0x100, &bytes[0], 1, 0, 0, 0 },
				   { 0x200, &bytes[1], 1, 0, 0, 0 } };
	struct sonde_io ios[2] = { { .xfers = &x[0], .n = 1, .done = done },
				   { .xfers = &x[1], .n = 1, .done = done } };

	(void)state;
	open_world(&w, SONDE_WAY_EXTENTS, "fault,delay_us=300,at=0x100+1");
	n_done = 0;
	sonde_io_submit(w.layer.space, &ios[0]);
	sonde_io_submit(w.layer.space, &ios[1]);
	sonde_loop_turn(w.fake.loop);
	assert_int_equal(n_done, 1); /* the other is not hit */
	clock_pass(299999);
	sonde_loop_turn(w.fake.loop);
	assert_int_equal(n_done, 1);
	clock_pass(1);
	sonde_loop_turn(w.fake.loop);
	assert_int_equal(n_done, 2);
	assert_int_equal(bytes[0], 16);
	/* Cancelled while it waits: what had come has come. */
	sonde_io_submit(w.layer.space, &ios[0]);
	sonde_loop_turn(w.fake.loop);
	assert_int_equal(sonde_io_cancel(&ios[0]), 1);
	sonde_loop_turn(w.fake.loop);
	assert_int_equal(n_done, 3);
	assert_int_equal(ios[0].result, 1);
	close_world(&w);
	open_world(&w, SONDE_WAY_TRANSFER, "fault,drop=yes,delay_us=300");
	sonde_io_submit(w.layer.space, &ios[0]);
	sonde_loop_turn(w.fake.loop);
	sonde_io_cancel(&ios[0]);
	sonde_loop_turn(w.fake.loop);
	assert_int_equal(n_done, 4);
	assert_int_equal(ios[0].result, SONDE_E_CANCELLED);
	assert_int_equal(x[0].err, SONDE_E_CANCELLED);
	assert_int_equal(w.fake.calls, 0);
	close_world(&w);
}

static struct sonde_io *kept;

static size_t keep(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	(void)fake;
	kept = ios[0];
	return n;
}

static void a_cancel_goes_below(void **state)
{
	struct world w;
	uint8_t bytes[8];
	struct sonde_xfer x = { 0x100, bytes, 8, 0, 0, 0 };
	struct sonde_io io = { .xfers = &x, .n = 1, .done = done };

	(void)state;
	open_world(&w, SONDE_WAY_SUBMIT, "fault,error=IO,at=0x104+4");
	w.fake.submit = keep;
	n_done = 0;
	sonde_io_submit(w.layer.space, &io);
	sonde_loop_turn(w.fake.loop);
	sonde_io_cancel(&io);
	sonde_loop_turn(w.fake.loop);
	assert_ptr_not_equal(kept, &io);
	assert_int_equal(kept->n, 1);
	assert_int_equal(kept->xfers[0].len, 4);
	space_host.io_done(kept);
	sonde_loop_run(w.fake.loop);
	assert_int_equal(n_done, 1);
	assert_int_equal(io.result, SONDE_E_CANCELLED);
	close_world(&w);
}

static void two_rules_are_two_layers(void **state)
{
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_AUTO, 0);
	struct sonde_target *target;
	struct sonde_error err;
	uint8_t byte;

	(void)state;
	if (sonde_target_open(loop, "ram:64k|fault,error=GONE,at=0x10+1|fault,error=IO,at=0x20+1",
			      NULL, &target, &err) < 0)
		fail_msg("%s", err.text);
	struct sonde_space *space = sonde_target_memory(target);
	assert_int_equal(sonde_space_get(space, 0x10, &byte, 1), SONDE_E_GONE);
	assert_int_equal(sonde_space_get(space, 0x20, &byte, 1), SONDE_E_IO);
	assert_int_equal(sonde_space_get(space, 0x30, &byte, 1), 0);
	sonde_target_close(target);
	sonde_loop_destroy(loop);
}

static void what_makes_no_sense_is_refused(void **state)
{
	static const struct {
		const char *text, *words;
	} bad[] = {
		{ "fault", "what is to go wrong?" },
		{ "fault,every=5", "what is to go wrong?" },
		{ "fault,error=NONE", "no such code" },
		{ "fault,error=UNKNOWN", "no such code" },
		{ "fault,errno=EWHAT", "no such name or number" },
		{ "fault,errno=0", "no such name or number" },
		{ "fault,errno=5000", "no such name or number" },
		{ "fault,error=IO,errno=EIO", "not both" },
		{ "fault,error=IO,drop=yes", "more layers" },
		{ "fault,flip=1,drop=yes,op=read", "more layers" },
		{ "fault,flip=1", "add op=read" },
		{ "fault,flip=0,op=read", "flip: out of its range" },
		{ "fault,flip=2000,op=read", "flip: out of its range" },
		{ "fault,drop=no", "yes, or leave it out" },
		{ "fault,short=3G", "short: out of its range" },
		{ "fault,delay_us=0", "delay_us: out of its range" },
		{ "fault,error=IO,every=0", "every: out of its range" },
		{ "fault,error=IO,op=seek", "read, write or both" },
		{ "fault,error=IO,at=", "is not ADDR+LEN" },
		{ "fault,error=IO,at=5", "is not ADDR+LEN" },
		{ "fault,error=IO,at=5+0", "is not ADDR+LEN" },
		{ "fault,error=IO,at=5+1;", "is not ADDR+LEN" },
		{ "fault,error=IO,at=2+0xffffffffffffffff", "is not ADDR+LEN" },
		{ "fault,open=nothing", "no such error" },
	};
	struct fake fake = { 0 };

	(void)state;
	fake_open(&fake, loop_new(SONDE_ENGINE_SYNC, 0), 64, SONDE_WAY_EXTENTS);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		layer_plugin_refuses(fake.space, bad[i].text, SONDE_E_BAD_ARG, bad[i].words);
	fake_close(&fake);
	sonde_loop_destroy(fake.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exactly_the_bytes_of_the_rule_fail),
		cmocka_unit_test(writes_fail_alike_and_do_not_arrive),
		cmocka_unit_test(bits_turn_over_where_they_may_and_nobody_is_told),
		cmocka_unit_test(each_bit_turns_over_once),
		cmocka_unit_test(every_errno_of_a_file_operation_gives_what_the_engines_give),
		cmocka_unit_test(every_errno_of_opening_is_told_in_words),
		cmocka_unit_test(each_nth_is_hit_in_the_order_of_pieces),
		cmocka_unit_test(chance_follows_from_the_seed),
		cmocka_unit_test(an_end_can_be_put_off_and_cancelled),
		cmocka_unit_test(a_cancel_goes_below),
		cmocka_unit_test(two_rules_are_two_layers),
		cmocka_unit_test(what_makes_no_sense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
