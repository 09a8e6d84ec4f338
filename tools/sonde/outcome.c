/* SPDX-License-Identifier: MIT */
/* Ranges of bytes that were to change, told; see outcome.h. */
#include "outcome.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SPACE, PID, ADDR, LEN, RESULT, WRITTEN, ERROR_ADDR, ERROR, WANTED, GOT, N_COLUMNS };

enum { TOLD_MAX = 16 }; /* lines on stderr; the rows have all of them */

const struct column outcome_columns[N_COLUMNS] = {
	[SPACE] = { "space", "Space", 0 },
	[PID] = { "pid", "Pid", 0 },
	[ADDR] = { "addr", "Address", COLUMN_TEXT },
	[LEN] = { "len", "Bytes", COLUMN_TEXT | COLUMN_RIGHT },
	[RESULT] = { "result", "Result", COLUMN_TEXT },
	[WRITTEN] = { "written", "Written", 0 },
	[ERROR_ADDR] = { "error_addr", "Failed at", 0 },
	[ERROR] = { "error", "Because", COLUMN_TEXT },
	[WANTED] = { "wanted", "Wanted", COLUMN_TEXT },
	[GOT] = { "got", "There", COLUMN_TEXT },
};

enum weight { WELL, SHOWN_ONLY, BADLY };

static const struct {
	const char *text;
	enum weight weight;
	bool written;
} kinds[OUTCOME_N] = {
	[OUTCOME_WRITTEN] = { "written", WELL, true },
	[OUTCOME_UNVERIFIED] = { "unverified", WELL, true },
	[OUTCOME_RESTORED] = { "restored", WELL, true },
	[OUTCOME_ALREADY] = { "already", WELL, false },
	[OUTCOME_UNCHANGED] = { "unchanged", WELL, false },
	[OUTCOME_WOULD_CHANGE] = { "would-change", SHOWN_ONLY, false },
	[OUTCOME_WOULD_RESTORE] = { "would-restore", SHOWN_ONLY, false },
	[OUTCOME_DIFFERS] = { "differs", BADLY, true },
	[OUTCOME_UNREAD] = { "unread", BADLY, true },
	[OUTCOME_FAILED] = { "failed", BADLY, false },
	[OUTCOME_CONFLICT] = { "conflict", BADLY, false },
};

const char *place_space(const struct place *place)
{
	return place->pid < 0 ? "memory" : place->pid == 0 ? "kernel" : "process";
}

/* The first bytes of a range in hex; "..." behind them where there are more. */
static const char *hex_text(char text[2 * OUTCOME_SHOWN + 4], const uint8_t *bytes, uint64_t len)
{
	uint64_t shown = len < OUTCOME_SHOWN ? len : OUTCOME_SHOWN;
	int at = 0;

	for (uint64_t i = 0; i < shown; i++)
		at += sprintf(text + at, "%02x", bytes[i]);
	strcpy(text + at, shown < len ? "..." : "");
	return text;
}

static void complain_of(struct outcome *o, const struct outcome_range *r)
{
	char wanted[2 * OUTCOME_SHOWN + 4], got[2 * OUTCOME_SHOWN + 4], where[96];

	if (kinds[r->kind].weight != BADLY || o->n_told++ >= TOLD_MAX)
		return;
	snprintf(where, sizeof(where), "%s 0x%" PRIx64 "-0x%" PRIx64, o->place.name, r->addr,
		 r->addr + (r->len - 1));
	if (r->kind == OUTCOME_DIFFERS)
		complain(o->ctx,
			 "%s: wrote %s, read %s: what runs in a live target may have written there "
			 "in between",
			 where, hex_text(wanted, r->wanted, r->len), hex_text(got, r->got, r->len));
	else if (r->kind == OUTCOME_CONFLICT)
		complain(o->ctx,
			 "%s: holds %s, neither what was written nor what stood there before: left "
			 "alone (--force)",
			 where, hex_text(got, r->got, r->len));
	else
		complain(o->ctx, "%s: %s%s", where, sonde_strerror(r->err),
			 r->kind == OUTCOME_UNREAD ? "; it was written, and cannot be read again"
						   : "");
}

/* ---- rows --------------------------------------------------------------------------------------- */

static void put_hex(struct table *t, const uint8_t *bytes, uint64_t len)
{
	if (bytes)
		table_hex(t, bytes, len < OUTCOME_SHOWN ? (size_t)len : OUTCOME_SHOWN);
	else
		table_null(t);
}

static void put_row(struct outcome *o, const struct outcome_range *r)
{
	struct table *t = &o->table;
	bool bad = kinds[r->kind].weight == BADLY;

	table_str(t, place_space(&o->place));
	if (o->place.pid > 0)
		table_i64(t, o->place.pid);
	else
		table_null(t);
	table_addr(t, r->addr);
	table_u64(t, r->len);
	table_str(t, kinds[r->kind].text);
	table_u64(t, kinds[r->kind].written ? r->len : 0);
	if (bad)
		table_addr(t, r->addr);
	else
		table_null(t);
	table_str(t, r->err ? sonde_error_name(r->err) : NULL);
	put_hex(t, r->wanted, r->len);
	put_hex(t, r->got, r->len);
	table_style(t, bad ? STYLE_RED : STYLE_NONE);
	table_row(t);
}

/* ---- ranges ------------------------------------------------------------------------------------- */

static void flush(struct outcome *o)
{
	struct outcome_range *r = &o->range;

	if (r->len == 0)
		return;
	complain_of(o, r);
	put_row(o, r);
	o->bytes[r->kind] += r->len;
	*r = (struct outcome_range){ 0 };
}

static bool joins(const struct outcome_range *a, const struct outcome_range *b)
{
	return a->len && a->kind == b->kind && a->err == b->err && a->addr + a->len == b->addr &&
	       !a->wanted == !b->wanted;
}

int outcome_begin(struct outcome *o, struct ctx *ctx)
{
	*o = (struct outcome){ .ctx = ctx };
	return table_init(&o->table, ctx, outcome_columns, N_COLUMNS);
}

void outcome_place(struct outcome *o, const struct place *place)
{
	flush(o);
	o->place = *place;
}

/* The bytes are the caller's: those that will be shown are kept. */
static void keep_bytes(struct outcome *o, const struct outcome_range *range)
{
	uint64_t at = o->range.len, room = at < OUTCOME_SHOWN ? OUTCOME_SHOWN - at : 0;
	size_t n = (size_t)(range->len < room ? range->len : room);

	if (!range->wanted)
		return;
	memcpy(o->wanted + at, range->wanted, n);
	memcpy(o->got + at, range->got, n);
	o->range.wanted = o->wanted;
	o->range.got = o->got;
}

void outcome_add(struct outcome *o, const struct outcome_range *range)
{
	if (!joins(&o->range, range)) {
		flush(o);
		o->range.addr = range->addr;
		o->range.kind = range->kind;
		o->range.err = range->err;
	}
	keep_bytes(o, range);
	o->range.len += range->len;
}

void outcome_written(struct outcome *o, uint64_t base, const uint8_t *bytes,
		     const struct sonde_written *w, enum outcome_kind done)
{
	static const enum outcome_kind kind_of[] = {
		[SONDE_WRITE_REFUSED] = OUTCOME_FAILED,
		[SONDE_WRITE_DIFFERS] = OUTCOME_DIFFERS,
		[SONDE_WRITE_UNREAD] = OUTCOME_UNREAD,
	};
	struct outcome_range range = {
		.addr = base + w->off,
		.len = w->len,
		.kind = w->result == SONDE_WRITE_DONE ? done : kind_of[w->result],
		.err = w->err,
		.wanted = w->got ? bytes + w->off : NULL,
		.got = w->got,
	};

	outcome_add(o, &range);
}

int outcome_end(struct outcome *o)
{
	uint64_t sum[BADLY + 1] = { 0 }, all = 0;

	flush(o);
	table_finish(&o->table);
	for (int kind = 0; kind < OUTCOME_N; kind++) {
		sum[kinds[kind].weight] += o->bytes[kind];
		all += o->bytes[kind];
	}
	if (o->n_told > TOLD_MAX)
		complain(o->ctx, "%" PRIu32 " more ranges did not go well", o->n_told - TOLD_MAX);
	if (sum[SHOWN_ONLY])
		return EXIT_SHOWN_ONLY;
	if (!sum[BADLY])
		return EXIT_OK;
	complain(o->ctx, "%" PRIu64 " of %" PRIu64 " bytes are not as they were to be", sum[BADLY],
		 all);
	return sum[WELL] ? EXIT_PARTIAL : EXIT_FAILED;
}
