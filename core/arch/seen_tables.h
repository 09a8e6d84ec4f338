/* SPDX-License-Identifier: MIT */
/*
 * Which tables a walk has met, each at its level: open addressing, half empty at least. Eight bytes a table
 * of 4 KiB, twice that for the room; nothing once it is forgotten.
 */
#ifndef SONDE_ARCH_SEEN_TABLES_H
#define SONDE_ARCH_SEEN_TABLES_H

#include <sonde/error.h>
#include <stdint.h>

#include "base/mem.h"

#define SEEN_TABLES_FIRST 256u

struct seen_tables {
	uint64_t *keys; /* [cap], a power of two; 0: free */
	uint32_t cap, n;
};

static inline void seen_tables_forget(struct seen_tables *seen)
{
	mem_release(seen->keys);
	*seen = (struct seen_tables){ 0 };
}

/* The place of a key, or the free one where it would be. */
static inline uint64_t *seen_tables_place(const struct seen_tables *seen, uint64_t key)
{
	/* Knuth, TAOCP 3, 6.4: multiplicative hashing; the high bits are good. */
	uint64_t at = (key * UINT64_C(0x9e3779b97f4a7c15)) >> 32;

	for (;; at++) {
		uint64_t *place = &seen->keys[at & (seen->cap - 1)];
		if (*place == key || !*place)
			return place;
	}
}

static inline int seen_tables_grow(struct seen_tables *seen)
{
	struct seen_tables grown = { .cap = seen->cap ? 2 * seen->cap : SEEN_TABLES_FIRST,
				     .n = seen->n };

	grown.keys = mem_alloc(grown.cap, sizeof(*grown.keys));
	if (!grown.keys)
		return SONDE_E_NO_MEMORY;
	for (uint32_t i = 0; i < seen->cap; i++) {
		if (seen->keys[i])
			*seen_tables_place(&grown, seen->keys[i]) = seen->keys[i];
	}
	mem_release(seen->keys);
	*seen = grown;
	return SONDE_OK;
}

/* Returns 1: it was there before; 0: it is now; SONDE_E_NO_MEMORY. Tables are aligned to 16 bytes. */
static inline int seen_tables_add(struct seen_tables *seen, uint32_t level, uint64_t pa)
{
	uint64_t key = pa | 8 | level;

	if (2 * seen->n >= seen->cap && seen_tables_grow(seen) < 0)
		return SONDE_E_NO_MEMORY;
	uint64_t *place = seen_tables_place(seen, key);
	if (*place)
		return 1;
	*place = key;
	seen->n++;
	return 0;
}

#endif
