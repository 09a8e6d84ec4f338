/* SPDX-License-Identifier: MIT */
/*
 * Where the bytes of a space live: a sorted list of stretches, made of what a
 * connector told. Overlaps are resolved (the one told first wins), nothing wraps.
 */
#ifndef SONDE_SPACE_EXTENTS_H
#define SONDE_SPACE_EXTENTS_H

#include <sonde/plugin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "space/past_cache.h"

struct extent {
	uint64_t addr, last;       /* both inclusive                                     */
	uint32_t kind;             /* enum sonde_extent_kind                             */
	uint32_t flags;            /* enum sonde_region_flag                             */
	char *ptr;                 /* MEMORY, and FILE once mapped: byte at addr; or NULL */
	bool ptr_read_only;        /* the host's own map may not be written              */
	uint64_t off;              /* FILE, IMAGE: of the byte at addr                   */
	struct sonde_image *image; /* IMAGE                                            */
	int32_t fd;
	int32_t slot; /* FILE: of fd in the engine's table, -1: not there   */
	int32_t err;  /* ABSENT                                             */
	int16_t past; /* FILE: past_cache.h, or PAST_CACHE_NEVER            */
};

/*
 * A sealed list is searched from an index: the addresses from the first to the last extent in slices of
 * 1 << shift bytes, for each the first extent that ends in it or behind it.
 */
struct extents {
	struct extent *at; /* [n], by addr, not overlapping              */
	size_t n, cap;
	uint32_t *index; /* [n_slices]; NULL: few extents, or no memory */
	size_t n_slices;
	uint32_t shift;
};

/* Add one in the order told. Returns 0; SONDE_E_BAD_ARG, SONDE_E_LIMIT, SONDE_E_NO_MEMORY. */
int extents_add(struct extents *extents, const struct sonde_extent *told);
/* Sort and resolve overlaps; nothing may be added afterwards. Returns 0; SONDE_E_NO_MEMORY. */
int extents_seal(struct extents *extents);
/* As sealed, without the places that belong to one loop: maps of files, and slots of an engine. SONDE_E_NO_MEMORY. */
int extents_copy(struct extents *to, const struct extents *from);
void extents_finish(struct extents *extents);

/* The extent that holds addr where the index leads to it at once, as nearly always; NULL: look longer. */
static inline const struct extent *extents_indexed(const struct extents *extents, uint64_t addr)
{
	if (!extents->index)
		return NULL;
	uint64_t slice = (addr - extents->at[0].addr) >> extents->shift;
	if (slice >= extents->n_slices)
		return NULL;
	const struct extent *e = &extents->at[extents->index[slice]];
	return addr - e->addr <= e->last - e->addr ? e : NULL;
}

/* The extent that holds addr, else NULL; then *ret_gap is how many bytes the hole goes on (0: to the end). */
const struct extent *extents_find(const struct extents *extents, uint64_t addr, size_t *hint,
				  uint64_t *ret_gap);

#endif
