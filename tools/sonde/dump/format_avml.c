/* SPDX-License-Identifier: MIT */
/*
 * avml: version 2 of AVML's images (microsoft/avml src/image.rs, src/io/snappy.rs): heads as LiME's, "AVML" and 2 in them, each
 * followed by its bytes as a snappy stream, and the length of that in 64 bits. The stream (google/snappy
 * framing_format.txt): a name, then chunks of at most 64 KiB: kind, length in 24 bits, masked CRC-32C of what it unpacks
 * to, and that, packed or as it was.
 */
#include "../../../connectors/common/crc32c.h"
#include "../../../connectors/lime/ranges.h"
#include "format.h"

#include <stdlib.h>
#include <string.h>

enum {
	CHUNK_SIZE = 64 << 10,
	CHUNK_HEAD = 8,
	CHUNK_PACKED = 0,
	CHUNK_PLAIN = 1,
	NAME_SIZE = 10,
	LENGTH_SIZE = 8,
};

struct avml {
	uint64_t end; /* of the file */
};

static uint32_t masked_crc(const uint8_t *bytes, size_t len)
{
	uint32_t sum = crc32c(bytes, len);

	return (sum >> 15 | sum << 17) + 0xa282ead8u;
}

static int avml_begin(struct dump_writer *writer, struct sonde_error *err)
{
	writer->state = calloc(1, sizeof(struct avml));
	return writer->state ? 0 : sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
}

static int append(struct dump_writer *writer, const void *bytes, size_t len,
		  struct sonde_error *err)
{
	struct avml *avml = writer->state;
	int r = dump_file_write(writer->file, avml->end, bytes, len, err);

	avml->end += len;
	return r;
}

static int append_head(struct dump_writer *writer, uint64_t first, uint64_t last,
		       struct sonde_error *err)
{
	uint8_t head[LIME_HEAD_SIZE + NAME_SIZE] = "AVML";

	sonde_store(head + 4, 4, SONDE_LITTLE, 2);
	sonde_store(head + 8, 8, SONDE_LITTLE, first);
	sonde_store(head + 16, 8, SONDE_LITTLE, last);
	memcpy(head + LIME_HEAD_SIZE, "\xff\x06\x00\x00sNaPpY", NAME_SIZE);
	return append(writer, head, sizeof(head), err);
}

static int append_chunk(struct dump_writer *writer, const struct batch *batch,
			const struct batch_unit *unit, struct sonde_error *err)
{
	const uint8_t *packed = batch->packed + (size_t)(unit - batch->units) * batch->room;
	uint8_t head[CHUNK_HEAD] = { unit->is_packed ? CHUNK_PACKED : CHUNK_PLAIN };

	sonde_store(head + 1, 3, SONDE_LITTLE, unit->packed + 4);
	sonde_store(head + 4, 4, SONDE_LITTLE, masked_crc(batch->bytes + unit->off, unit->len));
	int r = append(writer, head, sizeof(head), err);
	return r == 0 ? append(writer, packed, unit->packed, err) : r;
}

/* One run; its units are the next ones. Returns as the others, and moves on *unit. */
static int append_run(struct dump_writer *writer, const struct batch *batch, struct batch_run run,
		      const struct batch_unit **unit, struct sonde_error *err)
{
	const struct avml *avml = writer->state;
	uint32_t off = batch_offset(batch, run.first);
	uint32_t end = batch_offset(batch, run.first + run.n);
	uint64_t from = avml->end + LIME_HEAD_SIZE;
	uint8_t length[LENGTH_SIZE];
	int r = append_head(writer, batch->addr + off, batch->addr + end - 1, err);

	for (; r == 0 && *unit < batch->units + batch->n_units && (*unit)->off < end; (*unit)++)
		r = append_chunk(writer, batch, *unit, err);
	sonde_store(length, LENGTH_SIZE, SONDE_LITTLE, avml->end - from);
	return r == 0 ? append(writer, length, sizeof(length), err) : r;
}

static int avml_batch(struct dump_writer *writer, struct batch *batch, struct sonde_error *err)
{
	const struct batch_unit *unit = batch->units;
	int r = 0;

	for (struct batch_run run = { 0 };
	     r == 0 && batch_next_run(batch, STATES_THERE, run.first + run.n, &run);)
		r = append_run(writer, batch, run, &unit, err);
	return r;
}

static int avml_end(struct dump_writer *writer, struct sonde_error *err)
{
	const struct avml *avml = writer->state;

	return dump_file_extend(writer->file, avml->end, err);
}

static void avml_finish(struct dump_writer *writer)
{
	free(writer->state);
}

const struct dump_format format_avml = {
	.name = "avml",
	.packing = PACKING_SNAPPY,
	.unit = CHUNK_SIZE,
	.packs_zeros = true,
	.begin = avml_begin,
	.batch = avml_batch,
	.end = avml_end,
	.finish = avml_finish,
};
