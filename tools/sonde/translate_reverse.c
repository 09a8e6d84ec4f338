/* SPDX-License-Identifier: MIT */
/* sonde translate --reverse: which virtual addresses lead to physical ones. */
#include "addresses.h"
#include "page_text.h"
#include "session.h"
#include "table.h"
#include "translate.h"

#include <stdlib.h>

enum { PA, PID, VA, PAGES, PAGE_SIZE, PERMS, ATTRS, N_COLUMNS };

static const struct column columns[N_COLUMNS] = {
	[PA] = { "pa", "PHYSICAL", COLUMN_TEXT },
	[PID] = { "pid", "PID", COLUMN_TEXT | COLUMN_RIGHT },
	[VA] = { "va", "VIRTUAL", COLUMN_TEXT },
	[PAGES] = { "pages", "PAGES", COLUMN_TEXT | COLUMN_RIGHT },
	[PAGE_SIZE] = { "page_size", "PAGE", COLUMN_TEXT | COLUMN_RIGHT },
	[PERMS] = { "perms", "PERM", COLUMN_TEXT },
	[ATTRS] = { "attrs", "MARKS", COLUMN_TEXT },
};

struct listing {
	struct table table;
	int32_t pid; /* 0: all */
	bool some;
	uint64_t *pas; /* [n] */
	size_t n, room;
};

static int collect(struct ctx *ctx, uint64_t pa, void *user)
{
	struct listing *l = user;

	if (l->n == l->room) {
		l->room = l->room ? 2 * l->room : 16;
		l->pas = grow(l->pas, l->room, sizeof(*l->pas));
	}
	l->pas[l->n++] = pa;
	(void)ctx;
	return 0;
}

static int put(void *user, const struct sonde_reverse *at)
{
	struct listing *l = user;
	struct table *t = &l->table;

	if (l->pid && l->pid != at->pid)
		return 0;
	table_addr(t, at->pa);
	page_pid_cell(t, at->pid);
	table_addr(t, at->va);
	table_u64(t, at->n_pages);
	page_cells(t, at->page_size, at->flags);
	table_row(t);
	l->some = true;
	return 0;
}

static int look(struct ctx *ctx, struct listing *l)
{
	struct sonde_error err = { 0 };

	int r = sonde_os_reverse(ctx->os, l->pas, l->n, put, l, &err);
	if (r < 0 && !l->some)
		return fail(ctx, EXIT_FAILED, "%s", err.text);
	table_finish(&l->table);
	if (r < 0)
		return fail(ctx, EXIT_PARTIAL, "%s", err.text);
	return l->some ? 0 : fail(ctx, EXIT_FAILED, "no page table leads there");
}

int translate_reverse(struct ctx *ctx)
{
	struct listing l = { .pid = (int32_t)ctx->opts.pid };

	int code = table_init(&l.table, ctx, columns, N_COLUMNS);
	if (code != 0 || (code = session_start(ctx)) != 0)
		return code;
	code = addresses_each(ctx, collect, &l);
	if (code == 0)
		code = look(ctx, &l);
	free(l.pas);
	return code;
}
