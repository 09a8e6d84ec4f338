/* SPDX-License-Identifier: MIT */
/* sonde targets: what could be opened now: running guests, domains, processes. */
#include "table.h"

enum { TARGET, CONNECTOR, NAME, PID, STATE, DETAIL, N_COLUMNS };

static const struct column columns[N_COLUMNS] = {
	[TARGET] = { "target", "TARGET", COLUMN_TEXT },
	[CONNECTOR] = { "connector", "CONNECTOR", 0 },
	[NAME] = { "name", "NAME", COLUMN_TEXT },
	[PID] = { "pid", "PID", COLUMN_TEXT | COLUMN_RIGHT },
	[STATE] = { "state", "STATE", COLUMN_TEXT },
	[DETAIL] = { "detail", "DETAIL", COLUMN_TEXT },
};

struct listing {
	struct table table;
	struct ctx *ctx;
	size_t n;
};

static int add(void *user, const struct sonde_listed_target *one)
{
	struct listing *l = user;
	struct table *t = &l->table;

	if (one->error) {
		if (l->ctx->opts.verbose)
			complain(l->ctx, "%s", one->error);
		return 0;
	}
	table_str(t, one->target);
	table_str(t, one->connector);
	table_str(t, one->name);
	if (one->pid)
		table_i64(t, one->pid);
	else
		table_null(t);
	table_str(t, one->state);
	table_str(t, one->detail);
	table_row(t);
	l->n++;
	return 0;
}

static int run(struct ctx *ctx)
{
	struct listing l = { .ctx = ctx };
	struct sonde_error err = { 0 };
	const char *connector = ctx->n_args ? ctx->args[0] : NULL;

	int code = table_init(&l.table, ctx, columns, N_COLUMNS);
	if (code != 0)
		return code;
	int r = sonde_targets(connector, add, &l, &err);
	if (r < 0 && l.n == 0)
		l.table.header = 0; /* of nothing */
	table_finish(&l.table);
	if (r == SONDE_E_NOT_FOUND && l.n == 0)
		return fail(ctx, EXIT_NO_TARGET, "%s", err.text);
	if (r < 0)
		return fail(ctx, l.n ? EXIT_PARTIAL : EXIT_FAILED, "%s", err.text);
	return 0;
}

const struct cmd cmd_targets = {
	.name = "targets",
	.args = "[CONNECTOR]",
	.summary = "list what could be opened: guests, domains, processes",
	.help = "List what could be opened now, by the name that opens it. Nothing is opened.\n"
		"With a CONNECTOR, only what it can tell of (qemu libvirt process); without, what\n"
		"all can, but for processes. With -v, also why a connector could not tell.\n"
		"Fields: target connector name pid state detail.\n",
	.example = "sonde targets qemu",
	.options = OPT_BIT(FIELDS),
	.max_args = 1,
	.run = run,
};
