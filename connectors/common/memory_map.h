/* SPDX-License-Identifier: MIT */
/*
 * The guest-physical map: which addresses are memory, and where each stretch lies in the
 * QEMU process. From the monitor's texts, or guessed from the command line without one.
 */
#ifndef MEMORY_MAP_H
#define MEMORY_MAP_H

#include "guests.h"

#include <stddef.h>
#include <stdint.h>

#define MEMORY_RANGES_MAX 4096

struct memory_range {
	uint64_t addr, len; /* guest-physical; len > 0, does not wrap      */
	uint64_t off;       /* of its first byte in the block name         */
	uint64_t hva;       /* in the QEMU process; 0: not known           */
	uint32_t flags;     /* enum sonde_region_flag                      */
	char name[64];      /* QEMU's name of the block ("pc.ram")         */
};

struct memory_map {
	struct memory_range *ranges; /* [n], lowest first, not overlapping */
	size_t n, cap;
};

/*
 * Read the answer to "info mtree -f": the flat view of the address space "memory". All of it is
 * marked as device memory; memory_map_mark tells RAM apart.
 * Returns 0; SONDE_E_BAD_FORMAT (no such view, or it contradicts itself), _LIMIT, _NO_MEMORY.
 */
int memory_map_parse(struct memory_map *ret, const char *mtree);
void memory_map_finish(struct memory_map *map);
/* Returns 0; SONDE_E_NO_MEMORY. Owns: *ret, memory_map_finish. */
int memory_map_copy(struct memory_map *ret, const struct memory_map *map);

/* Ranges of a block of this name are RAM. Returns how many. */
size_t memory_map_mark(struct memory_map *map, const char *name);
/* Where no block is known to be RAM: all that QEMU calls ram and that is not video memory. */
void memory_map_mark_likely(struct memory_map *map);

/* Make one of neighbours that go on in the guest and in their block alike; before hva is known. */
void memory_map_join(struct memory_map *map);

/* Read the answer to "gpa2hva ADDR". Returns 1 and *ret, 0 where the address is no memory. */
int memory_map_hva(const char *answer, uint64_t *ret);

/*
 * Guess the map of a guest whose RAM is size bytes at hva, from its kind of machine.
 * Returns 0; SONDE_E_UNSUPPORTED where the machine is not known here; SONDE_E_NO_MEMORY.
 */
int memory_map_guess(struct memory_map *ret, const struct guest *guest, uint64_t hva);

/* The range that holds addr, else NULL and in *ret_gap the bytes up to the next (0: none above). */
const struct memory_range *memory_map_find(const struct memory_map *map, uint64_t addr,
					   uint64_t *ret_gap);

#endif
