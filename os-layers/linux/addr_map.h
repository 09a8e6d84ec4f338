/* SPDX-License-Identifier: MIT */
/*
 * Addresses already seen, numbered 0, 1, 2 ... in the order they came. It gives shared objects one
 * place, and it is the cycle check: what is known already is not followed again.
 * The slots are placed by a seed of this process, so that a guest cannot choose addresses that
 * collide.
 */
#ifndef SONDE_LINUX_ADDR_MAP_H
#define SONDE_LINUX_ADDR_MAP_H

#include <sonde/error.h>
#include <stdint.h>

#define ADDR_MAP_MAX (1u << 22) /* addresses at most */

struct addr_slot {
	uint64_t addr;
	uint32_t index; /* + 1; 0 is free */
};

/* All zero is an empty map. */
struct addr_map {
	struct addr_slot *slots; /* [mask + 1] or NULL */
	uint32_t mask, n;
	uint64_t seed;
};

/*
 * Give addr its number.
 *
 * Returns   1 new: *ret is the count before; 0 known: *ret is its number; SONDE_E_NO_MEMORY;
 *           SONDE_E_LIMIT. *ret is written only on success.
 */
int addr_map_add(struct addr_map *map, uint64_t addr, uint32_t *ret);
/* Returns 1 and *ret, 0 when addr is not in it. */
int addr_map_find(const struct addr_map *map, uint64_t addr, uint32_t *ret);
void addr_map_finish(struct addr_map *map);

#endif
