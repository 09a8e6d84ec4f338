/* SPDX-License-Identifier: MIT */
/* sonde type: how the target's kernel lays out a structure, or where one member lies. */
#include "session.h"
#include "table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TYPE, SIZE, MEMBER, OFFSET, BIT_OFFSET, BIT_SIZE, SOURCE, DECLARATION, N_COLUMNS };

static const struct column columns[N_COLUMNS] = {
	[TYPE] = { "type", "Type", COLUMN_TEXT },
	[SIZE] = { "size", "Size", COLUMN_TEXT },
	[MEMBER] = { "member", "Member", COLUMN_TEXT },
	[OFFSET] = { "offset", "Offset", COLUMN_TEXT },
	[BIT_OFFSET] = { "bit_offset", "Offset in bits", COLUMN_TEXT },
	[BIT_SIZE] = { "bit_size", "Size in bits", COLUMN_TEXT },
	[SOURCE] = { "source", "Types from", COLUMN_TEXT },
	[DECLARATION] = { "declaration", "Declaration", COLUMN_TEXT },
};

/* The declaration of a type in a string to be freed; NULL when there is none. */
static char *declaration(const struct sonde_types *types, uint32_t type)
{
	int len = sonde_type_print(types, type, NULL, 0);

	if (len < 0)
		return NULL;
	char *text = grow(NULL, (size_t)len + 1, 1);
	sonde_type_print(types, type, text, (size_t)len + 1);
	return text;
}

static void put_size(struct table *t, int64_t size)
{
	if (size >= 0)
		table_i64(t, size);
	else
		table_null(t);
}

static void put_type(struct table *t, const struct sonde_types *types, const char *name,
		     uint32_t type, const char *text)
{
	table_str(t, name);
	put_size(t, sonde_type_size(types, type));
	for (int i = MEMBER; i <= BIT_SIZE; i++)
		table_null(t);
	table_str(t, sonde_types_source(types));
	table_str(t, text);
	table_row(t);
}

static void put_member(struct table *t, const struct sonde_types *types, const char *name,
		       const char *path, const struct sonde_member *m, const char *text)
{
	table_str(t, name);
	put_size(t, sonde_type_size(types, m->type));
	table_str(t, path);
	table_u64(t, m->bit_off / 8);
	table_u64(t, m->bit_off);
	table_u64(t, m->bit_size);
	table_str(t, sonde_types_source(types));
	table_str(t, text);
	table_row(t);
}

/* Text of a guest goes line by line: its names may hold anything, its line feeds are ours. */
static void print_lines(struct out *out, const char *text)
{
	struct buf line = { 0 };

	for (;;) {
		size_t len = strcspn(text, "\n"), tabs = strspn(text, "\t");

		line.len = 0;
		buf_bytes(&line, text, tabs);
		text_put(&line, TEXT_TERMINAL, text + tabs, len - tabs);
		buf_char(&line, '\n');
		out_bytes(out, line.bytes, line.len);
		if (text[len] == '\0' || text[len + 1] == '\0')
			break;
		text += len + 1;
	}
	buf_finish(&line);
}

static int show_type(struct ctx *ctx, struct table *t, const struct sonde_types *types,
		     uint32_t type)
{
	char *text = declaration(types, type);

	if (!text)
		return fail(ctx, EXIT_FAILED, "'%s': its declaration contradicts itself",
			    ctx->args[1]);
	if (table_is_text(t) && !ctx->opts.fields)
		print_lines(&ctx->out, text);
	else
		put_type(t, types, ctx->args[1], type, text);
	free(text);
	return 0;
}

static int show_member(struct ctx *ctx, struct table *t, const struct sonde_types *types,
		       uint32_t type)
{
	struct sonde_member member;

	if (!sonde_type_member(types, type, ctx->args[2], &member))
		return fail(ctx, EXIT_FAILED, "'%s' has no member '%s'", ctx->args[1],
			    ctx->args[2]);
	char *text = declaration(types, member.type);
	put_member(t, types, ctx->args[1], ctx->args[2], &member,
		   table_is_text(t) && !ctx->opts.fields ? NULL : text);
	free(text);
	return 0;
}

static int run(struct ctx *ctx)
{
	struct table t;
	uint32_t type;

	int code = record_init(&t, ctx, columns, N_COLUMNS);
	if (code != 0 || (code = session_start(ctx)) != 0)
		return code;
	const struct sonde_types *types = sonde_os_types(ctx->os);
	if (!types)
		return fail(ctx, EXIT_NO_OS,
			    "this kernel carries no types; --symbols FILE takes them "
			    "from its vmlinux");
	if (!sonde_type_find(types, ctx->args[1], &type))
		return fail(ctx, EXIT_FAILED, "'%s': no such type in %s", ctx->args[1],
			    sonde_types_source(types));
	if (ctx->n_args > 2)
		code = show_member(ctx, &t, types, type);
	else
		code = show_type(ctx, &t, types, type);
	if (code == 0)
		table_finish(&t);
	return code;
}

const struct cmd cmd_type = {
	.name = "type",
	.args = "TARGET NAME [MEMBER]",
	.summary = "show how a type of the kernel is laid out",
	.help = "Print the declaration of a type with offsets, as this very kernel was built, or "
		"where\n"
		"a MEMBER lies in it: a path as in C, 'se.sum_exec_runtime' or "
		"'pid_links[1].next'.\n"
		"NAME is 'struct task_struct', 'union u', 'enum e' or a typedef; a bare name is "
		"looked\n"
		"for in that order.\n"
		"Fields: type size member offset bit_offset bit_size source declaration.\n",
	.example = "sonde type guest.elf 'struct task_struct' mm",
	.options = OPT_BIT(FIELDS),
	.min_args = 2,
	.max_args = 3,
	.run = run,
};
