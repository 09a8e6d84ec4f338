/* SPDX-License-Identifier: MIT */
/* Plans and rows: which bytes of a structure, and where they are kept once read. */
#include "linux/rows.h"

#include <sonde/types.h>
#include <stdlib.h>

static uint32_t end_of(const struct plan *plan, uint32_t i)
{
	return plan->piece[i].off + plan->piece[i].len;
}

static void grow(struct plan *plan, uint32_t i, struct field field)
{
	uint32_t end = end_of(plan, i), field_end = field.off + field.size;
	uint32_t off = field.off < plan->piece[i].off ? field.off : plan->piece[i].off;

	plan->piece[i].off = off;
	plan->piece[i].len = (field_end > end ? field_end : end) - off;
}

/* The piece whose growth over field costs least. */
static uint32_t nearest(const struct plan *plan, struct field field, uint32_t *ret_gap)
{
	uint32_t best = 0, gap = UINT32_MAX;

	for (uint32_t i = 0; i < plan->n; i++) {
		uint32_t off = plan->piece[i].off, end = end_of(plan, i);
		uint32_t d = field.off > end                ? field.off - end
			     : field.off + field.size < off ? off - field.off - field.size
							    : 0;
		if (d < gap) {
			gap = d;
			best = i;
		}
	}
	*ret_gap = gap;
	return best;
}

void plan_add(struct plan *plan, struct field field)
{
	uint32_t gap, i;

	if (!has(field))
		return;
	i = nearest(plan, field, &gap);
	if (plan->n && (gap <= PLAN_GAP || plan->n == PLAN_PIECES_MAX)) {
		grow(plan, i, field);
		return;
	}
	plan->piece[plan->n].off = field.off;
	plan->piece[plan->n].len = field.size;
	plan->n++;
}

int rows_init(struct rows *rows, struct plan *plan, size_t n)
{
	size_t bytes, errs;

	plan->size = 0;
	for (uint32_t i = 0; i < plan->n; i++) {
		plan->piece[i].at = plan->size;
		plan->size += plan->piece[i].len;
	}
	*rows = (struct rows){ .plan = plan, .n = n };
	if (__builtin_mul_overflow(n, (size_t)plan->size, &bytes) ||
	    __builtin_mul_overflow(n, (size_t)plan->n, &errs) || bytes > ROWS_BYTES_MAX)
		return SONDE_E_LIMIT;
	rows->bytes = malloc(bytes + 1);
	rows->err = malloc((errs + 1) * sizeof(*rows->err));
	if (!rows->bytes || !rows->err) {
		rows_finish(rows);
		return SONDE_E_NO_MEMORY;
	}
	for (size_t i = 0; i < errs; i++)
		rows->err[i] = SONDE_E_NOT_FOUND;
	return SONDE_OK;
}

void rows_finish(struct rows *rows)
{
	free(rows->bytes);
	free(rows->err);
	*rows = (struct rows){ 0 };
}

int rows_want(struct rows *rows, size_t i, uint64_t addr, struct sonde_space *space,
	      struct sonde_batch *batch)
{
	const struct plan *plan = rows->plan;
	int32_t *err = &rows->err[i * plan->n];

	for (uint32_t p = 0; p < plan->n; p++) {
		uint64_t at = addr + plan->piece[p].off;
		err[p] = SONDE_E_NOT_MAPPED;
		if (!addr || at < addr)
			continue;
		int r = sonde_batch_add(batch, space, at,
					rows->bytes + i * plan->size + plan->piece[p].at,
					plan->piece[p].len, &err[p]);
		if (r < 0)
			return r;
	}
	return SONDE_OK;
}

const uint8_t *rows_bytes(const struct rows *rows, size_t i, struct field field, int32_t *ret_err)
{
	const struct plan *plan = rows->plan;

	for (uint32_t p = 0; p < plan->n && has(field); p++) {
		if (field.off < plan->piece[p].off || field.off + field.size > end_of(plan, p))
			continue;
		*ret_err = rows->err[i * plan->n + p];
		if (*ret_err)
			return NULL;
		return rows->bytes + i * plan->size + plan->piece[p].at +
		       (field.off - plan->piece[p].off);
	}
	*ret_err = SONDE_E_NO_TYPES;
	return NULL;
}

int rows_u64(const struct rows *rows, size_t i, struct field field, uint64_t *ret)
{
	int32_t err;
	const uint8_t *bytes = rows_bytes(rows, i, field, &err);

	if (!bytes)
		return err;
	switch (field.size) {
	case 1:
		*ret = *bytes;
		return SONDE_OK;
	case 2:
		*ret = sonde_le16(bytes);
		return SONDE_OK;
	case 4:
		*ret = sonde_le32(bytes);
		return SONDE_OK;
	case 8:
		*ret = sonde_le64(bytes);
		return SONDE_OK;
	default:
		return SONDE_E_NO_TYPES;
	}
}
