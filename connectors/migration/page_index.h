/* SPDX-License-Identifier: MIT */
/*
 * Where in a stream each page of RAM stands. Pages are told in the stream's order, one again whenever the guest had
 * changed it, and kept as runs; once all are there, what was superseded is dropped and the rest sorted. Of a page that
 * came as a difference (xbzrle) the page before it is kept too, and the differences behind that.
 */
#ifndef PAGE_INDEX_H
#define PAGE_INDEX_H

#include <stddef.h>
#include <stdint.h>

/* Against hostile streams: 16 TiB of pages of 4 KiB, half a GiB of bits; and what the runs may take, 1.5 GiB. */
#define INDEX_PAGES_MAX (UINT64_C(1) << 32)
#define INDEX_RUNS_MAX ((size_t)1 << 26)
#define INDEX_CHANGES_MAX 4096 /* differences of one page that are read */

struct page_run {
	uint64_t at;      /* of the first page's bytes in the stream     */
	uint32_t page, n; /* of all blocks together; n > 1: PLAIN, FILL  */
	uint32_t n_bytes; /* packed: how many; PLAIN: of a page; FILL: 0 */
	uint8_t kind;     /* enum ram_stream_kind                        */
	uint8_t fill;
};

struct page_index {
	uint64_t n_pages;
	uint32_t stride;       /* from one PLAIN page of a run to the next, in the stream */
	struct page_run *runs; /* [n] */
	size_t n, cap;
};

/* stride: as above. Returns 0; SONDE_E_LIMIT. Owns: *ret, page_index_finish. */
int page_index_init(struct page_index *ret, uint64_t n_pages, uint32_t stride);
void page_index_finish(struct page_index *index);

/* One more page, behind all others in the stream: run->n is 1, run->page < n_pages. Returns 0; SONDE_E_LIMIT, _NO_MEMORY. */
int page_index_add(struct page_index *index, const struct page_run *run);

/* No more come. Returns 0; SONDE_E_NO_MEMORY. */
int page_index_settle(struct page_index *index);

/*
 * What makes up a page, once settled: runs [*ret_first, *ret_first + *ret_n): the page whole, then differences in their
 * order. Returns 0; SONDE_E_NOT_SAVED (it never came), _CORRUPT (nothing that it differs from came), _LIMIT.
 */
int page_index_find(const struct page_index *index, uint64_t page, size_t *ret_first,
		    size_t *ret_n);

#endif
