/* SPDX-License-Identifier: MIT */
/*
 * cache: right bytes, none of them older than they may be, each page asked for once however many want it,
 * errors never kept as bytes; and hit rates beside those of a plain LRU of the same size.
 */
#include "layer_plugin.h"

#include <sonde/target.h>

#define PAGE 4096u
#define MEM UINT64_C(0x40000)

struct world {
	struct fake fake;
	struct fake_range bad[4];
	struct layer_plugin layer;
};

static void open_world(struct world *w, uint32_t way, const char *text)
{
	memset(w, 0, sizeof(*w));
	fake_open(&w->fake, loop_new(SONDE_ENGINE_SYNC, 0), MEM, way);
	w->fake.bad = w->bad;
	layer_plugin_open(&w->layer, w->fake.space, text, 1);
}

static void close_world(struct world *w)
{
	layer_plugin_close(&w->layer);
	fake_close(&w->fake);
	sonde_loop_destroy(w->fake.loop);
}

static int read_at(struct world *w, uint64_t addr, uint8_t *ret)
{
	return sonde_space_get(w->layer.space, addr, ret, 1);
}

/* ---- reading ------------------------------------------------------------------------------------------ */

static void what_was_read_is_not_asked_for_again(void **state)
{
	struct world w;
	uint8_t bytes[64];

	(void)state;
	open_world(&w, SONDE_WAY_TRANSFER, "cache");
	for (int i = 0; i < 10; i++) {
		assert_int_equal(sonde_space_get(w.layer.space, 0x1ff0, bytes, 64), 0);
		for (uint32_t k = 0; k < 64; k++)
			assert_int_equal(bytes[k], fake_byte(0x1ff0 + k));
	}
	assert_int_equal(w.fake.calls, 1);
	assert_int_equal(w.fake.pieces, 2);
	assert_int_equal(layer_stat(&w.layer, "hits"), 18);
	assert_int_equal(layer_stat(&w.layer, "misses"), 2);
	assert_int_equal(layer_stat(&w.layer, "pages"), 2);
	sonde_space_trim(w.layer.space);
	assert_int_equal(layer_stat(&w.layer, "pages"), 0);
	assert_int_equal(sonde_space_get(w.layer.space, 0x1ff0, bytes, 64), 0);
	assert_int_equal(bytes[0], fake_byte(0x1ff0));
	assert_int_equal(w.fake.calls, 2);
	close_world(&w);
}

static void a_batch_is_one_trip_and_each_page_once_in_it(void **state)
{
	enum { N = 2000 };
	static struct sonde_xfer x[N];
	static uint8_t bytes[N];
	struct world w;

	(void)state;
	open_world(&w, SONDE_WAY_TRANSFER, "cache");
	for (uint32_t i = 0; i < N; i++)
		x[i] = (struct sonde_xfer){ i * 12007u % MEM, &bytes[i], 1, 0, 0, 0 };
	assert_int_equal(sonde_space_read(w.layer.space, x, N), N);
	assert_int_equal(w.fake.calls, 1);
	assert_int_equal(w.fake.pieces, MEM / PAGE);
	assert_int_equal(layer_stat(&w.layer, "joined"), N - MEM / PAGE);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(bytes[i], fake_byte(x[i].addr));
	close_world(&w);
}

static int n_done;

static void done(struct sonde_io *io)
{
	(void)io;
	n_done++;
}

static struct sonde_io *held[64];
static size_t n_held;

static size_t hold(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	(void)fake;
	for (size_t i = 0; i < n; i++)
		held[n_held++] = ios[i];
	return n;
}

static void let_go(struct world *w)
{
	size_t n = n_held;
	struct sonde_io *now[64];

	memcpy(now, held, sizeof(now));
	n_held = 0;
	for (size_t i = 0; i < n; i++) {
		fake_serve(&w->fake, now[i]);
		space_host.io_done(now[i]);
	}
}

struct reading {
	struct sonde_io io;
	struct sonde_xfer x;
	uint8_t byte;
};

static void start(struct world *w, struct reading *r, uint64_t addr, uint32_t op)
{
	memset(r, 0, sizeof(*r));
	r->byte = 0xee;
	r->x = (struct sonde_xfer){ addr, &r->byte, 1, 0, 0, 0 };
	r->io = (struct sonde_io){ .xfers = &r->x, .n = 1, .op = op, .done = done };
	assert_int_equal(sonde_io_submit(w->layer.space, &r->io), 0);
	sonde_loop_turn(w->fake.loop);
}

static void open_held(struct world *w, const char *text)
{
	open_world(w, SONDE_WAY_SUBMIT, text);
	w->fake.submit = hold;
	n_held = 0;
	n_done = 0;
}

static void who_wants_what_is_coming_joins(void **state)
{
	struct world w;
	struct reading r[5];

	(void)state;
	open_held(&w, "cache");
	for (int i = 0; i < 5; i++)
		start(&w, &r[i], 0x3000 + 16u * (unsigned)i, SONDE_IO_READ);
	assert_int_equal(w.fake.calls, 1);
	assert_int_equal(n_done, 0);
	let_go(&w);
	sonde_loop_turn(w.fake.loop);
	assert_int_equal(n_done, 5);
	for (int i = 0; i < 5; i++)
		assert_int_equal(r[i].byte, fake_byte(0x3000 + 16u * (unsigned)i));
	assert_int_equal(layer_stat(&w.layer, "joined"), 4);
	close_world(&w);
}

/* ---- age ------------------------------------------------------------------------------------------------ */

static void a_page_is_good_for_its_time_from_when_it_was_asked_for(void **state)
{
	struct world w;
	struct reading r;
	uint8_t byte;

	(void)state;
	open_held(&w, "cache,ms=10");
	start(&w, &r, 0x1000, SONDE_IO_READ);
	clock_pass(6000000); /* on its way */
	let_go(&w);
	sonde_loop_turn(w.fake.loop);
	w.fake.submit = NULL;
	w.fake.bytes[0x1000] = 77;
	clock_pass(3999999);
	assert_int_equal(read_at(&w, 0x1000, &byte), 0);
	assert_int_equal(byte, 0);
	clock_pass(1);
	assert_int_equal(read_at(&w, 0x1000, &byte), 0);
	assert_int_equal(byte, 77);
	assert_int_equal(layer_stat(&w.layer, "stale"), 1);
	/* What has been under way for longer than that is not joined. */
	w.fake.submit = hold;
	clock_pass(10000000);
	start(&w, &r, 0x1000, SONDE_IO_READ);
	struct reading late;
	clock_pass(10000000);
	start(&w, &late, 0x1000, SONDE_IO_READ);
	assert_int_equal(n_held, 2);
	let_go(&w);
	sonde_loop_turn(w.fake.loop);
	assert_int_equal(late.byte, 77);
	close_world(&w);
}

static void invalidated_it_is_asked_for_again(void **state)
{
	struct world w;
	struct reading r[2];
	uint8_t byte;

	(void)state;
	open_world(&w, SONDE_WAY_SUBMIT, "cache,ms=0");
	assert_int_equal(read_at(&w, 0x1000, &byte), 0);
	w.fake.bytes[0x1000] = 77;
	clock_pass(UINT64_C(1000000000000));
	assert_int_equal(read_at(&w, 0x1000, &byte), 0);
	assert_int_equal(byte, 0);
	sonde_space_invalidate(w.layer.space);
	assert_int_equal(read_at(&w, 0x1000, &byte), 0);
	assert_int_equal(byte, 77);
	/* Asked for before and back after: whoever asked has it, nobody else. */
	w.fake.submit = hold;
	n_held = 0;
	n_done = 0;
	sonde_space_invalidate(w.layer.space);
	start(&w, &r[0], 0x1000, SONDE_IO_READ);
	sonde_space_invalidate(w.layer.space);
	start(&w, &r[1], 0x1000, SONDE_IO_READ);
	assert_int_equal(n_held, 2);
	let_go(&w);
	sonde_loop_turn(w.fake.loop);
	assert_int_equal(n_done, 2);
	w.fake.submit = NULL;
	w.fake.bytes[0x1000] = 78;
	assert_int_equal(read_at(&w, 0x1000, &byte), 0);
	assert_int_equal(byte, 78);
	close_world(&w);
}

/* Its pages hold the number of their version, which changes behind the cache's back. */
static void no_byte_of_a_live_target_is_older_than_allowed(void **state)
{
	enum { PAGES = 40, ROUNDS = 30000 };
	const uint64_t ms = 5;
	uint64_t changed[PAGES][256] = { { 0 } }; /* when it came to this version */
	uint8_t version[PAGES] = { 0 };
	struct world w;
	uint64_t n_old = 0;

	(void)state;
	srand(3);
	open_world(&w, SONDE_WAY_TRANSFER, "cache,ms=5,mb=1");
	for (uint32_t p = 0; p < PAGES; p++)
		memset(w.fake.bytes + p * PAGE, 0, PAGE);
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t p = (uint32_t)rand() % PAGES;
		uint8_t bytes[4];
		clock_pass((uint64_t)rand() % 300000);
		if (rand() % 8 == 0 && version[p] < 255) {
			memset(w.fake.bytes + p * PAGE, ++version[p], PAGE);
			changed[p][version[p]] = test_clock.now_ns;
		}
		p = (uint32_t)rand() % PAGES;
		assert_int_equal(sonde_space_get(w.layer.space, p * PAGE + (uint32_t)rand() % 4000,
						 bytes, 4),
				 0);
		assert_true(bytes[0] <= version[p]);
		n_old += bytes[0] < version[p];
		/* An older one is right as long as the next did not come too long ago. */
		if (bytes[0] < version[p])
			assert_true(test_clock.now_ns - changed[p][bytes[0] + 1] < ms * 1000000);
	}
	assert_true(n_old > 100); /* it is a cache after all */
	assert_true(layer_stat(&w.layer, "hits") > ROUNDS / 4);
	close_world(&w);
}

/* ---- writing ---------------------------------------------------------------------------------------------- */

static void writes_go_through_and_all_is_asked_for_again(void **state)
{
	struct world w;
	uint8_t byte;

	(void)state;
	open_world(&w, SONDE_WAY_TRANSFER, "cache");
	read_at(&w, 0x1000, &byte);
	read_at(&w, 0x2000, &byte);
	read_at(&w, 0x3000, &byte);
	assert_int_equal(sonde_space_put(w.layer.space, 0x1fff, "ab", 2), 0);
	assert_int_equal(w.fake.bytes[0x1fff], 'a');
	w.fake.calls = 0;
	read_at(&w, 0x1fff, &byte);
	assert_int_equal(byte, 'a');
	read_at(&w, 0x2000, &byte);
	assert_int_equal(byte, 'b');
	assert_int_equal(w.fake.calls, 2);
	read_at(&w, 0x3000, &byte); /* the byte that was written may stand there as well */
	assert_int_equal(w.fake.calls, 3);
	read_at(&w, 0x3000, &byte);
	assert_int_equal(w.fake.calls, 3);
	close_world(&w);
}

static void one_byte_at_two_addresses(void **state)
{
	struct fake fake = { 0 };
	struct layer_plugin layer;
	struct sonde_space *twice;
	uint8_t byte;

	(void)state;
	fake_open(&fake, loop_new(SONDE_ENGINE_SYNC, 0), MEM, SONDE_WAY_TRANSFER);
	struct sonde_stretch s[] = { { 0, 0x1000, fake.space, 0 },
				     { 0x1000, 0x1000, fake.space, 0 } };
	assert_int_equal(sonde_space_remap(fake.loop, s, 2, &twice), 0);
	layer_plugin_open(&layer, twice, "cache", 1);
	assert_int_equal(sonde_space_get(layer.space, 0x1005, &byte, 1), 0);
	assert_int_equal(sonde_space_put(layer.space, 0x0005, "x", 1), 0);
	assert_int_equal(sonde_space_get(layer.space, 0x1005, &byte, 1), 0);
	assert_int_equal(byte, 'x');
	layer_plugin_close(&layer);
	sonde_space_close(twice);
	fake_close(&fake);
	sonde_loop_destroy(fake.loop);
}

/* Whatever the order in which a read and a write that overlap come home, later reads see the write. */
static void a_read_that_overlaps_a_write_is_not_kept(void **state)
{
	(void)state;
	for (int order = 0; order < 4; order++) {
		struct world w;
		struct reading read, write;
		uint8_t byte;
		open_held(&w, "cache");
		if (order & 1) {
			start(&w, &read, 0x1000, SONDE_IO_READ);
			start(&w, &write, 0x1000, SONDE_IO_WRITE);
		} else {
			start(&w, &write, 0x1000, SONDE_IO_WRITE);
			start(&w, &read, 0x1000, SONDE_IO_READ);
		}
		assert_int_equal(n_held, 2);
		struct sonde_io *reader = held[order & 1 ? 0 : 1],
				*writer = held[order & 1 ? 1 : 0];
		fake_serve(&w.fake, reader); /* reads what was there before */
		fake_serve(&w.fake, writer);
		n_held = 0;
		space_host.io_done(order & 2 ? reader : writer);
		sonde_loop_turn(w.fake.loop);
		space_host.io_done(order & 2 ? writer : reader);
		sonde_loop_turn(w.fake.loop);
		assert_int_equal(n_done, 2);
		w.fake.submit = NULL;
		assert_int_equal(read_at(&w, 0x1000, &byte), 0);
		assert_int_equal(byte, 0xee);
		close_world(&w);
	}
}

static void who_asks_after_a_write_does_not_join_who_asked_before(void **state)
{
	struct world w;
	struct reading before, after, write;

	(void)state;
	open_held(&w, "cache");
	start(&w, &before, 0x1000, SONDE_IO_READ);
	fake_serve(&w.fake, held[0]);
	start(&w, &write, 0x1000, SONDE_IO_WRITE);
	fake_serve(&w.fake, held[1]);
	space_host.io_done(held[1]);
	sonde_loop_turn(w.fake.loop);
	start(&w, &after, 0x1000, SONDE_IO_READ);
	assert_int_equal(n_held, 3);
	fake_serve(&w.fake, held[2]);
	space_host.io_done(held[2]);
	space_host.io_done(held[0]);
	sonde_loop_turn(w.fake.loop);
	assert_int_equal(before.byte, 0);
	assert_int_equal(after.byte, 0xee);
	close_world(&w);
}

static void reads_and_writes_at_random_agree_with_memory(void **state)
{
	static uint8_t bytes[3][0x14000];
	struct sonde_xfer x[3];

	(void)state;
	srand(23);
	for (uint32_t way = SONDE_WAY_TRANSFER; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		struct world w;
		open_world(&w, way, "cache,mb=1");
		w.bad[0] = (struct fake_range){ 0x5000, 0x2000, SONDE_E_NOT_SAVED };
		w.bad[1] = (struct fake_range){ 0x9f00, 0x20, SONDE_E_NOT_MAPPED };
		w.bad[2] = (struct fake_range){ 0x9f20, 0x20, SONDE_E_IO };
		w.fake.n_bad = 3;
		for (int round = 0; round < 5000; round++) {
			uint32_t n = 1 + (uint32_t)rand() % 3, write = rand() % 4 == 0;
			n = write ? 1 : n;
			for (uint32_t i = 0; i < n; i++) {
				uint32_t max = rand() % 30 ? 5000 : sizeof(bytes[0]);
				x[i] = (struct sonde_xfer){ .addr = (uint64_t)rand() % (MEM + 200),
							    .buf = bytes[i],
							    .len = 1 + (uint32_t)rand() % max };
				memset(bytes[i], rand(), x[i].len);
			}
			if (write) {
				sonde_space_write(w.layer.space, x, 1);
				continue;
			}
			sonde_space_read(w.layer.space, x, n);
			for (uint32_t i = 0; i < n; i++) {
				uint8_t *want = malloc(x[i].len);
				struct sonde_xfer direct = { .addr = x[i].addr,
							     .buf = want,
							     .len = x[i].len };
				sonde_space_read(w.fake.space, &direct, 1);
				assert_int_equal(x[i].done, direct.done);
				assert_int_equal(x[i].err, direct.err);
				assert_int_equal(x[i].err_off, direct.err_off);
				assert_memory_equal(bytes[i], want, x[i].len);
				free(want);
			}
		}
		assert_true(layer_stat(&w.layer, "hits") > 1000);
		close_world(&w);
	}
}

/* ---- what is not there --------------------------------------------------------------------------------------- */

static void holes_are_kept_and_failures_are_not(void **state)
{
	static const struct {
		int32_t err;
		int kept;
	} cases[] = {
		{ SONDE_E_NOT_MAPPED, 1 }, { SONDE_E_NOT_SAVED, 1 }, { SONDE_E_PAGED_OUT, 1 },
		{ SONDE_E_IO, 0 },         { SONDE_E_GONE, 0 },      { SONDE_E_NO_MEMORY, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world w;
		uint8_t byte;
		open_world(&w, SONDE_WAY_TRANSFER, "cache");
		w.bad[0] = (struct fake_range){ 0x2000, 0x1000, cases[i].err };
		w.fake.n_bad = 1;
		assert_int_equal(read_at(&w, 0x2010, &byte), cases[i].err);
		assert_int_equal(byte, 0);
		w.fake.n_bad = 0; /* now it is there */
		assert_int_equal(read_at(&w, 0x2010, &byte), cases[i].kept ? cases[i].err : 0);
		sonde_space_invalidate(w.layer.space);
		assert_int_equal(read_at(&w, 0x2010, &byte), 0);
		assert_int_equal(byte, fake_byte(0x2010));
		close_world(&w);
	}
}

static void a_page_that_is_there_in_parts_is_asked_for_each_time(void **state)
{
	struct world w;
	uint8_t bytes[16];
	struct sonde_xfer x = { 0x2ff8, bytes, 16, 0, 0, 0 };

	(void)state;
	open_world(&w, SONDE_WAY_SUBMIT, "cache");
	w.bad[0] = (struct fake_range){ 0x2ffc, 0x8, SONDE_E_NOT_MAPPED };
	w.bad[1] = (struct fake_range){ 0x3004, 0x10, SONDE_E_IO };
	w.fake.n_bad = 2;
	for (int i = 0; i < 3; i++) {
		sonde_space_read(w.layer.space, &x, 1);
		assert_int_equal(x.done, 4);
		assert_int_equal(x.err, SONDE_E_NOT_MAPPED);
		assert_int_equal(x.err_off, 4);
		assert_int_equal(bytes[3], fake_byte(0x2ffb));
	}
	assert_int_equal(w.fake.calls, 4); /* twice the first time */
	x.addr = 0x3004;
	x.len = 4;
	sonde_space_read(w.layer.space, &x, 1);
	assert_int_equal(x.err, SONDE_E_IO);
	close_world(&w);
}

/* ---- eviction -------------------------------------------------------------------------------------------------- */

/* A plain LRU of n pages, for comparison. */
struct lru {
	uint64_t page[1024], used[1024], clock;
	uint32_t n;
};

static int lru_hit(struct lru *lru, uint64_t page)
{
	uint32_t oldest = 0;

	lru->clock++;
	for (uint32_t i = 0; i < lru->n; i++) {
		if (lru->page[i] == page && lru->used[i]) {
			lru->used[i] = lru->clock;
			return 1;
		}
		if (lru->used[i] < lru->used[oldest])
			oldest = i;
	}
	lru->page[oldest] = page;
	lru->used[oldest] = lru->clock;
	return 0;
}

/* A sparse world: every page reads alike. */
static size_t anything(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	(void)fake;
	for (size_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < ios[i]->n; k++) {
			memset(ios[i]->xfers[k].buf, 5, ios[i]->xfers[k].len);
			sonde_progress(&space_host, ios[i], k, 0, ios[i]->xfers[k].len, 0);
		}
		space_host.io_done(ios[i]);
	}
	return n;
}

/* step: bytes from one read of the scan to the next. Hits in percent of all reads of hot pages. */
static void run_mix(uint32_t n_hot, uint32_t scan_share, uint32_t step, uint32_t *ret_ours,
		    uint32_t *ret_lru)
{
	enum { READS = 60000 };
	struct lru lru = { .n = 256 };
	uint64_t hot = 0, lru_hits = 0, before = 0, ours = 0, at = 0;
	struct world w;
	uint8_t byte;

	open_world(&w, SONDE_WAY_SUBMIT, "cache,mb=1");
	w.fake.submit = anything;
	srand(17);
	for (int i = 0; i < READS; i++) {
		int scan = (uint32_t)rand() % 100 < scan_share;
		uint64_t addr = scan ? (UINT64_C(1) << 40) + at
				     : (uint64_t)((uint32_t)rand() % n_hot) * PAGE;
		at += scan ? step : 0;
		int lru_has = lru_hit(&lru, addr / PAGE);
		assert_int_equal(read_at(&w, addr, &byte), 0);
		uint64_t now = layer_stat(&w.layer, "hits");
		hot += !scan;
		ours += !scan && now > before;
		lru_hits += (uint64_t)(!scan && lru_has);
		before = now;
	}
	*ret_ours = (uint32_t)(ours * 100 / hot);
	*ret_lru = (uint32_t)(lru_hits * 100 / hot);
	close_world(&w);
}

static void a_scan_does_not_drive_out_what_is_wanted(void **state)
{
	static const struct {
		uint32_t n_hot, scan_share, step, at_least, above_lru;
	} mixes[] = {
		{ 200, 50, PAGE, 90, 20 },    { 200, 80, PAGE, 85, 50 }, { 150, 50, PAGE, 90, 5 },
		{ 200, 80, PAGE / 8, 85, 0 }, { 400, 50, PAGE, 45, 10 }, { 200, 0, PAGE, 98, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(mixes) / sizeof(mixes[0]); i++) {
		uint32_t ours, lru;
		run_mix(mixes[i].n_hot, mixes[i].scan_share, mixes[i].step, &ours, &lru);
		print_message("%u hot pages, %u%% scan in steps of %u: %u%% hits, LRU %u%%\n",
			      mixes[i].n_hot, mixes[i].scan_share, mixes[i].step, ours, lru);
		assert_true(ours >= mixes[i].at_least);
		assert_true(ours >= lru + mixes[i].above_lru || mixes[i].above_lru == 0);
	}
}

static void a_batch_larger_than_the_cache_leaves_what_is_wanted(void **state)
{
	enum { N = 3000 };
	static struct sonde_xfer x[N];
	static uint8_t bytes[N];
	struct world w;
	uint8_t byte;

	(void)state;
	open_world(&w, SONDE_WAY_SUBMIT, "cache,mb=1");
	w.fake.submit = anything;
	for (int round = 0; round < 6; round++)
		for (uint64_t p = 0; p < 200; p++)
			assert_int_equal(read_at(&w, p * PAGE, &byte), 0);
	for (uint32_t i = 0; i < N; i++)
		x[i] = (struct sonde_xfer){ (1000 + i) * (uint64_t)PAGE, &bytes[i], 1, 0, 0, 0 };
	w.fake.calls = 0;
	assert_int_equal(sonde_space_read(w.layer.space, x, N), N);
	assert_int_equal(w.fake.calls, 1);
	for (uint32_t i = 0; i < N; i++)
		assert_int_equal(bytes[i], 5);
	assert_true(layer_stat(&w.layer, "pages") <= 256);
	uint64_t before = layer_stat(&w.layer, "hits");
	for (uint64_t p = 0; p < 200; p++)
		assert_int_equal(read_at(&w, p * PAGE, &byte), 0);
	assert_true(layer_stat(&w.layer, "hits") - before > 180);
	close_world(&w);
}

static void large_pieces_pass(void **state)
{
	static uint8_t bytes[65536];
	struct world w;

	(void)state;
	open_world(&w, SONDE_WAY_TRANSFER, "cache");
	assert_int_equal(sonde_space_get(w.layer.space, 0x800, bytes, sizeof(bytes)), 0);
	assert_int_equal(bytes[65535], fake_byte(0x107ff));
	assert_int_equal(layer_stat(&w.layer, "passed"), 1);
	assert_int_equal(layer_stat(&w.layer, "pages"), 0);
	close_world(&w);
}

static void over_mapped_memory_it_steps_aside_and_says_so(void **state)
{
	struct world w;
	uint8_t byte;

	(void)state;
	open_world(&w, SONDE_WAY_EXTENTS, "cache");
	assert_int_equal(read_at(&w, 16, &byte), 0);
	w.fake.bytes[16] = 99;
	assert_int_equal(read_at(&w, 16, &byte), 0);
	assert_int_equal(byte, 99);
	assert_int_equal(layer_stat(&w.layer, "aside (below is mapped memory)"), 2);
	assert_int_equal(layer_stat(&w.layer, "misses"), 0);
	assert_true(space_host.resident(w.layer.space));
	assert_ptr_equal(sonde_space_borrow(w.layer.space, 16, 1), w.fake.bytes + 16);
	close_world(&w);
}

/* ---- cancelling -------------------------------------------------------------------------------------------------- */

static void one_of_several_that_wait_may_leave(void **state)
{
	struct world w;
	struct reading r[3];

	(void)state;
	open_held(&w, "cache");
	for (int i = 0; i < 3; i++)
		start(&w, &r[i], 0x3000 + (unsigned)i, SONDE_IO_READ);
	sonde_io_cancel(&r[0].io); /* the one that sent for the page */
	sonde_loop_turn(w.fake.loop);
	assert_int_equal(n_done, 1);
	assert_int_equal(r[0].io.result, SONDE_E_CANCELLED);
	assert_int_equal(r[0].byte, 0);
	let_go(&w);
	sonde_loop_turn(w.fake.loop);
	assert_int_equal(n_done, 3);
	assert_int_equal(r[1].byte, fake_byte(0x3001));
	assert_int_equal(layer_stat(&w.layer, "pages"), 1);
	close_world(&w);
}

static void the_last_that_waits_stays_until_below_is_done(void **state)
{
	struct world w;
	struct reading r, late;
	uint8_t byte;

	(void)state;
	open_held(&w, "cache");
	start(&w, &r, 0x3000, SONDE_IO_READ);
	sonde_io_cancel(&r.io);
	sonde_loop_turn(w.fake.loop);
	assert_int_equal(n_done, 0);
	start(&w, &late, 0x3000, SONDE_IO_READ); /* does not join what was given up */
	assert_int_equal(n_held, 2);
	space_host.io_done(held[0]); /* without a byte told */
	sonde_loop_turn(w.fake.loop);
	assert_int_equal(n_done, 1);
	assert_int_equal(r.io.result, SONDE_E_CANCELLED);
	assert_int_equal(r.x.err, SONDE_E_CANCELLED);
	held[0] = held[1];
	n_held = 1;
	let_go(&w);
	sonde_loop_turn(w.fake.loop);
	assert_int_equal(late.byte, fake_byte(0x3000));
	w.fake.submit = NULL;
	assert_int_equal(read_at(&w, 0x3000, &byte), 0);
	assert_int_equal(byte, fake_byte(0x3000));
	close_world(&w);
}

/* Every mix of reads, writes, cancels, deadlines and answers in any order: each ends once. */
static void anything_may_be_cancelled_at_any_time(void **state)
{
	enum { N = 24, TURNS = 20000 };
	static struct reading r[N];
	int busy[N] = { 0 };
	struct world w;

	(void)state;
	srand(29);
	open_held(&w, "cache,mb=1,ms=50");
	w.bad[0] = (struct fake_range){ 0x1ff0, 0x20, SONDE_E_NOT_MAPPED };
	w.bad[1] = (struct fake_range){ 0x4000, 0x1000, SONDE_E_IO };
	w.fake.n_bad = 2;
	int started = 0;
	for (int turn = 0; turn < TURNS; turn++) {
		int i = rand() % N;
		busy[i] = r[i].io.state != SONDE_IO_IDLE;
		clock_pass((uint64_t)rand() % 1000000);
		if (!busy[i] && n_held < 40) {
			memset(&r[i].io, 0, sizeof(r[i].io));
			start(&w, &r[i], (uint64_t)rand() % 0x6000, rand() % 5 == 0);
			started++;
		} else if (rand() % 2) {
			sonde_io_cancel(&r[i].io);
		}
		if (rand() % 3 == 0 && n_held) {
			size_t k = (size_t)rand() % n_held;
			struct sonde_io *io = held[k];
			held[k] = held[--n_held];
			if (rand() % 4)
				fake_serve(&w.fake, io);
			space_host.io_done(io);
		}
		if (rand() % 100 == 0)
			sonde_space_invalidate(w.layer.space);
		if (rand() % 100 == 0)
			sonde_space_trim(w.layer.space);
		sonde_loop_turn(w.fake.loop);
	}
	while (n_held) {
		let_go(&w);
		sonde_loop_turn(w.fake.loop);
	}
	sonde_loop_run(w.fake.loop);
	assert_int_equal(n_done, started);
	close_world(&w);
}

/* ---- by name --------------------------------------------------------------------------------------------------------- */

static void what_is_live_is_believed_for_a_moment_only(void **state)
{
	struct fake fake = { 0 };
	struct layer_plugin layer;
	struct sonde_target_info info = { .flags = SONDE_TARGET_LIVE };
	uint8_t byte;

	(void)state;
	for (int given = 0; given < 2; given++) {
		fake_open(&fake, loop_new(SONDE_ENGINE_SYNC, 0), MEM, SONDE_WAY_TRANSFER);
		layer_plugin_open(&layer, fake.space, given ? "cache,ms=0" : "cache", 0);
		space_layer_info(layer.space, &info);
		sonde_space_get(layer.space, 0, &byte, 1);
		fake.bytes[0] = 9;
		clock_pass(99999999);
		sonde_space_get(layer.space, 0, &byte, 1);
		assert_int_equal(byte, 0);
		clock_pass(1);
		sonde_space_get(layer.space, 0, &byte, 1);
		assert_int_equal(byte, given ? 0 : 9);
		layer_plugin_close(&layer);
		fake_close(&fake);
		sonde_loop_destroy(fake.loop);
		fake = (struct fake){ 0 };
	}
}

static void what_makes_no_sense_is_refused(void **state)
{
	struct fake fake = { 0 };

	(void)state;
	fake_open(&fake, loop_new(SONDE_ENGINE_SYNC, 0), 64, SONDE_WAY_EXTENTS);
	layer_plugin_refuses(fake.space, "cache,mb=0", SONDE_E_BAD_ARG, "1 to 1048576");
	layer_plugin_refuses(fake.space, "cache,mb=1048577", SONDE_E_BAD_ARG, "1 to 1048576");
	layer_plugin_refuses(fake.space, "cache,ms=x", SONDE_E_BAD_ARG, "not a number");
	layer_plugin_refuses(fake.space, "cache,ms=1000000001", SONDE_E_BAD_ARG, "above");
	layer_plugin_refuses(fake.space, "cache,kb=1", SONDE_E_BAD_ARG, "unknown argument");
	fake_close(&fake);
	sonde_loop_destroy(fake.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_read_is_not_asked_for_again),
		cmocka_unit_test(a_batch_is_one_trip_and_each_page_once_in_it),
		cmocka_unit_test(who_wants_what_is_coming_joins),
		cmocka_unit_test(a_page_is_good_for_its_time_from_when_it_was_asked_for),
		cmocka_unit_test(invalidated_it_is_asked_for_again),
		cmocka_unit_test(no_byte_of_a_live_target_is_older_than_allowed),
		cmocka_unit_test(writes_go_through_and_all_is_asked_for_again),
		cmocka_unit_test(one_byte_at_two_addresses),
		cmocka_unit_test(a_read_that_overlaps_a_write_is_not_kept),
		cmocka_unit_test(who_asks_after_a_write_does_not_join_who_asked_before),
		cmocka_unit_test(reads_and_writes_at_random_agree_with_memory),
		cmocka_unit_test(holes_are_kept_and_failures_are_not),
		cmocka_unit_test(a_page_that_is_there_in_parts_is_asked_for_each_time),
		cmocka_unit_test(a_scan_does_not_drive_out_what_is_wanted),
		cmocka_unit_test(a_batch_larger_than_the_cache_leaves_what_is_wanted),
		cmocka_unit_test(large_pieces_pass),
		cmocka_unit_test(over_mapped_memory_it_steps_aside_and_says_so),
		cmocka_unit_test(one_of_several_that_wait_may_leave),
		cmocka_unit_test(the_last_that_waits_stays_until_below_is_done),
		cmocka_unit_test(anything_may_be_cancelled_at_any_time),
		cmocka_unit_test(what_is_live_is_believed_for_a_moment_only),
		cmocka_unit_test(what_makes_no_sense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
