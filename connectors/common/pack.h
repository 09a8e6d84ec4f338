/* SPDX-License-Identifier: MIT */
/* The ways in which a block of memory may be packed. */
#ifndef PACK_H
#define PACK_H

/* The first four as the flags of a page of kdump say it (makedumpfile 1.7.2 diskdump_mod.h). */
enum pack {
	PACK_NONE = 0,
	PACK_ZLIB = 0x1,
	PACK_LZO = 0x2,
	PACK_SNAPPY = 0x4,
	PACK_ZSTD = 0x20,
	/* A chunk of snappy's framing format, behind its head: a masked CRC-32C of what it makes, and then that, packed or not
	 * (google/snappy framing_format.txt 3, 4.2, 4.3). */
	PACK_CHUNK = 0x100,
	PACK_CHUNK_PLAIN = 0x200,
	/* Microsoft's Xpress: plain LZ77, or with Huffman codes ([MS-XCA] 2.4, 2.2). */
	PACK_XPRESS = 0x400,
	PACK_XPRESS_HUFFMAN = 0x800,
};

#endif
