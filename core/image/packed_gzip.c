/* SPDX-License-Identifier: MIT */
/*
 * gzip (RFC 1952). One stream, but for BGZF, which bgzip writes: members of 64 KiB, each of which tells its length in
 * an extra field "BC" (SAMv1.pdf 4.1), and at its end how much it unpacks to.
 */
#define ZLIB_CONST
#include <sonde/error.h>
#include <stdlib.h>
#include <zlib.h>

#include "image/packed.h"

#define HEAD_LEN 12u /* with the length of the extra field */
#define FLAG_EXTRA 4u
#define FLAGS_RESERVED 0xe0u
#define EXTRA_MAX 1024u
#define TAIL_LEN 8u /* CRC-32, and the length modulo 2^32 */
#define MEMBER_MAX 65536u
#define RATIO_MAX 1032u /* of deflate: a pair of 258 bytes takes two bits */

#define ZLIB_CALLS(X)                                                                              \
	X(inflateInit2_)                                                                           \
	X(inflate)                                                                                 \
	X(inflateReset2)                                                                           \
	X(inflateEnd)                                                                              \
	X(crc32)

static struct {
#define X(name) __typeof__(name) *name;
	ZLIB_CALLS(X)
#undef X
} zlib;

static const struct library_call calls[] = {
#define X(name) { #name, &zlib.name },
	ZLIB_CALLS(X)
#undef X
};

static struct library library = {
	.name = "zlib",
	.package = "zlib1g",
	.files = { "libz.so.1" },
	.calls = calls,
	.n_calls = sizeof(calls) / sizeof(calls[0]),
};

struct gzip {
	z_stream z;
	int is_between; /* one member has ended, and none begun */
};

static int gzip_is(const uint8_t *head, size_t len)
{
	return len >= 4 && head[0] == 0x1f && head[1] == 0x8b && head[2] == Z_DEFLATED &&
	       (head[3] & FLAGS_RESERVED) == 0;
}

/* ---- members ------------------------------------------------------------------------------------ */

/* The length of a member by its extra field; 0: it does not say. */
static uint32_t member_len(const uint8_t *extra, uint32_t len)
{
	for (uint32_t at = 0; len - at >= 4;) {
		uint32_t field = extra[at + 2] | (uint32_t)extra[at + 3] << 8;
		if (extra[at] == 'B' && extra[at + 1] == 'C' && field == 2 && len - at >= 6)
			return (extra[at + 4] | (uint32_t)extra[at + 5] << 8) + 1;
		if (field > len - at - 4)
			break;
		at += 4 + field;
	}
	return 0;
}

/* The member at off. Returns its length, and that of its head; 0: it is none of BGZF. */
static uint32_t member_at(struct packed_walk *walk, uint64_t off, uint32_t *ret_head)
{
	const uint8_t *head = packed_walk_at(walk, off, HEAD_LEN);

	if (!head || !gzip_is(head, HEAD_LEN) || head[3] != FLAG_EXTRA)
		return 0;
	uint32_t extra = head[10] | (uint32_t)head[11] << 8;
	*ret_head = HEAD_LEN + extra;
	head = extra <= EXTRA_MAX ? packed_walk_at(walk, off, *ret_head) : NULL;
	uint32_t len = head ? member_len(head + HEAD_LEN, extra) : 0;
	return len > *ret_head + TAIL_LEN ? len : 0;
}

/* How much the last member has, and so all of them at least. */
static uint64_t told_at_the_end(struct packed_walk *walk)
{
	const uint8_t *tail =
		walk->file->size > 4 ? packed_walk_at(walk, walk->file->size - 4, 4) : NULL;
	uint64_t size = tail ? sonde_le32(tail) : 0;

	return size / RATIO_MAX <= walk->file->size ? size : 0;
}

static int gzip_map(struct packed_walk *walk, struct packed_map *ret)
{
	uint64_t off = 0;
	uint32_t head = 0, len;
	int r = 0;

	while (r == 0 && off < walk->file->size && (len = member_at(walk, off, &head)) != 0) {
		const uint8_t *tail = packed_walk_at(walk, off + len - 4, 4);
		if (!tail)
			break;
		r = sonde_le32(tail) > MEMBER_MAX
			    ? 1
			    : packed_map_add(ret, off, len, sonde_le32(tail), head);
		off += len;
	}
	if (r == 0 && off < walk->file->size) {
		const uint8_t *next = packed_walk_at(walk, off, HEAD_LEN + 6);
		ret->cut = off;
		r = ret->n == 0 || (next && gzip_is(next, 4) && !member_at(walk, off, &head));
	}
	ret->least = r == 1 ? told_at_the_end(walk) : 0;
	return walk->err ? walk->err : r;
}

/* ---- unpacking ---------------------------------------------------------------------------------- */

static void *gzip_create(void)
{
	struct gzip *gzip = calloc(1, sizeof(*gzip));

	if (gzip && zlib.inflateInit2_(&gzip->z, 31, ZLIB_VERSION, sizeof(gzip->z)) == Z_OK)
		return gzip;
	free(gzip);
	return NULL;
}

static void gzip_destroy(void *decoder)
{
	struct gzip *gzip = decoder;

	if (gzip)
		zlib.inflateEnd(&gzip->z);
	free(gzip);
}

/* It goes on behind its size. Is it damaged, or does the size lie? What it makes is looked at and dropped. */
static int inflate_rest(z_stream *z, uLong *sum)
{
	uint8_t dropped[1024];
	int r;

	do {
		z->next_out = dropped;
		z->avail_out = sizeof(dropped);
		r = zlib.inflate(z, Z_NO_FLUSH);
		*sum = zlib.crc32(*sum, dropped, (uInt)(sizeof(dropped) - z->avail_out));
	} while (r == Z_OK);
	return r;
}

static int gzip_unpack(void *decoder, const struct packed_block *block, const uint8_t *from,
		       uint8_t *to)
{
	struct gzip *gzip = decoder;
	z_stream *z = &gzip->z;

	zlib.inflateReset2(z, -15); /* without head and tail */
	z->next_in = from + block->how;
	z->avail_in = block->len - block->how - TAIL_LEN;
	z->next_out = to;
	z->avail_out = block->size;
	int r = zlib.inflate(z, Z_FINISH);
	uint32_t made = block->size - z->avail_out;
	uLong sum = zlib.crc32(0, to, made);
	if (r != Z_STREAM_END && z->avail_out == 0)
		r = inflate_rest(z, &sum);
	if (r != Z_STREAM_END || z->avail_in || sum != sonde_le32(from + block->len - TAIL_LEN))
		return SONDE_E_CORRUPT;
	return z->total_out == block->size ? 0 : 1;
}

static int gzip_begin(void *decoder)
{
	struct gzip *gzip = decoder;

	gzip->is_between = 0;
	return zlib.inflateReset2(&gzip->z, 31) == Z_OK ? 0 : SONDE_E_NO_MEMORY;
}

/* Returns 1 where nothing is left. */
static int next(struct gzip *gzip, struct packed_flow *flow)
{
	return packed_flow_goes_on(flow, 0x1f) ? gzip_begin(gzip) : 1;
}

static int gzip_step(void *decoder, struct packed_flow *flow)
{
	struct gzip *gzip = decoder;
	z_stream *z = &gzip->z;
	int r = gzip->is_between ? next(gzip, flow) : 0;

	if (r != 0)
		return r;
	z->next_in = flow->from;
	z->avail_in = (uInt)flow->n_from;
	z->next_out = flow->to;
	z->avail_out = (uInt)flow->n_to;
	r = zlib.inflate(z, Z_NO_FLUSH);
	flow->from = z->next_in;
	flow->n_from = z->avail_in;
	flow->to = z->next_out;
	flow->n_to = z->avail_out;
	gzip->is_between = r == Z_STREAM_END;
	if (r == Z_OK || r == Z_BUF_ERROR || r == Z_STREAM_END)
		return r == Z_STREAM_END;
	return r == Z_MEM_ERROR ? SONDE_E_NO_MEMORY : SONDE_E_CORRUPT;
}

const struct packing packing_gzip = {
	.name = "gzip",
	.tool = "gzip",
	.library = &library,
	.is = gzip_is,
	.map = gzip_map,
	.create = gzip_create,
	.destroy = gzip_destroy,
	.unpack = gzip_unpack,
	.begin = gzip_begin,
	.step = gzip_step,
};
