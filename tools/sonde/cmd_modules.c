/* SPDX-License-Identifier: MIT */
/* sonde modules: what a kernel has loaded, or which programs and libraries are mapped in a process. */
#include "session.h"
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NAME, BASE, SIZE, REFS, STATE, ADDR, PATH, BUILD_ID, SECTIONS, ERROR, N_COLUMNS };

#define RIGHT (COLUMN_TEXT | COLUMN_RIGHT)

static const struct column columns[N_COLUMNS] = {
	[NAME] = { "name", "NAME", COLUMN_TEXT },
	[BASE] = { "base", "BASE", COLUMN_TEXT },
	[SIZE] = { "size", "SIZE", RIGHT },
	[REFS] = { "refs", "REFS", RIGHT },
	[STATE] = { "state", "STATE", COLUMN_TEXT },
	[ADDR] = { "addr", "ADDR", 0 },
	[PATH] = { "path", "PATH", 0 },
	[BUILD_ID] = { "build_id", "BUILD-ID", 0 },
	[SECTIONS] = { "sections", "SECTIONS", 0 },
	[ERROR] = { "error", "ERROR", 0 },
};

/* ".text 0x1000-0x3000 r-x" each. */
static void put_sections(struct table *t, const struct sonde_module *m)
{
	struct buf list = { 0 };
	char text[64];

	for (uint64_t i = 0; i < m->n_sections; i++) {
		const struct sonde_section *s = &m->sections[i];
		int len =
			snprintf(text, sizeof(text), " 0x%" PRIx64 "-0x%" PRIx64 " %c%c%c", s->addr,
				 s->addr + s->size, s->flags & SONDE_REGION_READ ? 'r' : '-',
				 s->flags & SONDE_REGION_WRITE ? 'w' : '-',
				 s->flags & SONDE_REGION_EXEC ? 'x' : '-');
		buf_str(&list, s->name);
		buf_bytes(&list, text, (size_t)len + 1);
	}
	if (m->sections)
		table_list(t, list.bytes ? list.bytes : "", list.len);
	else
		table_null(t);
	buf_finish(&list);
}

static void put(struct table *t, const struct sonde_module *m)
{
	table_str(t, m->name);
	table_addr(t, m->base);
	table_size(t, m->size);
	if (m->state)
		table_u64(t, m->refs);
	else
		table_null(t);
	table_str(t, m->state);
	table_addr_or_null(t, m->addr);
	table_str(t, m->path);
	table_str(t, m->build_id);
	put_sections(t, m);
	table_str(t, m->err ? sonde_error_name(m->err) : NULL);
	if (m->err)
		table_style(t, STYLE_RED);
	table_row(t);
}

static int complete(struct ctx *ctx, const struct sonde_modules *list)
{
	const char *damage = sonde_modules_damage(list);
	size_t n = sonde_modules_count(list), n_bad = 0;

	for (size_t i = 0; i < n; i++)
		n_bad += sonde_modules_at(list, i)->err != 0;
	if (damage)
		complain(ctx, "the list is damaged: %s", damage);
	if (n_bad > 0)
		complain(ctx, "%zu of %zu modules could not be read whole", n_bad, n);
	return damage || n_bad > 0 ? EXIT_PARTIAL : 0;
}

/* Text shows of an image in a process where it comes from, instead of what only modules of a kernel have. */
static void choose_columns(const struct ctx *ctx, struct column chosen[N_COLUMNS])
{
	struct sonde_target_info info;

	memcpy(chosen, columns, sizeof(columns));
	sonde_target_info(ctx->target, &info);
	if (info.flags & SONDE_TARGET_PROCESS) {
		chosen[REFS].flags = chosen[STATE].flags = 0;
		chosen[PATH].flags = COLUMN_TEXT;
	}
}

static int run(struct ctx *ctx)
{
	struct sonde_modules *list = NULL;
	struct sonde_error err = { 0 };
	struct column chosen[N_COLUMNS];
	struct table t;

	int code = session_open(ctx);
	if (code != 0)
		return code;
	choose_columns(ctx, chosen);
	if ((code = table_init(&t, ctx, chosen, N_COLUMNS)) != 0 ||
	    (code = session_attach(ctx)) != 0)
		return code;
	if (sonde_os_modules(ctx->os, &list, &err) < 0)
		return fail(ctx, EXIT_FAILED, "%s", err.text);
	for (size_t i = 0; i < sonde_modules_count(list); i++)
		put(&t, sonde_modules_at(list, i));
	table_finish(&t);
	code = complete(ctx, list);
	sonde_modules_destroy(list);
	return code;
}

const struct cmd cmd_modules = {
	.name = "modules",
	.args = "TARGET",
	.summary = "list the modules of a kernel or of a process",
	.help = "List kernel modules with the address of their first byte; of process:PID the "
		"programs\n"
		"and libraries that are mapped in it, those of Windows under Wine too.\n"
		"Fields: name base size refs state addr path build_id sections error.\n",
	.example = "sonde modules guest.elf --json",
	.options = OPT_BIT(FIELDS),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
