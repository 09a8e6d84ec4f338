/* SPDX-License-Identifier: MIT */
/* The bytes an overlay holds: pages in a hash table, with a bit for each byte that was written. */
#ifndef OVERLAY_PAGES_H
#define OVERLAY_PAGES_H

#include <stdint.h>

enum { OVERLAY_PAGE = 4096 };

struct overlay_page {
	uint64_t number; /* address / OVERLAY_PAGE */
	struct overlay_page *next;
	uint64_t mask[OVERLAY_PAGE / 64]; /* bit i of all: byte i was written */
	uint8_t bytes[OVERLAY_PAGE];
};

struct overlay_pages {
	struct overlay_page **slots; /* [n_slots], a power of two; chains by next */
	uint64_t n_slots, n, max;
	uint64_t n_bytes; /* written ones */
};

/* max: pages it may hold. Returns 0, -1 without memory. */
int pages_init(struct overlay_pages *pages, uint64_t max);
void pages_finish(struct overlay_pages *pages);

struct overlay_page *pages_find(const struct overlay_pages *pages, uint64_t number);

/* Store len bytes at addr, in one page. Returns 0, -1: no room for the page. */
int pages_store(struct overlay_pages *pages, uint64_t addr, const void *bytes, uint32_t len);

/* How many bytes from at on, up to end, are written like the first (*ret_written tells how). at < end. */
uint32_t page_run(const struct overlay_page *page, uint32_t at, uint32_t end, int *ret_written);

/* The number of every page, lowest first; mem_release it. NULL: none, or no memory. */
uint64_t *pages_sorted(const struct overlay_pages *pages);

#endif
