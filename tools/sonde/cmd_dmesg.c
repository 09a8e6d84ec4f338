/* SPDX-License-Identifier: MIT */
/* sonde dmesg: the kernel's log, with lines of one record kept together as dmesg(1) does. */
#include "session.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { SEQ, TIME_NS, TIME, LEVEL, FACILITY, CALLER, TEXT, N_COLUMNS };

static const struct column columns[N_COLUMNS] = {
	[SEQ] = { "seq", "SEQ", COLUMN_RIGHT },
	[TIME_NS] = { "time_ns", "TIME-NS", COLUMN_RIGHT },
	[TIME] = { "time", "TIME", COLUMN_RIGHT },
	[LEVEL] = { "level", "LEVEL", COLUMN_RIGHT },
	[FACILITY] = { "facility", "FACILITY", COLUMN_RIGHT },
	[CALLER] = { "caller", "CALLER", 0 },
	[TEXT] = { "text", "TEXT", COLUMN_TEXT },
};

/* Seconds since boot, microseconds behind the point, as the kernel prints them. */
static void time_since_boot(char text[32], uint64_t time_ns)
{
	snprintf(text, 32, "%5" PRIu64 ".%06" PRIu64, time_ns / 1000000000,
		 time_ns % 1000000000 / 1000);
}

/* "T12" a thread, "C0" a processor, as CONFIG_PRINTK_CALLER prints them. */
static void caller_name(char text[32], uint32_t caller)
{
	int on_cpu = caller >> 31;

	snprintf(text, 32, "%c%" PRIu32, on_cpu ? 'C' : 'T', caller & 0x7fffffff);
}

static void put_row(struct table *t, const struct sonde_log_record *r)
{
	char text[32];

	table_u64(t, r->seq);
	table_u64(t, r->time_ns);
	table_seconds(t, r->time_ns);
	table_u64(t, r->level);
	table_u64(t, r->facility);
	caller_name(text, r->caller);
	table_str(t, r->caller ? text : NULL);
	table_bytes(t, r->text, r->text_len);
	table_row(t);
}

static enum table_style level_style(uint32_t level)
{
	return level <= 3 ? STYLE_RED : level == 4 ? STYLE_YELLOW : STYLE_NONE;
}

/* "[    1.234567] first line", further lines indented to stand below the first. */
static void put_lines(struct out *out, const struct sonde_log_record *r, int color)
{
	char prefix[40], time[32];
	enum table_style style = color ? level_style(r->level) : STYLE_NONE;
	struct buf line = { 0 };

	time_since_boot(time, r->time_ns);
	int indent = snprintf(prefix, sizeof(prefix), "[%s] ", time);
	for (size_t at = 0, n; at <= r->text_len; at += n + 1) {
		const char *end = memchr(r->text + at, '\n', r->text_len - at);

		n = end ? (size_t)(end - (r->text + at)) : r->text_len - at;
		if (at > 0 && at == r->text_len)
			break;
		line.len = 0;
		text_put(&line, TEXT_TERMINAL, r->text + at, n);
		if (at == 0)
			out_str(out, prefix);
		else
			out_spaces(out, (size_t)indent);
		out_str(out, style_begin(style));
		out_bytes(out, line.bytes ? line.bytes : "", line.len);
		out_str(out, style == STYLE_NONE ? "" : style_end);
		out_char(out, '\n');
	}
	buf_finish(&line);
}

static void put_all(struct ctx *ctx, struct table *t, const struct sonde_log *log)
{
	int lines = table_is_text(t) && !ctx->opts.fields;
	int color = color_wanted(ctx);

	for (size_t i = 0; i < sonde_log_count(log); i++) {
		if (lines)
			put_lines(&ctx->out, sonde_log_at(log, i), color);
		else
			put_row(t, sonde_log_at(log, i));
	}
	if (!lines)
		table_finish(t);
}

static int run(struct ctx *ctx)
{
	struct sonde_log *log = NULL;
	struct sonde_error err = { 0 };
	struct table t;

	int code = table_init(&t, ctx, columns, N_COLUMNS);
	if (code != 0 || (code = session_start(ctx)) != 0)
		return code;
	if (sonde_os_log(ctx->os, &log, &err) < 0)
		return fail(ctx, EXIT_FAILED, "%s", err.text);
	put_all(ctx, &t, log);
	const char *damage = sonde_log_damage(log);
	if (damage)
		code = fail(ctx, EXIT_PARTIAL, "the log is damaged: %s", damage);
	sonde_log_destroy(log);
	return code;
}

const struct cmd cmd_dmesg = {
	.name = "dmesg",
	.args = "TARGET",
	.summary = "print the kernel's log",
	.help = "Print the kernel's log, oldest record first, as dmesg(1) does: the time in "
		"seconds\n"
		"since boot, further lines of one record below its first.\n"
		"Fields: seq time_ns time level facility caller text.\n",
	.example = "sonde dmesg guest.elf --json",
	.options = OPT_BIT(FIELDS),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
