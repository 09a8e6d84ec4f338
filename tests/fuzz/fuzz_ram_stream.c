/* SPDX-License-Identifier: MIT */
/*
 * Migration streams: any bytes, handed over in short and long stretches. What comes out keeps the promises of
 * ram_stream.h, and how the bytes were cut changes nothing.
 */
#include "../../connectors/common/ram_stream.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct run {
	const uint8_t *bytes;
	size_t len, at, stretch; /* stretch: bytes at most of one read */
	const struct ram_stream_block *blocks;
	size_t n_blocks, n_pages;
	uint32_t sum;
};

static size_t read_some(void *user, void *buf, size_t len)
{
	struct run *run = user;
	size_t n = run->len - run->at;

	n = n < len ? n : len;
	n = n < run->stretch ? n : run->stretch;
	memcpy(buf, run->bytes + run->at, n);
	run->at += n;
	return n;
}

static int begin(void *user, const struct ram_stream_block *blocks, size_t n)
{
	struct run *run = user;

	if (run->blocks || n > RAM_STREAM_BLOCKS_MAX)
		abort();
	run->blocks = blocks;
	run->n_blocks = n;
	return 0;
}

static int page(void *user, const struct ram_stream_page *page)
{
	struct run *run = user;

	if (!run->blocks || page->block >= run->n_blocks || page->len > RAM_STREAM_PAGE_MAX)
		abort();
	uint64_t block_len = run->blocks[page->block].len;
	if (page->off > block_len || page->len > block_len - page->off || page->fill > 255)
		abort();
	if (!page->bytes != (page->kind == RAM_STREAM_FILL) || (!page->bytes && page->n_bytes) ||
	    (page->kind == RAM_STREAM_PLAIN && page->n_bytes != page->len))
		abort();
	if (page->at > run->len || page->n_bytes > run->len - page->at ||
	    (page->bytes && memcmp(page->bytes, run->bytes + page->at, page->n_bytes) != 0))
		abort();
	run->n_pages++;
	run->sum = run->sum * 31 + page->kind * 256 + page->fill;
	for (uint32_t i = 0; i < page->n_bytes; i++)
		run->sum = run->sum * 31 + page->bytes[i];
	return 0;
}

static int read_all(struct run *run)
{
	struct ram_stream_ends ends = {
		.read = read_some, .begin = begin, .page = page, .user = run, .packed = 1
	};
	struct ram_stream_end end;
	int r = ram_stream_read(&ends, &end);

	if (r < 0 ? !end.why || !end.why[0] : !run->blocks)
		abort();
	if (end.at > run->len)
		abort();
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct run large = { .bytes = bytes, .len = len, .stretch = SIZE_MAX };
	struct run small = { .bytes = bytes, .len = len, .stretch = 7 };

	if (read_all(&large) != read_all(&small) || large.n_pages != small.n_pages ||
	    large.sum != small.sum)
		abort();
	return 0;
}
