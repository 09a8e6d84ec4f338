/* SPDX-License-Identifier: MIT */
/* Reading a recording's records; what they answer is in answers.c. */
#include "recording.h"

#include <stdlib.h>
#include <string.h>

enum { PIECES_AT_ONCE = 256 };

static int grow(void *at, size_t *cap, size_t want, size_t size)
{
	void **array = at;
	size_t n = *cap ? *cap : 64;

	while (n < want)
		n *= 2;
	if (n == *cap)
		return 0;
	void *grown = n <= SIZE_MAX / size ? realloc(*array, n * size) : NULL;
	if (!grown)
		return SONDE_E_NO_MEMORY;
	*array = grown;
	*cap = n;
	return 0;
}

#define GROW(recording, what, more)                                                                \
	grow(&(recording)->what, &(recording)->cap_##what, (recording)->n_##what + (more),         \
	     sizeof(*(recording)->what))

/* ---- reads ------------------------------------------------------------------------------------------- */

/* What lies past 2^64 is nobody's. */
static uint64_t last_of(const struct piece *piece)
{
	return piece->len - 1 <= UINT64_MAX - piece->addr ? piece->addr + (piece->len - 1)
							  : UINT64_MAX;
}

static int add_shares(struct recording *recording, uint64_t index)
{
	const struct piece *piece = &recording->pieces[index];
	uint64_t from = piece->addr / RECORDING_SHARE, to = last_of(piece) / RECORDING_SHARE;
	int r = GROW(recording, shares, to - from + 1);

	if (r < 0)
		return r;
	for (uint64_t page = from; page <= to; page++)
		recording->shares[recording->n_shares++] = (struct share){ page, index };
	return 0;
}

/* Where the parts of the record that is being read are. */
struct parts {
	uint64_t pieces, bads, data, end; /* offsets in the file */
	uint32_t n_pieces, n_bads;
};

static int find_parts(const struct recording *recording, const struct recfile_record *record,
		      struct parts *ret)
{
	uint8_t head[RECORDING_READ_HEAD];
	uint64_t left = record->len;

	if (left < sizeof(head) ||
	    recfile_get(&recording->file, record->off, head, sizeof(head)) < 0)
		return SONDE_E_BAD_FORMAT;
	left -= sizeof(head);
	ret->n_pieces = recfile_u32(head + 8);
	ret->n_bads = recfile_u32(head + 12);
	if ((uint64_t)ret->n_pieces * RECORDING_PIECE > left)
		return SONDE_E_BAD_FORMAT;
	left -= (uint64_t)ret->n_pieces * RECORDING_PIECE;
	if ((uint64_t)ret->n_bads * RECORDING_STRETCH > left)
		return SONDE_E_BAD_FORMAT;
	ret->pieces = record->off + sizeof(head);
	ret->bads = ret->pieces + (uint64_t)ret->n_pieces * RECORDING_PIECE;
	ret->data = ret->bads + (uint64_t)ret->n_bads * RECORDING_STRETCH;
	ret->end = record->off + record->len;
	return 0;
}

static int take_piece(struct recording *recording, struct parts *parts, const uint8_t *at)
{
	struct piece piece = { .addr = recfile_u64(at),
			       .len = recfile_u32(at + 8),
			       .data = parts->data };

	if (piece.len == 0 || piece.len > INT32_MAX || piece.len > parts->end - parts->data)
		return SONDE_E_BAD_FORMAT;
	parts->data += piece.len;
	int r = GROW(recording, pieces, 1);
	if (r < 0)
		return r;
	recording->pieces[recording->n_pieces++] = piece;
	return add_shares(recording, recording->n_pieces - 1);
}

static int take_pieces(struct recording *recording, struct parts *parts)
{
	uint8_t bytes[PIECES_AT_ONCE * RECORDING_PIECE];

	for (uint32_t i = 0, n; i < parts->n_pieces; i += n) {
		n = parts->n_pieces - i < PIECES_AT_ONCE ? parts->n_pieces - i : PIECES_AT_ONCE;
		if (recfile_get(&recording->file, parts->pieces + (uint64_t)i * RECORDING_PIECE,
				bytes, (size_t)n * RECORDING_PIECE) < 0)
			return SONDE_E_BAD_FORMAT;
		for (uint32_t k = 0; k < n; k++) {
			int r = take_piece(recording, parts, bytes + (size_t)k * RECORDING_PIECE);
			if (r < 0)
				return r;
		}
	}
	return parts->data == parts->end ? 0 : SONDE_E_BAD_FORMAT;
}

/* In the order of their pieces and offsets, none over another: so they can be told in one go. */
static int take_bad(struct recording *recording, uint64_t first_piece, uint32_t n_pieces,
		    const uint8_t *at)
{
	uint32_t index = recfile_u32(at);
	struct bad bad = { recfile_u32(at + 4), recfile_u32(at + 8),
			   (int32_t)recfile_u32(at + 12) };

	if (index >= n_pieces || bad.err >= 0 || bad.err < -127)
		return SONDE_E_BAD_FORMAT;
	struct piece *piece = &recording->pieces[first_piece + index];
	if (bad.len == 0 || bad.off > piece->len || bad.len > piece->len - bad.off)
		return SONDE_E_BAD_FORMAT;
	if (piece->n_bad == 0)
		piece->first_bad = recording->n_bads;
	else if (piece->first_bad + piece->n_bad != recording->n_bads)
		return SONDE_E_BAD_FORMAT;
	const struct bad *last = piece->n_bad ? &recording->bads[recording->n_bads - 1] : NULL;
	if (last && last->off + last->len > bad.off)
		return SONDE_E_BAD_FORMAT;
	int r = GROW(recording, bads, 1);
	if (r < 0)
		return r;
	recording->bads[recording->n_bads++] = bad;
	piece->n_bad++;
	return 0;
}

static int take_bads(struct recording *recording, const struct parts *parts)
{
	uint8_t bytes[PIECES_AT_ONCE * RECORDING_STRETCH];
	uint64_t first_piece = recording->n_pieces - parts->n_pieces;

	for (uint32_t i = 0, n; i < parts->n_bads; i += n) {
		n = parts->n_bads - i < PIECES_AT_ONCE ? parts->n_bads - i : PIECES_AT_ONCE;
		if (recfile_get(&recording->file, parts->bads + (uint64_t)i * RECORDING_STRETCH,
				bytes, (size_t)n * RECORDING_STRETCH) < 0)
			return SONDE_E_BAD_FORMAT;
		for (uint32_t k = 0; k < n; k++) {
			int r = take_bad(recording, first_piece, parts->n_pieces,
					 bytes + (size_t)k * RECORDING_STRETCH);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int take_read(struct recording *recording, const struct recfile_record *record)
{
	struct parts parts;
	int r = find_parts(recording, record, &parts);

	if (r == 0)
		r = take_pieces(recording, &parts);
	return r < 0 ? r : take_bads(recording, &parts);
}

/* ---- what else was asked ------------------------------------------------------------------------------ */

static int take_target(struct recording *recording, const struct recfile_record *record)
{
	uint8_t head[RECORDING_TARGET_HEAD];
	uint32_t len;

	if (record->len < sizeof(head) ||
	    recfile_get(&recording->file, record->off, head, sizeof(head)) < 0)
		return SONDE_E_BAD_FORMAT;
	len = recfile_u32(head + 12);
	if (len != record->len - sizeof(head))
		return SONDE_E_BAD_FORMAT;
	len = len < sizeof(recording->detail) ? len : (uint32_t)sizeof(recording->detail) - 1;
	if (recfile_get(&recording->file, record->off + sizeof(head), recording->detail, len) < 0)
		return SONDE_E_BAD_FORMAT;
	recording->detail[len] = '\0';
	recording->info.arch = recfile_u32(head);
	recording->info.flags =
		recfile_u32(head + 4) & ~(uint32_t)(SONDE_TARGET_WRITABLE | SONDE_TARGET_HOST);
	recording->info.n_cpus = recfile_u32(head + 8);
	return recording->info.n_cpus <= RECORDING_CPUS_MAX ? 0 : SONDE_E_BAD_FORMAT;
}

static size_t head_len(uint32_t type)
{
	return type == RECORDING_REGIONS ? RECORDING_REGIONS_HEAD
	       : type == RECORDING_CPU   ? RECORDING_CPU_LEN
					 : RECORDING_NOTE_HEAD;
}

static int take_answer(struct recording *recording, const struct recfile_record *record)
{
	struct answer answer = { record->off, record->len, record->type, 0 };
	uint8_t key[4];

	if (record->len < head_len(record->type))
		return SONDE_E_BAD_FORMAT;
	if (record->type == RECORDING_CPU) {
		if (recfile_get(&recording->file, record->off, key, sizeof(key)) < 0)
			return SONDE_E_BAD_FORMAT;
		answer.key = recfile_u32(key);
	}
	int r = GROW(recording, answers, 1);
	if (r == 0)
		recording->answers[recording->n_answers++] = answer;
	return r;
}

static int take(struct recording *recording, const struct recfile_record *record)
{
	switch (record->type) {
	case RECORDING_TARGET:
		return take_target(recording, record);
	case RECORDING_REGIONS:
	case RECORDING_CPU:
	case RECORDING_NOTE:
		return take_answer(recording, record);
	case RECORDING_READ:
		return take_read(recording, record);
	default:
		return 0;
	}
}

/* ---- the index ------------------------------------------------------------------------------------------ */

static int order_pieces(const void *a, const void *b, void *user)
{
	uint64_t i = *(const uint64_t *)a, k = *(const uint64_t *)b;
	const struct piece *x = &((const struct piece *)user)[i],
			   *y = &((const struct piece *)user)[k];

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return i < k ? -1 : i > k;
}

static int order_shares(const void *a, const void *b)
{
	const struct share *x = a, *y = b;

	if (x->page != y->page)
		return x->page < y->page ? -1 : 1;
	return x->piece < y->piece ? -1 : x->piece > y->piece;
}

static int make_index(struct recording *recording)
{
	size_t n = recording->n_pieces;

	recording->by_addr = calloc(n + 1, sizeof(*recording->by_addr));
	if (!recording->by_addr)
		return SONDE_E_NO_MEMORY;
	for (size_t i = 0; i < n; i++)
		recording->by_addr[i] = i;
	if (n)
		qsort_r(recording->by_addr, n, sizeof(*recording->by_addr), order_pieces,
			recording->pieces);
	if (recording->n_shares)
		qsort(recording->shares, recording->n_shares, sizeof(*recording->shares),
		      order_shares);
	return 0;
}

int recording_read(struct recording *ret, uint64_t *ret_off)
{
	struct recfile_record record;
	int next, r = 0;

	ret->info.detail = ret->detail;
	while (r == 0 && (next = recfile_next(&ret->file, &record)) == 1)
		r = take(ret, &record);
	if (r == SONDE_E_BAD_FORMAT)
		*ret_off = record.off;
	ret->damaged = r == 0 && ret->file.at < ret->file.size;
	return r < 0 ? r : make_index(ret);
}

void recording_finish(struct recording *recording)
{
	recfile_reader_close(&recording->file);
	free(recording->pieces);
	free(recording->by_addr);
	free(recording->bads);
	free(recording->shares);
	free(recording->answers);
}
