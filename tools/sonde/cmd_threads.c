/* SPDX-License-Identifier: MIT */
/* sonde threads: every thread of a guest or of this machine, or those of one process; on request with registers. */
#include "process.h"
#include "registers.h"
#include "session.h"

#include <string.h>

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
	PC,
	SP,
	REGISTERS,
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
	[PC] = { "pc", "PC", 0 },
	[SP] = { "sp", "SP", 0 },
	[REGISTERS] = { "registers", "REGISTERS", 0 },
	[MISSING] = { "missing", "MISSING", 0 },
	[ERROR] = { "error", "ERROR", 0 },
};

struct listing {
	struct ctx *ctx;
	struct table table;
	struct column columns[N_COLUMNS];
	uint64_t boot_time_ns;
	size_t n_unread; /* threads whose registers could not be had */
	struct sonde_error why;
};

/* Registers of one thread. */
struct registers {
	struct sonde_register all[SONDE_REGISTERS_MAX]; /* [n] */
	size_t n;
	int32_t err;
};

/* A kernel thread has none that are user code's. */
static void fetch(struct listing *l, const struct sonde_process *p, struct registers *ret)
{
	struct sonde_error err = { 0 };

	*ret = (struct registers){ 0 };
	if (!l->ctx->opts.registers || p->kernel_thread)
		return;
	int r = sonde_os_registers(l->ctx->os, p->pid, ret->all, SONDE_REGISTERS_MAX, &err);
	if (r >= 0) {
		ret->n = (size_t)r < SONDE_REGISTERS_MAX ? (size_t)r : SONDE_REGISTERS_MAX;
		return;
	}
	ret->err = r;
	if (l->n_unread++ == 0)
		l->why = err;
}

/* The first of these that there is. */
static void put_register(struct table *t, const struct registers *registers,
			 const char *const names[3])
{
	for (size_t i = 0; i < registers->n; i++) {
		for (size_t k = 0; k < 3; k++) {
			if (strcmp(registers->all[i].name, names[k]) != 0)
				continue;
			table_addr(t, registers->all[i].value);
			return;
		}
	}
	table_null(t);
}

static void put_registers(struct table *t, const struct registers *registers)
{
	static const char *const pc[] = { "rip", "eip", "pc" }, *const sp[] = { "rsp", "esp",
										"sp" };

	put_register(t, registers, pc);
	put_register(t, registers, sp);
	registers_cell(t, registers->all, registers->n);
}

static void put(struct listing *l, const struct sonde_process *p)
{
	char state[2] = { p->state, '\0' };
	struct registers registers;
	struct table *t = &l->table;

	fetch(l, p, &registers);

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
	process_start(t, p, l->boot_time_ns);
	table_str(t, p->name);
	table_bool(t, p->kernel_thread);
	table_addr_or_null(t, p->addr);
	put_registers(t, &registers);
	process_missing(t, p);
	if (registers.err && !p->err)
		table_str(t, sonde_error_name(registers.err));
	else
		process_error(t, p);
	table_style(t, registers.err ? STYLE_RED : process_style(p));
	table_row(t);
}

static int complete(const struct listing *l, const struct sonde_processes *list)
{
	int code = processes_complete(l->ctx, list, "threads");

	if (l->n_unread == 0)
		return code;
	return fail(l->ctx, EXIT_PARTIAL, "registers of %zu of %zu threads could not be had: %s",
		    l->n_unread, sonde_processes_count(list), l->why.text);
}

/* Not all threads of a machine are stopped because somebody was curious. */
static int choose_columns(struct listing *l)
{
	struct ctx *ctx = l->ctx;
	struct sonde_target_info info;

	memcpy(l->columns, columns, sizeof(columns));
	if (!ctx->opts.registers)
		return 0;
	sonde_target_info(ctx->target, &info);
	if (!ctx->opts.pid && !(info.flags & SONDE_TARGET_PROCESS))
		return usage(ctx,
			     "--registers stops threads for a moment: of which process? --pid PID");
	l->columns[PC].flags = l->columns[SP].flags = l->columns[REGISTERS].flags = COLUMN_TEXT;
	l->columns[START].flags = l->columns[UID].flags = 0;
	return 0;
}

static int run(struct ctx *ctx)
{
	struct listing l = { .ctx = ctx };
	struct sonde_processes *list = NULL;
	struct sonde_error err = { 0 };
	struct sonde_kernel kernel;

	int code = session_open(ctx);
	if (code != 0 || (code = choose_columns(&l)) != 0 ||
	    (code = table_init(&l.table, ctx, l.columns, N_COLUMNS)) != 0 ||
	    (code = session_attach(ctx)) != 0)
		return code;
	uint32_t fields = SONDE_PROCESS_IDENTITY | table_needs(&l.table);
	if (sonde_os_threads(ctx->os, (int32_t)ctx->opts.pid, fields, &list, &err) < 0)
		return fail(ctx, EXIT_FAILED, "%s", err.text);
	sonde_os_kernel(ctx->os, &kernel);
	l.boot_time_ns = kernel.boot_time_ns;
	for (size_t i = 0; i < sonde_processes_count(list); i++)
		put(&l, sonde_processes_at(list, i));
	table_finish(&l.table);
	code = complete(&l, list);
	sonde_processes_destroy(list);
	return code;
}

const struct cmd cmd_threads = {
	.name = "threads",
	.args = "TARGET",
	.summary = "list the threads of a guest or of one process",
	.help = "List threads. PID is the process a thread belongs to, TID its own number. With\n"
		"--registers each thread of a process of this machine is stopped for a moment, "
		"and\n"
		"goes on.\n"
		"Fields: pid tid ppid uid state start_ns start name kernel_thread addr pc sp\n"
		"registers missing error.\n",
	.example = "sonde threads guest.elf --pid 1",
	.options = OPT_BIT(FIELDS) | OPT_BIT(PID) | OPT_BIT(REGISTERS),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
