/* SPDX-License-Identifier: MIT */
/*
 * Reads of a source that answers ranges after a while: cut at blocks, those that are missing fetched together,
 * neighbours in one range, and kept within a bound. One thread at a time.
 *
 *	reads ──cut──▶ parts ─┬─ kept ─────────────────────────▶ copied
 *	                      └─ by block ─▶ runs ──fetch──▶ kept, copied
 */
#ifndef SONDE_IMAGE_BLOCKS_H
#define SONDE_IMAGE_BLOCKS_H

#include <sonde/plugin.h>

#include "image/ranges.h"

#define BLOCK_SHIFT 12u
#define BLOCK_SIZE (1u << BLOCK_SHIFT)

struct blocks;

/* As range_source_ops.fetch. Ranges are whole blocks, but at the end. */
typedef void image_blocks_fetch_fn(void *user, struct image_range *ranges, size_t n);

/* size: of the source; keep: bytes that are kept. Returns 0, SONDE_E_NO_MEMORY. */
int image_blocks_create(struct blocks **ret, uint64_t size, uint64_t keep,
			image_blocks_fetch_fn *fetch, void *user);
void image_blocks_destroy(struct blocks *blocks); /* NULL is allowed */

/* Keep bytes that have come already: [0, len), whole blocks but at the end. */
void image_blocks_put_head(struct blocks *blocks, const void *bytes, uint32_t len);
/* As image_ops.read. Of a read the bytes in front of its first missing block count as done. */
void image_blocks_read(struct blocks *blocks, struct sonde_image_read *reads, size_t n);

#endif
