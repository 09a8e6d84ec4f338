/* SPDX-License-Identifier: MIT */
#include "bitmap.h"

#include <pthread.h>
#include <sonde/error.h>
#include <sonde/types.h>
#include <stdlib.h>
#include <string.h>

#define STRETCH_BYTES (64u << 10) /* that are read together */
#define STRETCH (STRETCH_BYTES * UINT64_C(8))
#define AHEAD_MAX (1u << 20) /* bytes, where they take a while to come */
#define STRIDE 4096u /* bits: how far the count of set ones is kept; a stretch is some of these */

struct bitmap {
	struct source source;
	uint64_t at, n_bits, first;
	pthread_mutex_t lock; /* who reads or counts more */
	uint32_t ahead;       /* bytes that were asked for last, more each time; by lock */
	uint8_t *bytes;       /* [(n_bits + 7) / 8], where they have been read */
	uint8_t *have;        /* [stretches] 1: it has been read; set last, by lock */
	uint64_t *ranks;      /* set bits from the stride of first on to this one */
	uint64_t n_ranks;     /* so many are known; set last, by lock */
};

static uint64_t length(const struct bitmap *bitmap)
{
	return (bitmap->n_bits + 7) / 8;
}

int bitmap_create(struct bitmap **ret, const struct source *source, uint64_t at, uint64_t n_bits,
		  uint64_t first)
{
	struct bitmap *bitmap = calloc(1, sizeof(*bitmap));

	if (!bitmap)
		return SONDE_E_NO_MEMORY;
	*bitmap = (struct bitmap){ .source = *source,
				   .at = at,
				   .n_bits = n_bits,
				   .first = first,
				   .ahead = STRETCH_BYTES / 2,
				   .n_ranks = 1 };
	pthread_mutex_init(&bitmap->lock, NULL);
	bitmap->bytes = malloc((size_t)length(bitmap));
	bitmap->have = calloc((size_t)(n_bits / STRETCH) + 1, 1);
	bitmap->ranks = calloc((size_t)(n_bits / STRIDE) + 1, sizeof(*bitmap->ranks));
	if (!bitmap->bytes || !bitmap->have || !bitmap->ranks) {
		bitmap_destroy(bitmap);
		return SONDE_E_NO_MEMORY;
	}
	*ret = bitmap;
	return 0;
}

void bitmap_destroy(struct bitmap *bitmap)
{
	if (!bitmap)
		return;
	pthread_mutex_destroy(&bitmap->lock);
	free(bitmap->bytes);
	free(bitmap->have);
	free(bitmap->ranks);
	free(bitmap);
}

/* ---- reading ------------------------------------------------------------------------------------ */

static int have(const struct bitmap *bitmap, uint64_t i)
{
	return __atomic_load_n(&bitmap->have[i / STRETCH], __ATOMIC_ACQUIRE);
}

/* The stretch that holds bit i. By lock. */
static int read_stretch(struct bitmap *bitmap, uint64_t i)
{
	uint64_t off = i / STRETCH * STRETCH_BYTES, left = length(bitmap) - off;
	size_t len = left < STRETCH_BYTES ? (size_t)left : STRETCH_BYTES;

	if (have(bitmap, i))
		return 0;
	bitmap->ahead = bitmap->ahead < AHEAD_MAX ? bitmap->ahead * 2 : AHEAD_MAX;
	source_ahead(&bitmap->source, bitmap->at + off,
		     left < bitmap->ahead ? left : bitmap->ahead);
	int r = source_read(&bitmap->source, bitmap->at + off, bitmap->bytes + off, len);
	if (r == 0)
		__atomic_store_n(&bitmap->have[i / STRETCH], 1, __ATOMIC_RELEASE);
	return r;
}

/* Have the stretch that holds bit i. */
static int need(struct bitmap *bitmap, uint64_t i)
{
	if (have(bitmap, i))
		return 0;
	pthread_mutex_lock(&bitmap->lock);
	int r = read_stretch(bitmap, i);
	pthread_mutex_unlock(&bitmap->lock);
	return r;
}

static int bit_at(const struct bitmap *bitmap, uint64_t i)
{
	return bitmap->bytes[i >> 3] >> (i & 7) & 1;
}

int bitmap_bit(struct bitmap *bitmap, uint64_t i)
{
	int r = need(bitmap, i);

	return r < 0 ? r : bit_at(bitmap, i);
}

int bitmap_next(struct bitmap *bitmap, int want, uint64_t from, uint64_t *ret)
{
	const uint8_t skip = want ? 0 : 0xff;
	uint64_t i = from;

	while (i < bitmap->n_bits) {
		int r = need(bitmap, i);
		if (r < 0)
			return r;
		if (i % 8 == 0 && bitmap->n_bits - i >= 8 && bitmap->bytes[i / 8] == skip)
			i += 8;
		else if (bit_at(bitmap, i) != want)
			i++;
		else
			break;
	}
	*ret = i;
	return 0;
}

int bitmap_same(struct bitmap *a, struct bitmap *b)
{
	uint64_t len = a->n_bits / 8; /* behind the last page there may be anything */

	if (a->n_bits != b->n_bits)
		return 0;
	for (uint64_t off = 0, n; off < len; off += n) {
		n = len - off < STRETCH_BYTES ? len - off : STRETCH_BYTES;
		int r = need(a, off * 8);
		if (r == 0)
			r = need(b, off * 8);
		if (r < 0)
			return r;
		if (memcmp(a->bytes + off, b->bytes + off, (size_t)n) != 0)
			return 0;
	}
	return 1;
}

/* ---- counting ----------------------------------------------------------------------------------- */

/* Set bits of [from, to), from on a byte, all of it read. */
static uint64_t count(const struct bitmap *bitmap, uint64_t from, uint64_t to)
{
	const uint8_t *at = bitmap->bytes + from / 8;
	uint64_t n = 0;

	for (; to - from >= 64; from += 64, at += 8)
		n += (uint64_t)__builtin_popcountll(sonde_le64(at));
	for (; to - from >= 8; from += 8, at++)
		n += (uint64_t)__builtin_popcount(*at);
	if (to > from)
		n += (uint64_t)__builtin_popcount(*at & ((1u << (to - from)) - 1));
	return n;
}

/* Strides up to that one. By lock. */
static int count_to(struct bitmap *bitmap, uint64_t stride)
{
	uint64_t base = bitmap->first / STRIDE, known = base + bitmap->n_ranks - 1;

	for (; known < stride; known++) {
		int r = read_stretch(bitmap, known * STRIDE);
		if (r < 0)
			return r;
		bitmap->ranks[known + 1 - base] =
			bitmap->ranks[known - base] +
			count(bitmap, known * STRIDE, (known + 1) * STRIDE);
		__atomic_store_n(&bitmap->n_ranks, known + 2 - base, __ATOMIC_RELEASE);
	}
	return 0;
}

/* Set bits from the stride of first on. */
static int rank_in_strides(struct bitmap *bitmap, uint64_t i, uint64_t *ret)
{
	uint64_t stride = i / STRIDE, k = stride - bitmap->first / STRIDE;
	int r = 0;

	if (k >= __atomic_load_n(&bitmap->n_ranks, __ATOMIC_ACQUIRE)) {
		pthread_mutex_lock(&bitmap->lock);
		r = count_to(bitmap, stride);
		pthread_mutex_unlock(&bitmap->lock);
	}
	if (r == 0 && i % STRIDE)
		r = need(bitmap, i - 1);
	if (r == 0)
		*ret = bitmap->ranks[k] + count(bitmap, stride * STRIDE, i);
	return r;
}

int bitmap_rank(struct bitmap *bitmap, uint64_t i, uint64_t *ret)
{
	uint64_t before = 0, all = 0;
	int r = rank_in_strides(bitmap, bitmap->first, &before);

	if (r == 0)
		r = rank_in_strides(bitmap, i, &all);
	*ret = all - before;
	return r;
}

int bitmap_count(struct bitmap *bitmap, uint64_t *ret)
{
	uint64_t n = 0;

	for (uint64_t at = 0, end; at < bitmap->n_bits; at = end) {
		int r = need(bitmap, at);
		if (r < 0)
			return r;
		end = bitmap->n_bits - at < STRETCH ? bitmap->n_bits : at + STRETCH;
		n += count(bitmap, at, end);
	}
	*ret = n;
	return 0;
}
