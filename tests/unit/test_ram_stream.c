/* SPDX-License-Identifier: MIT */
/* Migration streams, whole and broken, each put together here; pages are 1 KiB, as the stream itself says. */
#include "../../connectors/common/ram_stream.h"
#include "synth/stream.h"

#include <setjmp.h>
#include <sonde/error.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PAGE = 1024 };

/* A stream being written, and what reading it gave. */
struct stream {
	struct synth_stream out;
	size_t at;
	struct ram_stream_block blocks[4];
	size_t n_blocks, n_pages;
	struct ram_stream_page pages[8];
	uint8_t first[8]; /* byte of each page */
	int answer;       /* of page           */
	int packed;
	struct ram_stream_end end;
};

/* Two blocks: "m" of three pages, "rom" of one. */
static void put_opening(struct synth_stream *s)
{
	synth_head(s, "pc-q35-7.2", 10);
	synth_start(s, 1, SYNTH_RAM_SECTION, "ram", 4);
	synth_number(s, 8, 4 * PAGE | SYNTH_BLOCKS_FLAG);
	synth_block(s, "m", 3 * PAGE);
	synth_block(s, "rom", PAGE);
	synth_end(s);
}

static void put_page(struct synth_stream *s, uint64_t off, const char *block, uint8_t byte)
{
	synth_page_head(s, off, block, SYNTH_PAGE_FLAG);
	memset(s->bytes + s->len, byte, PAGE);
	s->len += PAGE;
}

static size_t read_bytes(void *user, void *buf, size_t len)
{
	struct stream *s = user;
	size_t n = s->out.len - s->at < len ? s->out.len - s->at : len;

	memcpy(buf, s->out.bytes + s->at, n);
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

	put_opening(&s->out);
	synth_next(&s->out, 2);
	put_page(&s->out, 0, "m", 0xa1);
	synth_fill(&s->out, PAGE, NULL, 0);
	synth_end(&s->out);
	synth_next(&s->out, 3);
	synth_fill(&s->out, 0, "rom", 0xff);
	put_page(&s->out, 2 * PAGE, "m", 0xa3);
	put_page(&s->out, 0, NULL, 0xa4);
	synth_end(&s->out);
	synth_number(&s->out, 1, 4); /* a device, of which nobody knows how long it is */

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
	assert_int_equal(s->end.at, s->out.len - 1);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(s->pages[i].block, want[i].block);
		assert_int_equal(s->pages[i].off, want[i].off);
		assert_int_equal(s->pages[i].len, PAGE);
		assert_int_equal(s->first[i], want[i].first);
		assert_int_equal(!s->pages[i].bytes, want[i].is_fill);
		if (!want[i].is_fill)
			assert_int_equal(s->out.bytes[s->pages[i].at + PAGE - 1], want[i].first);
	}
}

static void a_background_snapshot_ends_where_devices_begin(void **state)
{
	struct stream *s = stream_of(state);

	put_opening(&s->out);
	synth_next(&s->out, 2);
	put_page(&s->out, 0, "m", 1);
	synth_end(&s->out);
	synth_number(&s->out, 1, 4);
	assert_int_equal(parse(s), 0);
	assert_int_equal(s->n_pages, 1);
}

static void a_device_in_front_of_the_ram_is_refused(void **state)
{
	struct stream *s = stream_of(state);

	synth_head(&s->out, "pc-q35-7.2", 10);
	synth_number(&s->out, 1, 4);
	expect_refused(s, SONDE_E_BAD_FORMAT, "lists no RAM");
}

static void a_stream_that_ends_anywhere_says_so(void **state)
{
	struct stream *s = stream_of(state);

	put_opening(&s->out);
	synth_next(&s->out, 3);
	put_page(&s->out, 0, "m", 1);
	synth_end(&s->out);
	size_t whole = s->out.len - 5; /* a footer may be missing */
	for (size_t len = 0; len < whole; len++) {
		s->out.len = len;
		s->at = s->n_pages = 0;
		expect_refused(s, SONDE_E_TRUNCATED, "ends before");
	}
}

static void what_is_no_stream_is_refused(void **state)
{
	struct stream *s = stream_of(state);

	synth_number(&s->out, 8, 0x7f454c4602010100);
	expect_refused(s, SONDE_E_BAD_FORMAT, "no migration stream");
}

static void a_page_outside_its_block_is_refused(void **state)
{
	struct stream *s = stream_of(state);

	put_opening(&s->out);
	synth_next(&s->out, 2);
	put_page(&s->out, 3 * PAGE, "m", 1);
	expect_refused(s, SONDE_E_BAD_FORMAT, "outside its block");
	assert_int_equal(s->n_pages, 0);
}

static void a_page_of_no_block_is_refused(void **state)
{
	struct stream *s = stream_of(state);

	put_opening(&s->out);
	synth_next(&s->out, 2);
	put_page(&s->out, 0, "vga", 1);
	expect_refused(s, SONDE_E_BAD_FORMAT, "did not list");
}

static void a_page_before_the_blocks_is_refused(void **state)
{
	struct stream *s = stream_of(state);

	synth_head(&s->out, "pc-q35-7.2", 10);
	synth_start(&s->out, 1, SYNTH_RAM_SECTION, "ram", 4);
	put_page(&s->out, 0, NULL, 1);
	expect_refused(s, SONDE_E_BAD_FORMAT, "outside its block");
}

static void blocks_that_do_not_add_up_are_refused(void **state)
{
	struct stream *s = stream_of(state);

	synth_head(&s->out, "pc-q35-7.2", 10);
	synth_start(&s->out, 1, SYNTH_RAM_SECTION, "ram", 4);
	synth_number(&s->out, 8, 2 * PAGE | SYNTH_BLOCKS_FLAG);
	synth_block(&s->out, "m", 3 * PAGE);
	synth_end(&s->out);
	expect_refused(s, SONDE_E_BAD_FORMAT, "impossible length");
}

static void an_empty_list_of_blocks_is_refused(void **state)
{
	struct stream *s = stream_of(state);

	synth_head(&s->out, "pc-q35-7.2", 10);
	synth_start(&s->out, 1, SYNTH_RAM_SECTION, "ram", 4);
	synth_number(&s->out, 8, SYNTH_BLOCKS_FLAG);
	synth_end(&s->out);
	expect_refused(s, SONDE_E_BAD_FORMAT, "lists no RAM");
}

static void endless_empty_blocks_have_an_end(void **state)
{
	struct stream *s = stream_of(state);

	synth_head(&s->out, "pc-q35-7.2", 10);
	synth_start(&s->out, 1, SYNTH_RAM_SECTION, "ram", 4);
	synth_number(&s->out, 8, PAGE | SYNTH_BLOCKS_FLAG);
	for (int i = 0; i <= RAM_STREAM_BLOCKS_MAX; i++)
		synth_block(&s->out, "", 0);
	expect_refused(s, SONDE_E_LIMIT, "too many blocks");
}

static void compressed_pages_say_what_to_switch_off(void **state)
{
	struct stream *s = stream_of(state);

	put_opening(&s->out);
	synth_next(&s->out, 2);
	synth_number(&s->out, 8, 0x40);
	expect_refused(s, SONDE_E_UNSUPPORTED, "xbzrle");
}

static void packed_pages_come_as_they_are_to_who_takes_them(void **state)
{
	struct stream *s = stream_of(state);

	put_opening(&s->out);
	synth_next(&s->out, 2);
	synth_number(&s->out, 8, PAGE | 0x100); /* capability compress */
	synth_text(&s->out, "m", 1);
	synth_text(&s->out, "zlib", 4);
	synth_number(&s->out, 8, PAGE | 0x40 | SYNTH_SAME_FLAG); /* xbzrle */
	synth_number(&s->out, 1, 1);
	synth_text(&s->out, "diff!", 2);
	synth_end(&s->out);
	synth_number(&s->out, 1, 4);
	s->packed = 1;
	assert_int_equal(parse(s), 0);
	assert_int_equal(s->n_pages, 2);
	assert_int_equal(s->pages[0].kind, RAM_STREAM_ZLIB);
	assert_int_equal(s->pages[0].n_bytes, 4);
	assert_memory_equal(s->out.bytes + s->pages[0].at, "zlib", 4);
	assert_int_equal(s->pages[1].kind, RAM_STREAM_XBZRLE);
	assert_int_equal(s->pages[1].n_bytes, 5);
	assert_memory_equal(s->out.bytes + s->pages[1].at, "diff!", 5);
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
		put_opening(&s->out);
		synth_next(&s->out, 2);
		synth_number(&s->out, 8, lies[i].flag);
		synth_text(&s->out, "m", 1);
		if (lies[i].flag == 0x40)
			synth_number(&s->out, 1, 1);
		synth_number(&s->out, lies[i].count_len, lies[i].count);
		s->out.len += PAGE;
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
		put_opening(&s->out);
		synth_next(&s->out, 2);
		synth_number(&s->out, 8, ways[i].flag);
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
		put_opening(&s->out);
		synth_number(&s->out, 1, 6 + 2); /* QEMU_VM_COMMAND */
		synth_number(&s->out, 2, (uint64_t)kinds[i].kind);
		synth_text(&s->out, "data", 2);
		synth_next(&s->out, 3);
		synth_end(&s->out);
		if (kinds[i].name)
			expect_refused(s, SONDE_E_UNSUPPORTED, kinds[i].name);
		else
			assert_int_equal(parse(s), 0);
	}
}

static void a_capability_that_moves_pages_is_refused_by_name(void **state)
{
	struct stream *s = stream_of(state);

	synth_number(&s->out, 4, 0x5145564d);
	synth_number(&s->out, 4, 3);
	synth_number(&s->out, 1, 7);
	synth_text(&s->out, "pc-q35-9.0", 4);
	synth_number(&s->out, 1, 5);
	synth_text(&s->out, "configuration/capabilities", 1);
	synth_number(&s->out, 4, 1);
	synth_number(&s->out, 4, 1);
	synth_text(&s->out, "mapped-ram", 1);
	expect_refused(s, SONDE_E_UNSUPPORTED, "mapped-ram");
}

/* Blocks and pages were checked by the size of a page that it told. */
static void a_page_keeps_its_size(void **state)
{
	struct stream *s = stream_of(state);

	put_opening(&s->out);
	synth_bytes(&s->out, "\7\0\0\0\0\5", 6);
	synth_text(&s->out, "configuration/target-page-bits", 1);
	synth_number(&s->out, 4, 1);
	synth_number(&s->out, 4, 16);
	synth_next(&s->out, 2);
	synth_fill(&s->out, 0, "rom", 0);
	expect_refused(s, SONDE_E_BAD_FORMAT, "a configuration behind the beginning of its RAM");
	assert_int_equal(s->n_pages, 0);
}

static void another_section_in_front_is_refused(void **state)
{
	struct stream *s = stream_of(state);

	synth_head(&s->out, "pc-q35-7.2", 10);
	synth_start(&s->out, 1, SYNTH_RAM_SECTION, "spapr/htab", 4);
	expect_refused(s, SONDE_E_UNSUPPORTED, "spapr/htab");
}

static void a_section_of_another_number_is_refused(void **state)
{
	struct stream *s = stream_of(state);

	put_opening(&s->out);
	synth_number(&s->out, 1, 2);
	synth_number(&s->out, 4, 9);
	expect_refused(s, SONDE_E_BAD_FORMAT, "did not begin");
}

static void who_receives_pages_may_end_it(void **state)
{
	struct stream *s = stream_of(state);

	put_opening(&s->out);
	synth_next(&s->out, 2);
	put_page(&s->out, 0, "m", 1);
	put_page(&s->out, PAGE, "m", 1);
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
		TEST(a_page_keeps_its_size),
		TEST(another_section_in_front_is_refused),
		TEST(a_section_of_another_number_is_refused),
		TEST(who_receives_pages_may_end_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
