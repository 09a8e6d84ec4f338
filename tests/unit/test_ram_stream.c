/* SPDX-License-Identifier: MIT */
/* Migration streams, whole and broken, each put together here; pages are 1 KiB, as the stream itself says. */
#include "../../connectors/common/ram_stream.h"

#include <setjmp.h>
#include <sonde/error.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PAGE = 1024, FILL_FLAG = 2, BLOCKS_FLAG = 4, PAGE_FLAG = 8, EOS_FLAG = 16, SAME_FLAG = 32 };

/* A stream being written, and what reading it gave. */
struct stream {
	uint8_t bytes[16 * PAGE];
	size_t len, at;
	struct ram_stream_block blocks[4];
	size_t n_blocks, n_pages;
	struct ram_stream_page pages[8];
	uint8_t first[8]; /* byte of each page */
	int answer;       /* of page           */
	int packed;
	struct ram_stream_end end;
};

static void put(struct stream *s, size_t len, uint64_t value)
{
	for (size_t i = len; i-- > 0;)
		s->bytes[s->len++] = (uint8_t)(value >> 8 * i);
}

static void put_text(struct stream *s, const char *text, size_t count_len)
{
	put(s, count_len, strlen(text));
	memcpy(s->bytes + s->len, text, strlen(text));
	s->len += strlen(text);
}

static void put_head(struct stream *s)
{
	put(s, 4, 0x5145564d);
	put(s, 4, 3);
	put(s, 1, 7);
	put_text(s, "pc-q35-7.2", 4);
	put(s, 1, 5);
	put_text(s, "configuration/target-page-bits", 1);
	put(s, 4, 1);
	put(s, 4, 10);
}

static void put_start(struct stream *s, const char *name)
{
	put(s, 1, 1);
	put(s, 4, 2); /* section  */
	put_text(s, name, 1);
	put(s, 4, 0); /* instance */
	put(s, 4, 4); /* version  */
}

static void put_block(struct stream *s, const char *id, uint64_t len)
{
	put_text(s, id, 1);
	put(s, 8, len);
}

static void put_end(struct stream *s)
{
	put(s, 8, EOS_FLAG);
	put(s, 1, 0x7e);
	put(s, 4, 2);
}

static void put_next(struct stream *s, int type)
{
	put(s, 1, (uint64_t)type);
	put(s, 4, 2);
}

/* Two blocks: "m" of three pages, "rom" of one. */
static void put_opening(struct stream *s)
{
	put_head(s);
	put_start(s, "ram");
	put(s, 8, 4 * PAGE | BLOCKS_FLAG);
	put_block(s, "m", 3 * PAGE);
	put_block(s, "rom", PAGE);
	put_end(s);
}

static void put_page(struct stream *s, uint64_t off, const char *block, uint8_t byte)
{
	put(s, 8, off | PAGE_FLAG | (block ? 0 : SAME_FLAG));
	if (block)
		put_text(s, block, 1);
	memset(s->bytes + s->len, byte, PAGE);
	s->len += PAGE;
}

static void put_fill(struct stream *s, uint64_t off, const char *block, uint8_t byte)
{
	put(s, 8, off | FILL_FLAG | (block ? 0 : SAME_FLAG));
	if (block)
		put_text(s, block, 1);
	put(s, 1, byte);
}

static size_t read_bytes(void *user, void *buf, size_t len)
{
	struct stream *s = user;
	size_t n = s->len - s->at < len ? s->len - s->at : len;

	memcpy(buf, s->bytes + s->at, n);
	s->at += n;
	return n;
}

static int begin(void *user, const struct ram_stream_block *blocks, size_t n)
{
	struct stream *s = user;

	assert_in_range(n, 1, 4);
	memcpy(s->blocks, blocks, n * sizeof(*blocks));
	s->n_blocks = n;
	return 0;
}

static int page(void *user, const struct ram_stream_page *page)
{
	struct stream *s = user;

	assert_in_range(s->n_pages, 0, 7);
	s->first[s->n_pages] = page->bytes ? page->bytes[0] : (uint8_t)page->fill;
	s->pages[s->n_pages++] = *page;
	return s->answer;
}

static int parse(struct stream *s)
{
	struct ram_stream_ends ends = {
		.read = read_bytes, .begin = begin, .page = page, .user = s, .packed = s->packed
	};

	return ram_stream_read(&ends, &s->end);
}

static struct stream *stream_of(void **state)
{
	return *state;
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct stream));
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void expect_refused(struct stream *s, int code, const char *word)
{
	assert_int_equal(parse(s), code);
	assert_non_null(s->end.why);
	assert_non_null(strstr(*s->end.about ? s->end.about : s->end.why, word));
}

static void pages_arrive_with_their_block_and_place(void **state)
{
	struct stream *s = stream_of(state);

	put_opening(s);
	put_next(s, 2);
	put_page(s, 0, "m", 0xa1);
	put_fill(s, PAGE, NULL, 0);
	put_end(s);
	put_next(s, 3);
	put_fill(s, 0, "rom", 0xff);
	put_page(s, 2 * PAGE, "m", 0xa3);
	put_page(s, 0, NULL, 0xa4);
	put_end(s);
	put(s, 1, 4); /* a device, of which nobody knows how long it is */

	assert_int_equal(parse(s), 0);
	assert_int_equal(s->n_blocks, 2);
	assert_string_equal(s->blocks[0].id, "m");
	assert_int_equal(s->blocks[0].len, 3 * PAGE);
	static const struct {
		size_t block;
		uint64_t off;
		uint8_t first, is_fill;
	} want[] = { { 0, 0, 0xa1, 0 },
		     { 0, PAGE, 0, 1 },
		     { 1, 0, 0xff, 1 },
		     { 0, 2 * PAGE, 0xa3, 0 },
		     { 0, 0, 0xa4, 0 } };
	assert_int_equal(s->n_pages, 5);
	assert_string_equal(s->end.machine, "pc-q35-7.2");
	assert_int_equal(s->end.page_len, PAGE);
	assert_int_equal(s->end.at, s->len - 1);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(s->pages[i].block, want[i].block);
		assert_int_equal(s->pages[i].off, want[i].off);
		assert_int_equal(s->pages[i].len, PAGE);
		assert_int_equal(s->first[i], want[i].first);
		assert_int_equal(!s->pages[i].bytes, want[i].is_fill);
		if (!want[i].is_fill)
			assert_int_equal(s->bytes[s->pages[i].at + PAGE - 1], want[i].first);
	}
}

static void a_background_snapshot_ends_where_devices_begin(void **state)
{
	struct stream *s = stream_of(state);

	put_opening(s);
	put_next(s, 2);
	put_page(s, 0, "m", 1);
	put_end(s);
	put(s, 1, 4);
	assert_int_equal(parse(s), 0);
	assert_int_equal(s->n_pages, 1);
}

static void a_device_in_front_of_the_ram_is_refused(void **state)
{
	struct stream *s = stream_of(state);

	put_head(s);
	put(s, 1, 4);
	expect_refused(s, SONDE_E_BAD_FORMAT, "lists no RAM");
}

static void a_stream_that_ends_anywhere_says_so(void **state)
{
	struct stream *s = stream_of(state);

	put_opening(s);
	put_next(s, 3);
	put_page(s, 0, "m", 1);
	put_end(s);
	size_t whole = s->len - 5; /* a footer may be missing */
	for (size_t len = 0; len < whole; len++) {
		s->len = len;
		s->at = s->n_pages = 0;
		expect_refused(s, SONDE_E_TRUNCATED, "ends before");
	}
}

static void what_is_no_stream_is_refused(void **state)
{
	struct stream *s = stream_of(state);

	put(s, 8, 0x7f454c4602010100);
	expect_refused(s, SONDE_E_BAD_FORMAT, "no migration stream");
}

static void a_page_outside_its_block_is_refused(void **state)
{
	struct stream *s = stream_of(state);

	put_opening(s);
	put_next(s, 2);
	put_page(s, 3 * PAGE, "m", 1);
	expect_refused(s, SONDE_E_BAD_FORMAT, "outside its block");
	assert_int_equal(s->n_pages, 0);
}

static void a_page_of_no_block_is_refused(void **state)
{
	struct stream *s = stream_of(state);

	put_opening(s);
	put_next(s, 2);
	put_page(s, 0, "vga", 1);
	expect_refused(s, SONDE_E_BAD_FORMAT, "did not list");
}

static void a_page_before_the_blocks_is_refused(void **state)
{
	struct stream *s = stream_of(state);

	put_head(s);
	put_start(s, "ram");
	put_page(s, 0, NULL, 1);
	expect_refused(s, SONDE_E_BAD_FORMAT, "outside its block");
}

static void blocks_that_do_not_add_up_are_refused(void **state)
{
	struct stream *s = stream_of(state);

	put_head(s);
	put_start(s, "ram");
	put(s, 8, 2 * PAGE | BLOCKS_FLAG);
	put_block(s, "m", 3 * PAGE);
	put_end(s);
	expect_refused(s, SONDE_E_BAD_FORMAT, "impossible length");
}

static void an_empty_list_of_blocks_is_refused(void **state)
{
	struct stream *s = stream_of(state);

	put_head(s);
	put_start(s, "ram");
	put(s, 8, BLOCKS_FLAG);
	put_end(s);
	expect_refused(s, SONDE_E_BAD_FORMAT, "lists no RAM");
}

static void endless_empty_blocks_have_an_end(void **state)
{
	struct stream *s = stream_of(state);

	put_head(s);
	put_start(s, "ram");
	put(s, 8, PAGE | BLOCKS_FLAG);
	for (int i = 0; i <= RAM_STREAM_BLOCKS_MAX; i++)
		put_block(s, "", 0);
	expect_refused(s, SONDE_E_LIMIT, "too many blocks");
}

static void compressed_pages_say_what_to_switch_off(void **state)
{
	struct stream *s = stream_of(state);

	put_opening(s);
	put_next(s, 2);
	put(s, 8, 0x40);
	expect_refused(s, SONDE_E_UNSUPPORTED, "xbzrle");
}

static void packed_pages_come_as_they_are_to_who_takes_them(void **state)
{
	struct stream *s = stream_of(state);

	put_opening(s);
	put_next(s, 2);
	put(s, 8, PAGE | 0x100); /* capability compress */
	put_text(s, "m", 1);
	put_text(s, "zlib", 4);
	put(s, 8, PAGE | 0x40 | SAME_FLAG); /* xbzrle */
	put(s, 1, 1);
	put_text(s, "diff!", 2);
	put_end(s);
	put(s, 1, 4);
	s->packed = 1;
	assert_int_equal(parse(s), 0);
	assert_int_equal(s->n_pages, 2);
	assert_int_equal(s->pages[0].kind, RAM_STREAM_ZLIB);
	assert_int_equal(s->pages[0].n_bytes, 4);
	assert_memory_equal(s->bytes + s->pages[0].at, "zlib", 4);
	assert_int_equal(s->pages[1].kind, RAM_STREAM_XBZRLE);
	assert_int_equal(s->pages[1].n_bytes, 5);
	assert_memory_equal(s->bytes + s->pages[1].at, "diff!", 5);
}

static void a_packed_page_longer_than_a_page_is_refused(void **state)
{
	static const struct {
		uint32_t flag, count_len;
		uint64_t count;
	} lies[] = { { 0x100, 4, PAGE + 18 }, { 0x100, 4, UINT32_MAX }, { 0x40, 2, PAGE + 1 } };

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct stream *s = stream_of(state);
		*s = (struct stream){ .packed = 1 };
		put_opening(s);
		put_next(s, 2);
		put(s, 8, lies[i].flag);
		put_text(s, "m", 1);
		if (lies[i].flag == 0x40)
			put(s, 1, 1);
		put(s, lies[i].count_len, lies[i].count);
		s->len += PAGE;
		expect_refused(s, SONDE_E_BAD_FORMAT, "longer than a page");
	}
}

static void what_went_other_ways_is_refused_by_name(void **state)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} ways[] = { { 0x80, "rdma" }, { 0x200, "multifd" } };

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct stream *s = stream_of(state);
		*s = (struct stream){ .packed = 1 };
		put_opening(s);
		put_next(s, 2);
		put(s, 8, ways[i].flag);
		expect_refused(s, SONDE_E_UNSUPPORTED, ways[i].name);
	}
}

static void commands_of_postcopy_are_refused_and_others_passed_over(void **state)
{
	static const struct {
		int kind;
		const char *name;
	} kinds[] = { { 1, NULL }, { 4, "postcopy-ram" }, { 8, "postcopy-ram" }, { 10, "x-colo" } };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct stream *s = stream_of(state);
		*s = (struct stream){ 0 };
		put_opening(s);
		put(s, 1, 6 + 2); /* QEMU_VM_COMMAND */
		put(s, 2, (uint64_t)kinds[i].kind);
		put_text(s, "data", 2);
		put_next(s, 3);
		put_end(s);
		if (kinds[i].name)
			expect_refused(s, SONDE_E_UNSUPPORTED, kinds[i].name);
		else
			assert_int_equal(parse(s), 0);
	}
}

static void a_capability_that_moves_pages_is_refused_by_name(void **state)
{
	struct stream *s = stream_of(state);

	put(s, 4, 0x5145564d);
	put(s, 4, 3);
	put(s, 1, 7);
	put_text(s, "pc-q35-9.0", 4);
	put(s, 1, 5);
	put_text(s, "configuration/capabilities", 1);
	put(s, 4, 1);
	put(s, 4, 1);
	put_text(s, "mapped-ram", 1);
	expect_refused(s, SONDE_E_UNSUPPORTED, "mapped-ram");
}

static void another_section_in_front_is_refused(void **state)
{
	struct stream *s = stream_of(state);

	put_head(s);
	put_start(s, "spapr/htab");
	expect_refused(s, SONDE_E_UNSUPPORTED, "spapr/htab");
}

static void a_section_of_another_number_is_refused(void **state)
{
	struct stream *s = stream_of(state);

	put_opening(s);
	put(s, 1, 2);
	put(s, 4, 9);
	expect_refused(s, SONDE_E_BAD_FORMAT, "did not begin");
}

static void who_receives_pages_may_end_it(void **state)
{
	struct stream *s = stream_of(state);

	put_opening(s);
	put_next(s, 2);
	put_page(s, 0, "m", 1);
	put_page(s, PAGE, "m", 1);
	s->answer = SONDE_E_CANCELLED;
	assert_int_equal(parse(s), SONDE_E_CANCELLED);
	assert_null(s->end.why);
	assert_int_equal(s->n_pages, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pages_arrive_with_their_block_and_place),
		TEST(a_background_snapshot_ends_where_devices_begin),
		TEST(a_device_in_front_of_the_ram_is_refused),
		TEST(a_stream_that_ends_anywhere_says_so),
		TEST(what_is_no_stream_is_refused),
		TEST(a_page_outside_its_block_is_refused),
		TEST(a_page_of_no_block_is_refused),
		TEST(a_page_before_the_blocks_is_refused),
		TEST(blocks_that_do_not_add_up_are_refused),
		TEST(an_empty_list_of_blocks_is_refused),
		TEST(endless_empty_blocks_have_an_end),
		TEST(compressed_pages_say_what_to_switch_off),
		TEST(packed_pages_come_as_they_are_to_who_takes_them),
		TEST(a_packed_page_longer_than_a_page_is_refused),
		TEST(what_went_other_ways_is_refused_by_name),
		TEST(commands_of_postcopy_are_refused_and_others_passed_over),
		TEST(a_capability_that_moves_pages_is_refused_by_name),
		TEST(another_section_in_front_is_refused),
		TEST(a_section_of_another_number_is_refused),
		TEST(who_receives_pages_may_end_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
