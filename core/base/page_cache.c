/* SPDX-License-Identifier: MIT */
#include "page_cache.h"

#include <sonde/error.h>
#include <stdlib.h>
#include <string.h>

int page_cache_init(struct page_cache *ret, uint32_t n, size_t page_size)
{
	uint32_t mask = 1;

	while (mask < n)
		mask = mask << 1 | 1;
	*ret = (struct page_cache){
		.bytes = malloc(n * page_size),
		.slots = calloc(n, sizeof(*ret->slots)),
		.buckets = malloc((mask + 1) * sizeof(*ret->buckets)),
		.n = n,
		.mask = mask,
		.page_size = page_size,
	};
	if (!ret->bytes || !ret->slots || !ret->buckets) {
		page_cache_finish(ret);
		return SONDE_E_NO_MEMORY;
	}
	memset(ret->buckets, 0xff, (mask + 1) * sizeof(*ret->buckets));
	return 0;
}

void page_cache_finish(struct page_cache *cache)
{
	free(cache->bytes);
	free(cache->slots);
	free(cache->buckets);
	*cache = (struct page_cache){ 0 };
}

static uint32_t *bucket_of(const struct page_cache *cache, uint64_t page)
{
	return &cache->buckets[(page * UINT64_C(0x9e3779b97f4a7c15) >> 32) & cache->mask];
}

uint32_t page_cache_find(struct page_cache *cache, uint64_t page, uint32_t lot)
{
	uint32_t slot = *bucket_of(cache, page);

	while (slot != PAGE_CACHE_NONE && cache->slots[slot].page != page)
		slot = cache->slots[slot].next;
	if (slot != PAGE_CACHE_NONE) {
		cache->slots[slot].lot = lot;
		cache->slots[slot].again = 1;
	}
	return slot;
}

void page_cache_drop(struct page_cache *cache, uint32_t slot)
{
	struct page_slot *dropped = &cache->slots[slot];
	uint32_t *link = bucket_of(cache, dropped->page);

	while (*link != slot)
		link = &cache->slots[*link].next;
	*link = dropped->next;
	*dropped = (struct page_slot){ 0 };
}

uint32_t page_cache_take(struct page_cache *cache, uint64_t page, uint32_t lot)
{
	for (;;) {
		uint32_t slot = cache->hand;
		struct page_slot *old = &cache->slots[slot];

		cache->hand = slot + 1 < cache->n ? slot + 1 : 0;
		if (old->lot == lot)
			continue;
		if (old->again) {
			old->again = 0;
			continue;
		}
		if (old->lot)
			page_cache_drop(cache, slot);
		uint32_t *bucket = bucket_of(cache, page);
		*old = (struct page_slot){ .page = page, .next = *bucket, .lot = lot };
		*bucket = slot;
		return slot;
	}
}
