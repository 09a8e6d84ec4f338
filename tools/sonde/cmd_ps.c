/* SPDX-License-Identifier: MIT */
/* sonde ps: the processes of a guest, kernel threads included. */
#include "process.h"
#include "session.h"

#include <string.h>

enum {
	PID,
	TGID,
	PPID,
	UID,
	GID,
	EUID,
	EGID,
	STATE,
	THREADS,
	RSS,
	VSIZE,
	START_NS,
	START,
	NAME,
	COMMAND,
	ARGS,
	EXE,
	KERNEL_THREAD,
	ADDR,
	PARENT,
	PAGE_TABLE,
	MISSING,
	ERROR,
	N_COLUMNS
};

#define RIGHT (COLUMN_TEXT | COLUMN_RIGHT)

static const struct column columns[N_COLUMNS] = {
	[PID] = { "pid", "PID", RIGHT },
	[TGID] = { "tgid", "TGID", COLUMN_RIGHT },
	[PPID] = { "ppid", "PPID", RIGHT },
	[UID] = { "uid", "UID", RIGHT, SONDE_PROCESS_CRED },
	[GID] = { "gid", "GID", COLUMN_RIGHT, SONDE_PROCESS_CRED },
	[EUID] = { "euid", "EUID", COLUMN_RIGHT, SONDE_PROCESS_CRED },
	[EGID] = { "egid", "EGID", COLUMN_RIGHT, SONDE_PROCESS_CRED },
	[STATE] = { "state", "STATE", COLUMN_TEXT },
	[THREADS] = { "threads", "THREADS", COLUMN_RIGHT },
	[RSS] = { "rss", "RSS", RIGHT, SONDE_PROCESS_MEMORY },
	[VSIZE] = { "vsize", "VSIZE", COLUMN_RIGHT, SONDE_PROCESS_MEMORY },
	[START_NS] = { "start_ns", "START-NS", COLUMN_RIGHT, SONDE_PROCESS_TIMES },
	[START] = { "start", "START", COLUMN_TEXT, SONDE_PROCESS_TIMES },
	[NAME] = { "name", "NAME", COLUMN_TEXT },
	[COMMAND] = { "command", "COMMAND", COLUMN_TEXT, SONDE_PROCESS_CMDLINE },
	[ARGS] = { "args", "ARGS", 0, SONDE_PROCESS_CMDLINE },
	[EXE] = { "exe", "EXE", 0, SONDE_PROCESS_EXE },
	[KERNEL_THREAD] = { "kernel_thread", "KTHREAD", 0 },
	[ADDR] = { "addr", "ADDR", 0 },
	[PARENT] = { "parent_addr", "PARENT", 0 },
	[PAGE_TABLE] = { "page_table", "PAGE-TABLE", 0, SONDE_PROCESS_MEMORY },
	[MISSING] = { "missing", "MISSING", 0 },
	[ERROR] = { "error", "ERROR", 0 },
};

static void cred(struct table *t, const struct sonde_process *p, uint32_t id)
{
	if (p->missing & SONDE_PROCESS_CRED)
		table_null(t);
	else
		table_u64(t, id);
}

static void memory(struct table *t, const struct sonde_process *p, uint64_t bytes)
{
	if (p->missing & SONDE_PROCESS_MEMORY)
		table_null(t);
	else
		table_size(t, bytes);
}

/* Without arguments, as ps(1) has it: the name in brackets, zombies so marked. */
static void command_of_name(struct table *t, const struct sonde_process *p)
{
	struct buf line = { 0 };

	buf_char(&line, '[');
	buf_str(&line, p->name ? p->name : "?");
	buf_char(&line, ']');
	if (p->state == 'Z')
		buf_str(&line, " <defunct>");
	table_bytes(t, line.bytes, line.len);
	buf_finish(&line);
}

/* --args: the same in text as JSON has in "args". */
static void command_as_array(struct table *t, const struct sonde_process *p)
{
	struct buf array = { 0 };

	buf_char(&array, '[');
	for (size_t at = 0, n; at < p->cmdline_len; at += n + 1) {
		n = strnlen(p->cmdline + at, p->cmdline_len - at);
		if (at > 0)
			buf_char(&array, ',');
		text_put(&array, TEXT_JSON, p->cmdline + at, n);
	}
	buf_char(&array, ']');
	table_bytes(t, array.bytes, array.len);
	buf_finish(&array);
}

/* One string in every format, so that JSON has what text shows beside the array. */
static void command_joined(struct table *t, const struct sonde_process *p)
{
	struct buf line = { 0 };

	buf_bytes(&line, p->cmdline, p->cmdline_len);
	while (line.len > 0 && line.bytes[line.len - 1] == '\0')
		line.len--;
	for (size_t i = 0; i < line.len; i++)
		if (line.bytes[i] == '\0')
			line.bytes[i] = ' ';
	table_bytes(t, line.bytes ? line.bytes : "", line.len);
	buf_finish(&line);
}

static void put_command(struct table *t, const struct ctx *ctx, const struct sonde_process *p)
{
	int has_args = p->cmdline && p->cmdline_len > 0 && p->state != 'Z';

	if (has_args && ctx->opts.args && table_is_text(t))
		command_as_array(t, p);
	else if (has_args)
		command_joined(t, p);
	else
		command_of_name(t, p);
}

static void put(struct table *t, const struct ctx *ctx, const struct sonde_process *p,
		uint64_t boot_time_ns)
{
	char state[2] = { p->state, '\0' };

	table_i64(t, p->pid);
	table_i64(t, p->tgid);
	table_i64(t, p->ppid);
	cred(t, p, p->uid);
	cred(t, p, p->gid);
	cred(t, p, p->euid);
	cred(t, p, p->egid);
	table_str(t, state);
	table_u64(t, p->n_threads);
	memory(t, p, p->rss);
	memory(t, p, p->vsize);
	if (p->missing & SONDE_PROCESS_TIMES)
		table_null(t);
	else
		table_u64(t, p->start_ns);
	process_start(t, p, boot_time_ns);
	table_str(t, p->name);
	put_command(t, ctx, p);
	if (p->missing & SONDE_PROCESS_CMDLINE)
		table_null(t);
	else
		table_list(t, p->cmdline, p->cmdline ? p->cmdline_len : 0);
	table_str(t, p->exe);
	table_bool(t, p->kernel_thread);
	table_addr_or_null(t, p->addr);
	table_addr_or_null(t, p->parent_addr);
	table_addr_or_null(t, p->page_table);
	process_missing(t, p);
	process_error(t, p);
	table_style(t, process_style(p));
	table_row(t);
}

static int run(struct ctx *ctx)
{
	struct sonde_processes *list = NULL;
	struct sonde_error err = { 0 };
	struct sonde_kernel kernel;
	struct table t;

	int code = table_init(&t, ctx, columns, N_COLUMNS);
	if (code != 0 || (code = session_start(ctx)) != 0)
		return code;
	uint32_t fields = SONDE_PROCESS_IDENTITY | table_needs(&t);
	int pid = (int)ctx->opts.pid;
	int r = pid ? sonde_os_process(ctx->os, pid, fields, &list, &err)
		    : sonde_os_processes(ctx->os, fields, &list, &err);
	if (r < 0)
		return fail(ctx, EXIT_FAILED, "%s", err.text);
	sonde_os_kernel(ctx->os, &kernel);
	for (size_t i = 0; i < sonde_processes_count(list); i++)
		put(&t, ctx, sonde_processes_at(list, i), kernel.boot_time_ns);
	table_finish(&t);
	code = processes_complete(ctx, list, "processes");
	sonde_processes_destroy(list);
	return code;
}

const struct cmd cmd_ps = {
	.name = "ps",
	.args = "TARGET",
	.summary = "list the processes of a guest or of this machine",
	.help = "List processes, kernel threads in [brackets]. RSS is in bytes with a suffix of\n"
		"1024s; START is UTC, or the time since boot where the boot's is not known.\n"
		"Fields: pid tgid ppid uid gid euid egid state threads rss vsize start_ns start\n"
		"name command args exe kernel_thread addr parent_addr page_table missing error.\n",
	.example = "sonde ps guest.elf --fields pid,rss,command",
	.options = OPT_BIT(FIELDS) | OPT_BIT(PID) | OPT_BIT(ARGS),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
