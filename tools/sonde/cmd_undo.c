/* SPDX-License-Identifier: MIT */
/*
 * sonde undo: take back what a journal says was written, last write first. Bytes go back only where what was
 * written is still there. Without --write it is rehearsed on an overlay, so that writes over writes show what they would.
 */
#include "journal.h"
#include "outcome.h"
#include "process.h"
#include "reader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	WORD = 8
}; /* what a target is likely to write at once: one that changed in part is left as it is */

struct undo {
	struct ctx *ctx;
	struct journal journal;
	struct outcome outcome;
	struct place place; /* of the last write looked at; space NULL: none yet */
	struct chunk now;   /* what stands there                                 */
	uint8_t *old, *new; /* [JOURNAL_BYTES_MAX] of the write, from the journal */
	uint8_t *kind;      /* [JOURNAL_BYTES_MAX] enum outcome_kind of each byte */
	uint32_t off;       /* of the range that is being restored               */
	bool all_well;      /* of the write, so far                              */
};

static void undo_finish(struct undo *u)
{
	journal_close(&u->journal);
	chunk_finish(&u->now);
	free(u->old);
	free(u->new);
	free(u->kind);
}

/* ---- what to do with each byte ------------------------------------------------------------------ */

/* Bytes [off, end) lie in one word. */
static enum outcome_kind word_kind(const struct undo *u, uint32_t off, uint32_t end)
{
	enum outcome_kind kind = OUTCOME_ALREADY;

	for (uint32_t i = off; i < end; i++) {
		if (u->now.err[i] || u->now.bytes[i] == u->old[i])
			continue;
		if (u->now.bytes[i] != u->new[i] && !u->ctx->opts.force)
			return OUTCOME_CONFLICT;
		kind = OUTCOME_RESTORED;
	}
	return kind;
}

static void classify(struct undo *u, uint32_t len)
{
	for (uint32_t off = 0, end; off < len; off = end) {
		end = off + WORD - (uint32_t)((u->now.addr + off) % WORD);
		end = end < len ? end : len;
		enum outcome_kind kind = word_kind(u, off, end);
		for (uint32_t i = off; i < end; i++)
			u->kind[i] = (uint8_t)(u->now.err[i] ? OUTCOME_FAILED : kind);
	}
}

static uint32_t run_end(const struct undo *u, uint32_t off, uint32_t len)
{
	uint32_t end = off + 1;

	while (end < len && u->kind[end] == u->kind[off] && u->now.err[end] == u->now.err[off])
		end++;
	return end;
}

/* ---- one write ---------------------------------------------------------------------------------- */

static void told(void *user, const struct sonde_written *w)
{
	struct undo *u = user;
	uint64_t base = u->now.addr + u->off;
	bool done = w->result == SONDE_WRITE_DONE;

	u->all_well &= done;
	if (!done || !u->ctx->rehearses) {
		outcome_written(&u->outcome, base, u->old + u->off, w, OUTCOME_RESTORED);
		return;
	}
	struct outcome_range range = {
		.addr = base + w->off,
		.len = w->len,
		.kind = OUTCOME_WOULD_RESTORE,
		.wanted = u->old + u->off + w->off,
		.got = u->now.bytes + u->off + w->off,
	};
	outcome_add(&u->outcome, &range);
}

static int restore(struct undo *u, uint32_t off, uint32_t len)
{
	struct sonde_xfer x = { .addr = u->now.addr + off, .buf = u->old + off, .len = len };

	u->off = off;
	return sonde_space_write_verified(u->place.space, &x, 1, 0, told, u);
}

static int undo_run(struct undo *u, uint32_t off, uint32_t end)
{
	enum outcome_kind kind = u->kind[off];
	struct outcome_range range = {
		.addr = u->now.addr + off,
		.len = end - off,
		.kind = kind,
		.err = u->now.err[off],
		.wanted = kind == OUTCOME_CONFLICT ? u->old + off : NULL,
		.got = kind == OUTCOME_CONFLICT ? u->now.bytes + off : NULL,
	};

	if (kind == OUTCOME_RESTORED)
		return restore(u, off, end - off);
	u->all_well &= kind == OUTCOME_ALREADY;
	outcome_add(&u->outcome, &range);
	return 0;
}

static void whole_write(struct undo *u, const struct journal_write *w, enum outcome_kind kind,
			int32_t err)
{
	struct outcome_range range = { .addr = w->addr, .len = w->len, .kind = kind, .err = err };
	struct place place = { .pid = w->pid, .name = "memory" };

	outcome_place(&u->outcome, &place);
	outcome_add(&u->outcome, &range);
}

/* The space of a write. Returns 0, or an exit code having told why there is none. */
static int enter_place(struct undo *u, const struct journal_write *w)
{
	int code = 0;

	if (!u->place.space || u->place.pid != w->pid)
		code = session_place_of(u->ctx, w->pid, &u->place);
	if (code != 0)
		u->place.space = NULL;
	return code;
}

static int undo_bytes(struct undo *u, const struct journal_write *w)
{
	int r = chunk_read(u->ctx, u->place.space, w->addr, w->len, &u->now);

	classify(u, w->len);
	for (uint32_t off = 0, end; r >= 0 && off < w->len; off = end) {
		end = run_end(u, off, w->len);
		r = undo_run(u, off, end);
	}
	return r;
}

/* Returns 0, or an exit code where nothing further can be done. */
static int undo_write(struct undo *u, struct journal_write *w)
{
	struct sonde_error err = { 0 };

	if (w->undone) {
		whole_write(u, w, OUTCOME_ALREADY, 0);
		return 0;
	}
	if (journal_bytes(&u->journal, w, u->old, u->new) < 0)
		return fail(u->ctx, EXIT_FAILED, "the journal shrinks while it is read");
	if (enter_place(u, w) != 0) {
		whole_write(u, w, OUTCOME_FAILED, SONDE_E_NOT_FOUND);
		return 0;
	}
	outcome_place(&u->outcome, &u->place);
	u->all_well = true;
	int r = undo_bytes(u, w);
	if (r < 0)
		return fail(u->ctx, EXIT_FAILED, "%s 0x%" PRIx64 ": %s", u->place.name, w->addr,
			    sonde_strerror(r));
	if (u->all_well && !u->ctx->rehearses && journal_undone(&u->journal, w, &err) < 0)
		return fail(u->ctx, EXIT_FAILED, "%s", err.text);
	return 0;
}

/* ---- all of them -------------------------------------------------------------------------------- */

static int undo_all(struct undo *u)
{
	int code = outcome_begin(&u->outcome, u->ctx);

	if (code != 0)
		return code;
	for (size_t i = u->journal.n; code == 0 && i-- > 0;)
		code = undo_write(u, &u->journal.writes[i]);
	int all = outcome_end(&u->outcome);
	if (code != 0)
		return code;
	if (all == EXIT_SHOWN_ONLY)
		complain(u->ctx, "nothing was restored: --write does it");
	return all;
}

static int check_target(struct undo *u)
{
	const struct journal *journal = &u->journal;
	char identity[JOURNAL_TEXT_MAX];

	session_identity(u->ctx, identity, sizeof(identity));
	if (journal_is_of(journal, identity) || u->ctx->opts.force)
		return 0;
	return fail(u->ctx, EXIT_FAILED,
		    "the journal is of another target, '%s': %s; this is: %s; --force takes it for "
		    "the same",
		    journal->target, journal->identity, identity);
}

/* What a journal that is not whole means for who relies on it. */
static int tell_end(struct ctx *ctx, const struct journal *journal)
{
	if (journal->end == JOURNAL_DAMAGED)
		return fail(ctx, EXIT_PARTIAL,
			    "'%s' is damaged behind its first %zu writes: what else was written is "
			    "not known",
			    ctx->opts.journal, journal->n);
	if (journal->end == JOURNAL_TORN && ctx->opts.verbose)
		complain(ctx,
			 "'%s' ends in a record that was never finished, and its bytes were never "
			 "written",
			 ctx->opts.journal);
	return 0;
}

/* ---- --list ------------------------------------------------------------------------------------- */

enum { INDEX, TIME, SPACE, PID, ADDR, LEN, UNDONE, OLD, NEW, N_COLUMNS };

static const struct column columns[N_COLUMNS] = {
	[INDEX] = { "index", "Write", COLUMN_TEXT | COLUMN_RIGHT },
	[TIME] = { "time", "Time", COLUMN_TEXT },
	[SPACE] = { "space", "Space", COLUMN_TEXT },
	[PID] = { "pid", "Pid", COLUMN_TEXT | COLUMN_RIGHT },
	[ADDR] = { "addr", "Address", COLUMN_TEXT },
	[LEN] = { "len", "Bytes", COLUMN_TEXT | COLUMN_RIGHT },
	[UNDONE] = { "undone", "Undone", COLUMN_TEXT },
	[OLD] = { "old", "Old", COLUMN_TEXT },
	[NEW] = { "new", "New", COLUMN_TEXT },
};

static void put_write(struct table *t, size_t index, const struct journal_write *w,
		      const uint8_t *old, const uint8_t *new)
{
	struct place place = { .pid = w->pid };
	size_t shown = w->len < OUTCOME_SHOWN ? w->len : OUTCOME_SHOWN;
	char time[32];

	time_text(time, w->time_ns);
	table_u64(t, index);
	table_str(t, time);
	table_str(t, place_space(&place));
	if (w->pid > 0)
		table_i64(t, w->pid);
	else
		table_null(t);
	table_addr(t, w->addr);
	table_u64(t, w->len);
	table_bool(t, w->undone);
	table_hex(t, old, shown);
	table_hex(t, new, shown);
	table_row(t);
}

static int list(struct undo *u)
{
	struct table t;
	int code = table_init(&t, u->ctx, columns, N_COLUMNS);

	if (code != 0)
		return code;
	for (size_t i = 0; code == 0 && i < u->journal.n; i++) {
		const struct journal_write *w = &u->journal.writes[i];
		if (journal_bytes(&u->journal, w, u->old, u->new) < 0)
			code = fail(u->ctx, EXIT_FAILED, "the journal shrinks while it is read");
		else
			put_write(&t, i, w, u->old, u->new);
	}
	table_finish(&t);
	return code;
}

/* ---- the command -------------------------------------------------------------------------------- */

static int options_agree(struct ctx *ctx)
{
	const struct opts *opts = &ctx->opts;

	if (!opts->journal)
		return usage(ctx, "--journal FILE is needed: what was written stands there");
	if (opts->overlay)
		return usage(ctx,
			     "--overlay: what was written there is undone by removing its file");
	if (!opts->list && ctx->n_args == 0)
		return usage(ctx, "too few arguments: TARGET");
	return 0;
}

static int undo_target(struct undo *u)
{
	u->ctx->rehearses = !u->ctx->opts.write;
	int code = session_open(u->ctx);
	if (code == 0)
		code = check_target(u);
	return code == 0 ? undo_all(u) : code;
}

static int open_journal(struct undo *u)
{
	const struct opts *opts = &u->ctx->opts;
	enum journal_mode mode = opts->write && !opts->list ? JOURNAL_UNDO : JOURNAL_READ;
	struct sonde_error err = { 0 };

	if (journal_open(&u->journal, opts->journal, mode, "", "", &err) < 0)
		return fail(u->ctx, EXIT_FAILED, "%s", err.text);
	return 0;
}

static int run(struct ctx *ctx)
{
	struct undo u = { .ctx = ctx };
	int code = options_agree(ctx);

	if (code != 0)
		return code;
	chunk_init(&u.now);
	u.old = grow(NULL, JOURNAL_BYTES_MAX, 1);
	u.new = grow(NULL, JOURNAL_BYTES_MAX, 1);
	u.kind = grow(NULL, JOURNAL_BYTES_MAX, 1);
	code = open_journal(&u);
	int end = code == 0 ? tell_end(ctx, &u.journal) : 0;
	if (code == 0)
		code = ctx->opts.list ? list(&u) : undo_target(&u);
	undo_finish(&u);
	return code == 0 ? end : code;
}

const struct cmd cmd_undo = {
	.name = "undo",
	.args = "TARGET",
	.summary = "take back what was written, by its journal",
	.help = "Restore what 'sonde write --journal' has overwritten, last write first, and only "
		"where\n"
		"what was written is still there. Without --write show what would be restored, "
		"exit\n"
		"code 6. It may be repeated: what is undone stays so.\n"
		"With --list the writes in the journal are rows, and no TARGET is needed:\n"
		"index time space pid addr len undone old new.\n"
		"Fields: space pid addr len result written error_addr error wanted got.\n",
	.example = "sonde undo qemu:vm1 --journal vm1.journal --write",
	.options = OPT_BIT(FIELDS) | OPT_BIT(WRITE) | OPT_BIT(JOURNAL) | OPT_BIT(FORCE) |
		   OPT_BIT(LIST),
	.min_args = 0,
	.max_args = 1,
	.run = run,
};
