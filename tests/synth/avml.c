/* SPDX-License-Identifier: MIT */
#include "synth/avml.h"
#include "synth/elf.h"

#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 65536u

static void append(struct synth_avml *image, const void *bytes, size_t len)
{
	image->bytes = realloc(image->bytes, image->size + len);
	memcpy(image->bytes + image->size, bytes, len);
	image->size += len;
}

static void append_number(struct synth_avml *image, uint64_t value, int size)
{
	uint8_t bytes[8];

	synth_put(bytes, 0, size, value);
	append(image, bytes, (size_t)size);
}

/* The sum of one byte (RFC 3720 12.1), bit by bit. */
static uint32_t sum_of(uint32_t byte)
{
	for (int bit = 0; bit < 8; bit++)
		byte = byte >> 1 ^ (byte & 1 ? 0x82f63b78u : 0);
	return byte;
}

/* framing_format.txt 3 */
static uint32_t masked_sum(const uint8_t *at, size_t len)
{
	uint32_t table[256], sum = ~0u;

	for (uint32_t i = 0; i < 256; i++)
		table[i] = sum_of(i);
	for (size_t i = 0; i < len; i++)
		sum = sum >> 8 ^ table[(sum ^ at[i]) & 0xff];
	sum = ~sum;
	return (sum >> 15 | sum << 17) + 0xa282ead8u;
}

static void append_chunk(struct synth_avml *image, const uint8_t *memory, size_t len, int plain)
{
	size_t size = snappy_max_compressed_length(len);
	char *packed = malloc(size);

	if (plain)
		size = len;
	else
		snappy_compress((const char *)memory, len, packed, &size);
	append_number(image, (size + 4) << 8 | (unsigned)plain, 4);
	append_number(image, masked_sum(memory, len), 4);
	append(image, plain ? (const char *)memory : packed, size);
	free(packed);
}

void synth_avml_add(struct synth_avml *image, uint64_t addr, const void *memory, size_t len,
		    unsigned plain)
{
	append(image, "AVML\2\0\0", 8);
	append_number(image, addr, 8);
	append_number(image, addr + len - 1, 8);
	append_number(image, 0, 8);
	size_t body = image->size;
	append(image, "\xff\6\0\0sNaPpY", 10);
	for (size_t at = 0, i = 1; at < len; at += CHUNK, i++)
		append_chunk(image, (const uint8_t *)memory + at,
			     len - at < CHUNK ? len - at : CHUNK, plain && i % plain == 0);
	append_number(image, image->size - body, 8);
}
