/* SPDX-License-Identifier: MIT */
/* sonde dump, sonde convert: the memory of a target as a file, with what is known beside it. dump/ writes it. */
#include "dump/dump.h"
#include "holes.h"
#include "interrupt.h"
#include "progress.h"
#include "registers.h"
#include "session.h"
#include "table.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
	FILE_NAME,
	FORMAT,
	SIZE,
	MEMORY,
	SAVED,
	ZEROS,
	EXCLUDED,
	MISSING,
	SKIPPED,
	SHA256,
	N_COLUMNS
};

static const struct column columns[N_COLUMNS] = {
	[FILE_NAME] = { "file", "File", COLUMN_TEXT },
	[FORMAT] = { "format", "Format", COLUMN_TEXT },
	[SIZE] = { "size", "Size", COLUMN_TEXT },
	[MEMORY] = { "memory", "Memory", COLUMN_TEXT },
	[SAVED] = { "saved", "Saved", COLUMN_TEXT },
	[ZEROS] = { "zeros", "Of that zeros", COLUMN_TEXT },
	[EXCLUDED] = { "excluded", "Excluded", COLUMN_TEXT },
	[MISSING] = { "missing", "Missing", COLUMN_TEXT },
	[SKIPPED] = { "skipped", "Written before", COLUMN_TEXT },
	[SHA256] = { "sha256", "SHA-256", COLUMN_TEXT },
};

enum { INFO_MAX = 64 << 10, CPUS_MAX = 4096, CRASH_HEADER = 0x2000 };

struct dumping {
	struct ctx *ctx;
	struct table table;
	struct sonde_target_info info;
	struct dump_source source;
	struct dump_options options;
	struct dump_report report;
	struct holes holes;
	struct progress progress;
	enum dump_phase phase;
	struct full_cpu *cpus;
	char *vmcoreinfo;      /* [INFO_MAX]     */
	uint8_t *crash_header; /* [CRASH_HEADER] */
};

/* ---- what is asked ----------------------------------------------------------------------------------- */

/* A page that may not be read, or is not there, is wanted by nobody who does not want all. */
#define NEVER_WANTED (1u << SONDE_FRAME_POISONED | 1u << SONDE_FRAME_OFFLINE)

/* makedumpfile's -d 2, 4, 8 and 16. */
static const struct {
	const char *name;
	uint32_t uses; /* bits 1u << enum sonde_frame_use */
} exclusions[] = {
	{ "free", 1u << SONDE_FRAME_FREE },
	{ "cache", 1u << SONDE_FRAME_CACHE },
	{ "cache-private", 1u << SONDE_FRAME_CACHE | 1u << SONDE_FRAME_CACHE_PRIVATE },
	{ "user", 1u << SONDE_FRAME_USER },
	{ "all", 1u << SONDE_FRAME_FREE | 1u << SONDE_FRAME_CACHE |
			 1u << SONDE_FRAME_CACHE_PRIVATE | 1u << SONDE_FRAME_USER },
};

static uint32_t exclusion_named(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(exclusions) / sizeof(exclusions[0]); i++) {
		if (strlen(exclusions[i].name) == len && memcmp(exclusions[i].name, name, len) == 0)
			return exclusions[i].uses;
	}
	return 0;
}

static int choose_excluded(struct dumping *d, const char *list)
{
	for (const char *at = list, *end;; at = end + 1) {
		end = strchrnul(at, ',');
		uint32_t uses = exclusion_named(at, (size_t)(end - at));
		if (!uses)
			return usage(d->ctx,
				     "--exclude '%.*s': there are "
				     "free,cache,cache-private,user,all",
				     (int)(end - at), at);
		d->source.excluded |= uses | NEVER_WANTED;
		if (!*end)
			break;
	}
	if (!dump_format_excludes(d->options.format))
		return usage(d->ctx, "--exclude: in a raw image what is left out would read as "
				     "zeros: write another format");
	return 0;
}

static int choose(struct dumping *d)
{
	const struct opts *opts = &d->ctx->opts;
	const char *format = opts->format ? opts->format : "elf";

	d->options = (struct dump_options){ .format = dump_format_find(format),
					    .path = opts->output,
					    .n_threads = (uint32_t)opts->threads,
					    .resume = opts->resume };
	if (!opts->output)
		return usage(d->ctx, "where to? --output FILE");
	if (!d->options.format)
		return usage(d->ctx, "--format '%s': there are %s", format, dump_format_names());
	if (opts->resume && !dump_format_resumes(d->options.format))
		return usage(d->ctx, "--resume: only raw can be gone on with, not %s", format);
	return opts->exclude ? choose_excluded(d, opts->exclude) : 0;
}

/* ---- what is known ----------------------------------------------------------------------------------- */

static int find_system(struct ctx *ctx, struct sonde_error *err)
{
	struct sonde_os_options options = { .size = sizeof(options), .symbols = ctx->opts.symbols };

	return ctx->os ? 0 : sonde_os_attach(ctx->target, &options, &ctx->os, err);
}

/* It is refused where the system does not tell: a page that is wrongly left out is missed when it is too late. */
static int find_frames(struct dumping *d)
{
	struct sonde_error err = { 0 };

	if (find_system(d->ctx, &err) < 0)
		return fail(d->ctx, EXIT_NO_OS, "--exclude: %s", err.text);
	if (sonde_os_frames_open(d->ctx->os, &d->source.frames, &err) < 0)
		return fail(d->ctx, EXIT_FAILED, "--exclude: %s", err.text);
	return 0;
}

/* By the note that came with the target, or as the system in it was found to have it. */
static void find_vmcoreinfo(struct dumping *d)
{
	struct ctx *ctx = d->ctx;
	struct sonde_error err = { 0 };
	int64_t len;

	d->vmcoreinfo = grow(NULL, INFO_MAX, 1);
	len = sonde_target_note(ctx->target, "VMCOREINFO", d->vmcoreinfo, INFO_MAX);
	if (len <= 0 && find_system(ctx, &err) >= 0)
		len = sonde_os_note(ctx->os, "VMCOREINFO", d->vmcoreinfo, INFO_MAX);
	else if (len <= 0 && ctx->opts.verbose)
		complain(ctx, "no system is described in the dump: %s", err.text);
	d->source.vmcoreinfo = d->vmcoreinfo;
	d->source.vmcoreinfo_len = len <= 0 ? 0 : len < INFO_MAX ? (size_t)len : INFO_MAX;
}

/* The header of the crash dump that is converted, where it is one of 64 bits. */
static void find_crash_header(struct dumping *d)
{
	d->crash_header = grow(NULL, CRASH_HEADER, 1);
	int64_t len =
		sonde_target_note(d->ctx->target, "DUMP_HEADER", d->crash_header, CRASH_HEADER);
	if (len == CRASH_HEADER && memcmp(d->crash_header, "PAGEDU64", 8) == 0)
		d->source.crash_header = d->crash_header;
}

static void find_arch(struct dumping *d)
{
	struct sonde_kernel kernel;

	d->source.arch = d->info.arch;
	if (d->source.arch || !d->ctx->os)
		return;
	sonde_os_kernel(d->ctx->os, &kernel);
	d->source.arch = kernel.arch;
}

/* Of all, or of none: a dump that tells of fewer would be told of another machine. */
static void find_cpus(struct dumping *d)
{
	uint32_t n = d->info.n_cpus;
	int r = 0;

	if (n > CPUS_MAX) {
		complain(d->ctx,
			 "registers of %" PRIu32 " processors: a dump is written with those of "
			 "%d at most; none are written",
			 n, CPUS_MAX);
		n = 0;
	}
	d->cpus = grow(NULL, n ? n : 1, sizeof(*d->cpus));
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		r = registers_read(d->ctx->target, i, &d->cpus[i]);
		if (r < 0)
			complain(d->ctx, "registers of processor %" PRIu32 ": %s; none are written",
				 i, sonde_strerror(r));
	}
	d->source.cpus = d->cpus;
	d->source.n_cpus = r < 0 ? 0 : n;
}

/* What is known of the machine is found while it runs; its registers when it stands still, if it is to. */
static int find_source(struct dumping *d)
{
	struct ctx *ctx = d->ctx;

	sonde_target_info(ctx->target, &d->info);
	if (d->info.flags & SONDE_TARGET_PROCESS || !(d->info.flags & SONDE_TARGET_PHYSICAL))
		return fail(
			ctx, EXIT_FAILED,
			"'%s' is no memory of a machine; cores of processes are gcore's to write",
			d->info.name);
	if (ctx->cmd == &cmd_convert && d->info.flags & SONDE_TARGET_LIVE)
		return usage(ctx, "'%s' is no file: write 'sonde dump'", d->info.name);
	d->source.loop = ctx->loop;
	d->source.memory = sonde_target_memory(ctx->target);
	d->source.is_live = d->info.flags & SONDE_TARGET_LIVE;
	int code = d->source.excluded ? find_frames(d) : 0;
	if (code != 0)
		return code;
	if (dump_format_has_notes(d->options.format)) {
		find_vmcoreinfo(d);
		find_crash_header(d);
		find_arch(d);
	}
	d->source.page_size =
		d->source.frames ? sonde_frames_size(d->source.frames) : dump_page_size(&d->source);
	code = session_hold(ctx);
	if (code == 0 && dump_format_has_notes(d->options.format))
		find_cpus(d);
	return code;
}

/* ---- what becomes of it ------------------------------------------------------------------------------- */

static int watch_progress(void *user, enum dump_phase phase, uint64_t done, uint64_t total)
{
	struct dumping *d = user;

	if (phase != d->phase)
		progress_begin(&d->progress, "hashed");
	d->phase = phase;
	progress_say(&d->progress, done, total);
	return interrupt_came() ? SONDE_E_CANCELLED : 0;
}

static void watch_missing(void *user, uint64_t addr, uint64_t len, int32_t err)
{
	struct dumping *d = user;

	holes_note(&d->holes, addr, len, err);
}

static void put_row(struct dumping *d)
{
	const struct dump_report *report = &d->report;
	struct table *t = &d->table;

	table_str(t, d->options.path);
	table_str(t, d->ctx->opts.format ? d->ctx->opts.format : "elf");
	table_size(t, report->file_size);
	table_size(t, report->memory);
	table_size(t, report->saved);
	table_size(t, report->zeros);
	if (d->source.frames)
		table_size(t, report->excluded);
	else
		table_null(t);
	table_size(t, report->missing);
	if (report->skipped)
		table_size(t, report->skipped);
	else
		table_null(t);
	table_str(t, report->sha256[0] ? report->sha256 : NULL);
	table_row(t);
}

static int write_dump(struct dumping *d)
{
	const struct dump_watch watch = { .user = d,
					  .progress = watch_progress,
					  .missing = watch_missing };
	struct sonde_error err = { 0 };

	interrupt_catch();
	signal(SIGXFSZ, SIG_IGN); /* the limit of a file's size is an error like a full disk */
	progress_begin(&d->progress, "written");
	int r = dump_write(&d->source, &d->options, &watch, &d->report, &err);
	progress_end(&d->progress);
	if (r < 0)
		return fail(d->ctx, EXIT_FAILED, "%s%s", err.text,
			    dump_format_resumes(d->options.format) && d->report.saved &&
					    r != SONDE_E_CHANGED
				    ? "; what there is stays beside it, and --resume goes on"
				    : "");
	put_row(d);
	table_finish(&d->table);
	return holes_tell(&d->holes, d->ctx, "physical memory", d->report.memory);
}

static int run(struct ctx *ctx)
{
	struct dumping *d = grow(NULL, 1, sizeof(*d));

	*d = (struct dumping){ .ctx = ctx };
	int code = choose(d);
	if (code == 0)
		code = record_init(&d->table, ctx, columns, N_COLUMNS);
	if (code == 0)
		code = session_open(ctx);
	if (code == 0)
		code = find_source(d);
	if (code == 0)
		code = write_dump(d);
	sonde_frames_close(d->source.frames);
	free(d->cpus);
	free(d->vmcoreinfo);
	free(d->crash_header);
	free(d);
	return code;
}

#define DUMP_OPTIONS                                                                               \
	(OPT_BIT(FIELDS) | OPT_BIT(DUMP_OUTPUT) | OPT_BIT(FORMAT) | OPT_BIT(RESUME) |              \
	 OPT_BIT(EXCLUDE) | OPT_BIT(THREADS))

#define DUMP_FIELDS "Fields: file format size memory saved zeros excluded missing skipped sha256.\n"

const struct cmd cmd_dump = {
	.name = "dump",
	.args = "TARGET",
	.summary = "write a machine's memory into a file",
	.help = "Write the memory of a guest, of this machine's kernel or of a file into FILE, "
		"with "
		"the\n"
		"registers and the kernel's description of itself where the format has room for "
		"them (elf,\n"
		"kdump-*). FILE is there when it is whole; until then FILE.partial is. Pages of "
		"zeros take\n"
		"no room; what cannot be read is left out and told. A live target is read while it "
		"runs:\n"
		"--pause and --snapshot make it one moment.\n" DUMP_FIELDS,
	.example = "sonde dump qemu:vm -o vm.kdump --format kdump-zstd --snapshot",
	.options = DUMP_OPTIONS,
	.min_args = 1,
	.max_args = 1,
	.run = run,
};

const struct cmd cmd_convert = {
	.name = "convert",
	.args = "FILE",
	.summary = "write a dump in another format",
	.help = "Read a dump and write it into another file in another format, as 'sonde dump' "
		"does "
		"with a\n"
		"machine.\n" DUMP_FIELDS,
	.example = "sonde convert image.lime -o image.elf --format elf",
	.options = DUMP_OPTIONS,
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
