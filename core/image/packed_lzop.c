/* SPDX-License-Identifier: MIT */
/*
 * lzop (lzop 1.04, conf.h and lzop.c): a head, then blocks that tell both of their sizes, up to one of size 0. Parts like that
 * may follow each other.
 */
#include <lzo/lzo1x.h>
#include <sonde/error.h>
#include <stdlib.h>
#include <string.h>

#include "image/packed.h"

#define MAGIC_LEN 9u
#define HEAD_LEN 34u /* up to the length of the name, included */
#define VERSION_MIN 0x940u
#define METHODS 3u /* LZO1X-1, LZO1X-1(15), LZO1X-999: unpacked alike */
#define EXTRA_MAX 4096u

enum flag {
	ADLER_OUT = 1u << 0, /* a checksum of what a block unpacks to ... */
	ADLER_IN = 1u << 1,  /* ... of what it is packed                  */
	EXTRA = 1u << 6,
	CRC_OUT = 1u << 8,
	CRC_IN = 1u << 9,
	FILTER = 1u << 11,
	HEAD_CRC = 1u << 12, /* the sum of the head */
};

#define LZO_CALLS(X)                                                                               \
	X(lzo1x_decompress_safe)                                                                   \
	X(lzo_adler32)                                                                             \
	X(lzo_crc32)

static struct {
#define X(name) __typeof__(name) *name;
	LZO_CALLS(X)
#undef X
} lzo;

static const struct library_call calls[] = {
#define X(name) { #name, &lzo.name },
	LZO_CALLS(X)
#undef X
};

static struct library library = {
	.name = "liblzo2",
	.package = "liblzo2-2",
	.files = { "liblzo2.so.2" },
	.calls = calls,
	.n_calls = sizeof(calls) / sizeof(calls[0]),
};

static uint32_t be16(const uint8_t *at)
{
	return (uint32_t)sonde_load(at, 2, SONDE_BIG);
}

static uint32_t be32(const uint8_t *at)
{
	return (uint32_t)sonde_load(at, 4, SONDE_BIG);
}

static uint32_t flags_of(const uint8_t *head)
{
	return be32(head + 17);
}

static const uint8_t magic[MAGIC_LEN] = { 0x89, 'L', 'Z', 'O', 0, '\r', '\n', 0x1a, '\n' };

static int lzop_is(const uint8_t *head, size_t len)
{
	return len >= 4 && memcmp(head, magic, 4) == 0;
}

/* A head whose blocks are known, and its sum, which stands behind its name. */
static int head_is_sound(const uint8_t *head, size_t len)
{
	uint32_t flags = flags_of(head), n = (uint32_t)len - MAGIC_LEN;

	if (memcmp(head, magic, MAGIC_LEN) != 0 || be16(head + 9) < VERSION_MIN || head[15] < 1 ||
	    head[15] > METHODS || flags & FILTER)
		return 0;
	uint32_t sum = flags & HEAD_CRC ? lzo.lzo_crc32(0, head + MAGIC_LEN, n)
					: lzo.lzo_adler32(1, head + MAGIC_LEN, n);
	return sum == be32(head + len);
}

/* ---- blocks ------------------------------------------------------------------------------------- */

static int bits(uint32_t flags)
{
	return __builtin_popcount(flags);
}

/* The head of a block, all of it there. *ret_out is 0 where the blocks end. Returns its length. */
static uint32_t block_head(const uint8_t *head, uint32_t flags, uint32_t *ret_out, uint32_t *ret_in)
{
	*ret_out = be32(head);
	*ret_in = be32(head + 4);
	/* What cannot be packed is stored, and has one kind of checksum only. */
	uint32_t sums = flags & (ADLER_OUT | CRC_OUT);
	if (*ret_in < *ret_out)
		sums |= flags & (ADLER_IN | CRC_IN);
	return 8 + 4 * (uint32_t)bits(sums);
}

/* Behind the head of the part at *off, which moves. Returns 0; 1: there is none. */
static int part_head(struct packed_walk *walk, uint64_t *off, uint32_t *ret_flags)
{
	const uint8_t *head = packed_walk_at(walk, *off, HEAD_LEN);
	uint32_t len = HEAD_LEN + (head ? head[HEAD_LEN - 1] : 0);

	head = head ? packed_walk_at(walk, *off, len + 4) : NULL;
	if (!head || !head_is_sound(head, len))
		return 1;
	uint32_t flags = flags_of(head);
	uint64_t at = *off + len + 4;
	if (flags & EXTRA) {
		const uint8_t *extra = packed_walk_at(walk, at, 4);
		if (!extra || be32(extra) > EXTRA_MAX)
			return 1;
		at += 4 + be32(extra) + 4;
	}
	*off = at;
	*ret_flags = flags & (ADLER_OUT | ADLER_IN | CRC_OUT | CRC_IN);
	return 0;
}

/* The blocks at *off, which moves behind the last that is whole. Returns 0; 1: they are not whole; an error. */
static int add_blocks(struct packed_walk *walk, uint32_t flags, uint64_t *off,
		      struct packed_map *ret)
{
	for (;;) {
		const uint8_t *head = packed_walk_at(walk, *off, 4);
		if (head && be32(head) == 0) {
			*off += 4;
			return 0;
		}
		uint32_t out, in, room = 8 + 4 * (uint32_t)bits(flags);
		uint64_t left = *off < walk->file->size ? walk->file->size - *off : 0;
		head = packed_walk_at(walk, *off, left < room ? (uint32_t)left : room);
		if (!head || left < 8)
			return 1;
		uint32_t len = block_head(head, flags, &out, &in);
		if (in == 0 || in > out || len > left || in > left - len)
			return 1;
		int r = packed_map_add(ret, *off, (uint64_t)len + in, out, flags);
		if (r != 0)
			return r;
		*off += (uint64_t)len + in;
	}
}

/* Does a part begin at off, as far as the file goes? */
static int begins_part(struct packed_walk *walk, uint64_t off)
{
	uint64_t left = walk->file->size - off;
	uint32_t len = left < MAGIC_LEN ? (uint32_t)left : 4;
	const uint8_t *head = packed_walk_at(walk, off, len);

	return head && memcmp(head, magic, len) == 0;
}

static int lzop_map(struct packed_walk *walk, struct packed_map *ret)
{
	uint64_t off = 0;
	uint32_t flags = 0;
	int r = 0;

	while (r == 0 && off < walk->file->size) {
		r = part_head(walk, &off, &flags);
		if (r == 1 && off && !walk->err && !begins_part(walk, off))
			return 0; /* lzop ignores it too */
		if (r == 0)
			r = add_blocks(walk, flags, &off, ret);
	}
	if (walk->err || r < 0)
		return walk->err ? walk->err : r;
	if (r == 1 && ret->n == 0)
		return SONDE_E_TRUNCATED;
	ret->cut = r == 1 ? off : 0;
	return 0;
}

/* ---- unpacking ---------------------------------------------------------------------------------- */

/* Every block by itself: nothing is kept between them. */
static void *lzop_create(void)
{
	return malloc(1);
}

static void lzop_destroy(void *decoder)
{
	free(decoder);
}

/* The next checksum, if there is one of this kind. */
static int sum_differs(const uint8_t **at, uint32_t flags, uint32_t adler, uint32_t crc,
		       const uint8_t *bytes, uint32_t len)
{
	int differs = 0;

	if (flags & adler) {
		differs |= lzo.lzo_adler32(1, bytes, len) != be32(*at);
		*at += 4;
	}
	if (flags & crc) {
		differs |= lzo.lzo_crc32(0, bytes, len) != be32(*at);
		*at += 4;
	}
	return differs;
}

static int lzop_unpack(void *decoder, const struct packed_block *block, const uint8_t *from,
		       uint8_t *to)
{
	uint32_t out, in, len = block_head(from, block->how, &out, &in);
	const uint8_t *sums = from + 8, *packed = from + len;
	lzo_uint made = block->size;

	(void)decoder;
	/* The file may have changed since it was looked at. */
	if (out != block->size || in > out || len > block->len || in != block->len - len)
		return SONDE_E_CORRUPT;
	/* Of what it unpacks to they stand in front. */
	const uint8_t *in_sums = sums + 4 * bits(block->how & (ADLER_OUT | CRC_OUT));
	if (in < out && sum_differs(&in_sums, block->how, ADLER_IN, CRC_IN, packed, in))
		return SONDE_E_CORRUPT;
	if (in == out)
		memcpy(to, packed, out);
	else if (lzo.lzo1x_decompress_safe(packed, in, to, &made, NULL) != LZO_E_OK)
		return SONDE_E_CORRUPT;
	return made != out || sum_differs(&sums, block->how, ADLER_OUT, CRC_OUT, to, out)
		       ? SONDE_E_CORRUPT
		       : 0;
}

/* What is not in blocks has none. */
static int lzop_begin(void *decoder)
{
	(void)decoder;
	return 0;
}

static int lzop_step(void *decoder, struct packed_flow *flow)
{
	(void)decoder;
	flow->from += flow->n_from;
	flow->n_from = 0;
	return flow->is_last;
}

const struct packing packing_lzop = {
	.name = "lzop",
	.tool = "lzop",
	.library = &library,
	.is = lzop_is,
	.map = lzop_map,
	.create = lzop_create,
	.destroy = lzop_destroy,
	.unpack = lzop_unpack,
	.begin = lzop_begin,
	.step = lzop_step,
};
