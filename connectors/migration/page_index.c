/* SPDX-License-Identifier: MIT */
#include "page_index.h"

#include "../common/ram_stream.h"

#include <sonde/error.h>
#include <stdlib.h>

int page_index_init(struct page_index *ret, uint64_t n_pages, uint32_t stride)
{
	*ret = (struct page_index){ .n_pages = n_pages, .stride = stride };
	return n_pages > INDEX_PAGES_MAX ? SONDE_E_LIMIT : 0;
}

void page_index_finish(struct page_index *index)
{
	free(index->runs);
	*index = (struct page_index){ 0 };
}

static int grow(struct page_index *index)
{
	size_t cap = index->cap ? index->cap * 2 : 256;

	if (index->n == INDEX_RUNS_MAX)
		return SONDE_E_LIMIT;
	struct page_run *runs = realloc(index->runs, cap * sizeof(*runs));
	if (!runs)
		return SONDE_E_NO_MEMORY;
	index->runs = runs;
	index->cap = cap;
	return 0;
}

/* Does next go on where the last run ends, in memory and in the stream? */
static int goes_on(const struct page_index *index, const struct page_run *next)
{
	const struct page_run *last = index->n ? &index->runs[index->n - 1] : NULL;

	if (!last || last->kind != next->kind || last->n == UINT32_MAX ||
	    (uint64_t)last->page + last->n != next->page)
		return 0;
	if (next->kind == RAM_STREAM_FILL)
		return last->fill == next->fill;
	return next->kind == RAM_STREAM_PLAIN &&
	       last->at + (uint64_t)last->n * index->stride == next->at;
}

int page_index_add(struct page_index *index, const struct page_run *run)
{
	if (goes_on(index, run)) {
		index->runs[index->n - 1].n++;
		return 0;
	}
	int r = index->n == index->cap ? grow(index) : 0;
	if (r == 0)
		index->runs[index->n++] = *run;
	return r;
}

/* ---- what counts ----------------------------------------------------------------------------------- */

/* Looked at from the newest run to the oldest: which pages have been met whole, and which as differences. */
struct settling {
	struct page_index kept;
	uint8_t *whole, *differs; /* a bit a page */
};

static int bit(const uint8_t *bits, uint64_t i)
{
	return bits[i >> 3] >> (i & 7) & 1;
}

static void set_bit(uint8_t *bits, uint64_t i)
{
	bits[i >> 3] |= (uint8_t)(1u << (i & 7));
}

static struct page_run part_of(const struct page_index *index, const struct page_run *run,
			       uint32_t first, uint32_t n)
{
	struct page_run part = *run;

	part.page += first;
	part.n = n;
	if (run->kind == RAM_STREAM_PLAIN)
		part.at += (uint64_t)first * index->stride;
	return part;
}

static int keep(struct settling *s, const struct page_run *run)
{
	int r = s->kept.n == s->kept.cap ? grow(&s->kept) : 0;

	if (r == 0)
		s->kept.runs[s->kept.n++] = *run;
	return r;
}

/* How many pages of a run from first on are alike: not met yet, and not below a difference unless there is just one. */
static uint32_t stretch(const struct settling *s, const struct page_run *run, uint32_t first)
{
	uint32_t n = 0;

	while (first + n < run->n && !bit(s->whole, (uint64_t)run->page + first + n)) {
		int differs = bit(s->differs, (uint64_t)run->page + first + n);
		if (differs && n > 0)
			break;
		n++;
		if (differs)
			break;
	}
	return n;
}

static int settle_run(struct settling *s, const struct page_index *index,
		      const struct page_run *run)
{
	uint8_t *met = run->kind == RAM_STREAM_XBZRLE ? s->differs : s->whole;
	int r = 0;

	for (uint32_t first = 0, n; r == 0 && first < run->n; first += n ? n : 1) {
		n = stretch(s, run, first);
		if (n == 0)
			continue;
		struct page_run part = part_of(index, run, first, n);
		r = keep(s, &part);
		for (uint32_t i = 0; i < n; i++)
			set_bit(met, (uint64_t)part.page + i);
	}
	return r;
}

/* Those of one page by their age. */
static int by_page(const void *a, const void *b)
{
	const struct page_run *x = a, *y = b;

	if (x->page != y->page)
		return x->page < y->page ? -1 : 1;
	return (x->at > y->at) - (x->at < y->at);
}

int page_index_settle(struct page_index *index)
{
	size_t n_bits = (size_t)(index->n_pages / 8 + 1);
	struct settling s = { .whole = calloc(1, n_bits), .differs = calloc(1, n_bits) };
	int r = s.whole && s.differs ? 0 : SONDE_E_NO_MEMORY;

	for (size_t i = index->n; r == 0 && i-- > 0;)
		r = settle_run(&s, index, &index->runs[i]);
	free(s.whole);
	free(s.differs);
	if (r < 0) {
		free(s.kept.runs);
		return r;
	}
	if (s.kept.n)
		qsort(s.kept.runs, s.kept.n, sizeof(*s.kept.runs), by_page);
	free(index->runs);
	index->runs = s.kept.runs;
	index->n = s.kept.n;
	index->cap = s.kept.cap;
	return 0;
}

/* ---- asking ---------------------------------------------------------------------------------------- */

/* How many runs begin at or before a page. */
static size_t count_before(const struct page_index *index, uint64_t page)
{
	size_t low = 0, high = index->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (index->runs[mid].page <= page)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int page_index_find(const struct page_index *index, uint64_t page, size_t *ret_first, size_t *ret_n)
{
	size_t end = count_before(index, page), first = end;

	if (end == 0 || page - index->runs[end - 1].page >= index->runs[end - 1].n)
		return SONDE_E_NOT_SAVED;
	do
		first--;
	while (index->runs[first].kind == RAM_STREAM_XBZRLE && first > 0 &&
	       index->runs[first - 1].page == page && end - first <= INDEX_CHANGES_MAX);
	if (end - first > INDEX_CHANGES_MAX)
		return SONDE_E_LIMIT;
	if (index->runs[first].kind == RAM_STREAM_XBZRLE)
		return SONDE_E_CORRUPT;
	*ret_first = first;
	*ret_n = end - first;
	return 0;
}
