/* SPDX-License-Identifier: MIT */
/* Where in the file lies what a batch wants: all of it is asked for in one go. */
#include "ram.h"

/* Of a page that came more than once, or packed. */
static void run_ahead(struct ram *ram, const struct page_run *run, uint64_t page)
{
	if (run->kind == RAM_STREAM_PLAIN)
		spans_ahead(ram->spans, run->at + (page - run->page) * ram->index.stride,
			    ram->end.page_len, ram->lot);
	else if (run->kind != RAM_STREAM_FILL)
		spans_ahead(ram->spans, run->at, run->n_bytes, ram->lot);
}

/* Returns how many of up to n pages from page on it took. */
static uint64_t pages_ahead(struct ram *ram, uint64_t page, uint64_t n)
{
	size_t first = 0, n_runs = 0;

	if (page_index_find(&ram->index, page, &first, &n_runs) < 0)
		return 1;
	const struct page_run *run = &ram->index.runs[first];
	if (n_runs == 1 && run->kind == RAM_STREAM_PLAIN) {
		uint64_t left = run->n - (page - run->page);
		left = left < n ? left : n;
		spans_ahead(ram->spans, run->at + (page - run->page) * ram->index.stride,
			    (left - 1) * ram->index.stride + ram->end.page_len, ram->lot);
		return left;
	}
	for (size_t i = 0; i < n_runs; i++)
		run_ahead(ram, &run[i], page);
	return 1;
}

/* [off, off + len) of all blocks together. */
static void stretch_ahead(struct ram *ram, uint64_t off, uint64_t len)
{
	uint32_t shift = (uint32_t)__builtin_ctz(ram->end.page_len);

	for (uint64_t page = off >> shift, end = (off + len - 1) >> shift; page <= end;)
		page += pages_ahead(ram, page, end - page + 1);
}

static void piece_ahead(struct ram *ram, const struct memory_map *map, const struct sonde_xfer *x)
{
	for (uint64_t off = 0, len; off < x->len && x->addr + off >= x->addr; off += len) {
		uint64_t addr = x->addr + off, gap = 0, left = x->len - off;
		const struct memory_range *range = memory_map_find(map, addr, &gap);
		len = range ? range->len - (addr - range->addr) : gap;
		len = len && len < left ? len : left;
		if (range)
			stretch_ahead(ram, range->off + (addr - range->addr), len);
	}
}

static uint64_t bytes_of(struct sonde_io *const *ios, size_t n)
{
	uint64_t sum = 0;

	for (size_t k = 0; k < n; k++) {
		for (uint32_t i = 0; i < ios[k]->n; i++)
			sum += ios[k]->xfers[i].len;
	}
	return sum;
}

int ram_ahead(struct ram *ram, const struct memory_map *map, struct sonde_io *const *ios, size_t n)
{
	if (!ram->lot)
		return 1;
	if (bytes_of(ios, n) > RAM_AHEAD_MAX)
		return 0;
	for (size_t k = 0; k < n; k++) {
		for (uint32_t i = 0; ios[k]->op == SONDE_IO_READ && i < ios[k]->n; i++)
			piece_ahead(ram, map, &ios[k]->xfers[i]);
	}
	source_lot_end(ram->lot);
	return 1;
}

void ram_ahead_some(struct ram *ram, uint64_t off, uint64_t len)
{
	stretch_ahead(ram, off, len);
	source_lot_end(ram->lot);
}
