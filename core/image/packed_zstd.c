/* SPDX-License-Identifier: MIT */
/*
 * zstd (RFC 8878): frames that tell how much they unpack to, each a block; found by the table of the seekable format
 * (zstd contrib/seekable_format/zstd_seekable_compression_format.md), and without one by their heads.
 */
#include <sonde/error.h>
#include <stdlib.h>
#include <zstd.h>

#include "image/packed.h"

#define MAGIC 0xfd2fb528u
#define HEAD_MAX 18u /* magic, descriptor, window, dictionary, size */
#define SIZE_UNKNOWN UINT64_MAX
#define FLAG_RESERVED 0x08u
#define FLAG_SUM 0x04u
#define WINDOW_64M (16u << 3) /* Window_Descriptor (3.1.1.1.2): 2^(10 + 16) */
#define BLOCK_HEAD 3u
#define BLOCK_RLE 1u
#define BLOCK_RESERVED 3u
#define BLOCK_CONTENT_MAX (128u << 10)
#define SEEK_FRAME 0x184d2a5eu
#define SEEK_MAGIC 0x8f92eab1u
#define SEEK_FOOTER 9u /* number of frames, descriptor, magic */
#define SEEK_SUMS 0x80u
#define SEEK_RESERVED 0x7cu

#define ZSTD_CALLS(X)                                                                              \
	X(createDCtx)                                                                              \
	X(freeDCtx)                                                                                \
	X(DCtx_reset)                                                                              \
	X(decompressDCtx)                                                                          \
	X(decompressStream)                                                                        \
	X(isError)

static struct {
#define X(name) __typeof__(ZSTD_##name) *name;
	ZSTD_CALLS(X)
#undef X
} zstd;

static const struct library_call calls[] = {
#define X(name) { "ZSTD_" #name, &zstd.name },
	ZSTD_CALLS(X)
#undef X
};

static struct library library = {
	.name = "libzstd",
	.package = "libzstd1",
	.files = { "libzstd.so.1" },
	.calls = calls,
	.n_calls = sizeof(calls) / sizeof(calls[0]),
};

struct zstd_decoder {
	ZSTD_DCtx *ctx;
	int is_between; /* one frame has ended, and none begun */
};

static int zstd_is(const uint8_t *head, size_t len)
{
	return len >= 4 && sonde_le32(head) == MAGIC;
}

/* ---- the seek table ----------------------------------------------------------------------------- */

/* Its entries lie in [*ret_at, +n * *ret_size), and frames in front of *ret_end. Returns n; 0: there is no table. */
static uint32_t seek_table(struct packed_walk *walk, uint64_t *ret_at, uint32_t *ret_size,
			   uint64_t *ret_end)
{
	uint64_t size = walk->file->size;
	const uint8_t *footer =
		size >= SEEK_FOOTER ? packed_walk_at(walk, size - SEEK_FOOTER, SEEK_FOOTER) : NULL;

	if (!footer || sonde_le32(footer + 5) != SEEK_MAGIC || (footer[4] & SEEK_RESERVED))
		return 0;
	uint32_t n = sonde_le32(footer);
	*ret_size = footer[4] & SEEK_SUMS ? 12 : 8;
	uint64_t len = (uint64_t)n * *ret_size + SEEK_FOOTER;
	if (len > size || size - len < 8)
		return 0;
	*ret_at = size - len;
	*ret_end = *ret_at - 8;
	const uint8_t *head = packed_walk_at(walk, *ret_end, 8);
	return head && sonde_le32(head) == SEEK_FRAME && sonde_le32(head + 4) == len ? n : 0;
}

/* Returns 0; 1: there is no table, or it does not add up; an error. */
static int map_by_table(struct packed_walk *walk, struct packed_map *ret)
{
	uint64_t at = 0, end = 0, off = 0;
	uint32_t entry_size = 0, n = seek_table(walk, &at, &entry_size, &end);
	int r = n ? 0 : 1;

	for (uint32_t i = 0; r == 0 && i < n; i++) {
		const uint8_t *entry = packed_walk_at(walk, at + (uint64_t)i * entry_size, 8);
		if (!entry || sonde_le32(entry) > end - off)
			return walk->err ? walk->err : 1;
		r = packed_map_add(ret, off, sonde_le32(entry), sonde_le32(entry + 4), 0);
		off += sonde_le32(entry);
	}
	return r == 0 && off != end ? 1 : r;
}

/* ---- heads of frames ---------------------------------------------------------------------------- */

struct frame {
	uint32_t head_len;
	uint64_t size; /* what it unpacks to; or SIZE_UNKNOWN */
	int has_sum;
};

/* Frame_Header (3.1.1.1). Returns 1; 0: it is none. */
static int frame_parse(const uint8_t *head, uint64_t len, struct frame *ret)
{
	static const uint8_t dictionary_len[] = { 0, 1, 2, 4 }, size_len[] = { 0, 2, 4, 8 };

	if (len < 6 || !zstd_is(head, 4) || (head[4] & FLAG_RESERVED))
		return 0;
	uint32_t flags = head[4], is_single = flags >> 5 & 1, n_size = size_len[flags >> 6];
	uint32_t at = 5 + !is_single + dictionary_len[flags & 3];
	n_size = is_single && !n_size ? 1 : n_size;
	if (at + n_size > len)
		return 0;
	uint64_t size = 0;
	for (uint32_t i = 0; i < n_size; i++)
		size |= (uint64_t)head[at + i] << 8 * i;
	ret->size = n_size == 0 ? SIZE_UNKNOWN : n_size == 2 ? size + 256 : size;
	ret->has_sum = (flags & FLAG_SUM) != 0;
	ret->head_len = at + n_size;
	return 1;
}

static int frame_at(struct packed_walk *walk, uint64_t off, struct frame *ret)
{
	uint64_t left = walk->file->size - off, len = left < HEAD_MAX ? left : HEAD_MAX;
	const uint8_t *head = packed_walk_at(walk, off, (uint32_t)len);

	return head && frame_parse(head, len, ret);
}

/* Where a frame ends whose blocks begin at off; 0: not in the file. */
static uint64_t frame_end(struct packed_walk *walk, uint64_t off, int has_sum)
{
	uint32_t word = 0;

	while (!(word & 1)) {
		const uint8_t *head = packed_walk_at(walk, off, BLOCK_HEAD);
		if (!head)
			return 0;
		word = head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16;
		uint32_t kind = word >> 1 & 3, len = kind == BLOCK_RLE ? 1 : word >> 3;
		if (kind == BLOCK_RESERVED || len > BLOCK_CONTENT_MAX)
			return 0;
		off += BLOCK_HEAD + len;
	}
	off += has_sum ? 4 : 0;
	return off <= walk->file->size ? off : 0;
}

/* The frame at *off, which moves behind it. Returns 0; 1: it is no block; 2: there is none; an error. */
static int add_frame(struct packed_walk *walk, uint64_t *off, struct packed_map *ret)
{
	struct frame frame = { 0 };
	const uint8_t *head = packed_walk_at(walk, *off, 8);
	uint64_t skipped = head ? packed_skippable(head) : 0;

	if (skipped) {
		*off = skipped <= walk->file->size - *off ? *off + skipped : walk->file->size;
		return 0;
	}
	if (!frame_at(walk, *off, &frame))
		return 2;
	if (frame.size > PACKED_BLOCK_MAX) {
		ret->least = frame.size == SIZE_UNKNOWN ? ret->size : ret->size + frame.size;
		return 1;
	}
	uint64_t end = frame_end(walk, *off + frame.head_len, frame.has_sum);
	if (!end)
		return 2;
	int r = packed_map_add(ret, *off, end - *off, frame.size, 0);
	*off = end;
	return r;
}

static int map_by_heads(struct packed_walk *walk, struct packed_map *ret)
{
	uint64_t off = 0;
	int r = 0;

	while (r == 0 && off < walk->file->size)
		r = add_frame(walk, &off, ret);
	if (walk->err)
		return walk->err;
	if (r != 2)
		return r;
	ret->cut = off;
	return ret->n == 0;
}

static int zstd_map(struct packed_walk *walk, struct packed_map *ret)
{
	int r = map_by_table(walk, ret);

	if (r == 1 && !walk->err) {
		packed_map_finish(ret);
		r = map_by_heads(walk, ret);
	}
	return r;
}

/* ---- unpacking ---------------------------------------------------------------------------------- */

static void *zstd_create(void)
{
	struct zstd_decoder *decoder = calloc(1, sizeof(*decoder));

	if (decoder && (decoder->ctx = zstd.createDCtx()))
		return decoder;
	free(decoder);
	return NULL;
}

static void zstd_destroy(void *user)
{
	struct zstd_decoder *decoder = user;

	if (decoder)
		zstd.freeDCtx(decoder->ctx);
	free(decoder);
}

/* How much a frame makes whatever it tells of itself, 0 where it is damaged: by a head that tells no size. */
static uint64_t count(struct zstd_decoder *decoder, const struct frame *frame, const uint8_t *from,
		      uint32_t len)
{
	uint8_t dropped[4096],
		head[6] = { from[0], from[1], from[2], from[3], from[4] & FLAG_SUM, WINDOW_64M };
	ZSTD_inBuffer in = { .src = head, .size = sizeof(head) };
	uint64_t n = 0;
	size_t hint;

	zstd.DCtx_reset(decoder->ctx, ZSTD_reset_session_only);
	do {
		ZSTD_outBuffer out = { .dst = dropped, .size = sizeof(dropped) };
		hint = zstd.decompressStream(decoder->ctx, &out, &in);
		n += out.pos;
		if (in.src == head && in.pos == in.size)
			in = (ZSTD_inBuffer){ .src = from + frame->head_len,
					      .size = len - frame->head_len };
		else if (out.pos == 0 && in.pos == in.size)
			break;
	} while (hint != 0 && !zstd.isError(hint) && n <= PACKED_BLOCK_MAX);
	zstd.DCtx_reset(decoder->ctx, ZSTD_reset_session_only);
	return hint == 0 ? n : 0;
}

static int zstd_unpack(void *user, const struct packed_block *block, const uint8_t *from,
		       uint8_t *to)
{
	struct zstd_decoder *decoder = user;
	struct frame frame;

	if (zstd.decompressDCtx(decoder->ctx, to, block->size, from, block->len) == block->size)
		return 0;
	uint64_t n = frame_parse(from, block->len, &frame)
			     ? count(decoder, &frame, from, block->len)
			     : 0;
	return n && n != block->size ? 1 : SONDE_E_CORRUPT;
}

static int zstd_begin(void *user)
{
	struct zstd_decoder *decoder = user;

	decoder->is_between = 0;
	zstd.DCtx_reset(decoder->ctx, ZSTD_reset_session_only);
	return 0;
}

static int zstd_step(void *user, struct packed_flow *flow)
{
	struct zstd_decoder *decoder = user;
	ZSTD_inBuffer in = { .src = flow->from, .size = flow->n_from };
	ZSTD_outBuffer out = { .dst = flow->to, .size = flow->n_to };

	if (decoder->is_between && flow->n_from == 0)
		return 1;
	size_t hint = zstd.decompressStream(decoder->ctx, &out, &in);
	flow->from += in.pos;
	flow->n_from -= in.pos;
	flow->to += out.pos;
	flow->n_to -= out.pos;
	decoder->is_between = hint == 0;
	return zstd.isError(hint) ? SONDE_E_CORRUPT : hint == 0;
}

const struct packing packing_zstd = {
	.name = "zstd",
	.tool = "zstd",
	.library = &library,
	.is = zstd_is,
	.map = zstd_map,
	.create = zstd_create,
	.destroy = zstd_destroy,
	.unpack = zstd_unpack,
	.begin = zstd_begin,
	.step = zstd_step,
};
