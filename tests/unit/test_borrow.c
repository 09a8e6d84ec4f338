/* SPDX-License-Identifier: MIT */
/*
 * Memory that is lent without a copy: by connectors, through stretches, page tables and every layer there is. What
 * is lent is what a read brings, and goes on as far as it lies in one stretch.
 */
#include <fcntl.h>
#include <sonde/target.h>
#include <unistd.h>

#include "arch/paging.h"
#include "layer_plugin.h"
#include "synth/page_tables.h"

#define MEM UINT64_C(0x800000)
#define TABLES UINT64_C(0x400000)

static struct fake fake;
static struct fake_range hole = { 0x300000, 0x1000, SONDE_E_NOT_SAVED };

static int open_fake(void **state)
{
	(void)state;
	fake = (struct fake){ .bad = &hole, .n_bad = 1 };
	fake_open(&fake, loop_new(SONDE_ENGINE_SYNC, 0), MEM, SONDE_WAY_EXTENTS);
	for (uint64_t at = 0; at < MEM; at += 8)
		memcpy(fake.bytes + at, &at, 8);
	return 0;
}

static int close_fake(void **state)
{
	(void)state;
	fake_close(&fake);
	sonde_loop_destroy(fake.loop);
	return 0;
}

/* Exactly len of cap bytes, and each as it is read. 0: nothing. */
static void lends(struct sonde_space *space, uint64_t addr, size_t cap, size_t len)
{
	uint8_t *copy = malloc(len + 1);
	size_t got = 77;
	const void *at = sonde_space_borrow_run(space, addr, cap, &got);

	assert_non_null(copy);
	if (len == 0) {
		assert_null(at);
		assert_int_equal(got, 77);
		assert_null(sonde_space_borrow(space, addr, cap));
	} else {
		assert_non_null(at);
		assert_int_equal(got, len);
		assert_int_equal(sonde_space_get(space, addr, copy, len), 0);
		assert_memory_equal(at, copy, len);
		assert_ptr_equal(sonde_space_borrow(space, addr, len), at);
		if (len < cap)
			assert_null(sonde_space_borrow(space, addr, cap));
	}
	free(copy);
}

static void a_connector_lends_to_the_end_of_an_extent(void **state)
{
	(void)state;
	lends(fake.space, 16, 1, 1);
	lends(fake.space, 16, 0, 0);
	lends(fake.space, 0x2ffff0, 0x1000, 0x10);
	lends(fake.space, 0x300000, 1, 0);
	lends(fake.space, 0x301000, SIZE_MAX, MEM - 0x301000);
	lends(fake.space, MEM, 1, 0);
	lends(fake.space, UINT64_MAX, 1, 0);
}

static void bytes_that_are_moved_by_calls_are_not_lent(void **state)
{
	struct fake moved = { 0 };

	(void)state;
	for (uint32_t way = SONDE_WAY_TRANSFER; way <= SONDE_WAY_SUBMIT; way <<= 1) {
		fake_open(&moved, fake.loop, 4096, way);
		lends(moved.space, 0, 1, 0);
		fake_close(&moved);
	}
}

static void stretches_lend_to_the_end_of_one(void **state)
{
	struct sonde_stretch stretches[] = {
		{ 0x1000, 0x3000, fake.space, 0x5000 },
		{ 0x4000, 0x1000, fake.space, 0x1000 },
		{ 0x8000, 0x2000, fake.space, 0x2ff000 },
	};
	struct sonde_space *space;

	(void)state;
	assert_int_equal(sonde_space_remap(fake.loop, stretches, 3, &space), 0);
	lends(space, 0x0fff, 2, 0);
	lends(space, 0x1010, 0x10000, 0x2ff0);
	lends(space, 0x4000, 0x2000, 0x1000);
	lends(space, 0x8000, 0x2000, 0x1000); /* the hole below */
	sonde_space_close(space);
}

static const char tables_text[] = "1000   4k 5000\n"
				  "2000   4k 6000\n"
				  "3000   4k 7000   # three pages that lie together\n"
				  "4000   4k 9000\n"
				  "6000   4k 2ff000\n"
				  "7000   4k 300000 # not in memory\n"
				  "8000   raw 0 6000 # swapped\n"
				  "200000 2m 200000\n"
				  "400000 2m 0\n"
				  "600000 4k 200000 # goes on where the large page ended\n"
				  "ffffffffffffe000 4k a000\n"
				  "fffffffffffff000 4k b000\n";

static struct sonde_space *open_virtual(struct sonde_space *phys, struct page_tables *tables)
{
	struct sonde_space *space;

	tables_build(tables, fake.bytes, MEM, TABLES, 4, tables_text);
	assert_int_equal(paging_space(phys, paging_map(paging_x86_64(4), tables->root), 0, &space),
			 0);
	return space;
}

static void check_pages(struct sonde_space *space)
{
	lends(space, 0x1ff8, 8, 8);
	lends(space, 0x1ff8, 16, 16);
	lends(space, 0x1010, 0x100000, 0x2ff0);
	lends(space, 0x3fff, 2, 1);
	lends(space, 0x4000, 0x1000, 0x1000);
	lends(space, 0x4000, 0x1001, 0x1000);
	lends(space, 0x5000, 1, 0);
	lends(space, 0x6800, 0x1000, 0x800);
	lends(space, 0x7000, 1, 0);
	lends(space, 0x8000, 1, 0);
	lends(space, 0x200000, MEM, 0x100000); /* to the hole in memory */
	lends(space, 0x400010, MEM, 0x200000 - 0x10 + 0x1000);
	lends(space, 0xffffffffffffe000, 0x10000, 0x2000);
	lends(space, UINT64_C(1) << 60, 1, 0);
}

static void page_tables_lend_what_lies_together_in_memory(void **state)
{
	struct page_tables tables;
	struct sonde_space *space = open_virtual(fake.space, &tables);

	(void)state;
	check_pages(space); /* by walks ... */
	check_pages(space); /* ... and by kept translations */
	sonde_space_close(space);
}

static void a_translation_is_believed_until_it_is_invalidated(void **state)
{
	struct page_tables tables;
	struct sonde_space *space = open_virtual(fake.space, &tables);

	(void)state;
	lends(space, 0x4000, 8, 8);
	lends(space, 0x4000, 8, 8);
	*tables_entry(&tables, 0x4000, 0) = 0xa000 | 7;
	assert_ptr_equal(sonde_space_borrow(space, 0x4000, 8), fake.bytes + 0x9000);
	sonde_space_invalidate(space);
	assert_ptr_equal(sonde_space_borrow(space, 0x4000, 8), fake.bytes + 0xa000);
	sonde_space_close(space);
}

static void put(uint64_t at, uint64_t entry)
{
	sonde_store(fake.bytes + at, 8, SONDE_LITTLE, entry);
}

/* arm64's entries that say they are one page of 64 KiB, and do not lie together. */
static void joined_entries_lend_no_more_than_each_maps(void **state)
{
	const uint64_t joined = UINT64_C(1) << 52 | 0x403;
	struct sonde_space *space;

	(void)state;
	put(TABLES, (TABLES + 0x1000) | 3);
	put(TABLES + 0x1000, (TABLES + 0x2000) | 3);
	memset(fake.bytes + TABLES + 0x2000, 0, 0x1000);
	put(TABLES + 0x2000 + 8 * 16, joined | 0x10000);
	put(TABLES + 0x2000 + 8 * 17, joined | 0x11000);
	put(TABLES + 0x2000 + 8 * 18, joined | 0x22000);
	assert_int_equal(paging_space(fake.space, paging_map(paging_arm64(12, 39, false), TABLES),
				      0, &space),
			 0);
	lends(space, 0x10800, 0x4000, 0x1800);
	lends(space, 0x12000, 0x4000, 0x1000);
	sonde_space_close(space);
}

static void page_tables_in_page_tables_lend(void **state)
{
	struct page_tables outer, inner;
	struct sonde_space *below, *space;

	(void)state;
	/* The outer ones map all of memory to itself. */
	tables_build(&outer, fake.bytes, MEM, 0x700000, 4,
		     "0 2m 0\n200000 2m 200000\n400000 2m 400000\n600000 2m 600000\n");
	assert_int_equal(
		paging_space(fake.space, paging_map(paging_x86_64(4), outer.root), 0, &below), 0);
	space = open_virtual(below, &inner);
	check_pages(space);
	sonde_space_close(space);
	sonde_space_close(below);
}

static void page_tables_that_would_have_to_wait_lend_nothing(void **state)
{
	struct fake moved = { 0 };
	struct sonde_space *space;

	(void)state;
	fake_open(&moved, fake.loop, 4096, SONDE_WAY_TRANSFER);
	assert_int_equal(paging_space(moved.space, paging_map(paging_x86_64(4), 0), 0, &space), 0);
	lends(space, 0, 1, 0);
	sonde_space_close(space);
	fake_close(&moved);
}

/* Layers by what they do to a reader: nothing, or something that a pointer would go round. */
static void layers_that_must_see_or_hold_up_reads_lend_nothing(void **state)
{
	static const struct {
		const char *text;
		size_t len;
	} cases[] = {
		{ "cache", 0x1000 },
		{ "overlay", 0x1000 },
		{ "remap,map=0+0x800@0x4000;0x800+0x800@0x4000", 0x7f0 },
		{ "delay,us=1", 0 },
		{ "throttle,bytes=1M", 0 },
		{ "fault,delay_us=1,every=3", 0 },
	};
	struct layer_plugin layer;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t got = 0;
		layer_plugin_open(&layer, fake.space, cases[i].text, 0);
		const void *at = sonde_space_borrow_run(layer.space, 16, 0x1000, &got);
		if (got != cases[i].len || !at != !cases[i].len)
			fail_msg("%s lends %zu bytes", cases[i].text, got);
		layer_plugin_close(&layer);
	}
}

static void a_recording_misses_no_read(void **state)
{
	char path[] = "/tmp/sonde-borrow-XXXXXX", text[64];
	struct layer_plugin layer;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	unlink(path);
	snprintf(text, sizeof(text), "record,file=%s", path);
	layer_plugin_open(&layer, fake.space, text, 0);
	lends(layer.space, 16, 1, 0);
	layer_plugin_close(&layer);
	unlink(path);
}

static void an_overlay_lends_up_to_what_was_written(void **state)
{
	struct layer_plugin layer;

	(void)state;
	layer_plugin_open(&layer, fake.space, "overlay", 1);
	lends(layer.space, 0x10, 0x8000, 0x8000);
	assert_int_equal(sonde_space_put_u8(layer.space, 0x3004, 1), 0);
	lends(layer.space, 0x10, 0x8000, 0x2ff0);
	lends(layer.space, 0x3ff0, 1, 0);
	lends(layer.space, 0x4000, 0x100, 0x100);
	lends(layer.space, 0x2fffff, 2, 1);
	layer_plugin_close(&layer);
}

/* A layer of a plugin from before runs: it is asked for all of it, then for the rest of the page. */

static const void *old_borrow(void *conn, uint64_t addr, size_t len)
{
	(void)conn;
	return addr + len <= 0x2800 ? space_host.borrow(fake.space, addr, len) : NULL;
}

static int old_open(const struct sonde_host *host, const struct sonde_args *args, void *below,
		    void **ret_conn, struct sonde_error *err)
{
	(void)host, (void)args, (void)err;
	*ret_conn = below;
	return 0;
}

static void old_close(void *conn)
{
	(void)conn;
}

static void old_submit(void *conn, struct sonde_io *const *ios, size_t n)
{
	space_host.forward(conn, ios, n);
}

static void a_layer_that_knows_no_runs_is_asked_for_all_or_a_page(void **state)
{
	struct sonde_layer_ops ops = { .size = sizeof(ops),
				       .open = old_open,
				       .close = old_close,
				       .submit = old_submit,
				       .borrow = old_borrow };
	struct sonde_space *space;

	(void)state;
	assert_int_equal(
		space_from_layer(fake.loop, &ops, &space_host, NULL, fake.space, &space, NULL), 0);
	lends(space, 0x800, 0x2000, 0x2000);
	lends(space, 0x1800, 0x2000, 0x800);
	lends(space, 0x2000, 0x801, 0);
	sonde_space_close(space);
}

static void a_mapped_file_lends_on_the_engines_that_map(void **state)
{
	static const struct {
		uint32_t engine;
		size_t len;
	} cases[] = { { SONDE_ENGINE_AUTO, 0x3f00 },
		      { SONDE_ENGINE_DIRECT, 0x3f00 },
		      { SONDE_ENGINE_SYNC, 0 } };
	char path[] = "/tmp/sonde-borrow-XXXXXX", name[64];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0 && pwrite(fd, fake.bytes, 0x4000, 0) == 0x4000);
	close(fd);
	snprintf(name, sizeof(name), "flat:%s", path);
	for (size_t i = 0; i < 3; i++) {
		struct sonde_loop *loop = loop_new(cases[i].engine, 0);
		struct sonde_target *target;
		struct sonde_error err;
		if (sonde_target_open(loop, name, NULL, &target, &err) < 0)
			fail_msg("%s", err.text);
		lends(sonde_target_memory(target), 0x100, 0x10000, cases[i].len);
		sonde_space_trim(sonde_target_memory(target));
		sonde_target_close(target);
		sonde_loop_destroy(loop);
	}
	unlink(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_fake, close_fake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_connector_lends_to_the_end_of_an_extent),
		TEST(bytes_that_are_moved_by_calls_are_not_lent),
		TEST(stretches_lend_to_the_end_of_one),
		TEST(page_tables_lend_what_lies_together_in_memory),
		TEST(a_translation_is_believed_until_it_is_invalidated),
		TEST(joined_entries_lend_no_more_than_each_maps),
		TEST(page_tables_in_page_tables_lend),
		TEST(page_tables_that_would_have_to_wait_lend_nothing),
		TEST(layers_that_must_see_or_hold_up_reads_lend_nothing),
		TEST(a_recording_misses_no_read),
		TEST(an_overlay_lends_up_to_what_was_written),
		TEST(a_layer_that_knows_no_runs_is_asked_for_all_or_a_page),
		TEST(a_mapped_file_lends_on_the_engines_that_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
