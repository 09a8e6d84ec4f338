/* SPDX-License-Identifier: MIT */
/* A bit a page, from the lowest bit of the first byte on, as files of dumps have them. */
#ifndef SONDE_TOOL_DUMP_BITMAP_H
#define SONDE_TOOL_DUMP_BITMAP_H

#include "file.h"

/* n pages from first on; there are as many bits. */
void bitmap_set(uint8_t *bits, uint64_t first, uint64_t n);

/* len bytes of them, from offset at of the file on; stretches without a bit become holes of it. As dump_file_write. */
int bitmap_write(struct dump_file *file, uint64_t at, const uint8_t *bits, size_t len,
		 struct sonde_error *err);

#endif
