/* SPDX-License-Identifier: MIT */
/*
 * sonde pages: all that page tables map, as a dump of them: runs of pages that are alike and lie together. Of a process
 * of this machine, what its system says of its pages.
 */
#include "page_text.h"
#include "session.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PID, START, END, PA, PAGE_SIZE, PERMS, ATTRS, SWAP_TYPE, SWAP_OFFSET, NAME, N_COLUMNS };

static const struct column columns[N_COLUMNS] = {
	[PID] = { "pid", "PID", 0 },
	[START] = { "start", "START", COLUMN_TEXT },
	[END] = { "end", "END", COLUMN_TEXT },
	[PA] = { "pa", "PHYSICAL", COLUMN_TEXT },
	[PAGE_SIZE] = { "page_size", "PAGE", COLUMN_TEXT | COLUMN_RIGHT },
	[PERMS] = { "perms", "PERM", COLUMN_TEXT },
	[ATTRS] = { "attrs", "MARKS", COLUMN_TEXT },
	[SWAP_TYPE] = { "swap_type", "SWAP", COLUMN_RIGHT },
	[SWAP_OFFSET] = { "swap_offset", "SWAP-OFFSET", 0 },
	[NAME] = { "name", "NAME", 0 },
};

#define CARE                                                                                       \
	(SONDE_PAGE_READ | SONDE_PAGE_WRITE | SONDE_PAGE_EXEC | SONDE_PAGE_USER |                  \
	 SONDE_PAGE_GLOBAL | SONDE_PAGE_ACCESSED | SONDE_PAGE_DIRTY | SONDE_PAGE_PRESENT |         \
	 SONDE_PAGE_SIZES | SONDE_PAGE_SWAPPED | SONDE_PAGE_FILE | SONDE_PAGE_SOFT_DIRTY |         \
	 SONDE_PAGE_EXCLUSIVE | SONDE_PAGE_HUGE | SONDE_PAGE_ZERO)

struct listing {
	struct table table;
	int32_t pid;
	bool some; /* there is a row */
};

static bool is_placed_in_swap(const struct sonde_page_run *run)
{
	return (run->flags & (SONDE_PAGE_SWAPPED | SONDE_PAGE_UNPLACED)) == SONDE_PAGE_SWAPPED;
}

/* For people, a place in swap stands where one in memory would. */
static void put_place(struct table *t, const struct sonde_page_run *run)
{
	char text[40];

	if (is_placed_in_swap(run) && table_is_text(t)) {
		snprintf(text, sizeof(text), "swap %" PRIu32 ":0x%" PRIx64, run->swap_type,
			 run->swap_offset);
		table_str(t, text);
	} else if (run->flags & (SONDE_PAGE_SWAPPED | SONDE_PAGE_UNPLACED)) {
		table_null(t);
	} else {
		table_addr(t, run->pa);
	}
}

static void put_swap(struct table *t, const struct sonde_page_run *run)
{
	if (is_placed_in_swap(run)) {
		table_u64(t, run->swap_type);
		table_addr(t, run->swap_offset);
	} else {
		table_null(t);
		table_null(t);
	}
}

static int put_run(void *user, const struct sonde_page_run *run)
{
	struct listing *l = user;
	struct table *t = &l->table;

	page_pid_cell(t, l->pid);
	/* The end is exclusive; that of a run at the very top is 2^64, told as its last byte. */
	uint64_t last = run->va + (run->len - 1);
	table_addr(t, run->va);
	table_addr(t, last == UINT64_MAX ? last : last + 1);
	put_place(t, run);
	page_cells(t, run->page_size, run->flags);
	put_swap(t, run);
	table_str(t, run->name);
	table_row(t);
	l->some = true;
	return 0;
}

static int run(struct ctx *ctx)
{
	struct listing l = { .pid = (int32_t)ctx->opts.pid };
	struct sonde_target_info info;
	struct sonde_error err = { 0 };
	struct column chosen[N_COLUMNS];

	int code = session_open(ctx);
	if (code != 0)
		return code;
	memcpy(chosen, columns, sizeof(chosen));
	sonde_target_info(ctx->target, &info);
	if (info.flags & SONDE_TARGET_HOST)
		chosen[NAME].flags = COLUMN_TEXT;
	if ((code = table_init(&l.table, ctx, chosen, N_COLUMNS)) != 0 ||
	    (code = session_attach(ctx)) != 0)
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
		"tables say of them. Of process:PID: what the system says of its pages, in memory "
		"and\n"
		"in swap; where they lie is told to those with CAP_SYS_ADMIN.\n"
		"Fields: pid start end pa page_size perms attrs swap_type swap_offset name.\n",
	.example = "sonde pages guest.elf --pid 1",
	.options = OPT_BIT(FIELDS) | OPT_BIT(PID),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
