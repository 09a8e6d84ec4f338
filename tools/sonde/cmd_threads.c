/* SPDX-License-Identifier: MIT */
/* sonde threads: every thread of a guest, or those of one process. */
#include "process.h"
#include "session.h"

enum {
	PID,
	TID,
	PPID,
	UID,
	STATE,
	START_NS,
	START,
	NAME,
	KERNEL_THREAD,
	ADDR,
	MISSING,
	ERROR,
	N_COLUMNS
};

#define RIGHT (COLUMN_TEXT | COLUMN_RIGHT)

static const struct column columns[N_COLUMNS] = {
	[PID] = { "pid", "PID", RIGHT },
	[TID] = { "tid", "TID", RIGHT },
	[PPID] = { "ppid", "PPID", COLUMN_RIGHT },
	[UID] = { "uid", "UID", RIGHT, SONDE_PROCESS_CRED },
	[STATE] = { "state", "STATE", COLUMN_TEXT },
	[START_NS] = { "start_ns", "START-NS", COLUMN_RIGHT, SONDE_PROCESS_TIMES },
	[START] = { "start", "START", COLUMN_TEXT, SONDE_PROCESS_TIMES },
	[NAME] = { "name", "NAME", COLUMN_TEXT },
	[KERNEL_THREAD] = { "kernel_thread", "KTHREAD", 0 },
	[ADDR] = { "addr", "ADDR", 0 },
	[MISSING] = { "missing", "MISSING", 0 },
	[ERROR] = { "error", "ERROR", 0 },
};

static void put(struct table *t, const struct sonde_process *p, uint64_t boot_time_ns)
{
	char state[2] = { p->state, '\0' };

	table_i64(t, p->tgid);
	table_i64(t, p->pid);
	table_i64(t, p->ppid);
	if (p->missing & SONDE_PROCESS_CRED)
		table_null(t);
	else
		table_u64(t, p->uid);
	table_str(t, state);
	if (p->missing & SONDE_PROCESS_TIMES)
		table_null(t);
	else
		table_u64(t, p->start_ns);
	process_start(t, p, boot_time_ns);
	table_str(t, p->name);
	table_bool(t, p->kernel_thread);
	table_addr_or_null(t, p->addr);
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
	if (sonde_os_threads(ctx->os, (int32_t)ctx->opts.pid, fields, &list, &err) < 0)
		return fail(ctx, EXIT_FAILED, "%s", err.text);
	sonde_os_kernel(ctx->os, &kernel);
	for (size_t i = 0; i < sonde_processes_count(list); i++)
		put(&t, sonde_processes_at(list, i), kernel.boot_time_ns);
	table_finish(&t);
	code = processes_complete(ctx, list, "threads");
	sonde_processes_destroy(list);
	return code;
}

const struct cmd cmd_threads = {
	.name = "threads",
	.args = "TARGET",
	.summary = "list the threads of a guest or of one process",
	.help = "List threads. PID is the process a thread belongs to, TID its own number.\n"
		"Fields: pid tid ppid uid state start_ns start name kernel_thread addr missing\n"
		"error.\n",
	.example = "sonde threads guest.elf --pid 1",
	.options = OPT_BIT(FIELDS) | OPT_BIT(PID),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
