/* SPDX-License-Identifier: MIT */
#include "xpress.h"

#include <sonde/types.h>

/* Of both: bytes that come in, and those made so far. */
struct stream {
	const uint8_t *from;
	size_t len, at;
	uint8_t *to;
	size_t size, made;
	int broken; /* it was read beyond its end, or led outside of what was made */
};

static uint32_t take(struct stream *s, uint32_t n)
{
	if (s->len - s->at < n) {
		s->broken = 1;
		return 0;
	}
	uint32_t value = (uint32_t)sonde_load(s->from + s->at, n, SONDE_LITTLE);
	s->at += n;
	return value;
}

static void put(struct stream *s, uint8_t byte)
{
	s->to[s->made++] = byte;
}

/* The bytes of a match may be some that it makes itself. */
static void copy(struct stream *s, uint64_t length, size_t distance)
{
	if (distance > s->made) {
		s->broken = 1;
		return;
	}
	if (length > s->size - s->made)
		length = s->size - s->made;
	for (; length; length--)
		put(s, s->to[s->made - distance]);
}

/* ---- plain --------------------------------------------------------------------------------------- */

/* Lengths from 10 on go on in four bits, two of them to a byte, then in 8, 16 and 32. half: where the second four are; 0 nowhere. */
static uint64_t long_length(struct stream *s, size_t *half)
{
	uint64_t length;

	if (*half) {
		length = s->from[*half] >> 4;
		*half = 0;
	} else {
		*half = s->at;
		length = take(s, 1) & 0xf;
	}
	if (length < 15)
		return length + 7;
	length = take(s, 1);
	if (length < 255)
		return length + 15 + 7;
	length = take(s, 2);
	if (length == 0)
		length = take(s, 4);
	s->broken |= length < 15 + 7;
	return length;
}

int xpress_plain(const uint8_t *from, size_t len, uint8_t *to, size_t size)
{
	struct stream s = { .from = from, .len = len, .to = to, .size = size };
	uint32_t flags = 0, n_flags = 0;
	size_t half = 0;

	while (s.made < size && !s.broken) {
		if (!n_flags) {
			flags = take(&s, 4);
			n_flags = 32;
		}
		if (!(flags >> --n_flags & 1)) {
			put(&s, (uint8_t)take(&s, 1));
			continue;
		}
		uint32_t match = take(&s, 2);
		uint64_t length = match & 7;
		if (length == 7)
			length = long_length(&s, &half);
		if (!s.broken)
			copy(&s, length + 3, (match >> 3) + 1);
	}
	return !s.broken;
}

/* ---- Huffman ------------------------------------------------------------------------------------- */

enum { TABLE_SIZE = 256, N_SYMBOLS = 512, LITERALS = 256, BLOCK = 65536 };

/* Of a block; the next 16 bits at least are in bits, from the top on, and extra more of them. */
struct codes {
	uint32_t bits;
	int extra;
	uint32_t past; /* words that are beyond the end, and count as zeros */
};

static uint32_t length_of(const uint8_t *lengths, uint32_t symbol)
{
	return lengths[symbol / 2] >> (symbol & 1 ? 4 : 0) & 0xf;
}

/* Shorter codes come first, then lower symbols; all of the table is used, or it is none. */
static int build(struct xpress_table *table, const uint8_t *lengths)
{
	uint32_t n = 0;

	for (uint32_t length = 1; length <= 15; length++) {
		for (uint32_t symbol = 0; symbol < N_SYMBOLS; symbol++) {
			if (length_of(lengths, symbol) != length)
				continue;
			uint32_t entries = 1u << (15 - length);
			if (entries > (1u << 15) - n)
				return 0;
			while (entries--)
				table->symbols[n++] = (uint16_t)symbol;
		}
	}
	return n == 1u << 15;
}

static uint32_t next_word(struct stream *s, struct codes *codes)
{
	if (s->len - s->at >= 2)
		return take(s, 2);
	codes->past++;
	return 0;
}

static void drop(struct stream *s, struct codes *codes, uint32_t n)
{
	codes->bits <<= n;
	codes->extra -= (int)n;
	if (codes->extra < 0) {
		codes->bits |= next_word(s, codes) << -codes->extra;
		codes->extra += 16;
	}
	s->broken |= codes->past * 16 > (uint32_t)codes->extra + 16; /* one of them was used */
}

static void take_match(struct stream *s, struct codes *codes, uint32_t match)
{
	uint32_t length = match & 0xf, n_bits = match >> 4;

	if (length == 15) {
		length = take(s, 1) + 15;
		if (length == 255 + 15) {
			length = take(s, 2);
			s->broken |= length < 15;
		}
	}
	uint32_t distance = (1u << n_bits) | (n_bits ? codes->bits >> (32 - n_bits) : 0);
	drop(s, codes, n_bits);
	if (!s->broken)
		copy(s, length + 3, distance);
}

static void take_block(struct stream *s, const struct xpress_table *table, const uint8_t *lengths)
{
	struct codes codes = { .extra = 16 };
	size_t end = s->size - s->made > BLOCK ? s->made + BLOCK : s->size;

	codes.bits = next_word(s, &codes) << 16;
	codes.bits |= next_word(s, &codes);
	while (s->made < end && !s->broken) {
		uint32_t symbol = table->symbols[codes.bits >> 17];
		drop(s, &codes, length_of(lengths, symbol));
		if (s->broken)
			return;
		if (symbol < LITERALS)
			put(s, (uint8_t)symbol);
		else
			take_match(s, &codes, symbol - LITERALS);
	}
}

int xpress_huffman(struct xpress_table *table, const uint8_t *from, size_t len, uint8_t *to,
		   size_t size)
{
	struct stream s = { .from = from, .len = len, .to = to, .size = size };

	while (s.made < size && !s.broken) {
		const uint8_t *lengths = from + s.at;
		if (len - s.at < TABLE_SIZE || !build(table, lengths))
			return 0;
		s.at += TABLE_SIZE;
		take_block(&s, table, lengths);
	}
	return !s.broken;
}
