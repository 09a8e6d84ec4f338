/* SPDX-License-Identifier: MIT */
/*
 * bzip2 (bzip2 1.0.8, decompress.c): streams, one behind the other, of blocks that begin within a byte and tell no size:
 * one piece.
 */
#include <bzlib.h>
#include <sonde/error.h>
#include <stdlib.h>
#include <string.h>

#include "image/packed.h"

#define HEAD_LEN 4u  /* "BZh", the size of blocks ...                                 */
#define BEGIN_LEN 6u /* ... and what a block begins with, or an empty stream ends with */

#define BZ2_CALLS(X)                                                                               \
	X(DecompressInit)                                                                          \
	X(Decompress)                                                                              \
	X(DecompressEnd)

static struct {
#define X(name) __typeof__(BZ2_bz##name) *name;
	BZ2_CALLS(X)
#undef X
} bz2;

static const struct library_call calls[] = {
#define X(name) { "BZ2_bz" #name, &bz2.name },
	BZ2_CALLS(X)
#undef X
};

static struct library library = {
	.name = "libbz2",
	.package = "libbz2-1.0",
	.files = { "libbz2.so.1.0", "libbz2.so.1" },
	.calls = calls,
	.n_calls = sizeof(calls) / sizeof(calls[0]),
};

struct bzip2 {
	bz_stream stream;
	int is_begun;
};

static int bzip2_is(const uint8_t *head, size_t len)
{
	static const uint8_t block[BEGIN_LEN] = { 0x31, 0x41, 0x59, 0x26, 0x53, 0x59 };
	static const uint8_t end[BEGIN_LEN] = { 0x17, 0x72, 0x45, 0x38, 0x50, 0x90 };

	if (len < HEAD_LEN || memcmp(head, "BZh", 3) != 0 || head[3] < '1' || head[3] > '9')
		return 0;
	size_t n = len - HEAD_LEN < BEGIN_LEN ? len - HEAD_LEN : BEGIN_LEN;
	return memcmp(head + HEAD_LEN, block, n) == 0 || memcmp(head + HEAD_LEN, end, n) == 0;
}

static int bzip2_map(struct packed_walk *walk, struct packed_map *ret)
{
	(void)walk;
	(void)ret;
	return 1;
}

static void *bzip2_create(void)
{
	return calloc(1, sizeof(struct bzip2));
}

static void end(struct bzip2 *bzip2)
{
	if (bzip2->is_begun)
		bz2.DecompressEnd(&bzip2->stream);
	bzip2->is_begun = 0;
}

static void bzip2_destroy(void *decoder)
{
	if (decoder)
		end(decoder);
	free(decoder);
}

static int bzip2_begin(void *decoder)
{
	struct bzip2 *bzip2 = decoder;

	end(bzip2);
	bzip2->stream = (bz_stream){ 0 };
	if (bz2.DecompressInit(&bzip2->stream, 0, 0) != BZ_OK)
		return SONDE_E_NO_MEMORY;
	bzip2->is_begun = 1;
	return 0;
}

/* Returns 1 where nothing is left. */
static int next(struct bzip2 *bzip2, struct packed_flow *flow)
{
	return packed_flow_goes_on(flow, 'B') ? bzip2_begin(bzip2) : 1;
}

static int bzip2_step(void *decoder, struct packed_flow *flow)
{
	struct bzip2 *bzip2 = decoder;
	bz_stream *stream = &bzip2->stream;
	int r = bzip2->is_begun ? 0 : next(bzip2, flow);

	if (r != 0)
		return r;
	stream->next_in = (char *)(uintptr_t)flow->from; /* it does not write there */
	stream->avail_in = (unsigned)flow->n_from;
	stream->next_out = (char *)flow->to;
	stream->avail_out = (unsigned)flow->n_to;
	r = bz2.Decompress(stream);
	flow->from += flow->n_from - stream->avail_in;
	flow->n_from = stream->avail_in;
	flow->to += flow->n_to - stream->avail_out;
	flow->n_to = stream->avail_out;
	if (r == BZ_STREAM_END)
		end(bzip2);
	if (r == BZ_OK || r == BZ_STREAM_END)
		return r == BZ_STREAM_END;
	return r == BZ_MEM_ERROR ? SONDE_E_NO_MEMORY : SONDE_E_CORRUPT;
}

const struct packing packing_bzip2 = {
	.name = "bzip2",
	.tool = "bzip2",
	.library = &library,
	.is = bzip2_is,
	.map = bzip2_map,
	.create = bzip2_create,
	.destroy = bzip2_destroy,
	.begin = bzip2_begin,
	.step = bzip2_step,
};
