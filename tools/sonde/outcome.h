/* SPDX-License-Identifier: MIT */
/*
 * What became of the bytes that a command was to change, range by range: as rows, as lines on stderr for those that
 * did not go well, and as an exit code. Ranges come lowest first within a write; neighbours that fared alike are one row.
 */
#ifndef SONDE_TOOL_OUTCOME_H
#define SONDE_TOOL_OUTCOME_H

#include "session.h"
#include "table.h"

enum outcome_kind {
	OUTCOME_WRITTEN,
	OUTCOME_UNVERIFIED,   /* written, and not read again     */
	OUTCOME_RESTORED,     /* written, by undo                */
	OUTCOME_ALREADY,      /* undo: stands there already      */
	OUTCOME_UNCHANGED,    /* what is to be written is there  */
	OUTCOME_WOULD_CHANGE, /* only shown                      */
	OUTCOME_WOULD_RESTORE,
	OUTCOME_DIFFERS,  /* written, and other bytes are there  */
	OUTCOME_UNREAD,   /* written, and cannot be read again   */
	OUTCOME_FAILED,   /* not written                         */
	OUTCOME_CONFLICT, /* undo: neither the old nor the new bytes are there */
	OUTCOME_N,
};

/* How many bytes of wanted and got are shown. */
enum { OUTCOME_SHOWN = 64 };

struct outcome_range {
	uint64_t addr, len;
	enum outcome_kind kind;
	int32_t err;           /* FAILED, UNREAD: enum sonde_err                   */
	const uint8_t *wanted; /* [len] and what stands there, both or neither     */
	const uint8_t *got;
};

struct outcome {
	struct ctx *ctx;
	struct table table;
	struct place place; /* of the ranges that follow                   */
	struct outcome_range range;
	uint8_t wanted[OUTCOME_SHOWN],
		got[OUTCOME_SHOWN]; /* of range, which waits for its neighbours */
	uint64_t bytes[OUTCOME_N];  /* of each kind                             */
	uint32_t n_told;            /* lines on stderr                          */
};

/* Returns 0 or an exit code. */
int outcome_begin(struct outcome *o, struct ctx *ctx);
/* The space of the ranges that follow. */
void outcome_place(struct outcome *o, const struct place *place);
void outcome_add(struct outcome *o, const struct outcome_range *range);
/* All that sonde_space_write_verified says of a piece at base; done: what OK is called. */
void outcome_written(struct outcome *o, uint64_t base, const uint8_t *bytes,
		     const struct sonde_written *w, enum outcome_kind done);
/* Print what waits. Returns the exit code that follows from all ranges. */
int outcome_end(struct outcome *o);

/* "memory", "kernel" or "process": what the field space holds. */
const char *place_space(const struct place *place);

extern const struct column outcome_columns[];

#endif
