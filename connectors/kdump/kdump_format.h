/* SPDX-License-Identifier: MIT */
/*
 * kdump-compressed dumps as bytes.
 * Sources: makedumpfile 1.7.2 IMPLEMENTATION, diskdump_mod.h (disk_dump_header, kdump_sub_header, page_desc);
 * qemu 7.2 include/sysemu/dump.h, which packs the same.
 *
 *	block 0                  head
 *	block 1                  sub head, sub_blocks of them; notes and VMCOREINFO lie in or behind it
 *	block 1 + sub_blocks     first bitmap: what is memory; second bitmap: what was saved; each half of bitmap_blocks
 *	behind them              a descriptor for each page that was saved, by rising number; then the pages
 */
#ifndef KDUMP_FORMAT_H
#define KDUMP_FORMAT_H

#include <stdint.h>

#define KDUMP_SIGNATURE "KDUMP   "

enum {
	KDUMP_SIGNATURE_SIZE = 8,
	KDUMP_VERSION_AT = 8,
	KDUMP_UTSNAME_AT = 12, /* six fields: system, node, release, version, machine, domain */
	KDUMP_UTSNAME_FIELD = 65,
	KDUMP_VERSION_MAX = 6,

	/* status of the head, flags of a page: how it is packed. A page without one is as it was. */
	KDUMP_ZLIB = 0x1,
	KDUMP_LZO = 0x2,
	KDUMP_SNAPPY = 0x4,
	KDUMP_INCOMPLETE = 0x8, /* of the head: the disk was full */
	KDUMP_ZSTD = 0x20,
	KDUMP_PACKED = KDUMP_ZLIB | KDUMP_LZO | KDUMP_SNAPPY | KDUMP_ZSTD,

	KDUMP_LEVEL_ZERO = 1, /* bit of dump_level: pages of zeros were left out */

	KDUMP_DESC_SIZE = 24, /* offset 64 bits, size 32, flags 32, the page's flags 64 */
};

/* Where the fields are: they depend on the word of the machine that wrote them, and how it aligns 64 bits. */
struct kdump_layout {
	uint8_t word;
	uint16_t seconds;            /* of the head: timestamp */
	uint16_t status, block_size; /* ... 32 bits, as all that follow */
	uint16_t sub_blocks, bitmap_blocks, max_page, n_cpus;
	uint8_t level, split;       /* of the sub head: 32 bits */
	uint8_t first, end;         /* pages of this part of a split dump: a word; from version 2 */
	uint8_t info_at, info_size; /* VMCOREINFO: 64 bits, a word; version 3 */
	uint8_t notes_at, notes_size;          /* ELF notes: version 4 */
	uint8_t first_64, end_64, max_page_64; /* version 6 */
};

/* clang-format off: a table */
static const struct kdump_layout kdump_layouts[] = {
	{ 8, 408, 424, 428, 432, 436, 440, 460, 8, 12, 16, 24, 32, 40, 48, 56, 80, 88, 96 },
	{ 4, 404, 412, 416, 420, 424, 428, 448, 4, 8, 12, 16, 20, 28, 32, 40, 56, 64,
	  72 }, /* i386 */
	{ 4, 404, 412, 416, 420, 424, 428, 448, 4, 8, 12, 16, 24, 32, 40, 48, 72, 80,
	  88 }, /* arm  */
};
/* clang-format on */

#endif
