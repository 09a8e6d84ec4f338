/* SPDX-License-Identifier: MIT */
/* A hash table of addresses: open addressing, never more than half full, nothing is removed. */
#include "linux/addr_map.h"

#include <stdlib.h>

#define FIRST_SLOTS 64u

/* Mixing steps of a 64-bit finalizer: every bit of the address reaches the low ones. */
static uint32_t place(const struct addr_map *map, uint64_t addr)
{
	uint64_t x = addr ^ map->seed;

	x = (x ^ x >> 33) * UINT64_C(0xff51afd7ed558ccd);
	x = (x ^ x >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return (uint32_t)(x ^ x >> 33) & map->mask;
}

/* The slot of addr, or the free one where it belongs. */
static struct addr_slot *slot_of(const struct addr_map *map, uint64_t addr)
{
	uint32_t at = place(map, addr);

	while (map->slots[at].index && map->slots[at].addr != addr)
		at = (at + 1) & map->mask;
	return &map->slots[at];
}

static int grow(struct addr_map *map)
{
	uint32_t n_slots = map->slots ? 2 * (map->mask + 1) : FIRST_SLOTS;
	struct addr_map grown = { .mask = n_slots - 1, .n = map->n };

	grown.slots = calloc(n_slots, sizeof(*grown.slots));
	if (!grown.slots)
		return SONDE_E_NO_MEMORY;
	/* Where the host put the table is something no guest knows. */
	grown.seed = (uint64_t)(uintptr_t)grown.slots * UINT64_C(0x9e3779b97f4a7c15);
	for (uint32_t i = 0; map->slots && i <= map->mask; i++) {
		if (map->slots[i].index)
			*slot_of(&grown, map->slots[i].addr) = map->slots[i];
	}
	free(map->slots);
	*map = grown;
	return SONDE_OK;
}

int addr_map_add(struct addr_map *map, uint64_t addr, uint32_t *ret)
{
	if (addr_map_find(map, addr, ret))
		return 0;
	if (map->n >= ADDR_MAP_MAX)
		return SONDE_E_LIMIT;
	if ((!map->slots || 2 * map->n > map->mask) && grow(map) < 0)
		return SONDE_E_NO_MEMORY;
	*ret = map->n;
	*slot_of(map, addr) = (struct addr_slot){ .addr = addr, .index = ++map->n };
	return 1;
}

int addr_map_find(const struct addr_map *map, uint64_t addr, uint32_t *ret)
{
	if (!map->slots)
		return 0;
	const struct addr_slot *slot = slot_of(map, addr);
	if (!slot->index)
		return 0;
	*ret = slot->index - 1;
	return 1;
}

void addr_map_finish(struct addr_map *map)
{
	free(map->slots);
	*map = (struct addr_map){ 0 };
}
