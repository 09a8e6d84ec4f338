/* SPDX-License-Identifier: MIT */
/* sonde pages: all that page tables map, as a dump of them: runs of pages that are alike and lie together. */
#include "page_text.h"
#include "session.h"
#include "table.h"

enum { PID, START, END, PA, PAGE_SIZE, PERMS, ATTRS, N_COLUMNS };

static const struct column columns[N_COLUMNS] = {
	[PID] = { "pid", "PID", 0 },
	[START] = { "start", "START", COLUMN_TEXT },
	[END] = { "end", "END", COLUMN_TEXT },
	[PA] = { "pa", "PHYSICAL", COLUMN_TEXT },
	[PAGE_SIZE] = { "page_size", "PAGE", COLUMN_TEXT | COLUMN_RIGHT },
	[PERMS] = { "perms", "PERM", COLUMN_TEXT },
	[ATTRS] = { "attrs", "MARKS", COLUMN_TEXT },
};

#define CARE                                                                                       \
	(SONDE_PAGE_READ | SONDE_PAGE_WRITE | SONDE_PAGE_EXEC | SONDE_PAGE_USER |                  \
	 SONDE_PAGE_GLOBAL | SONDE_PAGE_ACCESSED | SONDE_PAGE_DIRTY | SONDE_PAGE_PRESENT |         \
	 SONDE_PAGE_SIZES)

struct listing {
	struct table table;
	int32_t pid;
	bool some; /* there is a row */
};

static int put_run(void *user, const struct sonde_page_run *run)
{
	struct listing *l = user;
	struct table *t = &l->table;

	page_pid_cell(t, l->pid);
	/* The end is exclusive; that of a run at the very top is 2^64, told as its last byte. */
	uint64_t last = run->va + (run->len - 1);
	table_addr(t, run->va);
	table_addr(t, last == UINT64_MAX ? last : last + 1);
	table_addr(t, run->pa);
	page_cells(t, run->page_size, run->flags);
	table_row(t);
	l->some = true;
	return 0;
}

static int run(struct ctx *ctx)
{
	struct listing l = { .pid = (int32_t)ctx->opts.pid };
	struct sonde_error err = { 0 };

	int code = table_init(&l.table, ctx, columns, N_COLUMNS);
	if (code != 0 || (code = session_start(ctx)) != 0)
		return code;
	int r = sonde_os_pages(ctx->os, l.pid, CARE, put_run, &l, &err);
	if (r < 0 && !l.some)
		return fail(ctx, EXIT_FAILED, "%s", err.text);
	table_finish(&l.table);
	return r < 0 ? fail(ctx, EXIT_PARTIAL, "%s", err.text) : 0;
}

const struct cmd cmd_pages = {
	.name = "pages",
	.args = "TARGET",
	.summary = "list all that page tables map",
	.help = "List what the kernel's page tables map, or with --pid those of a process: runs "
		"of\n"
		"pages of one size that lie together in both memories and are alike in all that "
		"the\n"
		"tables say of them.\n"
		"Fields: pid start end pa page_size perms attrs.\n",
	.example = "sonde pages guest.elf --pid 1",
	.options = OPT_BIT(FIELDS) | OPT_BIT(PID),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
