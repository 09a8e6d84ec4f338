/* SPDX-License-Identifier: MIT */
/* sonde modules: what a guest's kernel has loaded. */
#include "session.h"
#include "table.h"

enum { NAME, BASE, SIZE, REFS, STATE, ADDR, ERROR, N_COLUMNS };

#define RIGHT (COLUMN_TEXT | COLUMN_RIGHT)

static const struct column columns[N_COLUMNS] = {
	[NAME] = { "name", "NAME", COLUMN_TEXT },    [BASE] = { "base", "BASE", COLUMN_TEXT },
	[SIZE] = { "size", "SIZE", RIGHT },          [REFS] = { "refs", "REFS", RIGHT },
	[STATE] = { "state", "STATE", COLUMN_TEXT }, [ADDR] = { "addr", "ADDR", 0 },
	[ERROR] = { "error", "ERROR", 0 },
};

static void put(struct table *t, const struct sonde_module *m)
{
	table_str(t, m->name);
	table_addr(t, m->base);
	table_size(t, m->size);
	table_u64(t, m->refs);
	table_str(t, m->state);
	table_addr(t, m->addr);
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

static int run(struct ctx *ctx)
{
	struct sonde_modules *list = NULL;
	struct sonde_error err = { 0 };
	struct table t;

	int code = table_init(&t, ctx, columns, N_COLUMNS);
	if (code != 0 || (code = session_start(ctx)) != 0)
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
	.summary = "list the kernel modules of a guest",
	.help = "List kernel modules with the address of their first byte.\n"
		"Fields: name base size refs state addr error.\n",
	.example = "sonde modules guest.elf --json",
	.options = OPT_BIT(FIELDS),
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
