/* SPDX-License-Identifier: MIT */
#include "unpack.h"
#include "crc32c.h"
#include "xpress.h"

#include <libdeflate.h>
#include <lzo/lzo1x.h>
#include <snappy-c.h>
#include <sonde/error.h>
#include <sonde/types.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

struct unpacker {
	struct libdeflate_decompressor *zlib;
	ZSTD_DCtx *zstd;
	struct xpress_table xpress;
};

struct unpacker *unpacker_create(void)
{
	struct unpacker *unpacker = calloc(1, sizeof(*unpacker));

	if (!unpacker)
		return NULL;
	unpacker->zlib = libdeflate_alloc_decompressor();
	unpacker->zstd = ZSTD_createDCtx();
	if (unpacker->zlib && unpacker->zstd)
		return unpacker;
	unpacker_destroy(unpacker);
	return NULL;
}

void unpacker_destroy(struct unpacker *unpacker)
{
	if (!unpacker)
		return;
	if (unpacker->zlib)
		libdeflate_free_decompressor(unpacker->zlib);
	ZSTD_freeDCtx(unpacker->zstd);
	free(unpacker);
}

static int from_lzo(const void *from, size_t len, void *page, size_t size)
{
	lzo_uint made = size;

	return lzo1x_decompress_safe(from, len, page, &made, NULL) == LZO_E_OK && made == size;
}

static int from_snappy(const void *from, size_t len, void *page, size_t size)
{
	size_t made;

	/* It writes as much as its head says. */
	return snappy_uncompressed_length(from, len, &made) == SNAPPY_OK && made == size &&
	       snappy_uncompress(from, len, page, &made) == SNAPPY_OK && made == size;
}

/* framing_format.txt 3: a sum is turned and added to, for data that hold sums themselves. */
static uint32_t masked(uint32_t sum)
{
	return (sum >> 15 | sum << 17) + 0xa282ead8u;
}

static int from_chunk(int is_packed, const uint8_t *from, size_t len, void *page, size_t size)
{
	if (len < 4)
		return 0;
	if (is_packed) {
		if (!from_snappy(from + 4, len - 4, page, size))
			return 0;
	} else {
		if (len - 4 != size)
			return 0;
		memcpy(page, from + 4, size);
	}
	return masked(crc32c(page, size)) == sonde_le32(from);
}

int unpack(struct unpacker *unpacker, uint32_t packed, const void *from, size_t len, void *page,
	   size_t size)
{
	int whole = 0;

	if (packed == PACK_ZLIB)
		whole = libdeflate_zlib_decompress(unpacker->zlib, from, len, page, size, NULL) ==
			LIBDEFLATE_SUCCESS;
	else if (packed == PACK_LZO)
		whole = from_lzo(from, len, page, size);
	else if (packed == PACK_SNAPPY)
		whole = from_snappy(from, len, page, size);
	else if (packed == PACK_ZSTD)
		whole = ZSTD_decompressDCtx(unpacker->zstd, page, size, from, len) == size;
	else if (packed == PACK_CHUNK || packed == PACK_CHUNK_PLAIN)
		whole = from_chunk(packed == PACK_CHUNK, from, len, page, size);
	else if (packed == PACK_XPRESS)
		whole = xpress_plain(from, len, page, size);
	else if (packed == PACK_XPRESS_HUFFMAN)
		whole = xpress_huffman(&unpacker->xpress, from, len, page, size);
	return whole ? 0 : SONDE_E_CORRUPT;
}
