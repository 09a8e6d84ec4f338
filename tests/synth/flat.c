/* SPDX-License-Identifier: MIT */
#include "synth/flat.h"
#include "synth/elf.h"

#include <stdlib.h>
#include <string.h>

#define HEAD 4096u
#define NONSENSE 600u

/* One piece at flat + at; returns where the next one goes. */
static size_t put_piece(uint8_t *flat, size_t at, uint64_t off, const uint8_t *bytes, size_t len)
{
	synth_put(flat + at, 1, 8, off);
	synth_put(flat + at + 8, 1, 8, len);
	memcpy(flat + at + 16, bytes, len);
	return at + 16 + len;
}

uint8_t *synth_flatten(const uint8_t *dump, size_t size, size_t piece, size_t *ret_size)
{
	uint8_t nonsense[NONSENSE];
	uint8_t *flat = calloc(1, HEAD + NONSENSE + size + 16 * (size / piece + 4));

	memset(nonsense, 0xa5, sizeof(nonsense));
	memcpy(flat, "makedumpfile", 12);
	synth_put(flat + 16, 1, 8, 1);
	synth_put(flat + 24, 1, 8, 1);
	size_t at = put_piece(flat, HEAD, 0, nonsense, size < NONSENSE ? size : NONSENSE);
	for (size_t end = size; end;) {
		size_t len = end % piece ? end % piece : piece;
		end -= len;
		at = put_piece(flat, at, end, dump + end, len);
	}
	synth_put(flat + at, 1, 8, UINT64_MAX);
	synth_put(flat + at + 8, 1, 8, UINT64_MAX);
	*ret_size = at + 16;
	return flat;
}
