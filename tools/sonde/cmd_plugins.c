/* SPDX-License-Identifier: MIT */
/* sonde plugins: what was found on the search path, where, and why something was refused. */
#include "table.h"

#include <stdio.h>

enum { NAME, KIND, STATUS, SUMMARY, ABI, REFUSED, ARGS_HELP, PATH, N_COLUMNS };

static const struct column columns[N_COLUMNS] = {
	[NAME] = { "name", "NAME", COLUMN_TEXT },       [KIND] = { "kind", "KIND", COLUMN_TEXT },
	[STATUS] = { "status", "STATUS", COLUMN_TEXT }, [SUMMARY] = { "summary", "SUMMARY", 0 },
	[ABI] = { "abi", "ABI", COLUMN_RIGHT },         [REFUSED] = { "refused", "REFUSED", 0 },
	[ARGS_HELP] = { "args_help", "ARGUMENTS", 0 },  [PATH] = { "path", "PATH", COLUMN_TEXT },
};

struct listing {
	struct table table;
	struct ctx *ctx;
	size_t n;
};

static const char *kind_name(uint32_t kind)
{
	return kind == SONDE_PLUGIN_CONNECTOR ? "connector"
	       : kind == SONDE_PLUGIN_LAYER   ? "layer"
					      : NULL;
}

static const char *or_null(const char *text)
{
	return text && *text ? text : NULL;
}

static int add(void *user, const struct sonde_plugin_info *info)
{
	struct listing *l = user;
	struct table *t = &l->table;

	table_str(t, or_null(info->name));
	table_str(t, kind_name(info->kind));
	table_str(t, info->refused ? "refused" : "ok");
	table_str(t, or_null(info->summary));
	table_u64(t, info->abi);
	table_str(t, info->refused);
	table_str(t, or_null(info->args_help));
	table_str(t, info->path);
	if (info->refused)
		table_style(t, STYLE_RED);
	table_row(t);
	l->n++;
	return 0;
}

/* Text has no room for the reasons in its rows: they follow, one a line. */
static int tell_refused(void *user, const struct sonde_plugin_info *info)
{
	struct ctx *ctx = user;

	if (info->refused)
		complain(ctx, "refused '%s': %s", info->path, info->refused);
	return 0;
}

static int run(struct ctx *ctx)
{
	struct listing l = { .ctx = ctx };

	int code = table_init(&l.table, ctx, columns, N_COLUMNS);
	if (code != 0)
		return code;
	sonde_plugins(add, &l);
	int text = table_is_text(&l.table);
	table_finish(&l.table);
	if (l.n == 0)
		complain(ctx,
			 "no plugin found; SONDE_PLUGIN_PATH names the folders that have them");
	if (text)
		sonde_plugins(tell_refused, ctx);
	return 0;
}

const struct cmd cmd_plugins = {
	.name = "plugins",
	.args = "",
	.summary = "list connectors and layers, and what was refused and why",
	.help = "List every plugin file of the search path: $SONDE_PLUGIN_PATH, then the "
		"installed\n"
		"folder. A plugin that is refused is listed with the reason.\n"
		"Fields: name kind status summary abi refused args_help path.\n",
	.example = "sonde plugins --fields name,summary",
	.options = OPT_BIT(FIELDS),
	.max_args = 0,
	.run = run,
};
