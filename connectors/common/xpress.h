/* SPDX-License-Identifier: MIT */
/*
 * Microsoft's Xpress compression, unpacked: plain LZ77 and LZ77 with Huffman codes. Written from [MS-XCA], sections 2.2 and 2.4;
 * nothing in the packed bytes is believed.
 */
#ifndef XPRESS_H
#define XPRESS_H

#include <stddef.h>
#include <stdint.h>

/* What Huffman codes are looked up in: any one, of one thread. */
struct xpress_table {
	uint16_t symbols[1 << 15]; /* by the next 15 bits */
};

/* Make exactly size bytes of len; what follows is left alone. Returns 1; 0: they make fewer, or none. */
int xpress_plain(const uint8_t *from, size_t len, uint8_t *to, size_t size);
int xpress_huffman(struct xpress_table *table, const uint8_t *from, size_t len, uint8_t *to,
		   size_t size);

#endif
