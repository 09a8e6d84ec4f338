/* SPDX-License-Identifier: MIT */
/* The pages of a dump as blocks: where each lies, in which part. */
#ifndef PAGES_H
#define PAGES_H

#include "../common/blocks.h"
#include "kdump_file.h"
#include "kdump_format.h"

#define DESCS_AT_ONCE 128u

struct pages {
	/* The parts of a dump, all of one page size, by rising pages. */
	const struct kdump_file *files; /* [n], n > 0 */
	size_t n;

	/* Descriptors that were read last: neighbours stand beside each other. */
	const struct kdump_file *descs_of;
	uint64_t first_desc;
	uint32_t n_descs;
	uint8_t descs[DESCS_AT_ONCE][KDUMP_DESC_SIZE];
};

/* Its block_map. Valid while *pages stays where it is, zero but for files and n. */
struct block_map pages_map(struct pages *pages);

#endif
