/* SPDX-License-Identifier: MIT */
/* sonde disas: instructions of a target, with the kernel's names for what they refer to. */
#include "disas.h"
#include "reader.h"
#include "session.h"
#include "table.h"

#include <inttypes.h>
#include <string.h>

enum { ADDR, SYMBOL, BYTES, MNEMONIC, OPERANDS, TARGET_ADDR, TARGET_SYMBOL, N_COLUMNS };

static const struct column columns[N_COLUMNS] = {
	[ADDR] = { "addr", "ADDR", COLUMN_TEXT },
	[SYMBOL] = { "symbol", "SYMBOL", COLUMN_TEXT },
	[BYTES] = { "bytes", "BYTES", COLUMN_TEXT },
	[MNEMONIC] = { "mnemonic", "MNEMONIC", COLUMN_TEXT },
	[OPERANDS] = { "operands", "OPERANDS", COLUMN_TEXT },
	[TARGET_ADDR] = { "target", "TARGET", COLUMN_TEXT },
	[TARGET_SYMBOL] = { "target_symbol", "TARGET-SYMBOL", COLUMN_TEXT },
};

enum {
	COUNT_DEFAULT = 16,
	FUNCTION_MAX = 1 << 16, /* bytes: past this a symbol is no function, but a missing end */
	WINDOW = 4096,
	COLUMN_BYTES = 8, /* instructions longer than this push the rest to the right */
};

struct listing {
	struct ctx *ctx;
	struct place place;
	struct disas *disas;
	struct table table;
	struct chunk chunk;
	uint64_t end;   /* stop here, or ...         */
	uint64_t count; /* ... after so many, 0 none */
	uint64_t n;
};

/* Symbols are the kernel's virtual addresses: of physical and user ones they would tell lies. */
static void symbol(const struct listing *l, uint64_t addr, char *buf, size_t cap)
{
	buf[0] = '\0';
	if (l->place.pid == 0 || (l->place.pid > 0 && addr >> 63))
		session_symbol(l->ctx, addr, buf, cap);
}

static void put_row(struct listing *l, uint64_t addr, const uint8_t *code, const struct insn *insn)
{
	struct table *t = &l->table;
	char name[512];

	table_addr(t, addr);
	symbol(l, addr, name, sizeof(name));
	table_str(t, *name ? name : NULL);
	table_hex(t, code, insn->size);
	table_str(t, insn->mnemonic);
	table_str(t, insn->operands);
	if (insn->refers) {
		table_addr(t, insn->target);
		symbol(l, insn->target, name, sizeof(name));
		table_str(t, *name ? name : NULL);
	} else {
		table_null(t);
		table_null(t);
	}
	table_row(t);
}

static void put_heading(struct listing *l, uint64_t addr)
{
	struct buf line = { 0 };
	char name[512];

	symbol(l, addr, name, sizeof(name));
	if (*name && (l->n == 0 || !strchr(name, '+'))) {
		text_put(&line, TEXT_TERMINAL, name, strlen(name));
		buf_str(&line, ":\n");
		out_bytes(&l->ctx->out, line.bytes, line.len);
	}
	buf_finish(&line);
}

static void put_text(struct listing *l, uint64_t addr, const uint8_t *code, const struct insn *insn)
{
	struct buf line = { 0 };
	char name[512];

	put_heading(l, addr);
	buf_str(&line, "  ");
	buf_hex(&line, addr, 16);
	buf_str(&line, "  ");
	for (uint32_t i = 0; i < insn->size; i++) {
		buf_hex(&line, code[i], 2);
		buf_char(&line, ' ');
	}
	for (uint32_t i = insn->size; i < COLUMN_BYTES; i++)
		buf_str(&line, "   ");
	buf_char(&line, ' ');
	buf_str(&line, insn->mnemonic);
	for (size_t i = strlen(insn->mnemonic); *insn->operands && i < 8; i++)
		buf_char(&line, ' ');
	buf_str(&line, insn->operands);
	symbol(l, insn->target, name, sizeof(name));
	if (insn->refers == INSN_REFERS_DATA) {
		buf_str(&line, "  # 0x");
		buf_hex(&line, insn->target, 1);
	}
	if (insn->refers && *name) {
		buf_str(&line, " <");
		text_put(&line, TEXT_TERMINAL, name, strlen(name));
		buf_char(&line, '>');
	}
	buf_char(&line, '\n');
	out_bytes(&l->ctx->out, line.bytes, line.len);
	buf_finish(&line);
}

static int wanted(const struct listing *l, uint64_t addr)
{
	if (l->count)
		return l->n < l->count;
	return addr - l->place.addr < l->end - l->place.addr;
}

/* Decode what was read. Stops INSN_MAX short of the end unless it is the last there is. */
static uint32_t decode(struct listing *l, uint32_t len, int is_last)
{
	uint32_t off = 0;

	while (off < len && (is_last || len - off >= INSN_MAX)) {
		const uint8_t *code = l->chunk.bytes + off;
		uint64_t addr = l->chunk.addr + off;
		struct insn insn;

		if (!wanted(l, addr))
			break;
		if (!disas_one(l->disas, code, len - off, addr, &insn))
			strcpy(insn.mnemonic, "(bad)");
		if (table_is_text(&l->table) && !l->ctx->opts.fields)
			put_text(l, addr, code, &insn);
		else
			put_row(l, addr, code, &insn);
		l->n++;
		off += insn.size;
	}
	return off;
}

static int list(struct listing *l)
{
	struct ctx *ctx = l->ctx;
	uint64_t addr = l->place.addr;

	while (wanted(l, addr) && ctx->out.err == 0) {
		uint64_t room = UINT64_MAX - addr;
		uint32_t len = room < WINDOW ? (uint32_t)room + 1 : WINDOW;

		int r = chunk_read(ctx, l->place.space, addr, len, &l->chunk);
		if (r < 0)
			return fail(ctx, EXIT_FAILED, "%s 0x%" PRIx64 ": %s", l->place.name, addr,
				    sonde_strerror(r));
		uint32_t good = l->chunk.err[0] == 0 ? chunk_run(&l->chunk, 0) : 0;
		int last = good < len || len < WINDOW;
		addr += decode(l, good, last);
		if (last && wanted(l, addr))
			return fail(ctx, l->n > 0 ? EXIT_PARTIAL : EXIT_FAILED,
				    "%s 0x%" PRIx64 ": %s", l->place.name, addr,
				    good < len ? sonde_strerror(l->chunk.err[good])
					       : "the address space ends here");
	}
	return 0;
}

/* A symbol is listed to its end, an address for a few instructions. */
static void choose_extent(struct listing *l)
{
	struct ctx *ctx = l->ctx;
	struct sonde_symbol symbol;

	l->count = ctx->opts.count;
	if (l->count == 0 && ctx->os &&
	    sonde_symbol_find(sonde_os_symbols(ctx->os), ctx->args[1], &symbol) &&
	    symbol.size > 0 && symbol.size <= FUNCTION_MAX &&
	    symbol.size - 1 <= UINT64_MAX - symbol.addr)
		l->end = symbol.addr + symbol.size;
	else if (l->count == 0)
		l->count = COUNT_DEFAULT;
}

/* A process may be of another one than its kernel. A raw image does not say what machine it is of, but the kernel in it does. */
static int architecture(struct ctx *ctx, const struct place *place, uint32_t *ret)
{
	struct sonde_target_info info;
	struct sonde_kernel kernel;

	if (place->pid > 0 && sonde_os_process_arch(ctx->os, place->pid, ret, NULL) == 0)
		return 0;
	sonde_target_info(ctx->target, &info);
	*ret = info.arch;
	if (info.arch != SONDE_ARCH_NONE)
		return 0;
	int code = session_attach(ctx);
	if (code != 0)
		return code;
	sonde_os_kernel(ctx->os, &kernel);
	*ret = kernel.arch;
	return 0;
}

static int run(struct ctx *ctx)
{
	struct listing l = { .ctx = ctx };
	const char *why;
	uint32_t arch;

	int code = table_init(&l.table, ctx, columns, N_COLUMNS);
	if (code != 0 || (code = session_open(ctx)) != 0)
		return code;
	if ((code = session_place(ctx, ctx->args[1], &l.place)) != 0)
		return code;
	if ((code = architecture(ctx, &l.place, &arch)) != 0)
		return code;
	l.disas = disas_open(arch, &why);
	if (!l.disas)
		return fail(ctx, EXIT_FAILED, "%s", why);
	choose_extent(&l);
	chunk_init(&l.chunk);
	code = list(&l);
	if (!table_is_text(&l.table) || ctx->opts.fields)
		table_finish(&l.table);
	chunk_finish(&l.chunk);
	disas_close(l.disas);
	return code;
}

const struct cmd cmd_disas = {
	.name = "disas",
	.args = "TARGET ADDR|SYMBOL",
	.summary = "disassemble code, with symbols",
	.help = "Disassemble from ADDR, which is read as 'sonde read' does: a symbol to its end, "
		"an\n"
		"address for 16 instructions, or COUNT of them.\n"
		"Fields: addr symbol bytes mnemonic operands target target_symbol.\n",
	.example = "sonde disas guest.elf schedule",
	.options =
		OPT_BIT(FIELDS) | OPT_BIT(PID) | OPT_BIT(KERNEL) | OPT_BIT(PHYS) | OPT_BIT(COUNT),
	.min_args = 2,
	.max_args = 2,
	.run = run,
};
