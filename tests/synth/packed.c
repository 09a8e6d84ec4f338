/* SPDX-License-Identifier: MIT */
#include "packed.h"

#include <bzlib.h>
#include <lz4frame.h>
#include <lzma.h>
#include <lzo/lzo1x.h>
#include <sonde/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

const char *const synth_packing_names[SYNTH_PACKINGS] = { "gzip",       "bgzf",  "xz",
							  "xz-blocks",  "zstd",  "zstd-frames",
							  "zstd-table", "lz4",   "lz4-sized",
							  "lz4-linked", "bzip2", "lzop" };

struct file {
	uint8_t *bytes;
	size_t len, cap;
};

static void require(int ok)
{
	if (ok)
		return;
	fprintf(stderr, "synth: the file cannot be packed\n");
	exit(1);
}

/* Room for len bytes more; they count when they are added to file->len. */
static uint8_t *room(struct file *file, size_t len)
{
	if (len > file->cap - file->len) {
		file->cap = (file->len + len) * 2;
		file->bytes = realloc(file->bytes, file->cap);
		require(file->bytes != NULL);
	}
	return file->bytes + file->len;
}

static void put(struct file *file, const void *bytes, size_t len)
{
	memcpy(room(file, len), bytes, len);
	file->len += len;
}

static void put_le32(struct file *file, uint32_t value)
{
	uint8_t bytes[4];

	sonde_store(bytes, 4, SONDE_LITTLE, value);
	put(file, bytes, sizeof(bytes));
}

/* A member with that extra field, or none. */
static void put_member(struct file *file, const uint8_t *bytes, size_t len, int is_bgzf)
{
	uint8_t extra[6] = { 'B', 'C', 2, 0 };
	gz_header head = { .extra = extra, .extra_len = sizeof(extra), .os = 255 };
	size_t start = file->len, cap = compressBound(len) + 64;
	z_stream z = { .next_in = (uint8_t *)(uintptr_t)bytes, .avail_in = (uInt)len };

	require(deflateInit2(&z, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	if (is_bgzf)
		require(deflateSetHeader(&z, &head) == Z_OK);
	z.next_out = room(file, cap);
	z.avail_out = (uInt)cap;
	require(deflate(&z, Z_FINISH) == Z_STREAM_END);
	file->len += z.total_out;
	deflateEnd(&z);
	if (is_bgzf)
		sonde_store(file->bytes + start + 16, 2, SONDE_LITTLE, file->len - start - 1);
}

static void put_bgzf(struct file *file, const uint8_t *bytes, size_t len)
{
	for (size_t at = 0; at < len; at += 0xff00)
		put_member(file, bytes + at, len - at < 0xff00 ? len - at : 0xff00, 1);
	put_member(file, bytes, 0, 1);
}

static void put_xz(struct file *file, const uint8_t *bytes, size_t len, size_t block)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	const lzma_mt options = {
		.threads = 1, .block_size = block, .preset = 0, .check = LZMA_CHECK_CRC64
	};
	size_t cap = lzma_stream_buffer_bound(len) + 4096 + len / block * 128;

	require(lzma_stream_encoder_mt(&stream, &options) == LZMA_OK);
	stream.next_in = bytes;
	stream.avail_in = len;
	stream.next_out = room(file, cap);
	stream.avail_out = cap;
	require(lzma_code(&stream, LZMA_FINISH) == LZMA_STREAM_END);
	file->len += stream.total_out;
	lzma_end(&stream);
}

/* Returns how long it is. */
static uint32_t put_frame(struct file *file, ZSTD_CCtx *ctx, const uint8_t *bytes, size_t len)
{
	size_t cap = ZSTD_compressBound(len);
	size_t made = ZSTD_compress2(ctx, room(file, cap), cap, bytes, len);

	require(!ZSTD_isError(made));
	file->len += made;
	return (uint32_t)made;
}

static void put_skipped(struct file *file)
{
	put_le32(file, 0x184d2a57);
	put_le32(file, 5);
	put(file, "other", 5);
}

/* zstd contrib/seekable_format/zstd_seekable_compression_format.md */
static void put_seek_table(struct file *file, const struct file *entries)
{
	uint32_t n = (uint32_t)(entries->len / 8);

	put_le32(file, 0x184d2a5e);
	put_le32(file, 8 * n + 9);
	put(file, entries->bytes, entries->len);
	put_le32(file, n);
	put(file, "", 1);
	put_le32(file, 0x8f92eab1);
}

static void put_zstd(struct file *file, enum synth_packing packing, const uint8_t *bytes,
		     size_t len, size_t block)
{
	ZSTD_CCtx *ctx = ZSTD_createCCtx();
	struct file entries = { 0 };

	require(ctx != NULL);
	ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, 1);
	ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1);
	ZSTD_CCtx_setParameter(ctx, ZSTD_c_contentSizeFlag, packing == SYNTH_ZSTD_FRAMES);
	block = packing == SYNTH_ZSTD ? len : block;
	for (size_t at = 0; at < len; at += block) {
		size_t n = len - at < block ? len - at : block;
		put_le32(&entries, put_frame(file, ctx, bytes + at, n));
		put_le32(&entries, (uint32_t)n);
		if (packing == SYNTH_ZSTD_FRAMES && at == 0)
			put_skipped(file);
	}
	if (packing == SYNTH_ZSTD_TABLE)
		put_seek_table(file, &entries);
	free(entries.bytes);
	ZSTD_freeCCtx(ctx);
}

static void put_lz4(struct file *file, enum synth_packing packing, const uint8_t *bytes, size_t len)
{
	LZ4F_preferences_t frame = {
		.frameInfo = { .blockSizeID = LZ4F_max64KB,
			       .blockMode = packing == SYNTH_LZ4_LINKED ? LZ4F_blockLinked
									: LZ4F_blockIndependent,
			       .contentSize = packing == SYNTH_LZ4_SIZED ? len : 0,
			       .contentChecksumFlag = LZ4F_contentChecksumEnabled,
			       .blockChecksumFlag = LZ4F_blockChecksumEnabled },
	};
	size_t cap = LZ4F_compressFrameBound(len, &frame);
	LZ4F_cctx *ctx;
	size_t made;

	/* Not LZ4F_compressFrame: that sets the block mode by itself. */
	require(!LZ4F_isError(LZ4F_createCompressionContext(&ctx, LZ4F_VERSION)));
	made = LZ4F_compressBegin(ctx, room(file, cap + 64), cap, &frame);
	require(!LZ4F_isError(made));
	file->len += made;
	made = LZ4F_compressUpdate(ctx, room(file, cap), cap, bytes, len, NULL);
	require(!LZ4F_isError(made));
	file->len += made;
	made = LZ4F_compressEnd(ctx, room(file, cap), cap, NULL);
	require(!LZ4F_isError(made));
	file->len += made;
	LZ4F_freeCompressionContext(ctx);
}

static void put_bzip2(struct file *file, const uint8_t *bytes, size_t len)
{
	unsigned made = (unsigned)(len + len / 100 + 600);

	require(BZ2_bzBuffToBuffCompress((char *)room(file, made), &made, (char *)(uintptr_t)bytes,
					 (unsigned)len, 1, 0, 0) == BZ_OK);
	file->len += made;
}

static void put_be32(struct file *file, uint32_t value)
{
	uint8_t bytes[4];

	sonde_store(bytes, 4, SONDE_BIG, value);
	put(file, bytes, sizeof(bytes));
}

static void put_lzop_block(struct file *file, const uint8_t *bytes, size_t len)
{
	uint8_t *packed = malloc(len + len / 16 + 67), *work = malloc(LZO1X_1_MEM_COMPRESS);
	lzo_uint made = 0;

	require(packed && work && lzo1x_1_compress(bytes, len, packed, &made, work) == LZO_E_OK);
	int is_stored = made >= len;
	put_be32(file, (uint32_t)len);
	put_be32(file, (uint32_t)(is_stored ? len : made));
	put_be32(file, lzo_adler32(1, bytes, len));
	put_be32(file, lzo_crc32(0, bytes, len));
	if (!is_stored) {
		put_be32(file, lzo_adler32(1, packed, made));
		put_be32(file, lzo_crc32(0, packed, made));
	}
	put(file, is_stored ? bytes : packed, is_stored ? len : made);
	free(packed);
	free(work);
}

/* As lzop 1.04 writes it: all sums, a name, an extra field. */
static void put_lzop(struct file *file, const uint8_t *bytes, size_t len, size_t block)
{
	static const uint8_t head[] = { 0x89, 'L',  'Z',  'O',  0,    '\r', '\n', 0x1a, '\n',
					0x10, 0x40, 0x20, 0xa0, 0x09, 0x40, 1,    5,    0,
					0,    3,    0x43, 0,    0,    0x81, 0xa4, 0,    0,
					0,    0,    0,    0,    0,    0,    1,    'n' };

	put(file, head, sizeof(head));
	put_be32(file, lzo_adler32(1, head + 9, sizeof(head) - 9));
	put_be32(file, 5);
	put(file, "extra", 5);
	put_be32(file, lzo_adler32(1, (const uint8_t *)"extra", 5));
	for (size_t at = 0; at < len; at += block)
		put_lzop_block(file, bytes + at, len - at < block ? len - at : block);
	put_be32(file, 0);
}

static void put_half(struct file *file, enum synth_packing packing, const uint8_t *bytes,
		     size_t len, size_t block)
{
	if (packing == SYNTH_LZ4_SIZED)
		put_lz4(file, packing, bytes, len);
	else if (packing == SYNTH_LZOP)
		put_lzop(file, bytes, len, block);
	else
		put_xz(file, bytes, len, block);
}

uint8_t *synth_pack(enum synth_packing packing, const uint8_t *bytes, size_t len, size_t block,
		    size_t *ret_len)
{
	struct file file = { 0 };
	size_t half = len / 2;

	if (packing == SYNTH_GZIP)
		put_member(&file, bytes, len, 0);
	else if (packing == SYNTH_BGZF)
		put_bgzf(&file, bytes, len);
	else if (packing == SYNTH_XZ)
		put_xz(&file, bytes, len, len);
	else if (packing == SYNTH_BZIP2)
		put_bzip2(&file, bytes, len);
	else if (packing == SYNTH_XZ_BLOCKS || packing == SYNTH_LZ4_SIZED ||
		 packing == SYNTH_LZOP) {
		put_half(&file, packing, bytes, half, block);
		put_half(&file, packing, bytes + half, len - half, block);
	} else if (packing == SYNTH_LZ4 || packing == SYNTH_LZ4_LINKED)
		put_lz4(&file, packing, bytes, len);
	else
		put_zstd(&file, packing, bytes, len, block);
	*ret_len = file.len;
	return file.bytes;
}
