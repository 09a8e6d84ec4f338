/* SPDX-License-Identifier: MIT */
/* Unpacked pages that are kept, so that neighbours are not unpacked again: a dump does not change. One thread at a time. */
#ifndef SONDE_BASE_PAGE_CACHE_H
#define SONDE_BASE_PAGE_CACHE_H

#include <stddef.h>
#include <stdint.h>

#define PAGE_CACHE_NONE UINT32_MAX

struct page_slot {
	uint64_t page;
	uint32_t next; /* of its bucket                       */
	uint32_t lot;  /* it was used in last; 0: empty       */
	uint8_t again; /* used since the hand came past       */
};

struct page_cache {
	uint8_t *bytes; /* [n][page_size] */
	struct page_slot *slots;
	uint32_t *buckets; /* [mask + 1] */
	uint32_t n, mask, hand;
	size_t page_size;
};

/* n: slots. Returns 0, SONDE_E_NO_MEMORY. */
int page_cache_init(struct page_cache *ret, uint32_t n, size_t page_size);
void page_cache_finish(struct page_cache *cache);

static inline uint8_t *page_cache_bytes(const struct page_cache *cache, uint32_t slot)
{
	return cache->bytes + slot * cache->page_size;
}

/* The slot of a page, which stays what it is during this lot; PAGE_CACHE_NONE. */
uint32_t page_cache_find(struct page_cache *cache, uint64_t page, uint32_t lot);
/* A slot to be filled with a page that is not there; never one that was used in this lot, of which there are n / 2 at most. */
uint32_t page_cache_take(struct page_cache *cache, uint64_t page, uint32_t lot);
/* It could not be filled. */
void page_cache_drop(struct page_cache *cache, uint32_t slot);

#endif
