/* SPDX-License-Identifier: MIT */
#include "synth/xpress.h"

#include <string.h>

#define LEN_MAX 65536u
#define NONE UINT32_MAX

/* ---- matches --------------------------------------------------------------------------------------- */

/* What stands next: a match of so many bytes so far back, or, of length 0, a literal. */
struct item {
	uint32_t length, distance;
};

struct finder {
	const uint8_t *from;
	size_t len;
	uint32_t window;
	uint32_t last[1 << 12]; /* by hash: where three bytes were seen */
};

static void finder_init(struct finder *f, const uint8_t *from, size_t len, uint32_t window)
{
	f->from = from;
	f->len = len;
	f->window = window;
	memset(f->last, 0xff, sizeof(f->last));
}

static uint32_t hash(const uint8_t *p)
{
	return ((uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2]) * 2654435761u >> 20;
}

static struct item next_item(struct finder *f, size_t at)
{
	struct item none = { 0, 0 };

	if (f->len - at < 3)
		return none;
	uint32_t *slot = &f->last[hash(f->from + at)], before = *slot, n = 0;
	*slot = (uint32_t)at;
	if (before == NONE || at - before > f->window)
		return none;
	while (at + n < f->len && f->from[before + n] == f->from[at + n])
		n++;
	return n < 3 ? none : (struct item){ n, (uint32_t)(at - before) };
}

/* ---- plain ----------------------------------------------------------------------------------------- */

struct plain {
	uint8_t *to;
	size_t at, flags_at, half_at; /* half_at 0: there is none */
	uint32_t flags, n_flags;
};

static void put_bytes(uint8_t *to, size_t *at, uint32_t value, int n)
{
	for (int i = 0; i < n; i++)
		to[(*at)++] = (uint8_t)(value >> 8 * i);
}

static void put_flag(struct plain *p, uint32_t flag)
{
	p->flags = p->flags << 1 | flag;
	if (++p->n_flags < 32)
		return;
	put_bytes(p->to, &p->flags_at, p->flags, 4);
	p->flags_at = p->at;
	p->at += 4;
	p->n_flags = 0;
}

static void put_half(struct plain *p, uint32_t value)
{
	if (p->half_at) {
		p->to[p->half_at] |= (uint8_t)(value << 4);
		p->half_at = 0;
	} else {
		p->half_at = p->at;
		p->to[p->at++] = (uint8_t)value;
	}
}

static void put_plain_match(struct plain *p, const struct item *item)
{
	uint32_t length = item->length - 3;

	put_bytes(p->to, &p->at, (item->distance - 1) << 3 | (length < 7 ? length : 7), 2);
	if (length >= 7)
		put_half(p, length - 7 < 15 ? length - 7 : 15);
	if (length >= 7 + 15)
		put_bytes(p->to, &p->at, length - 22 < 255 ? length - 22 : 255, 1);
	if (length >= 7 + 15 + 255)
		put_bytes(p->to, &p->at, length, 2);
}

size_t synth_xpress_plain(const uint8_t *from, size_t len, uint8_t *to)
{
	static struct finder finder;
	struct plain p = { .to = to, .at = 4 };

	finder_init(&finder, from, len, 8192);
	for (size_t at = 0; at < len;) {
		struct item item = next_item(&finder, at);
		if (item.length)
			put_plain_match(&p, &item);
		else
			to[p.at++] = from[at];
		put_flag(&p, item.length != 0);
		at += item.length ? item.length : 1;
	}
	uint64_t rest = (UINT64_C(1) << (32 - p.n_flags)) - 1;
	put_bytes(to, &p.flags_at, (uint32_t)((uint64_t)p.flags << (32 - p.n_flags) | rest), 4);
	return p.at;
}

/* ---- Huffman --------------------------------------------------------------------------------------- */

struct huffman {
	uint8_t *to;
	size_t at, slots[2]; /* the places of the next two words */
	uint32_t bits, n_free;
	uint8_t lengths[512];
	uint16_t codes[512];
};

static void put_word(struct huffman *h)
{
	put_bytes(h->to, &h->slots[0], h->bits & 0xffff, 2);
	h->slots[0] = h->slots[1];
	h->slots[1] = h->at;
	h->at += 2;
}

/* A word is written when the next bit has no room in it, for then the reader fetches the one behind the next. */
static void put_bits(struct huffman *h, uint32_t value, uint32_t n)
{
	for (; n; n--) {
		if (!h->n_free) {
			put_word(h);
			h->n_free = 16;
		}
		h->bits = h->bits << 1 | (value >> (n - 1) & 1);
		h->n_free--;
	}
}

static uint32_t log2_of(uint32_t value)
{
	return 31u - (uint32_t)__builtin_clz(value);
}

static uint32_t symbol_of(const struct item *item, uint8_t literal)
{
	uint32_t length = item->length - 3;

	return item->length ? 256 + 16 * log2_of(item->distance) + (length < 15 ? length : 15)
			    : literal;
}

static void put_huffman_match(struct huffman *h, const struct item *item)
{
	uint32_t length = item->length - 3, n_bits = log2_of(item->distance);

	if (length >= 15)
		put_bytes(h->to, &h->at, length - 15 < 255 ? length - 15 : 255, 1);
	if (length >= 15 + 255)
		put_bytes(h->to, &h->at, length, 2);
	put_bits(h, item->distance & ((1u << n_bits) - 1), n_bits);
}

/* Of n symbols that occur 2^k - n get k - 1 bits and the rest k, so the codes are complete. */
static void make_codes(struct huffman *h, const uint8_t *used)
{
	uint32_t n = 0, bits = 1, n_short, code = 0;

	for (int i = 0; i < 512; i++)
		n += used[i];
	while (1u << bits < n)
		bits++;
	n_short = (1u << bits) - n;
	for (int i = 0; i < 512; i++) {
		if (used[i])
			h->lengths[i] = (uint8_t)(n_short ? bits - 1 : bits);
		n_short -= used[i] && n_short;
	}
	for (uint32_t length = 1; length <= bits; length++, code <<= 1) {
		for (int i = 0; i < 512; i++) {
			if (h->lengths[i] == length)
				h->codes[i] = (uint16_t)code++;
		}
	}
}

static void visit(struct huffman *h, const uint8_t *from, size_t len, uint8_t *used)
{
	static struct finder finder;

	finder_init(&finder, from, len, 65535);
	for (size_t at = 0; at < len;) {
		struct item item = next_item(&finder, at);
		uint32_t symbol = symbol_of(&item, from[at]);
		at += item.length ? item.length : 1;
		if (used) {
			used[symbol] = 1;
			continue;
		}
		put_bits(h, h->codes[symbol], h->lengths[symbol]);
		if (item.length)
			put_huffman_match(h, &item);
	}
}

size_t synth_xpress_huffman(const uint8_t *from, size_t len, uint8_t *to)
{
	struct huffman h = { .to = to, .at = 260, .slots = { 256, 258 }, .n_free = 16 };
	uint8_t used[512] = { [256] = 1 }; /* the end */

	visit(&h, from, len, used);
	make_codes(&h, used);
	for (int i = 0; i < 256; i++)
		to[i] = (uint8_t)(h.lengths[2 * i] | h.lengths[2 * i + 1] << 4);
	visit(&h, from, len, NULL);
	put_bits(&h, h.codes[256], h.lengths[256]);
	h.bits <<= h.n_free;
	put_bytes(to, &h.slots[0], h.bits & 0xffff, 2);
	put_bytes(to, &h.slots[1], 0, 2);
	return h.at;
}
