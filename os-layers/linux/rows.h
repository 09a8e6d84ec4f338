/* SPDX-License-Identifier: MIT */
/*
 * Reading structures of the kernel, many at a time: a plan says which members of one type
 * are wanted and merges near ones into few pieces; rows are n structures read by a plan, in one
 * trip together with whatever else is in the same batch.
 *
 *	struct plan plan = { 0 };
 *	plan_add(&plan, l->task_pid); plan_add(&plan, l->task_comm);
 *	struct rows rows; rows_init(&rows, &plan, n);            SONDE_E_NO_MEMORY, _LIMIT
 *	for (i...) rows_want(&rows, i, addr[i], kernel, batch);
 *	sonde_batch_run(batch);
 *	err = rows_u64(&rows, i, l->task_pid, &pid);
 *	rows_finish(&rows);
 */
#ifndef SONDE_LINUX_ROWS_H
#define SONDE_LINUX_ROWS_H

#include <sonde/batch.h>
#include <sonde/error.h>

#include "linux/layout.h"

#define PLAN_PIECES_MAX 16u
#define ROWS_BYTES_MAX (UINT32_C(1) << 30)
#define PLAN_GAP 192u /* members closer than this travel together */

struct plan {
	struct {
		uint32_t off, len; /* of the structure            */
		uint32_t at;       /* in the row                  */
	} piece[PLAN_PIECES_MAX];
	uint32_t n;
	uint32_t size; /* bytes of a row; set by rows_init */
};

/* Absent fields are ignored. Only before rows_init. */
void plan_add(struct plan *plan, struct field field);

struct rows {
	const struct plan *plan;
	size_t n;
	uint8_t *bytes; /* [n * plan->size]             */
	int32_t *err;   /* [n * plan->n], one a piece; NOT_FOUND until wanted */
};

/* Returns 0; SONDE_E_NO_MEMORY; SONDE_E_LIMIT: more than ROWS_BYTES_MAX, as types that lie may ask for. */
int rows_init(struct rows *rows, struct plan *plan, size_t n);
void rows_finish(struct rows *rows);

/* Ask for structure i at addr in space. An addr of 0 fails it at once with SONDE_E_NOT_MAPPED. */
int rows_want(struct rows *rows, size_t i, uint64_t addr, struct sonde_space *space,
	      struct sonde_batch *batch);

/*
 * A member of row i: its bytes (field.size of them), NULL with *ret_err set where it could not be read or this
 * kernel has none (SONDE_E_NO_TYPES).
 */
const uint8_t *rows_bytes(const struct rows *rows, size_t i, struct field field, int32_t *ret_err);
/* A member of 1, 2, 4 or 8 bytes. Returns 0 or its error; *ret is written only on success. */
int rows_u64(const struct rows *rows, size_t i, struct field field, uint64_t *ret);

#endif
