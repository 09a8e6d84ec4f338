/* SPDX-License-Identifier: MIT */
/*
 * The hash that indexes of names share, eight bytes a step. Targets choose the names and could
 * make them collide: that costs time in proportion to their number, which is bounded.
 */
#ifndef SONDE_SYM_NAME_HASH_H
#define SONDE_SYM_NAME_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t name_hash(const char *name, size_t len)
{
	const uint64_t odd = 0x9e3779b97f4a7c15; /* 2^64 over the golden ratio: spreads every bit */
	uint64_t h = len, word;

	for (; len >= sizeof(word); name += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, name, sizeof(word));
		h = (h ^ word) * odd;
		h ^= h >> 32;
	}
	word = 0;
	memcpy(&word, name, len);
	h = (h ^ word) * odd;
	return (uint32_t)(h >> 32);
}

/*
 * Slots for n names: a power of two, at most two thirds full. Fewer free ones would cost probes,
 * more of them page faults, which weigh as much for a table that is asked a few dozen times.
 */
static inline uint32_t name_slots(uint32_t n)
{
	uint32_t slots = 64;

	while (slots / 3 * 2 < n && slots < UINT32_C(1) << 31)
		slots *= 2;
	return slots;
}

#endif
