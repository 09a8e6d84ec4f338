/* SPDX-License-Identifier: MIT */
/*
 * Packed images of AVML: any bytes as a file; heads of ranges and chunks, and what the chunks unpack to. What the parser hands
 * out must keep the promises of chunks.h.
 */
#include "../../connectors/avml/chunks.h"
#include "../../connectors/common/unpack.h"
#include "../synth/elf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static int64_t read_bytes(void *user, uint64_t off, void *buf, size_t len)
{
	return (int64_t)synth_image_read(user, off, buf, len);
}

static void check_order(const struct avml_chunks *chunks)
{
	for (size_t i = 0; i < chunks->n; i++) {
		const struct avml_chunk *chunk = &chunks->at[i];
		if (!chunk->size || chunk->addr + (chunk->size - 1) < chunk->addr)
			abort();
		if (i && (chunk[-1].addr >= chunk->addr ||
			  chunk->addr - chunk[-1].addr < chunk[-1].size))
			abort();
		if (avml_chunks_find(chunks, chunk->addr + (chunk->size - 1)) != i)
			abort();
	}
}

/* The first chunks, each into a place that is exactly as large as it says. */
static void unpack_some(const struct avml_chunks *chunks, const struct source *source,
			struct unpacker *unpacker)
{
	for (size_t i = 0; i < chunks->n && i < 16; i++) {
		const struct avml_chunk *chunk = &chunks->at[i];
		if (chunk->err)
			continue;
		if (chunk->size > AVML_CHUNK_MAX || !chunk->len || chunk->len > AVML_PACKED_MAX)
			abort();
		uint8_t *packed = malloc(chunk->len), *block = malloc(chunk->size);
		if (source_read(source, chunk->off, packed, chunk->len) < 0)
			abort();
		unpack(unpacker, chunk->plain ? PACK_CHUNK_PLAIN : PACK_CHUNK, packed, chunk->len,
		       block, chunk->size);
		free(packed);
		free(block);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct unpacker *unpacker;
	struct synth_image file = { bytes, len };
	struct source source = { .read = read_bytes, .user = &file, .size = len };
	struct avml_chunks chunks;
	const char *why = NULL;

	if (!unpacker)
		unpacker = unpacker_create();
	int r = avml_chunks_read(&chunks, &source, &why);
	if (r < 0 ? !why || !why[0] : r > 0 || !chunks.n_ranges)
		abort();
	if (r == 0) {
		check_order(&chunks);
		unpack_some(&chunks, &source, unpacker);
	}
	avml_chunks_finish(&chunks);
	return 0;
}
