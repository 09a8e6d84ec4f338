/* SPDX-License-Identifier: MIT */
#include "flattened.h"

#include <sonde/error.h>
#include <sonde/types.h>
#include <stdlib.h>
#include <string.h>

/* Pieces that begin before the place reached, the one that stands over the others on top: written last. */
struct heap {
	struct flat_piece *at;
	size_t n;
};

static uint64_t big64(const uint8_t *p)
{
	return __builtin_bswap64(sonde_le64(p));
}

int flattened_probe(const uint8_t *head, size_t len)
{
	static const char signature[FLAT_SIGNATURE_SIZE] = "makedumpfile";

	return len >= FLAT_VERSION_AT + 8 && memcmp(head, signature, sizeof(signature)) == 0;
}

/* makedumpfile -E writes the notes before the head. */
size_t flattened_start(const uint8_t *head, size_t len)
{
	size_t at = FLAT_HEAD_SIZE;

	if (!flattened_probe(head, len))
		return 0;
	while (at < len && len - at > FLAT_PIECE_HEAD) {
		uint64_t piece = big64(head + at + 8);
		at += FLAT_PIECE_HEAD;
		if (big64(head + at - FLAT_PIECE_HEAD) == 0)
			return at;
		at = piece < len - at ? at + (size_t)piece : len;
	}
	return len;
}

/* ---- the pieces, as they come ----------------------------------------------------------------- */

static int add_piece(struct flattened *flat, size_t *cap, const struct flat_piece *piece)
{
	if (flat->n == FLAT_PIECES_MAX)
		return SONDE_E_LIMIT;
	if (flat->n == *cap) {
		size_t more = *cap ? *cap * 2 : 1024;
		struct flat_piece *at = realloc(flat->at, more * sizeof(*at));
		if (!at)
			return SONDE_E_NO_MEMORY;
		flat->at = at;
		*cap = more;
	}
	flat->at[flat->n++] = *piece;
	return 0;
}

/* One piece at *pos. Returns 1, 0 behind the last one, or an error. */
static int read_piece(struct flattened *flat, struct source_scan *scan, uint64_t *pos,
		      struct flat_piece *ret, const char **ret_why)
{
	uint8_t head[FLAT_PIECE_HEAD];

	source_scan(scan, &flat->below, *pos, sizeof(head));
	int r = source_read(&flat->below, *pos, head, sizeof(head));

	if (r == SONDE_E_TRUNCATED) {
		flat->cut = 1;
		return 0;
	}
	if (r < 0) {
		*ret_why = "cannot be read";
		return r;
	}
	*ret = (struct flat_piece){ .off = big64(head), .len = big64(head + 8) };
	if (ret->off == UINT64_MAX)
		return 0;
	if (ret->off > INT64_MAX || ret->len > INT64_MAX - ret->off) {
		*ret_why = "flattened: a piece lies beyond any file";
		return SONDE_E_BAD_FORMAT;
	}
	ret->pos = *pos + sizeof(head);
	uint64_t left = flat->below.size - ret->pos;
	flat->cut |= ret->len > left;
	ret->len = ret->len > left ? left : ret->len;
	*pos = ret->pos + ret->len;
	return 1;
}

static int read_pieces(struct flattened *flat, const char **ret_why)
{
	struct source_scan scan = { 0 };
	uint64_t pos = FLAT_HEAD_SIZE;
	size_t cap = 0, n_empty = 0;

	for (;;) {
		struct flat_piece piece;
		int r = read_piece(flat, &scan, &pos, &piece, ret_why);
		if (r <= 0)
			return r;
		if (piece.len)
			r = add_piece(flat, &cap, &piece);
		else
			r = ++n_empty > FLAT_EMPTY_MAX ? SONDE_E_LIMIT : 0;
		if (r < 0) {
			*ret_why = r == SONDE_E_LIMIT ? "flattened: more pieces than are taken"
						      : "out of memory";
			return r;
		}
		if (flat->cut)
			return 0;
	}
}

/* ---- laid out ----------------------------------------------------------------------------------- */

static int by_off(const void *a, const void *b)
{
	const struct flat_piece *x = a, *y = b;

	return (x->off > y->off) - (x->off < y->off);
}

static int overlap(const struct flattened *flat)
{
	for (size_t i = 1; i < flat->n; i++) {
		if (flat->at[i].off - flat->at[i - 1].off < flat->at[i - 1].len)
			return 1;
	}
	return 0;
}

static void swap(struct flat_piece *a, struct flat_piece *b)
{
	struct flat_piece old = *a;

	*a = *b;
	*b = old;
}

static void heap_push(struct heap *heap, const struct flat_piece *piece)
{
	size_t i = heap->n++;

	heap->at[i] = *piece;
	for (; i && heap->at[(i - 1) / 2].pos < heap->at[i].pos; i = (i - 1) / 2)
		swap(&heap->at[i], &heap->at[(i - 1) / 2]);
}

static void heap_pop(struct heap *heap)
{
	heap->at[0] = heap->at[--heap->n];
	for (size_t i = 0, kid; (kid = 2 * i + 1) < heap->n; i = kid) {
		kid += kid + 1 < heap->n && heap->at[kid + 1].pos > heap->at[kid].pos;
		if (heap->at[kid].pos <= heap->at[i].pos)
			break;
		swap(&heap->at[i], &heap->at[kid]);
	}
}

static uint64_t piece_end(const struct flat_piece *piece)
{
	return piece->off + piece->len;
}

/* The part [from, end) of a piece. */
static struct flat_piece part_of(const struct flat_piece *piece, uint64_t from, uint64_t end)
{
	return (struct flat_piece){ .off = from,
				    .pos = piece->pos + (from - piece->off),
				    .len = end - from };
}

/* From left to right over pieces that overlap; out has room for twice as many. Returns how many there are. */
static size_t lay_out(const struct flattened *flat, struct heap *heap, struct flat_piece *out)
{
	size_t n = 0, next = 0;
	uint64_t at = 0;

	while (next < flat->n || heap->n) {
		if (!heap->n && at < flat->at[next].off)
			at = flat->at[next].off;
		while (next < flat->n && flat->at[next].off <= at)
			heap_push(heap, &flat->at[next++]);
		struct flat_piece *top = &heap->at[0];
		uint64_t end = piece_end(top);
		if (end <= at) {
			heap_pop(heap);
			continue;
		}
		if (next < flat->n && flat->at[next].off < end)
			end = flat->at[next].off;
		out[n++] = part_of(top, at, end);
		at = end;
	}
	return n;
}

static int resolve(struct flattened *flat)
{
	struct heap heap = { .at = malloc(flat->n * sizeof(*heap.at)) };
	struct flat_piece *out = malloc(2 * flat->n * sizeof(*out));

	if (heap.at && out) {
		flat->n = lay_out(flat, &heap, out);
		free(flat->at);
		flat->at = out;
		out = NULL;
	}
	int r = heap.at && !out ? 0 : SONDE_E_NO_MEMORY;
	free(heap.at);
	free(out);
	return r;
}

int flattened_open(struct flattened *ret, const struct source *below, const char **ret_why)
{
	uint8_t head[FLAT_VERSION_AT + 8];

	*ret = (struct flattened){ .below = *below };
	int r = source_read(below, 0, head, sizeof(head));
	*ret_why = "cannot be read";
	if (r < 0)
		return r;
	*ret_why = "flattened: neither type 1 nor version 1: written by something newer";
	if (!flattened_probe(head, sizeof(head)) || big64(head + FLAT_TYPE_AT) != 1 ||
	    big64(head + FLAT_VERSION_AT) != 1)
		return SONDE_E_BAD_FORMAT;
	r = read_pieces(ret, ret_why);
	if (r < 0)
		return r;
	*ret_why = "flattened: there is nothing behind the head";
	if (!ret->n)
		return SONDE_E_TRUNCATED;
	qsort(ret->at, ret->n, sizeof(*ret->at), by_off);
	*ret_why = "out of memory";
	r = overlap(ret) ? resolve(ret) : 0;
	ret->size = piece_end(&ret->at[ret->n - 1]);
	return r;
}

void flattened_finish(struct flattened *flat)
{
	free(flat->at);
	flat->at = NULL;
	flat->n = 0;
}

/* ---- reading -------------------------------------------------------------------------------------- */

size_t flattened_find(const struct flattened *flat, uint64_t off)
{
	size_t low = 0, high = flat->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (piece_end(&flat->at[mid]) <= off)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int64_t read_flat(void *user, uint64_t off, void *buf, size_t len)
{
	const struct flattened *flat = user;
	size_t done = 0;

	for (size_t i = flattened_find(flat, off); done < len && i < flat->n; i++) {
		const struct flat_piece *piece = &flat->at[i];
		uint64_t gap = piece->off > off + done ? piece->off - (off + done) : 0;
		if (gap >= len - done)
			break;
		memset((char *)buf + done, 0, (size_t)gap);
		done += (size_t)gap;

		uint64_t inside = off + done - piece->off;
		size_t n = len - done < piece->len - inside ? len - done
							    : (size_t)(piece->len - inside);
		int64_t came = flat->below.read(flat->below.user, piece->pos + inside,
						(char *)buf + done, n);
		if (came < 0)
			return came;
		done += (size_t)came;
		if ((size_t)came < n)
			return (int64_t)done;
	}
	if (off + done < flat->size && done < len) { /* a hole that reaches beyond this read */
		memset((char *)buf + done, 0, len - done);
		done = len;
	}
	return (int64_t)done;
}

static void add_pieces(const struct flattened *flat, struct source_lot *lot,
		       const struct sonde_image_read *read)
{
	uint32_t done = 0;

	for (size_t i = flattened_find(flat, read->off); done < read->len && i < flat->n; i++) {
		const struct flat_piece *piece = &flat->at[i];
		uint64_t at = read->off + done;
		uint64_t gap = piece->off > at ? piece->off - at : 0;
		if (gap >= read->len - done)
			return;
		done += (uint32_t)gap;
		uint64_t inside = at + gap - piece->off, left = piece->len - inside;
		uint32_t len = read->len - done < left ? read->len - done : (uint32_t)left;
		source_lot_add(lot, &flat->below, piece->pos + inside, len);
		done += len;
	}
}

static void flat_ahead(void *user, struct sonde_image_read *reads, size_t n)
{
	struct source_lot *lot = calloc(1, sizeof(*lot));

	if (!lot)
		return;
	for (size_t i = 0; i < n; i++)
		add_pieces(user, lot, &reads[i]);
	source_lot_end(lot);
	free(lot);
}

struct source flattened_source(struct flattened *flat)
{
	return (struct source){ .read = read_flat,
				.ahead = flat->below.ahead ? flat_ahead : NULL,
				.user = flat,
				.size = flat->size };
}
