/* SPDX-License-Identifier: MIT */
/*
 * sonde maps: what lies where. Of a process in a guest: its mappings, as the guest's own
 * kernel would list them; likewise of a process of this machine, or of one that was written down. Of another target
 * that is a process, or with --phys: the regions of the target's memory.
 */
#include "page_text.h"
#include "session.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PID, ADDRESS, START, END, PERMS, OFFSET, DEV, INODE, KIND, PATH, ERROR, N_COLUMNS };

/* Which columns text shows depends on what is listed. */
static const struct column mapping_columns[N_COLUMNS] = {
	[PID] = { "pid", "PID", COLUMN_RIGHT },
	[ADDRESS] = { "range", "ADDRESS", COLUMN_TEXT | COLUMN_LOOKS },
	[START] = { "start", "START", 0 },
	[END] = { "end", "END", 0 },
	[PERMS] = { "perms", "PERM", COLUMN_TEXT },
	[OFFSET] = { "offset", "OFFSET", COLUMN_TEXT },
	[DEV] = { "dev", "DEV", COLUMN_TEXT },
	[INODE] = { "inode", "INODE", COLUMN_TEXT },
	[KIND] = { "kind", "KIND", 0 },
	[PATH] = { "path", "PATH", COLUMN_TEXT },
	[ERROR] = { "error", "ERROR", 0 },
};

enum { ABREAST = 256 }; /* processes that are read together */

struct listing {
	struct ctx *ctx;
	struct table table;
	struct column columns[N_COLUMNS];
	int32_t pid; /* whose mappings; 0: of the process that the target is, told as null */
	size_t n_bad;
};

static void put_range(struct table *t, uint64_t start, uint64_t end)
{
	char text[40];

	snprintf(text, sizeof(text), "%08" PRIx64 "-%08" PRIx64, start, end);
	table_str(t, text);
	table_addr(t, start);
	table_addr(t, end);
}

static void put_perms(struct table *t, uint32_t flags)
{
	char text[] = { flags & SONDE_REGION_READ ? 'r' : '-',
			flags & SONDE_REGION_WRITE ? 'w' : '-',
			flags & SONDE_REGION_EXEC ? 'x' : '-',
			flags & SONDE_REGION_SHARED ? 's' : 'p', '\0' };

	table_str(t, text);
}

static void put_mapping(struct listing *l, int32_t pid, const struct sonde_mapping *m)
{
	struct table *t = &l->table;
	char text[32];

	page_pid_cell(t, pid);
	put_range(t, m->start, m->end);
	put_perms(t, m->flags);
	snprintf(text, sizeof(text), "%08" PRIx64, m->offset);
	if (table_is_text(t))
		table_str(t, text);
	else
		table_u64(t, m->offset);
	snprintf(text, sizeof(text), "%02" PRIx32 ":%02" PRIx32, m->dev_major, m->dev_minor);
	table_str(t, text);
	table_u64(t, m->inode);
	table_str(t, "mapping");
	table_str(t, m->path ? m->path : "");
	table_str(t, m->err ? sonde_error_name(m->err) : NULL);
	if (m->err) {
		table_style(t, STYLE_RED);
		l->n_bad++;
	}
	table_row(t);
}

static const char *region_kind(uint32_t flags)
{
	return flags & SONDE_REGION_RAM ? "ram" : flags & SONDE_REGION_DEVICE ? "device" : "memory";
}

static int put_region(void *user, const struct sonde_region *region)
{
	struct listing *l = user;
	struct table *t = &l->table;

	table_null(t);
	/* The end is exclusive; that of a region at the very top is 2^64, told as its last byte. */
	uint64_t last = region->addr + (region->len - 1);
	put_range(t, region->addr, last == UINT64_MAX ? last : last + 1);
	put_perms(t, region->flags);
	table_null(t);
	table_null(t);
	table_null(t);
	table_str(t, region_kind(region->flags));
	table_str(t, region->name ? region->name : "");
	table_null(t);
	table_row(t);
	return 0;
}

static int list_regions(struct listing *l)
{
	struct ctx *ctx = l->ctx;

	l->columns[OFFSET].flags = l->columns[DEV].flags = l->columns[INODE].flags = 0;
	l->columns[KIND].flags = COLUMN_TEXT;
	int code = table_init(&l->table, ctx, l->columns, N_COLUMNS);
	if (code != 0)
		return code;
	int r = sonde_space_regions(sonde_target_memory(ctx->target), put_region, l);
	table_finish(&l->table);
	if (r < 0)
		return fail(ctx, EXIT_FAILED, "'%s': the regions of its memory: %s", ctx->args[0],
			    sonde_strerror(r));
	return 0;
}

/* One process whose mappings are asked for. */
struct one {
	struct sonde_os *os;
	int32_t pid;
	int result; /* of sonde_os_mappings, its story in err */
	struct sonde_mappings *list;
	struct sonde_error err;
	struct sonde_task *task;
};

static int fetch(struct sonde_task *task, void *arg)
{
	struct one *one = arg;

	(void)task;
	one->result = sonde_os_mappings(one->os, one->pid, &one->list, &one->err);
	return 0;
}

/* Into the table; the list is gone then. Returns 0, EXIT_PARTIAL, or the error of the fetch. */
static int put_one(struct listing *l, struct one *one)
{
	int code = 0;

	if (one->result < 0)
		return one->result;
	for (size_t i = 0; i < sonde_mappings_count(one->list); i++)
		put_mapping(l, one->pid, sonde_mappings_at(one->list, i));
	const char *damage = sonde_mappings_damage(one->list);
	if (damage)
		code = fail(l->ctx, EXIT_PARTIAL, "process %d: the list is damaged: %s", one->pid,
			    damage);
	sonde_mappings_destroy(one->list);
	return code;
}

/* One task a process: what they ask for at the same time is read in one trip. */
static int list_abreast(struct listing *l, struct one *all, size_t n)
{
	struct ctx *ctx = l->ctx;
	int code = 0;

	for (size_t i = 0; i < n; i++)
		if (sonde_task_spawn(ctx->loop, fetch, &all[i], &all[i].task) < 0)
			fetch(NULL, &all[i]);
	for (size_t i = 0; i < n; i++)
		if (all[i].task)
			sonde_task_join(NULL, all[i].task);
	for (size_t i = 0; i < n; i++) {
		int r = put_one(l, &all[i]);

		if (r < 0 && r != SONDE_E_NOT_MAPPED)
			complain(ctx, "process %d: %s", all[i].pid, all[i].err.text);
		if (r != 0 && r != SONDE_E_NOT_MAPPED)
			code = EXIT_PARTIAL;
	}
	return code;
}

/* Every process that has memory of its own; kernel threads and zombies have none. */
static int list_all(struct listing *l)
{
	struct ctx *ctx = l->ctx;
	struct sonde_processes *list = NULL;
	struct sonde_error err = { 0 };

	if (sonde_os_processes(ctx->os, SONDE_PROCESS_IDENTITY, &list, &err) < 0)
		return fail(ctx, EXIT_FAILED, "%s", err.text);
	const char *damage = sonde_processes_damage(list);
	int code = damage ? fail(ctx, EXIT_PARTIAL, "the list is damaged: %s", damage) : 0;
	struct one *abreast = grow(NULL, ABREAST, sizeof(*abreast));
	size_t n = 0, n_all = sonde_processes_count(list);
	for (size_t i = 0; i < n_all; i++) {
		const struct sonde_process *p = sonde_processes_at(list, i);

		if (!p->kernel_thread && p->state != 'Z' && p->state != 'X')
			abreast[n++] = (struct one){ .os = ctx->os, .pid = p->pid };
		if (n < ABREAST && i + 1 < n_all)
			continue;
		if (list_abreast(l, abreast, n) != 0)
			code = EXIT_PARTIAL;
		n = 0;
	}
	free(abreast);
	sonde_processes_destroy(list);
	return code;
}

static int list_of_pid(struct listing *l)
{
	struct one one = { .os = l->ctx->os, .pid = l->pid };

	fetch(NULL, &one);
	int code = put_one(l, &one);
	return code < 0 ? fail(l->ctx, EXIT_FAILED, "%s", one.err.text) : code;
}

static int list_mappings(struct listing *l)
{
	struct ctx *ctx = l->ctx;

	l->columns[PID].flags |= ctx->opts.all ? COLUMN_TEXT : 0;
	int code = table_init(&l->table, ctx, l->columns, N_COLUMNS);
	if (code != 0 || (code = session_attach(ctx)) != 0)
		return code;
	code = ctx->opts.all ? list_all(l) : list_of_pid(l);
	if (code == EXIT_FAILED)
		return code;
	table_finish(&l->table);
	if (l->n_bad > 0)
		code = fail(ctx, EXIT_PARTIAL, "%zu mappings could not be read whole", l->n_bad);
	return code;
}

static int run(struct ctx *ctx)
{
	struct listing l = { .ctx = ctx };
	const struct opts *opts = &ctx->opts;
	struct sonde_target_info info;

	memcpy(l.columns, mapping_columns, sizeof(l.columns));
	if ((opts->pid != 0) + opts->all + opts->phys > 1)
		return usage(ctx, "--pid, --all and --phys exclude each other");
	int code = session_open(ctx);
	if (code != 0)
		return code;
	sonde_target_info(ctx->target, &info);
	l.pid = (int32_t)opts->pid;
	bool is_process = (info.flags & SONDE_TARGET_PROCESS) && !opts->pid && !opts->all;
	bool is_told = (info.flags & SONDE_TARGET_HOST) ||
		       sonde_target_note(ctx->target, SONDE_NOTE_PROCESS, NULL, 0) >= 0;
	if (opts->phys || (is_process && !is_told))
		return (code = session_hold(ctx)) != 0 ? code : list_regions(&l);
	if (!opts->pid && !opts->all && !is_process)
		return usage(ctx, "which process? --pid PID, --all of them, or --phys for the "
				  "regions of the target's own memory");
	return list_mappings(&l);
}

const struct cmd cmd_maps = {
	.name = "maps",
	.args = "TARGET",
	.summary = "list the mappings of a process or the regions of a target",
	.help = "List the memory mappings of a process in a guest or of this machine (--pid, or\n"
		"process:PID), of all of them (--all), or the regions of the target's own memory\n"
		"(--phys).\n"
		"Columns are those of /proc/PID/maps.\n"
		"Fields: pid range start end perms offset dev inode kind path error.\n",
	.example = "sonde maps guest.elf --pid 1",
	.options = OPT_BIT(FIELDS) | OPT_BIT(PID) | OPT_BIT(ALL) | OPT_BIT(PHYS),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
