/* SPDX-License-Identifier: MIT */
/* sonde translate: from a virtual address to a physical one, each level's entry shown. */
#include "addresses.h"
#include "page_text.h"
#include "session.h"
#include "table.h"
#include "translate.h"

#include <inttypes.h>

enum {
	VA,
	PID,
	PA,
	PAGE_SIZE,
	PERMS,
	ATTRS,
	LEVELS,
	ENTRIES,
	ENTRY_ADDRS,
	KIND,
	SWAP_TYPE,
	SWAP_OFFSET,
	ERROR,
	N_COLUMNS
};

static const struct column columns[N_COLUMNS] = {
	[VA] = { "va", "Virtual", COLUMN_TEXT },
	[PID] = { "pid", "Process", COLUMN_TEXT },
	[PA] = { "pa", "Physical", COLUMN_TEXT },
	[PAGE_SIZE] = { "page_size", "Page", COLUMN_TEXT },
	[PERMS] = { "perms", "Access", COLUMN_TEXT },
	[ATTRS] = { "attrs", "Marks", COLUMN_TEXT },
	[LEVELS] = { "levels", "Levels", COLUMN_TEXT },
	[ENTRIES] = { "entries", "Entries", COLUMN_TEXT },
	[ENTRY_ADDRS] = { "entry_addrs", "At", COLUMN_TEXT },
	[KIND] = { "kind", "Kind", COLUMN_TEXT },
	[SWAP_TYPE] = { "swap_type", "Swap type", COLUMN_TEXT },
	[SWAP_OFFSET] = { "swap_offset", "Swap offset", COLUMN_TEXT },
	[ERROR] = { "error", "Error", COLUMN_TEXT },
};

struct answer {
	uint64_t va;
	int32_t pid;
	int err;
	uint32_t n_levels; /* of entry[], checked */
	struct sonde_translation tr;
};

/* Does the operating system say more of this entry? */
static bool is_noted(const struct answer *a)
{
	return a->tr.kind >= SONDE_ENTRY_SWAPPED;
}

static void put_row(struct table *t, const struct answer *a)
{
	table_addr(t, a->va);
	page_pid_cell(t, a->pid);
	if (a->err == 0) {
		if (a->tr.flags & SONDE_PAGE_UNPLACED)
			table_null(t);
		else
			table_addr(t, a->tr.pa);
		page_cells(t, a->tr.page_size, a->tr.flags);
	} else {
		table_null(t);
		table_null(t);
		table_null(t);
		table_null(t);
	}
	table_u64(t, a->n_levels);
	table_addrs(t, a->tr.entry, a->n_levels);
	table_addrs(t, a->tr.entry_pa, a->n_levels);
	table_str(t, sonde_entry_kind_text(a->tr.kind));
	if (is_noted(a)) {
		table_u64(t, a->tr.swap_type);
		table_addr(t, a->tr.swap_offset);
	} else {
		table_null(t);
		table_null(t);
	}
	table_str(t, a->err ? sonde_error_name(a->err) : NULL);
	table_row(t);
}

static void put_reason(struct ctx *ctx, const struct answer *a)
{
	out_printf(&ctx->out, "  nothing   %s", sonde_entry_kind_text(a->tr.kind));
	if (a->tr.kind == SONDE_ENTRY_SWAPPED)
		out_printf(&ctx->out, ": file %" PRIu32 ", page 0x%" PRIx64, a->tr.swap_type,
			   a->tr.swap_offset);
	else if (is_noted(a))
		out_printf(&ctx->out, ": type %" PRIu32 ", 0x%" PRIx64, a->tr.swap_type,
			   a->tr.swap_offset);
	out_printf(&ctx->out, "\n");
}

static void put_text(struct ctx *ctx, const struct answer *a, uint32_t root_level)
{
	char perms[PAGE_PERMS_MAX], size[24], attrs[PAGE_ATTRS_MAX];

	out_printf(&ctx->out, "0x%016" PRIx64 "\n", a->va);
	for (uint32_t i = 0; i < a->n_levels; i++)
		out_printf(&ctx->out, "  level %" PRIu32 "   0x%016" PRIx64 "  at 0x%" PRIx64 "\n",
			   root_level - i, a->tr.entry[i], a->tr.entry_pa[i]);
	if (a->err != 0) {
		put_reason(ctx, a);
		return;
	}
	page_perms_text(perms, a->tr.flags);
	size_text(size, a->tr.page_size);
	page_attrs_text(attrs, a->tr.flags);
	if (a->tr.flags & SONDE_PAGE_UNPLACED)
		out_printf(&ctx->out, "  physical  not told without CAP_SYS_ADMIN");
	else
		out_printf(&ctx->out, "  physical  0x%016" PRIx64, a->tr.pa);
	out_printf(&ctx->out, "  %s, page of %s%s%s\n", perms, size, attrs[0] ? ", " : "", attrs);
}

struct listing {
	struct table table;
	uint32_t n_levels;
};

static int one(struct ctx *ctx, uint64_t va, void *user)
{
	struct answer a = { .va = va, .pid = (int32_t)ctx->opts.pid };
	struct sonde_error err = { 0 };
	struct listing *l = user;

	a.err = sonde_os_translate(ctx->os, a.pid, va, &a.tr, &err);
	a.n_levels = a.tr.levels <= 5 ? a.tr.levels : 0;
	if (a.err > 0)
		a.err = 0;
	if (table_is_text(&l->table) && !ctx->opts.fields)
		put_text(ctx, &a, l->n_levels < a.n_levels ? a.n_levels : l->n_levels);
	else
		put_row(&l->table, &a);
	return a.err ? fail(ctx, EXIT_FAILED, "%s", err.text) : 0;
}

static int forward(struct ctx *ctx)
{
	struct sonde_kernel kernel;
	struct listing l;

	int code = record_init(&l.table, ctx, columns, N_COLUMNS);
	if (code != 0 || (code = session_start(ctx)) != 0)
		return code;
	sonde_os_kernel(ctx->os, &kernel);
	l.n_levels = kernel.page_levels;
	code = addresses_each(ctx, one, &l);
	table_finish(&l.table);
	return code;
}

static int run(struct ctx *ctx)
{
	if (ctx->opts.reverse && ctx->opts.table)
		return usage(ctx, "--reverse and --table exclude each other");
	if (ctx->opts.reverse)
		return translate_reverse(ctx);
	return ctx->opts.table ? translate_table(ctx) : forward(ctx);
}

const struct cmd cmd_translate = {
	.name = "translate",
	.args = "TARGET ADDR...",
	.summary = "translate virtual addresses to physical ones",
	.help = "Walk the page tables for each ADDR and show every entry on the way: the kernel's "
		"tables,\n"
		"or with --pid those of a process. ADDR is an address or a symbol, or - for lines "
		"of\n"
		"them on standard input.\n"
		"With --table each entry is a row: va pid level name entry_addr entry bits kind.\n"
		"With --reverse each ADDR is physical, and what leads to it a row: pa pid va "
		"pages\n"
		"page_size perms attrs.\n"
		"Fields: va pid pa page_size perms attrs levels entries entry_addrs kind "
		"swap_type\n"
		"swap_offset error.\n",
	.example = "sonde translate guest.elf linux_banner",
	.options = OPT_BIT(FIELDS) | OPT_BIT(PID) | OPT_BIT(REVERSE) | OPT_BIT(TABLE),
	.min_args = 2,
	.max_args = 1024,
	.run = run,
};
