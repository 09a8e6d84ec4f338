/* SPDX-License-Identifier: MIT */
#include "spans.h"

#include <libdeflate.h>
#include <sonde/error.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

void spans_init(struct spans *ret, const struct source *file)
{
	*ret = (struct spans){ .file = *file };
}

void spans_finish(struct spans *spans)
{
	free(spans->spans);
	free(spans->cluster);
	*spans = (struct spans){ 0 };
}

static int goes_on(const struct span *last, const struct span *next)
{
	return last->kind == next->kind &&
	       (next->kind == SPAN_ZERO ||
		(next->kind == SPAN_PLAIN && last->off + last->len == next->off));
}

static int grow(struct spans *spans)
{
	size_t cap = spans->cap ? spans->cap * 2 : 16;
	struct span *at = realloc(spans->spans, cap * sizeof(*at));

	if (!at)
		return SONDE_E_NO_MEMORY;
	spans->spans = at;
	spans->cap = cap;
	return 0;
}

int spans_add(struct spans *spans, struct span span)
{
	struct span *last = spans->n ? &spans->spans[spans->n - 1] : NULL;
	int joined = last && goes_on(last, &span);

	if (span.len > UINT64_MAX - spans->len || (!joined && spans->n == SPANS_MAX))
		return SONDE_E_LIMIT;
	if (!joined && spans->n == spans->cap && grow(spans) < 0)
		return SONDE_E_NO_MEMORY;
	span.at = spans->len;
	spans->len += span.len;
	if (joined)
		last->len += span.len;
	else
		spans->spans[spans->n++] = span;
	spans->cluster_of = spans->n;
	return 0;
}

/* The one that holds at; n none. */
static size_t find(const struct spans *spans, uint64_t at)
{
	size_t low = 0, high = spans->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (at - spans->spans[mid].at < spans->spans[mid].len && at >= spans->spans[mid].at)
			return mid;
		if (at < spans->spans[mid].at)
			high = mid;
		else
			low = mid + 1;
	}
	return spans->n;
}

/* ---- packed ---------------------------------------------------------------------------------------- */

static int from_deflate(const uint8_t *from, size_t len, uint8_t *to, size_t size)
{
	struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
	size_t used;
	int ok = d && libdeflate_deflate_decompress_ex(d, from, len, to, size, &used, NULL) ==
			      LIBDEFLATE_SUCCESS;

	if (d)
		libdeflate_free_decompressor(d);
	return ok;
}

/* Its frame ends before the sectors do that it is counted in. */
static int from_zstd(const uint8_t *from, size_t len, uint8_t *to, size_t size)
{
	size_t frame = ZSTD_findFrameCompressedSize(from, len);

	return !ZSTD_isError(frame) && ZSTD_decompress(to, size, from, frame) == size;
}

static int unpack_into(struct spans *spans, const struct span *span, uint8_t *packed)
{
	int64_t n = spans->file.read(spans->file.user, span->off, packed, span->n_bytes);
	int ok = 0;

	if (n < 0)
		return (int)n;
	if (span->kind == SPAN_DEFLATE)
		ok = from_deflate(packed, (size_t)n, spans->cluster, (size_t)span->len);
	else
		ok = from_zstd(packed, (size_t)n, spans->cluster, (size_t)span->len);
	return ok ? 0 : SONDE_E_CORRUPT;
}

static int unpack(struct spans *spans, size_t index)
{
	const struct span *span = &spans->spans[index];

	if (spans->cluster_of == index)
		return 0;
	spans->cluster_of = spans->n;
	if (!spans->cluster)
		spans->cluster = malloc(SPAN_CLUSTER_MAX);
	uint8_t *packed = malloc(span->n_bytes);
	int r = packed && spans->cluster ? unpack_into(spans, span, packed) : SONDE_E_NO_MEMORY;
	free(packed);
	if (r == 0)
		spans->cluster_of = index;
	return r;
}

/* ---- reading --------------------------------------------------------------------------------------- */

static int64_t read_span(struct spans *spans, size_t index, uint64_t skip, void *buf, size_t len)
{
	const struct span *span = &spans->spans[index];
	int64_t n = (int64_t)len;
	int r = 0;

	switch (span->kind) {
	case SPAN_PLAIN:
		return spans->file.read(spans->file.user, span->off + skip, buf, len);
	case SPAN_ZERO:
		memset(buf, 0, len);
		return n;
	default:
		r = unpack(spans, index);
		if (r == 0)
			memcpy(buf, spans->cluster + skip, len);
		return r < 0 ? r : n;
	}
}

int64_t spans_read(struct spans *spans, uint64_t at, void *buf, size_t len)
{
	size_t done = 0;

	for (size_t i = find(spans, at); i < spans->n && done < len; i++) {
		const struct span *span = &spans->spans[i];
		uint64_t skip = at + done - span->at, left = span->len - skip;
		size_t step = left < len - done ? (size_t)left : len - done;
		int64_t n = read_span(spans, i, skip, (uint8_t *)buf + done, step);
		if (n < 0)
			return n;
		done += (size_t)n;
		if ((size_t)n < step)
			break;
	}
	return (int64_t)done;
}

uint64_t spans_plain(const struct spans *spans, uint64_t at, uint64_t *ret_off)
{
	size_t i = find(spans, at);

	if (i == spans->n || spans->spans[i].kind != SPAN_PLAIN)
		return 0;
	*ret_off = spans->spans[i].off + (at - spans->spans[i].at);
	return spans->spans[i].len - (at - spans->spans[i].at);
}

void spans_ahead(const struct spans *spans, uint64_t at, uint64_t len, struct source_lot *lot)
{
	for (size_t i = find(spans, at); i < spans->n && len; i++) {
		const struct span *span = &spans->spans[i];
		uint64_t skip = at - span->at, step = span->len - skip;
		step = step < len ? step : len;
		step = step < UINT32_MAX ? step : UINT32_MAX;
		if (span->kind == SPAN_PLAIN)
			source_lot_add(lot, &spans->file, span->off + skip, (uint32_t)step);
		else if (span->kind != SPAN_ZERO)
			source_lot_add(lot, &spans->file, span->off, span->n_bytes);
		at += step;
		len -= step;
	}
}
