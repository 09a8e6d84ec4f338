/* SPDX-License-Identifier: MIT */
/* The pages of a dump as blocks: where each lies, in which part. */
#ifndef PAGES_H
#define PAGES_H

#include "../common/blocks.h"
#include "kdump_file.h"
#include "kdump_format.h"

#define DESCS_AT_ONCE 128u
#define DESC_BLOCKS 512u /* that are kept: of 256 MiB of memory */

/* Descriptors beside each other. */
struct desc_block {
	const struct kdump_file *of; /* NULL: empty                                   */
	uint64_t first;              /* index of the first, a multiple of DESCS_AT_ONCE */
	uint32_t n;                  /* that came                                     */
	uint8_t descs[DESCS_AT_ONCE][KDUMP_DESC_SIZE];
};

struct pages {
	/* The parts of a dump, all of one page size, by rising pages. */
	const struct kdump_file *files; /* [n], n > 0 */
	size_t n;
	struct desc_block blocks[DESC_BLOCKS];
	struct source_lot lot;
};

/* Its block_map. Valid while *pages stays where it is, zero but for files and n: what is not touched takes no memory. */
struct block_map pages_map(struct pages *pages);

#endif
