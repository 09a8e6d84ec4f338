/* SPDX-License-Identifier: MIT */
#include "ram.h"
#include "xbzrle.h"

#include <errno.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#define PAGE_HEAD 8u /* in front of each further page of a block: its offset and flags */
#define PAGES_AT_ONCE 64
#define PACKED_MAX (2u * RAM_STREAM_PAGE_MAX)
#define SCAN_AHEAD (4u << 20)

/* ---- indexing -------------------------------------------------------------------------------------- */

struct indexing {
	struct ram *ram;
	uint64_t at;      /* of the stream                     */
	uint64_t at_hand; /* up to here, where ram->lot is set */
	uint64_t *bases;  /* [n_blocks] pages before each       */
	int read_err;     /* of bytes that could not be read    */
};

/* It is read from its front to its end, for pages tell of themselves only. */
static void scan_on(struct indexing *indexing, size_t len)
{
	struct ram *ram = indexing->ram;

	if (!ram->lot || indexing->at + len <= indexing->at_hand)
		return;
	spans_ahead(ram->spans, indexing->at, SCAN_AHEAD, ram->lot);
	source_lot_end(ram->lot);
	indexing->at_hand = indexing->at + SCAN_AHEAD;
}

static size_t read_stream(void *user, void *buf, size_t len)
{
	struct indexing *indexing = user;

	scan_on(indexing, len);
	int64_t n = spans_read(indexing->ram->spans, indexing->at, buf, len);

	indexing->at += n > 0 ? (uint64_t)n : 0;
	indexing->read_err = n < 0 ? (int)n : 0;
	return n > 0 ? (size_t)n : 0;
}

static int take_blocks(void *user, const struct ram_stream_block *blocks, size_t n)
{
	struct indexing *indexing = user;
	struct ram *ram = indexing->ram;

	ram->blocks = calloc(n, sizeof(*blocks));
	indexing->bases = calloc(n, sizeof(*indexing->bases));
	if (!ram->blocks || !indexing->bases)
		return SONDE_E_NO_MEMORY;
	memcpy(ram->blocks, blocks, n * sizeof(*blocks));
	ram->n_blocks = n;
	return 0;
}

/* With the first page its size is known, and so how many there are. */
static int begin_index(struct indexing *indexing, uint32_t page_len)
{
	struct ram *ram = indexing->ram;
	uint64_t n_pages = 0;

	for (size_t i = 0; i < ram->n_blocks; i++) {
		indexing->bases[i] = n_pages;
		n_pages += ram->blocks[i].len / page_len;
	}
	return page_index_init(&ram->index, n_pages, page_len + PAGE_HEAD);
}

static int take_page(void *user, const struct ram_stream_page *page)
{
	struct indexing *indexing = user;
	struct ram *ram = indexing->ram;
	int r = ram->n_told++ == 0 ? begin_index(indexing, page->len) : 0;

	if (r < 0)
		return r;
	struct page_run run = {
		.at = page->at,
		.page = (uint32_t)(indexing->bases[page->block] + page->off / page->len),
		.n = 1,
		.n_bytes = page->n_bytes,
		.kind = (uint8_t)page->kind,
		.fill = (uint8_t)page->fill,
	};
	return page_index_add(&ram->index, &run);
}

/* What is broken behind the blocks leaves what came before it. */
static int judge(struct ram *ram, int code, int read_err)
{
	if (read_err)
		code = read_err;
	if (code == 0 || ram->n_told == 0)
		return code;
	if (code != SONDE_E_TRUNCATED && code != SONDE_E_BAD_FORMAT && code != SONDE_E_CORRUPT)
		return code;
	ram->damage = code;
	return 0;
}

int ram_open(struct ram *ret, struct spans *spans, int fd)
{
	struct indexing indexing = { .ram = ret };
	struct ram_stream_ends ends = { .read = read_stream,
					.begin = take_blocks,
					.page = take_page,
					.user = &indexing,
					.packed = 1 };

	*ret = (struct ram){ .spans = spans, .fd = fd };
	if (spans->file.ahead && !(ret->lot = calloc(1, sizeof(*ret->lot))))
		return SONDE_E_NO_MEMORY;
	int r = ram_stream_read(&ends, &ret->end);
	r = judge(ret, r, indexing.read_err);
	free(indexing.bases);
	if (r == 0)
		r = page_index_settle(&ret->index);
	if (r < 0)
		return r;
	ret->page = malloc(RAM_STREAM_PAGE_MAX);
	ret->packed = malloc(PACKED_MAX);
	ret->zlib = libdeflate_alloc_decompressor();
	return ret->page && ret->packed && ret->zlib ? 0 : SONDE_E_NO_MEMORY;
}

void ram_finish(struct ram *ram)
{
	page_index_finish(&ram->index);
	free(ram->blocks);
	free(ram->page);
	free(ram->packed);
	free(ram->lot);
	if (ram->zlib)
		libdeflate_free_decompressor(ram->zlib);
	*ram = (struct ram){ 0 };
}

/* ---- one page -------------------------------------------------------------------------------------- */

static int read_whole(struct ram *ram, uint64_t at, void *buf, size_t len)
{
	int64_t n = spans_read(ram->spans, at, buf, len);

	if (n < 0)
		return (int)n;
	return (size_t)n == len ? 0 : SONDE_E_TRUNCATED;
}

/* What run says of its page, over what ram->page holds. */
static int apply(struct ram *ram, const struct page_run *run, uint64_t page)
{
	uint32_t len = ram->end.page_len;
	int r;

	switch (run->kind) {
	case RAM_STREAM_FILL:
		memset(ram->page, run->fill, len);
		return 0;
	case RAM_STREAM_PLAIN:
		return read_whole(ram, run->at + (page - run->page) * ram->index.stride, ram->page,
				  len);
	case RAM_STREAM_ZLIB:
		r = read_whole(ram, run->at, ram->packed, run->n_bytes);
		if (r == 0 &&
		    libdeflate_zlib_decompress(ram->zlib, ram->packed, run->n_bytes, ram->page, len,
					       NULL) != LIBDEFLATE_SUCCESS)
			r = SONDE_E_CORRUPT;
		return r;
	default:
		r = read_whole(ram, run->at, ram->packed, run->n_bytes);
		return r == 0 ? xbzrle_apply(ram->packed, run->n_bytes, ram->page, len) : r;
	}
}

/* Into ram->page. Where a page never came because the stream ended before it, that is the reason. */
static int assemble(struct ram *ram, uint64_t page)
{
	size_t first = 0, n = 0;
	int r = page_index_find(&ram->index, page, &first, &n);

	if (r == SONDE_E_NOT_SAVED && ram->damage)
		r = ram->damage == SONDE_E_TRUNCATED ? SONDE_E_TRUNCATED : SONDE_E_CORRUPT;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = apply(ram, &ram->index.runs[first + i], page);
	return r;
}

int ram_read_page(struct ram *ram, uint64_t off, void *buf, uint32_t len)
{
	uint32_t in = (uint32_t)(off & (ram->end.page_len - 1));
	int r = assemble(ram, off / ram->end.page_len);

	if (r == 0)
		memcpy(buf, ram->page + in, len);
	return r;
}

/* ---- requests -------------------------------------------------------------------------------------- */

struct transfer {
	struct ram *ram;
	const struct sonde_host *host;
	int at_hand; /* all of it, before it is read */
};

/* The plain run that a byte is in and that nothing came over; NULL none. */
static const struct page_run *plain_run(const struct ram *ram, uint64_t off)
{
	size_t first, n;

	if (page_index_find(&ram->index, off / ram->end.page_len, &first, &n) < 0 || n != 1 ||
	    ram->index.runs[first].kind != RAM_STREAM_PLAIN)
		return NULL;
	return &ram->index.runs[first];
}

/* Pages from off on that lie together in the file, heads between them, as a list for preadv. Returns their bytes. */
static uint32_t gather(const struct ram *ram, const struct page_run *run, uint64_t off,
		       uint8_t *buf, uint32_t len, uint8_t heads[PAGE_HEAD], struct iovec *iov,
		       int *ret_n, uint64_t *ret_at)
{
	uint32_t page_len = ram->end.page_len, in = (uint32_t)(off & (page_len - 1)), done = 0;
	uint64_t page = off / page_len - run->page;
	uint64_t room = spans_plain(ram->spans, run->at + page * ram->index.stride + in, ret_at);
	int n = 0;

	while (done < len && page < run->n && n < 2 * PAGES_AT_ONCE) {
		uint32_t step = page_len - in < len - done ? page_len - in : len - done;
		uint32_t head = done ? PAGE_HEAD : 0;
		if (room < (uint64_t)head + step)
			break;
		if (head)
			iov[n++] = (struct iovec){ heads, PAGE_HEAD };
		iov[n++] = (struct iovec){ buf + done, step };
		room -= head + step;
		done += step;
		page++;
		in = 0;
	}
	*ret_n = n;
	return done;
}

/* Returns how many bytes came in one call; 0: read them page by page, which says what is wrong. */
static uint32_t read_together(const struct ram *ram, uint64_t off, uint8_t *buf, uint32_t len)
{
	const struct page_run *run = ram->fd < 0 ? NULL : plain_run(ram, off);
	struct iovec iov[2 * PAGES_AT_ONCE + 1];
	uint8_t heads[PAGE_HEAD];
	uint64_t at = 0, want = 0;
	int n = 0;
	ssize_t came;

	if (!run)
		return 0;
	uint32_t done = gather(ram, run, off, buf, len, heads, iov, &n, &at);
	for (int i = 0; i < n; i++)
		want += iov[i].iov_len;
	do
		came = n ? preadv(ram->fd, iov, n, (off_t)at) : 0;
	while (came < 0 && errno == EINTR);
	return came > 0 && (uint64_t)came == want ? done : 0;
}

static void serve_stretch(void *user, struct sonde_io *io, uint32_t i, uint32_t off, uint32_t len,
			  const struct memory_range *range, uint64_t addr)
{
	struct transfer *transfer = user;
	struct ram *ram = transfer->ram;
	uint64_t at = range->off + (addr - range->addr);
	uint8_t *buf = (uint8_t *)io->xfers[i].buf + off;

	if (io->op != SONDE_IO_READ) {
		sonde_progress(transfer->host, io, i, off, len, SONDE_E_READ_ONLY);
		return;
	}
	for (uint32_t done = 0, asked = transfer->at_hand ? len : 0, step; done < len;
	     done += step) {
		uint32_t left =
			ram->end.page_len - (uint32_t)((at + done) & (ram->end.page_len - 1));
		int r = 0;
		if (done >= asked) {
			asked = len - done < SCAN_AHEAD ? len : done + SCAN_AHEAD;
			ram_ahead_some(ram, at + done, asked - done);
		}
		step = read_together(ram, at + done, buf + done, len - done);
		if (step == 0) {
			step = left < len - done ? left : len - done;
			r = ram_read_page(ram, at + done, buf + done, step);
		}
		sonde_progress(transfer->host, io, i, off + done, step, r);
	}
}

void ram_transfer(struct ram *ram, const struct memory_map *map, const struct sonde_host *host,
		  struct sonde_io *const *ios, size_t n)
{
	struct transfer transfer = { ram, host, ram_ahead(ram, map, ios, n) };

	for (size_t k = 0; k < n; k++) {
		for (uint32_t i = 0; i < ios[k]->n; i++)
			memory_map_cut(map, host, ios[k], i, serve_stretch, &transfer);
	}
}
