/* SPDX-License-Identifier: MIT */
/*
 * sonde info: what a target is, and which kernel was found in it. A target without an
 * operating system is not a failure here: what is known of it is printed, with the reason.
 */
#include "process.h"
#include "session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	TARGET,
	CONNECTOR,
	DETAIL,
	ARCH,
	LIVE,
	WRITABLE,
	CPUS,
	REGIONS,
	MEMORY,
	REQUESTS,
	FETCHED,
	FACTS,
	FAMILY,
	RELEASE,
	VERSION,
	COMMAND_LINE,
	HOSTNAME,
	FOUND_BY,
	CANDIDATES,
	TYPES_FROM,
	SYMBOLS,
	KERNEL_CPUS,
	PAGE_LEVELS,
	PAGE_TABLE,
	KASLR,
	PHYS_BASE,
	TEXT_START,
	TEXT_END,
	BOOT,
	UPTIME,
	NO_OS,
	N_COLUMNS
};

static const struct column columns[N_COLUMNS] = {
	[TARGET] = { "target", "Target", 0 },
	[CONNECTOR] = { "connector", "Connector", 0 },
	[DETAIL] = { "detail", "Detail", 0 },
	[ARCH] = { "arch", "Architecture", 0 },
	[LIVE] = { "live", "Live", 0 },
	[WRITABLE] = { "writable", "Writable", 0 },
	[CPUS] = { "cpus", "Processors with registers", 0 },
	[REGIONS] = { "regions", "Regions", 0 },
	[MEMORY] = { "memory", "Memory", 0 },
	[REQUESTS] = { "requests", "Requests", 0 },
	[FETCHED] = { "fetched", "Bytes fetched", 0 },
	[FACTS] = { "facts", "Facts", 0 },
	[FAMILY] = { "os", "System", 0 },
	[RELEASE] = { "release", "Release", 0 },
	[VERSION] = { "version", "Version", 0 },
	[COMMAND_LINE] = { "command_line", "Command line", 0 },
	[HOSTNAME] = { "hostname", "Host name", 0 },
	[FOUND_BY] = { "found_by", "Found by", 0 },
	[CANDIDATES] = { "candidates", "Candidates looked at", 0 },
	[TYPES_FROM] = { "types_from", "Types from", 0 },
	[SYMBOLS] = { "symbols", "Symbols", 0 },
	[KERNEL_CPUS] = { "online_cpus", "Processors online", 0 },
	[PAGE_LEVELS] = { "page_levels", "Page table levels", 0 },
	[PAGE_TABLE] = { "page_table", "Page table", 0 },
	[KASLR] = { "kaslr_offset", "KASLR offset", 0 },
	[PHYS_BASE] = { "phys_base", "Physical base", 0 },
	[TEXT_START] = { "text_start", "Text start", 0 },
	[TEXT_END] = { "text_end", "Text end", 0 },
	[BOOT] = { "boot_time", "Booted", 0 },
	[UPTIME] = { "uptime", "Up, seconds", 0 },
	[NO_OS] = { "no_os", "No system", 0 },
};

struct memory {
	uint64_t n_regions, bytes;
};

static int add_region(void *user, const struct sonde_region *region)
{
	struct memory *memory = user;

	memory->n_regions++;
	if (region->len <= UINT64_MAX - memory->bytes)
		memory->bytes += region->len;
	return 0;
}

static const char *or_null(const char *text)
{
	return text && *text ? text : NULL;
}

static void put_count(struct table *t, uint64_t count)
{
	if (count)
		table_u64(t, count);
	else
		table_null(t);
}

static int add_image(void *user, const struct sonde_image_figures *figures)
{
	struct sonde_image_figures *all = user;

	all->requests += figures->requests;
	all->bytes += figures->bytes;
	return 0;
}

/* What all of this took of a server, the kernel included. */
static void put_images(struct table *t, const struct sonde_target *target)
{
	struct sonde_image_figures all = { 0 };

	sonde_target_images(target, add_image, &all);
	put_count(t, all.requests);
	put_count(t, all.bytes);
}

static void put_target(struct table *t, struct sonde_target *target)
{
	struct sonde_target_info info;
	struct memory memory = { 0 };

	sonde_target_info(target, &info);
	int known = sonde_space_regions(sonde_target_memory(target), add_region, &memory) >= 0;
	table_str(t, info.name);
	table_str(t, info.connector);
	table_str(t, or_null(info.detail));
	table_str(t, info.arch ? sonde_arch_name(info.arch) : NULL);
	table_bool(t, (info.flags & SONDE_TARGET_LIVE) != 0);
	table_bool(t, (info.flags & SONDE_TARGET_WRITABLE) != 0);
	table_u64(t, info.n_cpus);
	if (known) {
		table_u64(t, memory.n_regions);
		table_size(t, memory.bytes);
	} else {
		table_null(t);
		table_null(t);
	}
	put_images(t, target);
}

/* What the source says of the target beyond its memory. */
struct facts {
	char *text; /* [len]: lines; NULL: nothing */
	size_t len;
};

/* It may take reading the source, so it comes before what that took is told. */
static struct facts read_facts(struct sonde_target *target)
{
	int64_t len = sonde_target_note(target, SONDE_NOTE_FACTS, NULL, 0);

	if (len <= 0)
		return (struct facts){ 0 };
	struct facts facts = { .text = grow(NULL, (size_t)len, 1) };
	int64_t came = sonde_target_note(target, SONDE_NOTE_FACTS, facts.text, (size_t)len);
	if (came > 0) /* it may have changed meanwhile */
		facts.len = (size_t)(came < len ? came : len);
	return facts;
}

/* Its lines become the items of a list. */
static void put_facts(struct table *t, struct facts *facts)
{
	for (size_t i = 0; i < facts->len; i++)
		facts->text[i] = facts->text[i] == '\n' ? '\0' : facts->text[i];
	if (facts->len)
		table_list(t, facts->text, facts->len);
	else
		table_null(t);
	free(facts->text);
}

/* 0 is a place like others, of a kernel whose memory is known. */
static void put_placed(struct table *t, const struct sonde_kernel *k, uint64_t addr)
{
	if (k->page_table)
		table_addr(t, addr);
	else
		table_null(t);
}

static void put_kernel(struct table *t, const struct sonde_kernel *k)
{
	char text[32];

	table_str(t, k->family);
	table_str(t, or_null(k->release));
	table_str(t, or_null(k->version));
	table_str(t, or_null(k->command_line));
	table_str(t, or_null(k->hostname));
	table_str(t, or_null(k->found_by));
	table_u64(t, k->candidates);
	table_str(t, or_null(k->types_from));
	put_count(t, k->n_symbols);
	table_u64(t, k->n_cpus);
	put_count(t, k->page_levels);
	table_addr_or_null(t, k->page_table);
	put_placed(t, k, k->kaslr_offset);
	put_placed(t, k, k->phys_base);
	table_addr_or_null(t, k->text_start);
	table_addr_or_null(t, k->text_end);
	time_text(text, k->boot_time_ns);
	table_str(t, k->boot_time_ns ? text : NULL);
	if (k->uptime_ns)
		table_seconds(t, k->uptime_ns);
	else
		table_null(t);
}

static int run(struct ctx *ctx)
{
	struct sonde_os_options options = { .size = sizeof(options), .symbols = ctx->opts.symbols };
	struct sonde_error err = { 0 };
	struct sonde_kernel kernel;
	struct table t;

	int code = record_init(&t, ctx, columns, N_COLUMNS);
	if (code != 0 || (code = session_open(ctx)) != 0)
		return code;
	/* What is told of the kernel is found here: with --pause, all of it while the target stands still. */
	if ((code = session_hold(ctx)) != 0)
		return code;
	int found = sonde_os_attach(ctx->target, &options, &ctx->os, &err) >= 0;
	struct facts facts = read_facts(ctx->target);
	put_target(&t, ctx->target);
	put_facts(&t, &facts);
	if (found) {
		sonde_os_kernel(ctx->os, &kernel);
		put_kernel(&t, &kernel);
	} else {
		for (int i = FAMILY; i < NO_OS; i++)
			table_null(&t);
	}
	table_str(&t, found ? NULL : err.text);
	table_row(&t);
	table_finish(&t);
	return 0;
}

const struct cmd cmd_info = {
	.name = "info",
	.args = "TARGET",
	.summary = "tell what a target is, and which kernel runs in it",
	.help = "Tell how a target was opened, how much memory it has, and which kernel was found "
		"in\n"
		"it and how. Without an operating system the rest is still printed, with the "
		"reason,\n"
		"and the exit code is 0. 'sonde maps --phys' lists the regions.\n"
		"Fields: target connector detail arch live writable cpus regions memory requests\n"
		"fetched facts os release version command_line hostname found_by candidates\n"
		"types_from symbols online_cpus page_levels page_table kaslr_offset phys_base\n"
		"text_start text_end boot_time uptime no_os.\n",
	.example = "sonde info guest.elf",
	.options = OPT_BIT(FIELDS),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
