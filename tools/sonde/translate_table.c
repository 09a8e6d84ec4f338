/* SPDX-License-Identifier: MIT */
/* sonde translate --table: a row an entry of each walk. */
#include "addresses.h"
#include "entry_text.h"
#include "page_text.h"
#include "session.h"
#include "table.h"
#include "translate.h"

enum { VA, PID, LEVEL, NAME, ENTRY_ADDR, ENTRY, BITS, KIND, N_COLUMNS };

static const struct column columns[N_COLUMNS] = {
	[VA] = { "va", "VIRTUAL", COLUMN_TEXT },
	[PID] = { "pid", "PID", 0 },
	[LEVEL] = { "level", "LEVEL", COLUMN_TEXT | COLUMN_RIGHT },
	[NAME] = { "name", "NAME", COLUMN_TEXT },
	[ENTRY_ADDR] = { "entry_addr", "AT", COLUMN_TEXT },
	[ENTRY] = { "entry", "ENTRY", COLUMN_TEXT },
	[BITS] = { "bits", "BITS", COLUMN_TEXT },
	[KIND] = { "kind", "KIND", COLUMN_TEXT },
};

struct listing {
	struct table table;
	uint32_t n_levels, arch;
};

static void put_entry(const struct ctx *ctx, struct listing *l, uint64_t va,
		      const struct sonde_translation *tr, uint32_t i)
{
	struct table *t = &l->table;
	uint32_t level = l->n_levels - 1 - i;
	char text[ENTRY_BITS_MAX];

	table_addr(t, va);
	page_pid_cell(t, (int32_t)ctx->opts.pid);
	table_u64(t, level + 1);
	table_str(t, entry_level_text(level, l->n_levels));
	table_addr(t, tr->entry_pa[i]);
	table_addr(t, tr->entry[i]);
	entry_bits_text(text, l->arch, tr->entry[i], level);
	table_str(t, text);
	table_str(t, i + 1 == tr->levels ? sonde_entry_kind_text(tr->kind) : "table");
	table_row(t);
}

static int one(struct ctx *ctx, uint64_t va, void *user)
{
	struct sonde_translation tr = { 0 };
	struct sonde_error err = { 0 };
	struct listing *l = user;

	int r = sonde_os_translate(ctx->os, (int32_t)ctx->opts.pid, va, &tr, &err);
	for (uint32_t i = 0; i < tr.levels && i < 5 && i < l->n_levels; i++)
		put_entry(ctx, l, va, &tr, i);
	return r < 0 ? fail(ctx, EXIT_FAILED, "%s", err.text) : 0;
}

int translate_table(struct ctx *ctx)
{
	struct sonde_kernel kernel;
	struct listing l = { 0 };

	int code = table_init(&l.table, ctx, columns, N_COLUMNS);
	if (code != 0 || (code = session_start(ctx)) != 0)
		return code;
	sonde_os_kernel(ctx->os, &kernel);
	l.n_levels = kernel.page_levels;
	l.arch = kernel.arch;
	code = addresses_each(ctx, one, &l);
	table_finish(&l.table);
	return code;
}
