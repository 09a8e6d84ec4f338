/* SPDX-License-Identifier: MIT */
#include "bitmap.h"

#include <string.h>

#define PART (64u << 10) /* bytes: what is written at once, or left a hole */

void bitmap_set(uint8_t *bits, uint64_t first, uint64_t n)
{
	for (uint64_t page = first; page < first + n; page++)
		bits[page / 8] |= (uint8_t)(1u << page % 8);
}

/* Addresses that no memory has make up most of a bitmap, now and then. */
int bitmap_write(struct dump_file *file, uint64_t at, const uint8_t *bits, size_t len,
		 struct sonde_error *err)
{
	static const uint8_t zeros[PART];
	int r = 0;

	for (size_t off = 0, n; r == 0 && off < len; off += n) {
		n = len - off < PART ? len - off : PART;
		if (memcmp(bits + off, zeros, n) != 0)
			r = dump_file_write(file, at + off, bits + off, n, err);
	}
	return r;
}
