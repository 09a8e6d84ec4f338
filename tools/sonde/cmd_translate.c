/* SPDX-License-Identifier: MIT */
/* sonde translate: from a virtual address to a physical one, each level's entry shown. */
#include "page_text.h"
#include "session.h"
#include "table.h"

#include <inttypes.h>

enum { VA, PID, PA, PAGE_SIZE, PERMS, ATTRS, LEVELS, ENTRIES, ENTRY_ADDRS, ERROR, N_COLUMNS };

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
	[ERROR] = { "error", "Error", COLUMN_TEXT },
};

struct answer {
	uint64_t va;
	int32_t pid;
	int err;
	uint32_t n_levels; /* of entry[], checked */
	struct sonde_translation tr;
};

static void put_row(struct table *t, const struct answer *a)
{
	char perms[PAGE_PERMS_MAX], attrs[PAGE_ATTRS_MAX];

	table_addr(t, a->va);
	if (a->pid)
		table_i64(t, a->pid);
	else
		table_null(t);
	if (a->err == 0) {
		table_addr(t, a->tr.pa);
		table_size(t, a->tr.page_size);
		page_perms_text(perms, a->tr.flags);
		table_str(t, perms);
		page_attrs_text(attrs, a->tr.flags);
		table_str(t, attrs);
	} else {
		table_null(t);
		table_null(t);
		table_null(t);
		table_null(t);
	}
	table_u64(t, a->n_levels);
	table_addrs(t, a->tr.entry, a->n_levels);
	table_addrs(t, a->tr.entry_pa, a->n_levels);
	table_str(t, a->err ? sonde_error_name(a->err) : NULL);
	table_row(t);
}

static void put_text(struct ctx *ctx, const struct answer *a, uint32_t root_level)
{
	char perms[PAGE_PERMS_MAX], size[24], attrs[PAGE_ATTRS_MAX];

	out_printf(&ctx->out, "0x%016" PRIx64 "\n", a->va);
	for (uint32_t i = 0; i < a->n_levels; i++)
		out_printf(&ctx->out, "  level %" PRIu32 "   0x%016" PRIx64 "  at 0x%" PRIx64 "\n",
			   root_level - i, a->tr.entry[i], a->tr.entry_pa[i]);
	if (a->err != 0) {
		out_printf(&ctx->out, "  nothing   %s\n", sonde_strerror(a->err));
		return;
	}
	page_perms_text(perms, a->tr.flags);
	size_text(size, a->tr.page_size);
	page_attrs_text(attrs, a->tr.flags);
	out_printf(&ctx->out, "  physical  0x%016" PRIx64 "  %s, page of %s%s%s\n", a->tr.pa, perms,
		   size, attrs[0] ? ", " : "", attrs);
}

static int one(struct ctx *ctx, struct table *t, const char *text, uint32_t root_level)
{
	struct answer a = { .pid = (int32_t)ctx->opts.pid };
	struct sonde_error err = { 0 };

	int code = session_address(ctx, text, &a.va);
	if (code != 0)
		return code;
	a.err = sonde_os_translate(ctx->os, a.pid, a.va, &a.tr, &err);
	a.n_levels = a.tr.levels <= 5 ? a.tr.levels : 0;
	if (a.err > 0)
		a.err = 0;
	if (table_is_text(t) && !ctx->opts.fields)
		put_text(ctx, &a, root_level < a.n_levels ? a.n_levels : root_level);
	else
		put_row(t, &a);
	return a.err ? fail(ctx, EXIT_FAILED, "%s", err.text) : 0;
}

static int run(struct ctx *ctx)
{
	struct sonde_kernel kernel;
	struct table t;
	int n_found = 0;

	int code = record_init(&t, ctx, columns, N_COLUMNS);
	if (code != 0 || (code = session_start(ctx)) != 0)
		return code;
	sonde_os_kernel(ctx->os, &kernel);
	for (int i = 1; i < ctx->n_args; i++) {
		int r = one(ctx, &t, ctx->args[i], kernel.page_levels);

		if (r == 0)
			n_found++;
		else
			code = r;
	}
	table_finish(&t);
	return code == EXIT_FAILED && n_found > 0 ? EXIT_PARTIAL : code;
}

const struct cmd cmd_translate = {
	.name = "translate",
	.args = "TARGET VA...",
	.summary = "translate virtual addresses to physical ones",
	.help = "Walk the page tables for each VA (an address or a symbol) and show every entry "
		"on\n"
		"the way: the kernel's tables, or with --pid those of a process.\n"
		"Fields: va pid pa page_size perms attrs levels entries entry_addrs error.\n",
	.example = "sonde translate guest.elf linux_banner",
	.options = OPT_BIT(FIELDS) | OPT_BIT(PID),
	.min_args = 2,
	.max_args = 1024,
	.run = run,
};
