/* SPDX-License-Identifier: MIT */
/* sonde sym: the kernel's symbols, by name, by address, by pattern. */
#include "session.h"
#include "table.h"

#include <fnmatch.h>

enum { ADDR, TYPE, SIZE, OFFSET, MODULE, NAME, N_COLUMNS };

#define RIGHT (COLUMN_TEXT | COLUMN_RIGHT)

static const struct column columns[N_COLUMNS] = {
	[ADDR] = { "addr", "ADDR", COLUMN_TEXT },
	[TYPE] = { "type", "TYPE", COLUMN_TEXT },
	[SIZE] = { "size", "SIZE", RIGHT },
	[OFFSET] = { "offset", "OFFSET", RIGHT },
	[MODULE] = { "module", "MODULE", COLUMN_TEXT },
	[NAME] = { "name", "NAME", COLUMN_TEXT },
};

static void put(struct table *t, const struct sonde_symbol *s, uint64_t offset)
{
	char type[2] = { s->type, '\0' };

	table_addr(t, s->addr);
	table_str(t, type);
	table_u64(t, s->size);
	table_u64(t, offset);
	table_str(t, s->module);
	table_str(t, s->name);
	table_row(t);
}

static int find_one(struct ctx *ctx, struct table *t, const char *text)
{
	const struct sonde_symbols *symbols = sonde_os_symbols(ctx->os);
	struct sonde_symbol symbol;
	uint64_t addr;

	if (sonde_symbol_find(symbols, text, &symbol)) {
		put(t, &symbol, 0);
		return 0;
	}
	if (text[0] < '0' || text[0] > '9')
		return fail(ctx, EXIT_FAILED, "'%s': no such symbol; --match GLOB searches", text);
	if (!parse_u64(text, &addr))
		return usage(ctx, "'%s': neither a symbol nor an address", text);
	if (!session_symbol_at(ctx, addr, &symbol))
		return fail(ctx, EXIT_FAILED, "'%s': no symbol covers this address", text);
	put(t, &symbol, addr - symbol.addr);
	return 0;
}

static int find_each(struct ctx *ctx, struct table *t)
{
	int n_found = 0, code = 0;

	for (int i = 1; i < ctx->n_args; i++) {
		int one = find_one(ctx, t, ctx->args[i]);

		if (one == 0)
			n_found++;
		else
			code = one;
	}
	return code == EXIT_FAILED && n_found > 0 ? EXIT_PARTIAL : code;
}

static int find_matching(struct ctx *ctx, struct table *t, const char *glob)
{
	const struct sonde_symbols *symbols = sonde_os_symbols(ctx->os);
	struct sonde_symbol symbol;
	size_t n_found = 0;

	for (size_t i = 0; ctx->out.err == 0 && sonde_symbol_get(symbols, i, &symbol); i++) {
		if (glob && fnmatch(glob, symbol.name, 0) != 0)
			continue;
		put(t, &symbol, 0);
		n_found++;
	}
	if (n_found == 0)
		return fail(ctx, EXIT_FAILED, "no symbol matches '%s'", glob ? glob : "*");
	return 0;
}

static int run(struct ctx *ctx)
{
	const struct opts *opts = &ctx->opts;
	struct table t;

	if ((ctx->n_args > 1) + (opts->match != NULL) + opts->all != 1)
		return usage(ctx, "give names or addresses, or --match GLOB, or --all");
	int code = table_init(&t, ctx, columns, N_COLUMNS);
	if (code != 0 || (code = session_start(ctx)) != 0)
		return code;
	if (ctx->n_args > 1)
		code = find_each(ctx, &t);
	else
		code = find_matching(ctx, &t, opts->match);
	if (code != EXIT_FAILED) /* which means: no row */
		table_finish(&t);
	return code;
}

const struct cmd cmd_sym = {
	.name = "sym",
	.args = "TARGET [NAME|ADDR]...",
	.summary = "look up symbols of a kernel, by name or address",
	.help = "Print the symbol of each NAME, or the one that covers each ADDR, with the offset "
		"into\n"
		"it; --match prints those that a shell pattern matches, --all every one. Types "
		"are\n"
		"those of nm(1).\n"
		"Fields: addr type size offset module name.\n",
	.example = "sonde sym guest.elf --match 'init_*'",
	.options = OPT_BIT(FIELDS) | OPT_BIT(MATCH) | OPT_BIT(ALL),
	.min_args = 1,
	.max_args = 1024,
	.run = run,
};
