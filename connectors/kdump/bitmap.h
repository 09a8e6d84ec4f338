/* SPDX-License-Identifier: MIT */
/*
 * A bitmap of a dump: a bit a page. It is read in stretches, and counted, as far as somebody looks: of a dump of 64 GiB it has
 * 2 MiB, of which little is ever asked for. Any thread may look.
 */
#ifndef BITMAP_H
#define BITMAP_H

#include "../common/source.h"

struct bitmap;

/*
 * The one of n_bits > 0 bits at at of source; ranks count from bit first on.
 * Returns 0, SONDE_E_NO_MEMORY. Owns: *ret, bitmap_destroy.
 */
int bitmap_create(struct bitmap **ret, const struct source *source, uint64_t at, uint64_t n_bits,
		  uint64_t first);
void bitmap_destroy(struct bitmap *bitmap); /* NULL is allowed */

/* A bit below n_bits: 0, 1; as source_read. */
int bitmap_bit(struct bitmap *bitmap, uint64_t i);

/* First bit of [from, n_bits) that is want into *ret; n_bits none. Returns 0; as source_read. */
int bitmap_next(struct bitmap *bitmap, int want, uint64_t from, uint64_t *ret);

/* How many of [first, i) are set, first <= i <= n_bits. Returns 0; as source_read. */
int bitmap_rank(struct bitmap *bitmap, uint64_t i, uint64_t *ret);

/* How many bits there are set. Reads all of it. Returns 0; as source_read. */
int bitmap_count(struct bitmap *bitmap, uint64_t *ret);

/* Are both the same? 1, 0; as source_read. */
int bitmap_same(struct bitmap *a, struct bitmap *b);

#endif
