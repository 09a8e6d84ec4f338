/* SPDX-License-Identifier: MIT */
/* sonde scan: where patterns of bytes stand in memory. On a terminal it says how far it is. */
#include "pattern.h"
#include "session.h"
#include "table.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PID, ADDR, INDEX, PATTERN, N_COLUMNS };

static const struct column columns[N_COLUMNS] = {
	[PID] = { "pid", "PID", 0 },
	[ADDR] = { "addr", "ADDR", COLUMN_TEXT },
	[INDEX] = { "index", "INDEX", COLUMN_RIGHT },
	[PATTERN] = { "pattern", "PATTERN", COLUMN_TEXT },
};

#define QUIET_NS UINT64_C(500000000) /* what is over before needs no progress */
#define STEP_NS UINT64_C(100000000)

struct search {
	struct ctx *ctx;
	struct place place;
	struct table table;
	struct pattern parsed[SONDE_PATTERNS_MAX];
	struct sonde_pattern patterns[SONDE_PATTERNS_MAX]; /* [n] */
	size_t n;
	uint64_t last;    /* of --range; 0: to the end          */
	uint64_t next_ns; /* when progress is said again        */
	bool said;        /* ... and it stands on the terminal  */
};

static int put_hit(void *user, const struct sonde_scan_hit *hit)
{
	struct search *s = user;
	struct table *t = &s->table;

	if (s->place.pid > 0)
		table_i64(t, s->place.pid);
	else
		table_null(t);
	table_addr(t, hit->addr);
	table_u64(t, hit->pattern);
	table_str(t, s->ctx->args[1 + hit->pattern]);
	table_row(t);
	return s->ctx->out.err;
}

static int say_progress(void *user, const struct sonde_scan_progress *p)
{
	struct search *s = user;
	uint64_t now = sonde_now_ns();
	char done[24], total[24];

	if (now < s->next_ns)
		return 0;
	s->next_ns = now + STEP_NS;
	size_text(done, p->done);
	size_text(total, p->total);
	s->said = true;
	dprintf(STDERR_FILENO, "\r\033[K%s of %s, %" PRIu64 " found", done, total, p->n_hits);
	return 0;
}

static int read_patterns(struct search *s)
{
	struct ctx *ctx = s->ctx;
	int code = 0;

	if (ctx->n_args - 1 > (int)SONDE_PATTERNS_MAX)
		return usage(ctx, "%d patterns: at most %u", ctx->n_args - 1, SONDE_PATTERNS_MAX);
	for (int i = 1; code == 0 && i < ctx->n_args; i++) {
		struct pattern *parsed = &s->parsed[s->n];
		code = pattern_parse(ctx, ctx->args[i], ctx->opts.utf16, parsed);
		s->patterns[s->n++] = (struct sonde_pattern){ .bytes = parsed->bytes.bytes,
							      .mask = parsed->mask.bytes,
							      .len = (uint32_t)parsed->bytes.len,
							      .align = (uint32_t)ctx->opts.align };
	}
	return code;
}

/* FIRST..LAST, or all of the memory that the options name. */
static int read_range(struct search *s)
{
	struct ctx *ctx = s->ctx;
	const char *range = ctx->opts.range, *dots = range ? strstr(range, "..") : NULL;
	char first[512];

	if (!range)
		return session_place(ctx, "0", &s->place);
	if (!dots || dots == range || (size_t)(dots - range) >= sizeof(first))
		return usage(ctx, "--range '%s': FIRST..LAST is needed", range);
	memcpy(first, range, (size_t)(dots - range));
	first[dots - range] = '\0';
	int code = session_place(ctx, first, &s->place);
	if (code == 0)
		code = session_address(ctx, dots + 2, &s->last);
	if (code == 0 && s->last < s->place.addr)
		return usage(ctx, "--range '%s': it ends before it begins", range);
	if (code == 0 && s->last == 0) /* to sonde_scan it is the end of the space */
		return usage(ctx, "--range '%s': the byte at 0 alone cannot be searched: 0..1",
			     range);
	return code;
}

static int judge(struct search *s, int r, const struct sonde_scan_progress *p,
		 const struct sonde_error *err)
{
	struct ctx *ctx = s->ctx;

	if (r == SONDE_E_LIMIT)
		return fail(ctx, EXIT_PARTIAL, "there are more than %" PRIu64, ctx->opts.max);
	if (r < 0)
		return fail(ctx, r == SONDE_E_BAD_ARG ? EXIT_USAGE : EXIT_FAILED, "%s", err->text);
	if (p->skipped)
		return fail(ctx, EXIT_PARTIAL, "%" PRIu64 " of %" PRIu64 " bytes could not be read",
			    p->skipped, p->total);
	return 0;
}

static int search(struct search *s)
{
	struct ctx *ctx = s->ctx;
	struct sonde_scan_progress progress = { 0 };
	struct sonde_error err = { 0 };
	struct sonde_scan_options options = {
		.size = sizeof(options),
		.n_threads = (uint32_t)ctx->opts.threads,
		.first = ctx->opts.range ? s->place.addr : 0,
		.last = s->last,
		.max_hits = ctx->opts.max,
		.progress = isatty(STDERR_FILENO) ? say_progress : NULL,
	};

	s->next_ns = sonde_now_ns() + QUIET_NS;
	int r = sonde_scan(s->place.space, s->patterns, s->n, &options, put_hit, s, &progress,
			   &err);
	if (s->said)
		dprintf(STDERR_FILENO, "\r\033[K");
	if (r == 0 || progress.n_hits)
		table_finish(&s->table);
	if (ctx->opts.stats)
		complain(ctx,
			 "stats: scan: %" PRIu64 " bytes, %" PRIu64
			 " of them where they lie, by %" PRIu32 " threads",
			 progress.done, progress.borrowed, progress.n_threads);
	return judge(s, r, &progress, &err);
}

static int run(struct ctx *ctx)
{
	struct search s = { .ctx = ctx };
	int code = read_patterns(&s);

	if (code == 0)
		code = table_init(&s.table, ctx, columns, N_COLUMNS);
	if (code == 0)
		code = session_open(ctx);
	if (code == 0)
		code = read_range(&s);
	if (code == 0)
		code = search(&s);
	for (size_t i = 0; i < s.n; i++)
		pattern_finish(&s.parsed[i]);
	return code;
}

const struct cmd cmd_scan = {
	.name = "scan",
	.args = "TARGET PATTERN...",
	.summary = "search memory for bytes or text",
	.help = "Search all of the target's memory, or that of --pid, --kernel or --range, for "
		"patterns:\n"
		"hex digits in pairs with '?' for any digit ('48 8b ?? 0?'), or text in double "
		"quotes\n"
		"('\"passwd\"'). Hits come by rising address; memory that cannot be read is left "
		"out, and\n"
		"how much that was is told on stderr.\n"
		"Fields: pid addr index pattern.\n",
	.example = "sonde scan guest.elf '\"OSRELEASE=\"' --align 4096",
	.options = OPT_BIT(FIELDS) | OPT_BIT(PID) | OPT_BIT(KERNEL) | OPT_BIT(PHYS) |
		   OPT_BIT(ALIGN) | OPT_BIT(RANGE) | OPT_BIT(THREADS) | OPT_BIT(MAX) |
		   OPT_BIT(UTF16),
	.min_args = 2,
	.max_args = SONDE_PATTERNS_MAX + 1,
	.run = run,
};
