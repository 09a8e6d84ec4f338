/* SPDX-License-Identifier: MIT */
/*
 * A physical map: which addresses are memory, and where each stretch lies: of a guest in the QEMU
 * process, from the monitor's texts or guessed from the command line, or of this machine in a file of its kernel.
 */
#ifndef MEMORY_MAP_H
#define MEMORY_MAP_H

#include "guests.h"

#include <stddef.h>
#include <stdint.h>

#define MEMORY_RANGES_MAX 4096

struct memory_range {
	uint64_t addr, len; /* physical; len > 0, does not wrap            */
	uint64_t off;       /* of its first byte in the block name, or file */
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

/* One more, above those that are there. Returns 0; SONDE_E_BAD_FORMAT (it is not above), _LIMIT, _NO_MEMORY. */
int memory_map_add(struct memory_map *map, const struct memory_range *range);

/* Ranges of a block of this name are RAM. Returns how many. */
size_t memory_map_mark(struct memory_map *map, const char *name);
/* Where no block is known to be RAM: all that QEMU calls ram and that is not video memory. */
void memory_map_mark_likely(struct memory_map *map);

/* Make one of neighbours that go on in the guest and in their block alike; before hva is known. */
void memory_map_join(struct memory_map *map);

/* Read the answer to "gpa2hva ADDR". Returns 1 and *ret, 0 where the address is no memory. */
int memory_map_hva(const char *answer, uint64_t *ret);

/* How much of a PC's memory lies below 4 GiB, the rest going above; machine: "pc-q35-7.2". */
uint64_t memory_map_pc_low(const char *machine, uint64_t memory);

/*
 * Guess the map of a guest whose RAM is size bytes at hva, from its kind of machine.
 * Returns 0; SONDE_E_UNSUPPORTED where the machine is not known here; SONDE_E_NO_MEMORY.
 */
int memory_map_guess(struct memory_map *ret, const struct guest *guest, uint64_t hva);

/* The range that holds addr, else NULL and in *ret_gap the bytes up to the next (0: none above). */
const struct memory_range *memory_map_find(const struct memory_map *map, uint64_t addr,
					   uint64_t *ret_gap);

/* Visit the ranges that have all flags of care. Returns 0 or what fn returned to stop. */
int memory_map_regions(const struct memory_map *map, uint32_t care, sonde_region_fn *fn,
		       void *user);

/*
 * Hand each stretch of piece i that is memory to fn; what lies between is told as NOT_MAPPED. A
 * stretch is len bytes at off of the piece, and lies at addr.
 */
typedef void memory_map_stretch_fn(void *user, struct sonde_io *io, uint32_t i, uint32_t off,
				   uint32_t len, const struct memory_range *range, uint64_t addr);
void memory_map_cut(const struct memory_map *map, const struct sonde_host *host,
		    struct sonde_io *io, uint32_t i, memory_map_stretch_fn *fn, void *user);

#endif
