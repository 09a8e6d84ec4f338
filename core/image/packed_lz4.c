/* SPDX-License-Identifier: MIT */
/*
 * lz4 (lz4_Frame_format.md 1.6.2): frames of blocks, each of which is told how long it is packed, and not what it unpacks
 * to: that is the frame's block size, of all but the last, whose size is what is left of the frame's, if that is told, and
 * else what unpacking it shows. Blocks that lean on those in front of them are no blocks of ours.
 */
#include <lz4frame.h>
#include <sonde/error.h>
#include <stdlib.h>

#include "image/packed.h"

#define MAGIC 0x184d2204u
#define HEAD_MIN 7u /* magic, flags, block size, checksum of the head */
#define FLAGS_VERSION 0xc0u
#define FLAGS_VERSION_1 0x40u
#define FLAG_INDEPENDENT 0x20u
#define FLAG_BLOCK_SUMS 0x10u
#define FLAG_SIZE 0x08u
#define FLAG_SUM 0x04u
#define FLAG_DICTIONARY 0x01u
#define STORED 0x80000000u
#define HOW_SUMS 0x100u /* of packed_block.how, beside the frame's size of blocks */

#define LZ4F_CALLS(X)                                                                              \
	X(createCompressionContext)                                                                \
	X(freeCompressionContext)                                                                  \
	X(compressBegin)                                                                           \
	X(createDecompressionContext)                                                              \
	X(freeDecompressionContext)                                                                \
	X(resetDecompressionContext)                                                               \
	X(decompress)                                                                              \
	X(isError)

static struct {
#define X(name) __typeof__(LZ4F_##name) *name;
	LZ4F_CALLS(X)
#undef X
} lz4;

static const struct library_call calls[] = {
#define X(name) { "LZ4F_" #name, &lz4.name },
	LZ4F_CALLS(X)
#undef X
};

static struct library library = {
	.name = "liblz4",
	.package = "liblz4-1",
	.files = { "liblz4.so.1" },
	.calls = calls,
	.n_calls = sizeof(calls) / sizeof(calls[0]),
};

struct lz4_decoder {
	LZ4F_dctx *ctx;
	LZ4F_cctx *heads; /* makes heads of frames           */
	uint32_t how;     /* what head is for; 0: it is none */
	uint8_t head[LZ4F_HEADER_SIZE_MAX];
	size_t head_len;
	int is_between; /* one frame has ended, and none begun */
};

static int lz4_is(const uint8_t *head, size_t len)
{
	return len >= 4 && sonde_le32(head) == MAGIC;
}

/* ---- unpacking ---------------------------------------------------------------------------------- */

static void lz4_destroy(void *user)
{
	struct lz4_decoder *decoder = user;

	if (!decoder)
		return;
	lz4.freeDecompressionContext(decoder->ctx);
	lz4.freeCompressionContext(decoder->heads);
	free(decoder);
}

static void *lz4_create(void)
{
	struct lz4_decoder *decoder = calloc(1, sizeof(*decoder));

	if (decoder && !lz4.isError(lz4.createDecompressionContext(&decoder->ctx, LZ4F_VERSION)) &&
	    !lz4.isError(lz4.createCompressionContext(&decoder->heads, LZ4F_VERSION)))
		return decoder;
	lz4_destroy(decoder);
	return NULL;
}

/* The library unpacks frames: a block goes behind a head as its own frame might have had. */
static int make_head(struct lz4_decoder *decoder, uint32_t how)
{
	const LZ4F_preferences_t frame = {
		.frameInfo = { .blockSizeID = (LZ4F_blockSizeID_t)(how & 7),
			       .blockMode = LZ4F_blockIndependent,
			       .blockChecksumFlag = how & HOW_SUMS ? LZ4F_blockChecksumEnabled
								   : LZ4F_noBlockChecksum },
	};

	if (decoder->how == how)
		return 0;
	size_t len =
		lz4.compressBegin(decoder->heads, decoder->head, sizeof(decoder->head), &frame);
	if (lz4.isError(len))
		return SONDE_E_NO_MEMORY;
	decoder->head_len = len;
	decoder->how = how;
	return 0;
}

/* Up to size bytes of a block. Returns how many it has, size + 1 where they are more; a code. */
static int64_t unpack_block(struct lz4_decoder *decoder, const struct packed_block *block,
			    const uint8_t *from, uint8_t *to)
{
	size_t taken = decoder->head_len, made = 0, at = 0, done = 0;
	uint8_t more;

	lz4.resetDecompressionContext(decoder->ctx);
	size_t r = lz4.decompress(decoder->ctx, NULL, &made, decoder->head, &taken, NULL);
	for (;;) {
		int is_full = done == block->size;
		taken = block->len - at;
		made = is_full ? 1 : block->size - done;
		if (!lz4.isError(r))
			r = lz4.decompress(decoder->ctx, is_full ? &more : to + done, &made,
					   from + at, &taken, NULL);
		if (lz4.isError(r))
			return SONDE_E_CORRUPT;
		at += taken;
		done += made;
		if (done > block->size || (!taken && !made))
			return at == block->len || done > block->size ? (int64_t)done
								      : SONDE_E_CORRUPT;
	}
}

static int lz4_unpack(void *user, const struct packed_block *block, const uint8_t *from,
		      uint8_t *to)
{
	struct lz4_decoder *decoder = user;

	if (make_head(decoder, block->how) < 0)
		return SONDE_E_NO_MEMORY;
	int64_t n = unpack_block(decoder, block, from, to);
	return n < 0 ? (int)n : n != block->size;
}

static int lz4_begin(void *user)
{
	struct lz4_decoder *decoder = user;

	decoder->is_between = 0;
	lz4.resetDecompressionContext(decoder->ctx);
	return 0;
}

static int lz4_step(void *user, struct packed_flow *flow)
{
	struct lz4_decoder *decoder = user;
	size_t taken = flow->n_from, made = flow->n_to;

	if (decoder->is_between && flow->n_from == 0)
		return 1;
	size_t hint = lz4.decompress(decoder->ctx, flow->to, &made, flow->from, &taken, NULL);
	if (lz4.isError(hint))
		return SONDE_E_CORRUPT;
	flow->from += taken;
	flow->n_from -= taken;
	flow->to += made;
	flow->n_to -= made;
	decoder->is_between = hint == 0;
	return hint == 0;
}

/* ---- the blocks of frames ----------------------------------------------------------------------- */

struct frame {
	uint32_t flags, how, block_size;
	uint32_t head_len;
	int has_size;
	uint64_t size, begin; /* begin: in the image */
};

/* Returns 0; 1: its blocks cannot be unpacked each by itself; 2: it is no frame. */
static int frame_head(struct packed_walk *walk, uint64_t off, struct frame *ret)
{
	const uint8_t *head = packed_walk_at(walk, off, HEAD_MIN);

	if (!head || !lz4_is(head, 4))
		return 2;
	uint32_t flags = head[4], id = head[5] >> 4 & 7;
	if ((flags & FLAGS_VERSION) != FLAGS_VERSION_1 || id < LZ4F_max64KB)
		return 2;
	*ret = (struct frame){ .flags = flags,
			       .how = id | (flags & FLAG_BLOCK_SUMS ? HOW_SUMS : 0),
			       .block_size = 1u << (8 + 2 * id),
			       .head_len = HEAD_MIN + (flags & FLAG_SIZE ? 8 : 0),
			       .has_size = (flags & FLAG_SIZE) != 0 };
	if (!(flags & FLAG_INDEPENDENT) || (flags & FLAG_DICTIONARY))
		return 1;
	head = packed_walk_at(walk, off, ret->head_len);
	if (!head)
		return 2;
	ret->size = ret->has_size ? sonde_le64(head + 6) : 0;
	return 0;
}

/* What the last block of a frame, at off, unpacks to, by doing it. One that is damaged counts in full, and fails when read. */
static int measure(struct packed_walk *walk, const struct packed_block *last, uint64_t *ret_size)
{
	uint8_t *from = malloc(last->len), *to = malloc(last->size);
	struct lz4_decoder *decoder = lz4_create();
	int r = from && to && decoder ? make_head(decoder, last->how) : SONDE_E_NO_MEMORY;
	int64_t n = r == 0 ? image_read_at(walk->file, last->off, from, last->len) : r;

	*ret_size = last->size;
	if (n == last->len) {
		int64_t made = unpack_block(decoder, last, from, to);
		*ret_size = made >= 0 && made < last->size ? (uint64_t)made : last->size;
	}
	lz4_destroy(decoder);
	free(from);
	free(to);
	return n < 0 ? (int)n : 0;
}

/* The frame's last block. Returns 0; 1: its size does not fit to those of the others; an error. */
static int add_last(struct packed_walk *walk, const struct frame *frame,
		    const struct packed_block *last, int is_stored, struct packed_map *ret)
{
	uint64_t before = ret->size - frame->begin, size = last->size;
	int r = 0;

	if (frame->has_size) {
		if (frame->size < before || frame->size - before > last->size)
			return 1;
		size = frame->size - before;
	} else if (!is_stored) {
		r = measure(walk, last, &size);
	}
	return r < 0 ? r : packed_map_add(ret, last->off, last->len, size, last->how);
}

/*
 * The blocks at *off, which moves behind them and the frame; each is added when the next is met. Returns 0; 1: it tells sizes that
 * do not add up; 2: it ends too early, or is damaged; an error.
 */
static int add_blocks(struct packed_walk *walk, const struct frame *frame, uint64_t *off,
		      struct packed_map *ret)
{
	struct packed_block held = { 0 };
	int is_stored = 0, r = 0;
	uint32_t sum = frame->flags & FLAG_BLOCK_SUMS ? 4 : 0;

	for (;;) {
		const uint8_t *head = packed_walk_at(walk, *off, 4);
		uint32_t word = head ? sonde_le32(head) : 0, len = word & ~STORED;
		if (head && word == 0)
			break;
		if (held.len)
			r = packed_map_add(ret, held.off, held.len, held.size, held.how);
		if (r != 0)
			return r;
		held.len = 0;
		if (!head || len == 0 || len > frame->block_size ||
		    4 + len + sum > walk->file->size - *off)
			return 2;
		is_stored = (word & STORED) != 0;
		held = (struct packed_block){ .off = *off,
					      .len = 4 + len + sum,
					      .size = is_stored ? len : frame->block_size,
					      .how = frame->how };
		*off += held.len;
	}
	*off += 4 + (frame->flags & FLAG_SUM ? 4 : 0);
	return held.len ? add_last(walk, frame, &held, is_stored, ret)
			: frame->has_size && frame->size;
}

/* As add_blocks, of a frame at *off with its head, or one to be skipped. */
static int add_frame(struct packed_walk *walk, uint64_t *off, struct packed_map *ret)
{
	struct frame frame = { 0 };
	const uint8_t *head = packed_walk_at(walk, *off, 8);
	uint64_t skipped = head ? packed_skippable(head) : 0;

	if (skipped) {
		*off += skipped <= walk->file->size - *off ? skipped : walk->file->size - *off;
		return 0;
	}
	int r = frame_head(walk, *off, &frame);
	if (r != 0) {
		ret->least = r == 1 ? ret->size : 0;
		return r;
	}
	frame.begin = ret->size;
	*off += frame.head_len;
	return add_blocks(walk, &frame, off, ret);
}

static int lz4_map(struct packed_walk *walk, struct packed_map *ret)
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

const struct packing packing_lz4 = {
	.name = "lz4",
	.tool = "lz4",
	.library = &library,
	.is = lz4_is,
	.map = lz4_map,
	.create = lz4_create,
	.destroy = lz4_destroy,
	.unpack = lz4_unpack,
	.begin = lz4_begin,
	.step = lz4_step,
};
