/* SPDX-License-Identifier: MIT */
/*
 * The chunks of an image of AVML, version 2: each range of memory is a head, a stream of snappy's framing format, and the length of
 * that stream. Sources: avml src/image.rs and src/io/snappy.rs; google/snappy framing_format.txt.
 *
 *	0   "AVML"               32 bits, low byte first, as all
 *	4   version              32 bits: 2
 *	8   first address        64 bits
 *	16  last address         64 bits: of the last byte
 *	24  nothing              64 bits
 *	32  chunks: a type of 8 bits, a length of 24, so many bytes
 *	    0xff  "sNaPpY"; the first one
 *	    0x00  a sum of 32 bits, and up to 65536 bytes packed by snappy: how many is a varint at their beginning
 *	    0x01  a sum of 32 bits, and up to 65536 bytes as they are
 *	    0x80  and above: to be passed over
 *	behind the chunks: how many bytes they took, 64 bits
 *
 * Heads of chunks alone are read. One that is none breaks off its range: the next one is searched for, and believed where the
 * length before its head is that of the chunks passed.
 */
#ifndef AVML_CHUNKS_H
#define AVML_CHUNKS_H

#include <stddef.h>
#include <stdint.h>

#include "../common/source.h"

#define AVML_MAGIC "AVML"
#define AVML_HEAD_SIZE 32u
#define AVML_CHUNK_HEAD 4u
/* Unpacked; and packed, with its sum (snappy.cc MaxCompressedLength). */
#define AVML_CHUNK_MAX 65536u
#define AVML_PACKED_MAX (4u + 32u + AVML_CHUNK_MAX + AVML_CHUNK_MAX / 6u)
/* Against hostile files: 1 TiB of whole chunks; each takes 32 bytes here and at least nine in the file. */
#define AVML_CHUNKS_MAX (1u << 24)

struct avml_chunk {
	uint64_t addr;
	uint64_t size; /* > 0; addr + size - 1 does not wrap. Up to AVML_CHUNK_MAX where err is 0 */
	uint64_t off;  /* behind its head, in the file                                           */
	uint32_t len;  /* > 0 where err is 0, all of it in the file; up to AVML_PACKED_MAX       */
	uint16_t plain; /* not packed                                                           */
	int16_t err;    /* SONDE_E_TRUNCATED, _CORRUPT: there is nothing to unpack               */
};

struct avml_chunks {
	struct avml_chunk *at; /* [n], by address; none overlaps another */
	size_t n, cap;
	size_t n_ranges;  /* heads                                                    */
	size_t n_broken;  /* ranges of which a part is lost                           */
	size_t n_refused; /* chunks that overlap one that was told before             */
	int cut;          /* the file ends in the midst of a range or head            */
	int trailing;     /* behind the last range there is something that is none    */
};

/* Is this how one begins? Of whatever version. */
int avml_probe(const uint8_t *head, size_t len);

/*
 * Read the heads of all chunks, as far as they go.
 *
 * Returns   0; SONDE_E_BAD_FORMAT (the first head), _UNSUPPORTED (its version), _TRUNCATED, _LIMIT, _IO, _NO_MEMORY: *ret_why
 *           says what is wrong.
 * Owns      *ret: avml_chunks_finish, also after an error.
 */
int avml_chunks_read(struct avml_chunks *ret, const struct source *source, const char **ret_why);
void avml_chunks_finish(struct avml_chunks *chunks);

/* Index of the first chunk that ends behind addr; n none. */
size_t avml_chunks_find(const struct avml_chunks *chunks, uint64_t addr);

#endif
