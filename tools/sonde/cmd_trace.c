/* SPDX-License-Identifier: MIT */
/*
 * sonde trace: each call of some functions of a guest's kernel, as it is made. call.c reads and words one call; this
 * file sets the breakpoints, waits, and sees to it that none is left and the guest goes on.
 */
#include "call.h"
#include "interrupt.h"
#include "session.h"
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIME_NS, TIME, CPU, PID, TID, NAME, FUNCTION, ARGS, CALL, ADDR, TASK, ERROR, N_COLUMNS };

#define RIGHT (COLUMN_TEXT | COLUMN_RIGHT)

static const struct column columns[N_COLUMNS] = {
	[TIME_NS] = { "time_ns", "TIME-NS", COLUMN_RIGHT },
	[TIME] = { "time", "TIME", RIGHT | COLUMN_LOOKS },
	[CPU] = { "cpu", "CPU", RIGHT },
	[PID] = { "pid", "PID", RIGHT },
	[TID] = { "tid", "TID", COLUMN_RIGHT },
	[NAME] = { "name", "NAME", COLUMN_TEXT },
	[FUNCTION] = { "function", "FUNCTION", 0 },
	[ARGS] = { "args", "ARGS", 0 },
	[CALL] = { "call", "CALL", COLUMN_TEXT | COLUMN_LOOKS },
	[ADDR] = { "addr", "ADDR", 0 },
	[TASK] = { "task", "TASK", 0 },
	[ERROR] = { "error", "ERROR", 0 },
};

/* Of a terminal: rows are printed as they come, not when the widest is known. */
static const uint8_t widths[N_COLUMNS] = { [TIME] = 11, [CPU] = 3, [PID] = 6, [NAME] = 15 };

enum {
	FUNCTIONS_MAX = 64,
	LOOK_NS = 200000000, /* so often is looked whether to end */
	LOST_MAX = 16,       /* in a row                          */
	PROBES_WAIT_MS = 1,
};

struct trace {
	struct ctx *ctx;
	struct table table;
	struct call_reader reader;
	struct probes_reader *probes; /* --write; else NULL */
	struct call call;
	struct call_function functions[FUNCTIONS_MAX]; /* [n_functions] */
	uint32_t n_functions;
	struct buf list, text;
	uint64_t began_ns, n_calls, n_lost, n_partial;
	uint32_t lost_in_row;
};

/* ---- when to end ------------------------------------------------------------------------------ */

/* Whoever read our output has left: nobody is told of anything any more. */
static bool has_no_reader(const struct out *out)
{
	struct pollfd fd = { .fd = out->fd };

	return poll(&fd, 1, 0) == 1 && fd.revents & (POLLERR | POLLNVAL);
}

static uint64_t end_of(const struct trace *t)
{
	uint64_t seconds = t->ctx->opts.seconds;

	return seconds ? t->began_ns + seconds * UINT64_C(1000000000) : UINT64_MAX;
}

static bool has_all(const struct trace *t)
{
	return t->ctx->opts.count && t->n_calls >= t->ctx->opts.count;
}

static bool is_over(const struct trace *t)
{
	return interrupt_came() || has_all(t) || sonde_now_ns() >= end_of(t) ||
	       has_no_reader(&t->ctx->out);
}

/* ---- a call ------------------------------------------------------------------------------------- */

static const struct call_function *function_at(const struct trace *t, uint64_t addr)
{
	for (uint32_t i = 0; i < t->n_functions; i++) {
		if (t->functions[i].addr == addr)
			return &t->functions[i];
	}
	return NULL;
}

/* "do_sys_openat2(dfd=-100, filename="/etc/passwd")" into text, the arguments each ended by NUL into list. */
static void word_call(struct trace *t)
{
	const struct call *call = &t->call;

	t->list.len = t->text.len = 0;
	buf_str(&t->text, call->function->name);
	if (!t->ctx->opts.args)
		return;
	for (uint32_t i = 0; i < call->n; i++) {
		size_t from = t->list.len;
		call_argument_text(call, i, &t->list);
		buf_str(&t->text, i ? ", " : "(");
		buf_bytes(&t->text, t->list.bytes + from, t->list.len - from);
		buf_char(&t->list, '\0');
	}
	if (call->n == 0)
		buf_char(&t->text, '(');
	buf_str(&t->text, call->has_more ? ", ...)" : ")");
}

static int32_t first_error(const struct call *call)
{
	int32_t err = call->current_err;

	for (uint32_t i = 0; i < call->n && !err; i++)
		err = call->arguments[i].err;
	return err;
}

static void put_current(struct table *t, const struct call *call)
{
	if (call->current_err) {
		table_null(t);
		table_null(t);
		table_null(t);
		return;
	}
	table_i64(t, call->current.tgid);
	table_i64(t, call->current.pid);
	table_str(t, call->current.name);
}

static void put_call(struct trace *t)
{
	const struct call *call = &t->call;
	int32_t err = first_error(call);
	uint64_t since = call->event->time_ns - t->began_ns;

	word_call(t);
	table_u64(&t->table, since);
	table_seconds(&t->table, since);
	table_u64(&t->table, call->event->cpu);
	put_current(&t->table, call);
	table_str(&t->table, call->function->name);
	if (t->ctx->opts.args)
		table_list(&t->table, t->list.bytes, t->list.len);
	else
		table_null(&t->table);
	table_bytes(&t->table, t->text.bytes, t->text.len);
	table_addr(&t->table, call->function->addr);
	table_addr_or_null(&t->table, call->current.addr);
	table_str(&t->table, err ? sonde_error_name(err) : NULL);
	table_style(&t->table, call->current_err ? STYLE_RED : STYLE_NONE);
	table_row(&t->table);
	t->n_partial += call->current_err != 0;
}

/* ---- the loop ----------------------------------------------------------------------------------- */

/* probe: NULL, or with what it noted beside the event. */
static int take_event(struct trace *t, const struct sonde_event *event,
		      const struct probes_call *probe)
{
	const struct call_function *function = function_at(t, event->registers.pc);

	t->lost_in_row = 0;
	if (event->kind != SONDE_EVENT_BREAK || !function)
		return fail(t->ctx, EXIT_PARTIAL,
			    "somebody else has stopped the guest (signal %u): it stays as it is, "
			    "until 'cont' in its monitor",
			    event->signal);
	call_read(&t->reader, function, event, t->ctx->opts.args, &t->call);
	if (probe && probe->text_len > 0)
		call_take_text(&t->call, probe->text, (uint32_t)probe->text_len);
	put_call(t);
	t->n_calls++;
	return EXIT_OK;
}

static int show(struct trace *t, int code)
{
	return out_flush(&t->ctx->out) && code == EXIT_OK ? EXIT_FAILED : code;
}

static int lose(struct trace *t, int r)
{
	t->n_lost++;
	if (r == SONDE_E_CORRUPT && ++t->lost_in_row < LOST_MAX)
		return EXIT_OK;
	return fail(t->ctx, EXIT_FAILED, r == SONDE_E_GONE ? "the guest has ended: %s" : "%s",
		    sonde_strerror(r));
}

static int watch(struct trace *t)
{
	struct sonde_event event;
	int code = EXIT_OK;

	while (code == EXIT_OK && !is_over(t)) {
		uint64_t look_ns = sonde_now_ns() + LOOK_NS, end_ns = end_of(t);
		int r = sonde_event_wait(t->ctx->events, SONDE_EVENT_NEXT,
					 look_ns < end_ns ? look_ns : end_ns, &event,
					 sizeof(event));
		if (r == 0)
			code = show(t, take_event(t, &event, NULL));
		else if (r != SONDE_E_TIMED_OUT)
			code = lose(t, r);
	}
	return code;
}

/* The next call that was noted, *ret_some false: there is none. */
static int take_next(struct trace *t, bool *ret_some)
{
	struct probes_call call;
	int r = probes_next(t->probes, &call);

	*ret_some = r != 0;
	if (r == 0)
		return EXIT_OK;
	return r > 0 ? take_event(t, &call.event, &call) : lose(t, r);
}

/* What has been noted when the end comes is told yet: as much as the ring holds. */
static int watch_probes(struct trace *t)
{
	int code = EXIT_OK;
	bool some = true;

	while (code == EXIT_OK && !is_over(t)) {
		code = take_next(t, &some);
		if (!some && (code = show(t, code)) == EXIT_OK)
			poll(NULL, 0, PROBES_WAIT_MS);
	}
	some = true;
	for (int i = 0; some && code == EXIT_OK && !has_all(t) && i < 2 * PROBE_RECORDS; i++)
		code = take_next(t, &some);
	t->n_lost += t->probes->n_lost;
	return show(t, code);
}

/* ---- beginning ------------------------------------------------------------------------------------ */

static int add_function(struct trace *t, const char *name)
{
	struct call_function *function = &t->functions[t->n_functions];
	int code;

	if (!name[0] || t->n_functions == FUNCTIONS_MAX)
		return usage(t->ctx, "functions are names between commas, %d at most",
			     FUNCTIONS_MAX);
	function->name = name;
	if ((code = session_address(t->ctx, name, &function->addr)) != 0)
		return code;
	if (function_at(t, function->addr))
		return EXIT_OK;
	if (t->ctx->opts.args)
		call_describe(function, sonde_os_types(t->ctx->os));
	t->n_functions++;
	return EXIT_OK;
}

static int add_functions(struct trace *t, char *names)
{
	int code = EXIT_OK;

	for (char *at = names, *end; at && code == EXIT_OK; at = end) {
		end = strchr(at, ',');
		if (end)
			*end++ = '\0';
		code = add_function(t, at);
	}
	return code;
}

static int set_breakpoints(struct trace *t)
{
	struct sonde_error err = { 0 };

	for (uint32_t i = 0; i < t->n_functions; i++) {
		struct sonde_breakpoint at = { .addr = t->functions[i].addr };
		if (sonde_breakpoint_set(t->ctx->events, &at, &err) < 0)
			return fail(t->ctx, EXIT_FAILED, "'%s': %s", t->functions[i].name,
				    err.text);
	}
	return EXIT_OK;
}

static void tell_stats(const struct trace *t)
{
	uint64_t ns = sonde_now_ns() - t->began_ns;

	complain(t->ctx,
		 "stats: %" PRIu64 " events, %" PRIu64 " lost, in %" PRIu64 ".%03" PRIu64
		 " s: %" PRIu64 " a second",
		 t->n_calls, t->n_lost, ns / 1000000000, ns / 1000000 % 1000,
		 ns ? (uint64_t)((double)t->n_calls * 1e9 / (double)ns) : 0);
}

static int trace_by_breakpoints(struct trace *t)
{
	int code = session_events(t->ctx);

	if (code != EXIT_OK || (code = set_breakpoints(t)) != EXIT_OK)
		return code;
	t->began_ns = sonde_now_ns();
	if (t->ctx->opts.verbose)
		complain(t->ctx, "%" PRIu32 " breakpoints are set", t->n_functions);
	return watch(t);
}

static int set_probes(struct trace *t)
{
	struct probes_function functions[FUNCTIONS_MAX];
	struct ctx *ctx = t->ctx;
	struct sonde_error err = { 0 };
	int code = ctx->events_name ? session_watched(ctx)
				    : usage(ctx, "--write: TARGET must be qemu:NAME");

	if (code != EXIT_OK)
		return code;
	for (uint32_t i = 0; i < t->n_functions; i++)
		functions[i] = (struct probes_function){ t->functions[i].name, t->functions[i].addr,
							 call_text_index(&t->functions[i]) };
	if (probes_find(ctx->probes, ctx->os, sonde_target_memory(ctx->target), functions,
			t->n_functions, &err) < 0 ||
	    probes_set(ctx->probes, ctx->loop, ctx->os, ctx->events_name, &err) < 0)
		return fail(ctx, EXIT_FAILED, "%s", err.text);
	t->probes->state = ctx->probes;
	t->probes->memory = sonde_target_memory(ctx->target);
	return EXIT_OK;
}

static int remove_probes(struct trace *t)
{
	struct ctx *ctx = t->ctx;
	struct sonde_error err = { 0 };

	if (sonde_target_gone(ctx->target, NULL) == SONDE_E_GONE ||
	    probes_undo(ctx->probes, ctx->loop, ctx->os, ctx->events_name, &err) == 0)
		return EXIT_OK;
	return fail(ctx, EXIT_FAILED, "the probes are not all out of the guest: %s", err.text);
}

static int trace_by_probes(struct trace *t)
{
	int code = set_probes(t), removed;

	if (code != EXIT_OK)
		return code;
	t->began_ns = sonde_now_ns();
	if (t->ctx->opts.verbose)
		complain(t->ctx, "%" PRIu32 " probes are set", t->n_functions);
	code = watch_probes(t);
	removed = remove_probes(t);
	return code != EXIT_OK ? code : removed;
}

static int trace(struct trace *t)
{
	int code = add_functions(t, t->ctx->args[1]);

	if (code != EXIT_OK)
		return code;
	t->reader.os = t->ctx->os;
	code = t->probes ? trace_by_probes(t) : trace_by_breakpoints(t);
	if (t->ctx->opts.stats)
		tell_stats(t);
	if (code == EXIT_OK && t->n_partial + t->n_lost)
		code = fail(t->ctx, EXIT_PARTIAL,
			    "of %" PRIu64 " calls it is not known who made them, %" PRIu64
			    " events were none",
			    t->n_partial, t->n_lost);
	return code;
}

static int run(struct ctx *ctx)
{
	struct trace *t = calloc(1, sizeof(*t));
	int code;

	if (!t)
		return fail(ctx, EXIT_FAILED, "%s", strerror(errno));
	t->ctx = ctx;
	if (ctx->opts.pause) {
		free(t);
		return usage(ctx, "--pause: a guest that stands still makes no calls");
	}
	if (ctx->opts.write && (!(ctx->probes = probes_state_create()) ||
				!(t->probes = calloc(1, sizeof(*t->probes))))) {
		probes_state_destroy(ctx->probes);
		free(t);
		return fail(ctx, EXIT_FAILED, "%s", strerror(errno));
	}
	interrupt_catch();
	if ((code = session_start_traced(ctx)) == EXIT_OK &&
	    (code = table_init(&t->table, ctx, columns, N_COLUMNS)) == EXIT_OK) {
		table_flow(&t->table, widths);
		code = trace(t);
		table_finish(&t->table);
	}
	call_reader_finish(&t->reader);
	buf_finish(&t->list);
	buf_finish(&t->text);
	probes_state_destroy(ctx->probes);
	ctx->probes = NULL;
	free(t->probes);
	free(t);
	return code;
}

const struct cmd cmd_trace = {
	.name = "trace",
	.args = "TARGET FUNCTION[,FUNCTION...]",
	.summary = "print each call of a function of a guest's kernel",
	.help = "Print each call of functions of a guest's kernel as it is made: when (seconds "
		"since the\n"
		"trace began), on which processor, by whom. Breakpoints are set through the "
		"guest's\n"
		"stub of GDB's protocol: TARGET is qemu:NAME, whose stub is switched on and off "
		"again,\n"
		"or gdb:HOST:PORT. The guest stands still for a moment at each call, and goes on\n"
		"without breakpoints whatever becomes of this tool. A FUNCTION is a symbol,\n"
		"SYMBOL+OFFSET or an address. With --args arguments are shown by the kernel's own\n"
		"types, else by the registers they lie in. Ends by Ctrl-C.\n"
		"With --write the guest (Linux on x86-64 or arm64, qemu:NAME) notes its calls "
		"itself,\n"
		"and does not stand still for them: thousands a second. Code is written into its "
		"kernel\n"
		"for that, and taken out again whatever becomes of this tool. What a call points "
		"to is\n"
		"read a millisecond later, when it may have changed.\n"
		"Fields: time_ns time cpu pid tid name function args call addr task error.\n",
	.example = "sonde trace qemu:my-guest do_sys_openat2 --args",
	.options = OPT_BIT(FIELDS) | OPT_BIT(CALL_ARGS) | OPT_BIT(CALL_COUNT) | OPT_BIT(TIME) |
		   OPT_BIT(WRITE),
	.min_args = 2,
	.max_args = 2,
	.run = run,
};
