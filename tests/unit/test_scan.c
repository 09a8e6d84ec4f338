/* SPDX-License-Identifier: MIT */
/*
 * Scans of spaces of every kind, with one thread and with several: what lies across borders, what cannot be read, ends
 * in the middle. The bytes are zeros with a needle at each place a test names.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sonde/scan.h>
#include <sonde/target.h>
#include <sonde/task.h>
#include <unistd.h>

#include "arch/paging.h"
#include "scan/scan.h"
#include "spaces.h"
#include "synth/page_tables.h"

#define MEM (UINT64_C(9) << 20) /* several chunks, and not a whole number of them */

static const uint8_t needle[8] = { 0xde, 0xad, 1, 0, 0, 2, 0xbe, 0xef };
static const struct sonde_pattern one = { needle, NULL, sizeof(needle), 0 };

struct told {
	struct sonde_scan_hit hits[64];
	size_t n;
	uint64_t stop_at; /* this hit, or this progress, ends it; 0: none */
	struct sonde_scan_cancel *cancel;
	uint64_t done, n_progress;
	pthread_t thread;
};

static int keep(void *user, const struct sonde_scan_hit *hit)
{
	struct told *told = user;

	assert_true(told->n < 64);
	assert_true(pthread_equal(told->thread, pthread_self()));
	told->hits[told->n++] = *hit;
	if (told->cancel)
		sonde_scan_cancel(told->cancel);
	return told->stop_at && told->n == told->stop_at ? 42 : 0;
}

static int see(void *user, const struct sonde_scan_progress *progress)
{
	struct told *told = user;

	assert_true(progress->done > told->done && progress->done <= progress->total);
	assert_int_equal(progress->n_hits, told->n);
	told->done = progress->done;
	told->n_progress++;
	return 0;
}

static int scan(struct sonde_space *space, struct sonde_scan_options *options, struct told *told,
		struct sonde_scan_progress *ret)
{
	told->thread = pthread_self();
	options->size = sizeof(*options);
	options->progress = see;
	return sonde_scan(space, &one, 1, options, keep, told, ret, NULL);
}

/* Exactly these, with one thread, two, and more than there are chunks. */
static void finds(struct sonde_space *space, uint64_t last, const uint64_t *want, size_t n,
		  uint64_t skipped)
{
	static const uint32_t threads[] = { 1, 2, 33 };

	for (size_t t = 0; t < 3; t++) {
		struct sonde_scan_options options = { .n_threads = threads[t], .last = last };
		struct sonde_scan_progress progress = { 0 };
		struct told told = { 0 };
		assert_int_equal(scan(space, &options, &told, &progress), 0);
		assert_int_equal(progress.done, progress.total);
		assert_int_equal(progress.skipped, skipped);
		assert_int_equal(progress.n_hits, n);
		assert_int_equal(told.n, n);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(told.hits[i].addr, want[i]);
	}
}

static void open_zeros(struct fake *fake, uint32_t way)
{
	fake_open(fake, loop_new(SONDE_ENGINE_SYNC, 0), MEM, way);
	memset(fake->bytes, 0, MEM);
}

static void close_zeros(struct fake *fake)
{
	fake_close(fake);
	sonde_loop_destroy(fake->loop);
}

static void put(struct fake *fake, uint64_t at)
{
	memcpy(fake->bytes + at, needle, sizeof(needle));
}

static void hits_come_once_and_in_order_across_pages_blocks_and_chunks(void **state)
{
	static const uint64_t places[] = { 0,
					   0xffc,
					   0x3fffd,
					   0x40008,
					   SCAN_CHUNK - 7,
					   SCAN_CHUNK + 8,
					   2 * SCAN_CHUNK - 8,
					   3 * SCAN_CHUNK - 1,
					   MEM - 8 };
	const size_t n = sizeof(places) / sizeof(places[0]);

	(void)state;
	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		struct fake fake = { 0 };
		open_zeros(&fake, way);
		for (size_t i = 0; i < n; i++)
			put(&fake, places[i]);
		finds(fake.space, MEM - 1, places, n, 0);
		close_zeros(&fake);
	}
}

static void nothing_matches_across_a_hole_and_all_behind_it_is_found(void **state)
{
	static const struct fake_range bad[] = { { 0x2000, 0x1000, SONDE_E_NOT_SAVED },
						 { 0x5010, 3, SONDE_E_IO },
						 { SCAN_CHUNK - 4, 8, SONDE_E_NOT_MAPPED } };
	static const uint64_t want[] = { 0x1ff8, 0x3000, 0x5008, 0x5013, SCAN_CHUNK + 4 };

	(void)state;
	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		struct fake fake = { .bad = bad, .n_bad = 3 };
		open_zeros(&fake, way);
		for (size_t i = 0; i < 5; i++)
			put(&fake, want[i]);
		/* Where extents tell of a hole it is no region. */
		finds(fake.space, MEM - 1, want, 5, way == SONDE_WAY_EXTENTS ? 0 : 0x1000 + 3 + 8);
		close_zeros(&fake);
	}
}

/* fake has no regions in the ways that move: those of the range. */
static void a_space_without_regions_needs_a_range(void **state)
{
	struct sonde_scan_options options = { .first = 0x1001, .last = 0x2fff };
	struct sonde_scan_progress progress;
	struct sonde_error err = { 0 };
	struct fake fake = { 0 };
	struct told told = { .thread = pthread_self() };

	(void)state;
	open_zeros(&fake, SONDE_WAY_TRANSFER);
	put(&fake, 0xff9);
	put(&fake, 0x1001);
	put(&fake, 0x2ff8);
	assert_int_equal(sonde_scan(fake.space, &one, 1, NULL, keep, &told, NULL, &err),
			 SONDE_E_UNSUPPORTED);
	assert_non_null(strstr(err.text, "which range"));
	assert_int_equal(scan(fake.space, &options, &told, &progress), 0);
	assert_int_equal(told.n, 2);
	assert_int_equal(told.hits[0].addr, 0x1001);
	assert_int_equal(told.hits[1].addr, 0x2ff8);
	assert_int_equal(progress.total, 0x1fff);
	options.last = 0x2ffe; /* cuts the last one's end off */
	told.n = told.done = 0;
	assert_int_equal(scan(fake.space, &options, &told, &progress), 0);
	assert_int_equal(told.n, 1);
	close_zeros(&fake);
}

static void regions_that_touch_are_one(void **state)
{
	struct sonde_space *space;
	struct fake fake = { 0 };
	struct told told = { 0 };
	static const uint64_t want[] = { 0x0ffc, 0x1ffd, 0x9000 };

	(void)state;
	open_zeros(&fake, SONDE_WAY_EXTENTS);
	/* Three stretches that lie together, in another order below, and one apart. */
	struct sonde_stretch stretches[] = { { 0, 0x1000, fake.space, 0x5000 },
					     { 0x1000, 0x1000, fake.space, 0x2000 },
					     { 0x2000, 0x1000, fake.space, 0x8000 },
					     { 0x9000, 0x800, fake.space, 0x7800 } };
	memcpy(fake.bytes + 0x5ffc, needle, 4);
	memcpy(fake.bytes + 0x2000, needle + 4, 4);
	memcpy(fake.bytes + 0x2ffd, needle, 3);
	memcpy(fake.bytes + 0x8000, needle + 3, 5);
	put(&fake, 0x7800);
	assert_int_equal(sonde_space_remap(fake.loop, stretches, 4, &space), 0);
	finds(space, 0, want, 3, 0);
	struct sonde_scan_options options = { .region_flags = SONDE_REGION_RAM };
	struct sonde_scan_progress progress;
	assert_int_equal(scan(space, &options, &told, &progress), 0);
	assert_int_equal(progress.total, 0); /* none is said to be RAM */
	sonde_space_close(space);
	close_zeros(&fake);
}

static void virtual_memory_is_searched_where_it_lies(void **state)
{
	static const uint64_t want[] = { 0x1ffa, 0x200ffe };
	struct sonde_scan_progress progress;
	struct sonde_scan_options options = { .last = 0x400fff };
	struct page_tables tables;
	struct sonde_space *space;
	struct fake fake = { 0 };
	struct told told = { 0 };

	(void)state;
	open_zeros(&fake, SONDE_WAY_EXTENTS);
	/* Pages that touch there lie anywhere here; one is not in memory at all. */
	tables_build(&tables, fake.bytes, MEM, 0x800000, 4,
		     "1000 4k 5000\n2000 4k 3000\n3000 4k f0000000\n4000 4k 7000\n"
		     "200000 4k 9000\n201000 4k a000\n400000 4k b000\n");
	memcpy(fake.bytes + 0x5ffa, needle, 6);
	memcpy(fake.bytes + 0x3000, needle + 6, 2);
	put(&fake, 0x9ffe);
	assert_int_equal(
		paging_space(fake.space, paging_map(paging_x86_64(4), tables.root), 0, &space), 0);
	finds(space, 0, want, 2, 0x1000);
	assert_int_equal(scan(space, &options, &told, &progress), 0);
	assert_int_equal(progress.borrowed, 0x2000 + 0x2000 + 0x1000);
	sonde_space_close(space);
	close_zeros(&fake);
}

static void overlapping_hits_and_several_patterns_keep_their_order(void **state)
{
	static const uint8_t aa[2] = { 0xaa, 0xaa }, low[1] = { 0x0a }, mask[1] = { 0x0f };
	const struct sonde_pattern patterns[] = { { aa, NULL, 2, 0 }, { low, mask, 1, 2 } };
	static const struct sonde_scan_hit want[] = { { 0x100, 0, 0 }, { 0x100, 1, 0 },
						      { 0x101, 0, 0 }, { 0x102, 0, 0 },
						      { 0x102, 1, 0 }, { 0x104, 1, 0 } };
	struct fake fake = { 0 };
	struct told told = { .thread = pthread_self() };

	(void)state;
	open_zeros(&fake, SONDE_WAY_EXTENTS);
	memset(fake.bytes + 0x100, 0xaa, 4);
	fake.bytes[0x104] = 0x7a;
	assert_int_equal(sonde_scan(fake.space, patterns, 2, NULL, keep, &told, NULL, NULL), 0);
	assert_int_equal(told.n, 6);
	assert_memory_equal(told.hits, want, sizeof(want));
	close_zeros(&fake);
}

/* ---- ends in the middle ------------------------------------------------------------------------------ */

static void hits_beyond_the_limit_are_said_to_be_there(void **state)
{
	struct sonde_scan_progress progress;
	struct fake fake = { 0 };

	(void)state;
	open_zeros(&fake, SONDE_WAY_EXTENTS);
	for (uint64_t i = 0; i < 3; i++)
		put(&fake, i * SCAN_CHUNK);
	for (uint32_t n = 1; n <= 2; n++) {
		struct sonde_scan_options options = { .n_threads = n, .max_hits = 2 };
		struct told told = { 0 };
		assert_int_equal(scan(fake.space, &options, &told, &progress), SONDE_E_LIMIT);
		assert_int_equal(told.n, 2);
		assert_int_equal(progress.n_hits, 2);
		options.max_hits = 3;
		told = (struct told){ 0 };
		assert_int_equal(scan(fake.space, &options, &told, &progress), 0);
		assert_int_equal(told.n, 3);
	}
	close_zeros(&fake);
}

static int count(void *user, const struct sonde_scan_hit *hit)
{
	uint64_t *n = user;

	assert_int_equal(hit->addr, *n);
	++*n;
	return 0;
}

/* Far more than any buffer of hits holds. */
static void every_byte_may_be_a_hit(void **state)
{
	static const uint8_t zero;
	const struct sonde_pattern pattern = { &zero, NULL, 1, 0 };
	struct fake fake = { 0 };

	(void)state;
	open_zeros(&fake, SONDE_WAY_EXTENTS);
	for (uint32_t threads = 1; threads <= 2; threads++) {
		struct sonde_scan_options options = { .size = sizeof(options),
						      .n_threads = threads,
						      .last = 3 * SCAN_CHUNK };
		uint64_t n = 0;
		assert_int_equal(
			sonde_scan(fake.space, &pattern, 1, &options, count, &n, NULL, NULL), 0);
		assert_int_equal(n, 3 * SCAN_CHUNK + 1);
	}
	close_zeros(&fake);
}

/* A hit at the beginning of each of four chunks. */
static void open_four_hits(struct fake *fake)
{
	open_zeros(fake, SONDE_WAY_EXTENTS);
	for (uint64_t i = 0; i < 4; i++)
		put(fake, i * SCAN_CHUNK);
}

static void a_callback_stops_with_its_own_result(void **state)
{
	struct fake fake = { 0 };

	(void)state;
	open_four_hits(&fake);
	for (uint32_t n = 1; n <= 2; n++) {
		struct sonde_scan_options options = { .n_threads = n };
		struct told told = { .stop_at = 2 };
		assert_int_equal(scan(fake.space, &options, &told, NULL), 42);
		assert_int_equal(told.n, 2);
	}
	close_zeros(&fake);
}

static int unsupported(void *user, const struct sonde_scan_hit *hit)
{
	(void)hit;
	++*(uint64_t *)user;
	return SONDE_E_UNSUPPORTED;
}

/* ... nor taken for a scan that threads cannot do. */
static void a_callback_that_says_unsupported_is_not_called_again(void **state)
{
	struct fake fake = { 0 };

	(void)state;
	open_four_hits(&fake);
	for (uint32_t n = 1; n <= 2; n++) {
		struct sonde_scan_options options = { .size = sizeof(options), .n_threads = n };
		uint64_t n_calls = 0;
		assert_int_equal(sonde_scan(fake.space, &one, 1, &options, unsupported, &n_calls,
					    NULL, NULL),
				 SONDE_E_UNSUPPORTED);
		assert_int_equal(n_calls, 1);
	}
	close_zeros(&fake);
}

static void it_can_be_cancelled_in_the_middle_and_before(void **state)
{
	struct fake fake = { 0 };

	(void)state;
	for (uint32_t way = SONDE_WAY_EXTENTS; way <= SONDE_WAY_TRANSFER; way <<= 1) {
		open_zeros(&fake, way);
		put(&fake, 16);
		put(&fake, MEM - 8);
		for (uint32_t n = 1; n <= 2; n++) {
			struct sonde_scan_cancel cancel = { 0 };
			struct sonde_scan_options options = { .n_threads = n,
							      .last = MEM - 1,
							      .cancel = &cancel };
			struct sonde_scan_progress progress = { 0 };
			struct told told = { .cancel = &cancel };
			int r = scan(fake.space, &options, &told, &progress);
			/* The other thread may be through before the first hit is told. */
			assert_true(r == SONDE_E_CANCELLED || (n == 2 && r == 0));
			assert_true(told.n >= 1);
			told = (struct told){ 0 };
			r = scan(fake.space, &options, &told, &progress);
			assert_int_equal(r, SONDE_E_CANCELLED);
			assert_int_equal(told.n, 0);
			assert_int_equal(progress.done, 0);
		}
		close_zeros(&fake);
	}
}

static void *cancel_soon(void *arg)
{
	usleep(2000);
	sonde_scan_cancel(arg);
	return NULL;
}

static int never(void *user, const struct sonde_scan_hit *hit)
{
	(void)user, (void)hit;
	return 0;
}

static size_t take_and_keep(struct fake *fake, struct sonde_io *const *ios, size_t n)
{
	(void)fake, (void)ios;
	return n;
}

static void drop_them(void *conn, struct sonde_io *io, int32_t why)
{
	(void)conn, (void)why;
	space_host.io_done(io);
}

static int no_regions(void *conn, sonde_region_fn *fn, void *user)
{
	struct sonde_region region = { .len = 1 << 20, .flags = SONDE_REGION_READ, .name = "" };

	(void)conn;
	return fn(user, &region);
}

/* A target that answers nothing: only time ends that. */
static void a_deadline_ends_reads_that_hang(void **state)
{
	struct sonde_connector_ops ops = { .size = sizeof(ops),
					   .close = fake_conn_close,
					   .info = fake_info,
					   .submit = fake_submit,
					   .cancel = drop_them,
					   .regions = no_regions };
	struct fake fake = { .submit = take_and_keep, .loop = loop_new(SONDE_ENGINE_SYNC, 0) };
	struct sonde_scan_options options = { .deadline_ns = sonde_now_ns() + 5000000 };
	struct told told = { 0 };

	(void)state;
	assert_int_equal(space_from_connector(fake.loop, &ops, &fake, &fake.space, NULL), 0);
	assert_int_equal(scan(fake.space, &options, &told, NULL), SONDE_E_TIMED_OUT);
	sonde_space_close(fake.space);
	sonde_loop_destroy(fake.loop);
}

static void another_thread_may_cancel(void **state)
{
	static const uint8_t zero;
	const struct sonde_pattern pattern = { &zero, NULL, 1, 0 };
	struct sonde_scan_cancel cancel = { 0 };
	struct sonde_scan_options options = { .size = sizeof(options),
					      .n_threads = 2,
					      .cancel = &cancel };
	struct fake fake = { 0 };
	pthread_t thread;
	int r = 0;

	(void)state;
	open_zeros(&fake, SONDE_WAY_EXTENTS);
	pthread_create(&thread, NULL, cancel_soon, &cancel);
	while (r == 0)
		r = sonde_scan(fake.space, &pattern, 1, &options, never, NULL, NULL, NULL);
	assert_int_equal(r, SONDE_E_CANCELLED);
	pthread_join(thread, NULL);
	close_zeros(&fake);
}

/* ---- files --------------------------------------------------------------------------------------------- */

struct cut_file {
	int fd;
	uint64_t left;
};

/* Between two chunks the file loses what lies behind. */
static int cut(void *user, const struct sonde_scan_hit *hit)
{
	struct cut_file *file = user;

	if (hit->addr == 0)
		assert_int_equal(ftruncate(file->fd, (off_t)file->left), 0);
	return 0;
}

static int file_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct sonde_extent e = { .len = MEM,
				  .kind = SONDE_EXTENT_FILE,
				  .flags = SONDE_REGION_READ,
				  .fd = ((struct cut_file *)conn)->fd };

	(void)err;
	return fn(user, &e);
}

static void a_file_cut_under_the_scan_is_skipped_from_there(void **state)
{
	char path[] = "/tmp/sonde-scan-XXXXXX";
	struct cut_file file = { .fd = mkstemp(path), .left = 0x1000 };

	(void)state;
	unlink(path);
	for (uint32_t n = 1; n <= 2; n++) {
		struct sonde_loop *loop = loop_new(SONDE_ENGINE_DIRECT, 0);
		struct sonde_scan_options options = { .size = sizeof(options), .n_threads = n };
		struct sonde_scan_progress progress = { 0 };
		assert_int_equal(ftruncate(file.fd, (off_t)MEM), 0);
		assert_int_equal(pwrite(file.fd, needle, 8, 0), 8);
		struct sonde_space *space = open_extents_of(loop, &file, file_extents);
		assert_int_equal(sonde_scan(space, &one, 1, &options, cut, &file, &progress, NULL),
				 0);
		assert_int_equal(progress.done, MEM);
		/* How far the threads were is their business; what is gone is not taken for searched. */
		if (n == 1)
			assert_int_equal(progress.skipped, MEM - 0x1000);
		assert_int_equal(progress.skipped % 0x1000, 0);
		assert_int_equal(progress.n_hits, 1);
		sonde_space_close(space);
		sonde_loop_destroy(loop);
	}
	close(file.fd);
}

static void a_file_that_was_cut_before_is_skipped_by_every_thread(void **state)
{
	static const uint64_t want[] = { 0x400000 };
	char path[] = "/tmp/sonde-scan-XXXXXX";
	struct cut_file file = { .fd = mkstemp(path) };
	struct sonde_loop *loop = loop_new(SONDE_ENGINE_AUTO, 0);

	(void)state;
	unlink(path);
	assert_int_equal(ftruncate(file.fd, (off_t)MEM), 0);
	assert_int_equal(pwrite(file.fd, needle, 8, 0x400000), 8);
	struct sonde_space *space = open_extents_of(loop, &file, file_extents);
	assert_int_equal(ftruncate(file.fd, 0x500000), 0);
	finds(space, 0, want, 1, MEM - 0x500000);
	sonde_space_close(space);
	sonde_loop_destroy(loop);
	close(file.fd);
}

/* ---- what is refused -------------------------------------------------------------------------------------- */

static void refuses(struct sonde_space *space, const struct sonde_pattern *patterns, size_t n,
		    const struct sonde_scan_options *options, const char *words)
{
	struct sonde_error err = { 0 };
	struct told told = { 0 };

	assert_int_equal(sonde_scan(space, patterns, n, options, keep, &told, NULL, &err),
			 SONDE_E_BAD_ARG);
	if (!strstr(err.text, words))
		fail_msg("'%s' does not say '%s'", err.text, words);
}

static void what_cannot_be_searched_for_is_refused(void **state)
{
	static const uint8_t long_one[SONDE_PATTERN_MAX + 1], mask[8];
	struct sonde_pattern many[SONDE_PATTERNS_MAX + 1];
	struct sonde_pattern p = { long_one, NULL, sizeof(long_one), 0 };
	struct sonde_scan_options options = { .size = sizeof(options), .first = 2, .last = 1 };
	struct fake fake = { 0 };

	(void)state;
	for (size_t i = 0; i < SONDE_PATTERNS_MAX + 1; i++)
		many[i] = one;
	open_zeros(&fake, SONDE_WAY_EXTENTS);
	refuses(fake.space, &p, 1, NULL, "more than 4096");
	refuses(fake.space, &(struct sonde_pattern){ needle, NULL, 0, 0 }, 1, NULL, "empty");
	refuses(fake.space, &(struct sonde_pattern){ NULL, NULL, 4, 0 }, 1, NULL, "empty");
	refuses(fake.space, &(struct sonde_pattern){ needle, mask, 8, 0 }, 1, NULL, "wildcards");
	refuses(fake.space, &(struct sonde_pattern){ needle, NULL, 8, 12 }, 1, NULL,
		"power of two");
	refuses(fake.space, NULL, 0, NULL, "0 patterns");
	refuses(fake.space, many, SONDE_PATTERNS_MAX + 1, NULL, "65 patterns");
	refuses(fake.space, &one, 1, &options, "ends before");
	refuses(NULL, &one, 1, NULL, "must be given");
	close_zeros(&fake);
}

static int in_a_task(struct sonde_task *task, void *arg)
{
	struct told told = { .thread = pthread_self() };

	(void)task;
	assert_int_equal(sonde_scan(arg, &one, 1, NULL, keep, &told, NULL, NULL), 0);
	assert_int_equal(told.n, 1);
	return 0;
}

static struct sonde_space *asked;

static void in_a_callback(struct sonde_io *io)
{
	struct told told = { 0 };

	assert_int_equal(sonde_scan(asked, &one, 1, NULL, keep, &told, NULL, NULL), SONDE_E_BUSY);
	io->user = NULL;
}

static void a_task_may_scan_and_a_callback_may_not(void **state)
{
	uint8_t byte;
	struct sonde_xfer x = { 0, &byte, 1, 0, 0, 0 };
	struct sonde_io io = { .xfers = &x, .n = 1, .done = in_a_callback, .user = &x };
	struct sonde_task *task;
	struct fake fake = { 0 };

	(void)state;
	open_zeros(&fake, SONDE_WAY_EXTENTS);
	put(&fake, 0x1234);
	assert_int_equal(sonde_task_spawn(fake.loop, in_a_task, fake.space, &task), 0);
	assert_int_equal(sonde_task_join(NULL, task), 0);
	asked = fake.space;
	assert_int_equal(sonde_io_submit(fake.space, &io), 0);
	sonde_loop_run(fake.loop);
	assert_null(io.user);
	close_zeros(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hits_come_once_and_in_order_across_pages_blocks_and_chunks),
		cmocka_unit_test(nothing_matches_across_a_hole_and_all_behind_it_is_found),
		cmocka_unit_test(a_space_without_regions_needs_a_range),
		cmocka_unit_test(regions_that_touch_are_one),
		cmocka_unit_test(virtual_memory_is_searched_where_it_lies),
		cmocka_unit_test(overlapping_hits_and_several_patterns_keep_their_order),
		cmocka_unit_test(hits_beyond_the_limit_are_said_to_be_there),
		cmocka_unit_test(every_byte_may_be_a_hit),
		cmocka_unit_test(a_callback_stops_with_its_own_result),
		cmocka_unit_test(a_callback_that_says_unsupported_is_not_called_again),
		cmocka_unit_test(it_can_be_cancelled_in_the_middle_and_before),
		cmocka_unit_test(another_thread_may_cancel),
		cmocka_unit_test(a_deadline_ends_reads_that_hang),
		cmocka_unit_test(a_file_cut_under_the_scan_is_skipped_from_there),
		cmocka_unit_test(a_file_that_was_cut_before_is_skipped_by_every_thread),
		cmocka_unit_test(what_cannot_be_searched_for_is_refused),
		cmocka_unit_test(a_task_may_scan_and_a_callback_may_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
