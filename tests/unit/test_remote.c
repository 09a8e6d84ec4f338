/* SPDX-License-Identifier: MIT */
/* Images behind URLs, without a network: what is shown of a URL, heads of answers, blocks of a source. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "image/blocks.h"
#include "image/http_reply.h"
#include "image/url.h"

/* ---- URLs --------------------------------------------------------------------------------------- */

static void what_gives_access_is_cut_out(void **state)
{
	static const struct {
		const char *from, *to;
	} cases[] = {
		{ "./vm.elf", "./vm.elf" },
		{ "qemu:a@b?c", "qemu:a@b?c" },
		{ "http://host/x", "http://host/x" },
		{ "http://host/x|cache,mb=1", "http://host/x|cache,mb=1" },
		{ "HTTPS://me:word@host:8/x", "HTTPS://host:8/x" },
		{ "http://me@you@host", "http://host" },
		{ "http://a,b:c@host/x", "http://host/x" },
		{ "http://host/a@b", "http://host/a@b" },
		{ "http://host/x?", "http://host/x?" },
		{ "http://host/x?s", "http://host/x?." },
		{ "http://host/x?sig=1&a=@b", "http://host/x?..." },
		{ "http://host/x?sig=1,2|cache", "http://host/x?...|cache" },
		{ "http://host/x?sig=1\\|2|cache", "http://host/x?...|cache" },
		{ "kdump:http://u:p@host/x?sig=1,parts=one", "kdump:http://host/x?..." },
		{ "http://", "http://" },
		{ "http://@", "http://" },
		{ "http://u:p@h/http://v:q@i/", "http://h/http://v:q@i/" },
	};
	char text[96];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		strcpy(text, cases[i].from);
		url_conceal(text);
		assert_string_equal(text, cases[i].to);
	}
}

/* ---- heads of answers --------------------------------------------------------------------------- */

static struct http_reply reply_of(const char *lines)
{
	struct http_reply reply = { 0 };

	for (const char *end; (end = strchr(lines, '\n')); lines = end + 1)
		http_reply_line(&reply, lines, (size_t)(end + 1 - lines));
	return reply;
}

static void a_range_is_taken_apart(void **state)
{
	struct http_reply r = reply_of("HTTP/1.1 302 Found\r\nETag: \"old\"\r\n\r\n"
				       "HTTP/2 206 \r\ncontent-range:bytes 5-9/10 \r\n"
				       "ETag: \"x\" \r\nLast-Modified: Mon\r\n\r\n");

	(void)state;
	assert_int_equal(r.status, 206);
	assert_int_equal(r.has_range, 1);
	assert_int_equal(r.first, 5);
	assert_int_equal(r.last, 9);
	assert_int_equal(r.total, 10);
	assert_string_equal(r.etag, "\"x\"");
	assert_string_equal(http_reply_validator(&r), "\"x\"");
	assert_false(r.is_encoded);
}

static void ranges_that_make_no_sense_are_none(void **state)
{
	static const struct {
		const char *line;
		int has_range;
	} cases[] = {
		{ "Content-Range: bytes 0-0/1\n", 1 },
		{ "Content-Range: bytes 0-0/*\n", 1 },
		{ "Content-Range: bytes */1\n", 1 },
		{ "Content-Range: bytes */0\n", 1 },
		{ "Content-Range: bytes 0-18446744073709551613/18446744073709551614\n", 1 },
		{ "Content-Range: bytes 0-1/18446744073709551615\n", -1 },
		{ "Content-Range: bytes 0-1/18446744073709551616\n", -1 },
		{ "Content-Range: bytes 0-1/1\n", -1 },
		{ "Content-Range: bytes 1-0/2\n", -1 },
		{ "Content-Range: bytes 0-/2\n", -1 },
		{ "Content-Range: bytes -1/2\n", -1 },
		{ "Content-Range: bytes 0-1\n", -1 },
		{ "Content-Range: bytes 0-1/2x\n", -1 },
		{ "Content-Range: bytes0-1/2\n", -1 },
		{ "Content-Range: lines 0-1/2\n", -1 },
		{ "Content-Range:\n", -1 },
		{ "Content-Range: bytes 0-1/2\nContent-Range: bytes 0-1/2\n", -1 },
		{ "Content-Length: 5\n", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(reply_of(cases[i].line).has_range, cases[i].has_range);
	assert_true(reply_of("Content-Encoding: gzip\n").is_encoded);
	assert_false(reply_of("Content-Encoding: identity\n").is_encoded);
}

static void versions_are_compared_by_what_both_tell(void **state)
{
	struct http_reply one = reply_of("ETag: \"1\"\nLast-Modified: a\n");
	struct http_reply two = reply_of("ETag: \"2\"\nLast-Modified: a\n");
	struct http_reply date = reply_of("Last-Modified: a\n"),
			  later = reply_of("Last-Modified: b\n");
	struct http_reply weak = reply_of("ETag: W/\"1\"\nLast-Modified: a\n"), none = reply_of("");

	(void)state;
	assert_false(http_reply_same(&one, &two));
	assert_true(http_reply_same(&one, &date));
	assert_false(http_reply_same(&one, &later));
	assert_true(http_reply_same(&none, &two));
	assert_string_equal(http_reply_validator(&weak), "a");
	assert_null(http_reply_validator(&none));
}

/* ---- blocks ------------------------------------------------------------------------------------- */

#define SOURCE_SIZE (300u * BLOCK_SIZE + 5)

/* Byte i is i mod 251; what it was asked for is counted. */
struct fake {
	size_t n_calls, n_ranges;
	uint64_t bytes;
	uint64_t bad; /* a range that holds this offset fails; UINT64_MAX none */
};

static void fetch(void *user, struct image_range *ranges, size_t n)
{
	struct fake *fake = user;

	fake->n_calls++;
	fake->n_ranges += n;
	for (size_t i = 0; i < n; i++) {
		struct image_range *range = &ranges[i];
		assert_true(range->len > 0 && range->off < SOURCE_SIZE &&
			    range->len <= SOURCE_SIZE - range->off);
		assert_true(i == 0 || range->off >= range[-1].off + range[-1].len);
		fake->bytes += range->len;
		range->err = fake->bad >= range->off && fake->bad - range->off < range->len
				     ? SONDE_E_CORRUPT
				     : 0;
		for (uint32_t k = 0; k < range->len; k++)
			((uint8_t *)range->buf)[k] = (uint8_t)((range->off + k) % 251);
	}
}

static struct blocks *make(struct fake *fake, uint64_t keep)
{
	struct blocks *blocks;

	*fake = (struct fake){ .bad = UINT64_MAX };
	assert_int_equal(image_blocks_create(&blocks, SOURCE_SIZE, keep, fetch, fake), 0);
	return blocks;
}

static void expect_bytes(const struct sonde_image_read *read)
{
	assert_int_equal(read->err, 0);
	assert_int_equal(read->done, read->len);
	for (uint32_t i = 0; i < read->len; i++)
		assert_int_equal(((uint8_t *)read->buf)[i], (read->off + i) % 251);
}

static void read_and_check(struct blocks *blocks, uint64_t off, uint32_t len)
{
	struct sonde_image_read read = { .off = off, .buf = malloc(len), .len = len };

	image_blocks_read(blocks, &read, 1);
	expect_bytes(&read);
	free(read.buf);
}

static void a_batch_is_one_call_of_joined_ranges(void **state)
{
	static const uint64_t at[] = {
		9, 200, 10, 12, 100, 10, 201
	}; /* blocks: 9 10 (11) 12; 100; 200 201 */
	uint8_t bytes[7][40];
	struct sonde_image_read reads[7];
	struct fake fake;
	struct blocks *blocks = make(&fake, 1 << 20);

	(void)state;
	for (size_t i = 0; i < 7; i++)
		reads[i] = (struct sonde_image_read){ .off = at[i] * BLOCK_SIZE + i,
						      .buf = bytes[i],
						      .len = sizeof(bytes[i]) };
	image_blocks_read(blocks, reads, 7);
	for (size_t i = 0; i < 7; i++)
		expect_bytes(&reads[i]);
	assert_int_equal(fake.n_calls, 1);
	assert_int_equal(fake.n_ranges, 3);
	assert_int_equal(fake.bytes, 7 * BLOCK_SIZE);
	read_and_check(blocks, 9 * BLOCK_SIZE, 4 * BLOCK_SIZE);
	assert_int_equal(fake.n_calls, 1);
	image_blocks_destroy(blocks);
}

static void what_is_fetched_ahead_is_there_when_it_is_read(void **state)
{
	struct sonde_image_read reads[2] = { { .off = 7, .len = 9000 },
					     { .off = 80 * BLOCK_SIZE, .len = 1 } };
	struct fake fake;
	struct blocks *blocks = make(&fake, 1 << 20);

	(void)state;
	image_blocks_read(blocks, reads, 2);
	assert_int_equal(reads[0].done, 9000);
	assert_int_equal(fake.n_calls, 1);
	read_and_check(blocks, 0, 3 * BLOCK_SIZE);
	read_and_check(blocks, 80 * BLOCK_SIZE, BLOCK_SIZE);
	assert_int_equal(fake.n_calls, 1);
	image_blocks_destroy(blocks);
}

static void the_end_is_fetched_as_far_as_it_goes(void **state)
{
	struct fake fake;
	struct blocks *blocks = make(&fake, 1 << 20);

	(void)state;
	read_and_check(blocks, SOURCE_SIZE - 5, 5);
	assert_int_equal(fake.bytes, 5);
	read_and_check(blocks, SOURCE_SIZE - 1, 1);
	assert_int_equal(fake.n_calls, 1);
	image_blocks_destroy(blocks);
}

static void what_is_kept_is_bounded_and_all_is_right(void **state)
{
	struct fake fake;
	struct blocks *blocks = make(&fake, 16 * BLOCK_SIZE);

	(void)state;
	for (int i = 0; i < 2; i++)
		read_and_check(blocks, 0, SOURCE_SIZE);
	assert_true(fake.bytes > 2 * (SOURCE_SIZE - 17 * BLOCK_SIZE));
	image_blocks_destroy(blocks);
}

static void who_reads_on_gets_more_each_time(void **state)
{
	struct fake fake;
	struct blocks *blocks = make(&fake, 4 << 20);

	(void)state;
	for (uint64_t i = 0; i < 300; i++)
		read_and_check(blocks, i * BLOCK_SIZE, BLOCK_SIZE);
	assert_true(fake.n_calls < 16);
	assert_true(fake.bytes <= SOURCE_SIZE);
	image_blocks_destroy(blocks);
}

static void a_range_that_fails_fails_alone_and_is_not_kept(void **state)
{
	uint8_t bytes[3][BLOCK_SIZE];
	struct sonde_image_read reads[3];
	struct fake fake;
	struct blocks *blocks = make(&fake, 1 << 20);

	(void)state;
	fake.bad = 50 * BLOCK_SIZE;
	for (size_t i = 0; i < 3; i++)
		reads[i] = (struct sonde_image_read){ .off = (40 + 10 * i) * BLOCK_SIZE,
						      .buf = bytes[i],
						      .len = BLOCK_SIZE };
	image_blocks_read(blocks, reads, 3);
	expect_bytes(&reads[0]);
	assert_int_equal(reads[1].err, SONDE_E_CORRUPT);
	assert_int_equal(reads[1].done, 0);
	expect_bytes(&reads[2]);
	fake.bad = UINT64_MAX;
	read_and_check(blocks, 50 * BLOCK_SIZE, BLOCK_SIZE);
	image_blocks_destroy(blocks);
}

static void the_head_that_came_is_not_fetched_again(void **state)
{
	uint8_t head[2 * BLOCK_SIZE];
	struct fake fake;
	struct blocks *blocks = make(&fake, 1 << 20);

	(void)state;
	for (uint32_t i = 0; i < sizeof(head); i++)
		head[i] = (uint8_t)(i % 251);
	image_blocks_put_head(blocks, head, sizeof(head));
	read_and_check(blocks, 0, sizeof(head));
	assert_int_equal(fake.n_calls, 0);
	image_blocks_destroy(blocks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_gives_access_is_cut_out),
		cmocka_unit_test(a_range_is_taken_apart),
		cmocka_unit_test(ranges_that_make_no_sense_are_none),
		cmocka_unit_test(versions_are_compared_by_what_both_tell),
		cmocka_unit_test(a_batch_is_one_call_of_joined_ranges),
		cmocka_unit_test(what_is_fetched_ahead_is_there_when_it_is_read),
		cmocka_unit_test(the_end_is_fetched_as_far_as_it_goes),
		cmocka_unit_test(what_is_kept_is_bounded_and_all_is_right),
		cmocka_unit_test(who_reads_on_gets_more_each_time),
		cmocka_unit_test(a_range_that_fails_fails_alone_and_is_not_kept),
		cmocka_unit_test(the_head_that_came_is_not_fetched_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
