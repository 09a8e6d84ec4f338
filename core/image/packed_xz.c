/* SPDX-License-Identifier: MIT */
/* xz (xz-file-format.txt): blocks, and at the end of each stream an index of them, read back from the end of the file. */
#include <lzma.h>
#include <sonde/error.h>
#include <stdlib.h>
#include <string.h>

#include "image/packed.h"

#define INDEX_MEMORY (256u << 20)            /* of indexes: hostile ones claim much       */
#define BLOCK_MEMORY (256u << 20)            /* of one block's decoder: xz -9 takes 65 MiB */
#define STREAM_MEMORY (UINT64_C(1700) << 20) /* xz's largest dictionary, and a little      */

#define LZMA_CALLS(X)                                                                              \
	X(code)                                                                                    \
	X(end)                                                                                     \
	X(file_info_decoder)                                                                       \
	X(index_end)                                                                               \
	X(index_iter_init)                                                                         \
	X(index_iter_next)                                                                         \
	X(index_uncompressed_size)                                                                 \
	X(block_header_decode)                                                                     \
	X(block_compressed_size)                                                                   \
	X(block_buffer_decode)                                                                     \
	X(filters_free)                                                                            \
	X(raw_decoder_memusage)                                                                    \
	X(stream_decoder)

static struct {
#define X(name) __typeof__(lzma_##name) *name;
	LZMA_CALLS(X)
#undef X
} lzma;

static const struct library_call calls[] = {
#define X(name) { "lzma_" #name, &lzma.name },
	LZMA_CALLS(X)
#undef X
};

static struct library library = {
	.name = "liblzma",
	.package = "liblzma5",
	.files = { "liblzma.so.5" },
	.calls = calls,
	.n_calls = sizeof(calls) / sizeof(calls[0]),
};

/* xz-file-format.txt 2.1.1.1 */
static int xz_is(const uint8_t *head, size_t len)
{
	return len >= 6 && memcmp(head,
				  "\xfd"
				  "7zXZ",
				  6) == 0;
}

/* ---- the index ---------------------------------------------------------------------------------- */

/* What the decoder wants next of the file: from *off on, which moves. Returns 0; 1: nothing is left; an error. */
static int feed(struct packed_walk *walk, lzma_stream *stream, uint64_t *off)
{
	uint64_t left = walk->file->size - *off;
	uint32_t len = left < walk->cap ? (uint32_t)left : (uint32_t)walk->cap;

	stream->next_in = len ? packed_walk_at(walk, *off, len) : NULL;
	if (!stream->next_in)
		return walk->err ? walk->err : 1;
	stream->avail_in = len;
	*off += len;
	return 0;
}

/* Returns 0, and *ret; 1: there is none that is whole; an error. */
static int read_index(struct packed_walk *walk, lzma_index **ret)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	uint64_t off = 0;
	int r = 0;
	lzma_ret state = lzma.file_info_decoder(&stream, ret, INDEX_MEMORY, walk->file->size);

	while (r == 0 && state == LZMA_OK) {
		if (stream.avail_in == 0)
			r = feed(walk, &stream, &off);
		if (r == 0)
			state = lzma.code(&stream, LZMA_RUN);
		if (state == LZMA_SEEK_NEEDED && stream.seek_pos <= walk->file->size) {
			off = stream.seek_pos;
			stream.avail_in = 0;
			state = LZMA_OK;
		}
	}
	lzma.end(&stream);
	if (state == LZMA_MEM_ERROR)
		return SONDE_E_NO_MEMORY;
	return state == LZMA_STREAM_END ? 0 : r ? r : 1;
}

/* What is not of the file is the decoder's to find, and no block. */
static int add_blocks(const lzma_index *index, uint64_t file_size, struct packed_map *ret)
{
	lzma_index_iter iter;
	int r = 0;

	lzma.index_iter_init(&iter, index);
	while (r == 0 && !lzma.index_iter_next(&iter, LZMA_INDEX_ITER_NONEMPTY_BLOCK)) {
		uint64_t off = iter.block.compressed_file_offset, len = iter.block.total_size;
		if (off > file_size || len > file_size - off)
			return 1;
		r = packed_map_add(ret, off, len, iter.block.uncompressed_size,
				   iter.stream.flags->check);
		if (r == 0)
			ret->blocks[ret->n - 1].unpadded = (uint32_t)iter.block.unpadded_size;
	}
	return r;
}

static int xz_map(struct packed_walk *walk, struct packed_map *ret)
{
	lzma_index *index = NULL;
	int r = read_index(walk, &index);

	if (r == 0) {
		r = add_blocks(index, walk->file->size, ret);
		ret->least = lzma.index_uncompressed_size(index);
	}
	lzma.index_end(index, NULL);
	return r;
}

/* ---- unpacking ---------------------------------------------------------------------------------- */

static void *xz_create(void)
{
	lzma_stream *stream = malloc(sizeof(*stream));

	if (stream)
		*stream = (lzma_stream)LZMA_STREAM_INIT;
	return stream;
}

static void xz_destroy(void *decoder)
{
	if (decoder)
		lzma.end(decoder);
	free(decoder);
}

static int decode(lzma_block *block, const struct packed_block *where, const uint8_t *from,
		  uint8_t *to)
{
	size_t in = block->header_size, out = 0;

	if (lzma.block_compressed_size(block, where->unpadded) != LZMA_OK)
		return SONDE_E_CORRUPT;
	if (lzma.raw_decoder_memusage(block->filters) > BLOCK_MEMORY)
		return SONDE_E_LIMIT;
	lzma_ret r =
		lzma.block_buffer_decode(block, NULL, from, &in, where->len, to, &out, where->size);
	if (r == LZMA_MEM_ERROR)
		return SONDE_E_NO_MEMORY;
	return r == LZMA_OK && out == where->size ? 0 : SONDE_E_CORRUPT;
}

static int xz_unpack(void *decoder, const struct packed_block *where, const uint8_t *from,
		     uint8_t *to)
{
	lzma_filter filters[LZMA_FILTERS_MAX + 1];
	lzma_block block = { .version = 1,
			     .check = (lzma_check)where->how,
			     .header_size = lzma_block_header_size_decode(from[0]),
			     .filters = filters };

	(void)decoder;
	if (from[0] == 0 || block.header_size > where->len ||
	    lzma.block_header_decode(&block, NULL, from) != LZMA_OK)
		return SONDE_E_CORRUPT;
	int r = decode(&block, where, from, to);
	lzma.filters_free(filters, NULL);
	return r;
}

static int xz_begin(void *decoder)
{
	lzma_ret r = lzma.stream_decoder(decoder, STREAM_MEMORY, LZMA_CONCATENATED);

	return r == LZMA_OK ? 0 : SONDE_E_NO_MEMORY;
}

static int xz_step(void *decoder, struct packed_flow *flow)
{
	lzma_stream *stream = decoder;

	stream->next_in = flow->from;
	stream->avail_in = flow->n_from;
	stream->next_out = flow->to;
	stream->avail_out = flow->n_to;
	lzma_ret r = lzma.code(stream, flow->is_last ? LZMA_FINISH : LZMA_RUN);
	flow->from = stream->next_in;
	flow->n_from = stream->avail_in;
	flow->to = stream->next_out;
	flow->n_to = stream->avail_out;
	if (r == LZMA_OK || r == LZMA_BUF_ERROR || r == LZMA_STREAM_END)
		return r == LZMA_STREAM_END;
	return r == LZMA_MEM_ERROR ? SONDE_E_NO_MEMORY : SONDE_E_CORRUPT;
}

const struct packing packing_xz = {
	.name = "xz",
	.tool = "xz",
	.library = &library,
	.is = xz_is,
	.map = xz_map,
	.create = xz_create,
	.destroy = xz_destroy,
	.unpack = xz_unpack,
	.begin = xz_begin,
	.step = xz_step,
};
