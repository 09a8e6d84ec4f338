/* SPDX-License-Identifier: MIT */
/*
 * sonde read: bytes of a target, as a hex dump, as they are, or as rows. A byte that cannot
 * be read is never shown as a zero: it is '--', and the ranges are told at the end.
 */
#include "holes.h"
#include "reader.h"
#include "session.h"
#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ADDR, LEN, DATA, ERROR, N_COLUMNS };

static const struct column columns[N_COLUMNS] = {
	[ADDR] = { "addr", "ADDR", COLUMN_TEXT },
	[LEN] = { "len", "LEN", COLUMN_TEXT | COLUMN_RIGHT },
	[DATA] = { "data", "DATA", COLUMN_TEXT },
	[ERROR] = { "error", "ERROR", COLUMN_TEXT },
};

enum { LINE = 16, ROW_MAX = 4096 };

struct read {
	struct ctx *ctx;
	struct place place;
	uint64_t len;
	struct chunk chunk;
	struct table table; /* JSON and CSV */
	struct out *file;   /* raw, standard output's or that of -o */
	int new_file;
	struct holes holes;
	uint8_t last[LINE]; /* the dump's line before this one ... */
	int8_t last_err[LINE];
	int repeats, n_lines; /* ... and whether it stands for several */
	void (*sink)(struct read *r, const struct chunk *c, int is_last);
};

static void note_holes(struct read *r, const struct chunk *c)
{
	for (uint32_t off = 0, n; off < c->len; off += n) {
		n = chunk_run(c, off);
		if (c->err[off] != 0)
			holes_note(&r->holes, c->addr + off, n, c->err[off]);
	}
}

static void hex2(char *to, uint8_t byte, int8_t err)
{
	to[0] = err ? '-' : "0123456789abcdef"[byte >> 4];
	to[1] = err ? '-' : "0123456789abcdef"[byte & 15];
}

static void dump_line(struct out *out, uint64_t addr, const uint8_t *bytes, const int8_t *err,
		      uint32_t n)
{
	char line[16 + 2 + LINE * 3 + 2 + LINE + 4];
	char *hex = line + 18, *text = hex + LINE * 3 + 2;

	memset(line, ' ', sizeof(line));
	for (int i = 0; i < 16; i++)
		line[i] = "0123456789abcdef"[addr >> (60 - 4 * i) & 15];
	for (uint32_t i = 0; i < n; i++) {
		hex2(hex + i * 3 + (i >= LINE / 2), bytes[i], err[i]);
		text[i + 1] = err[i]                                ? '-'
			      : bytes[i] >= 0x20 && bytes[i] < 0x7f ? (char)bytes[i]
								    : '.';
	}
	text[0] = '|';
	text[n + 1] = '|';
	text[n + 2] = '\n';
	out_bytes(out, line, (size_t)(text + n + 3 - line));
}

/* A line like the one before it is not repeated: '*' stands for any number, as hexdump(1) does. */
static void dump(struct read *r, const struct chunk *c, int is_last)
{
	for (uint32_t off = 0; off < c->len; off += LINE) {
		uint32_t n = c->len - off < LINE ? c->len - off : LINE;
		const uint8_t *bytes = c->bytes + off;
		const int8_t *err = c->err + off;
		int end = is_last && c->len - off <= LINE;

		if (r->n_lines > 0 && !end && memcmp(bytes, r->last, LINE) == 0 &&
		    memcmp(err, r->last_err, LINE) == 0) {
			if (!r->repeats)
				out_str(&r->ctx->out, "*\n");
			r->repeats = 1;
			continue;
		}
		dump_line(&r->ctx->out, c->addr + off, bytes, err, n);
		r->repeats = 0;
		r->n_lines = 1;
		memcpy(r->last, bytes, n);
		memcpy(r->last_err, err, n);
	}
}

static void hex_digits(struct read *r, const struct chunk *c, int is_last)
{
	char digits[2];

	for (uint32_t i = 0; i < c->len; i++) {
		hex2(digits, c->bytes[i], c->err[i]);
		out_bytes(&r->ctx->out, digits, 2);
	}
	if (is_last)
		out_char(&r->ctx->out, '\n');
}

static void raw(struct read *r, const struct chunk *c, int is_last)
{
	(void)is_last;
	out_bytes(r->file, c->bytes, c->len);
}

static void put_row(struct read *r, uint64_t addr, const uint8_t *bytes, uint32_t len, int8_t err)
{
	table_addr(&r->table, addr);
	table_u64(&r->table, len);
	if (err == 0)
		table_hex(&r->table, bytes, len);
	else
		table_null(&r->table);
	table_str(&r->table, err ? sonde_error_name(err) : NULL);
	table_row(&r->table);
}

static void rows(struct read *r, const struct chunk *c, int is_last)
{
	(void)is_last;
	for (uint32_t off = 0, n; off < c->len; off += n) {
		n = chunk_run(c, off);
		uint32_t most = c->err[off] == 0 ? ROW_MAX : n;
		for (uint32_t at = 0; at < n; at += most)
			put_row(r, c->addr + off + at, c->bytes + off + at,
				n - at < most ? n - at : most, c->err[off]);
	}
}

static int read_all(struct read *r)
{
	struct ctx *ctx = r->ctx;
	uint64_t left = r->len, addr = r->place.addr;

	while (left > 0 && ctx->out.err == 0 && !(r->file && r->file->err)) {
		uint32_t n = left < CHUNK_MAX ? (uint32_t)left : CHUNK_MAX;

		int e = chunk_read(ctx, r->place.space, addr, n, &r->chunk);
		if (e < 0)
			return fail(ctx, EXIT_FAILED, "%s 0x%" PRIx64 ": %s", r->place.name, addr,
				    sonde_strerror(e));
		note_holes(r, &r->chunk);
		r->sink(r, &r->chunk, left == n);
		left -= n;
		addr += n;
	}
	return 0;
}

static int open_file(struct read *r)
{
	const char *path = r->ctx->opts.output;

	/* Memory holds secrets: a new file is the owner's alone. */
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail(r->ctx, EXIT_FAILED, "'%s': %s", path, strerror(errno));
	r->file = grow(NULL, 1, sizeof(*r->file));
	out_init(r->file, fd);
	r->new_file = 1;
	return 0;
}

static int close_file(struct read *r, int code)
{
	if (!r->new_file)
		return code;
	int err = out_flush(r->file);
	if (close(r->file->fd) < 0 && err == 0)
		err = errno;
	free(r->file);
	if (err != 0)
		return fail(r->ctx, EXIT_FAILED, "'%s': %s", r->ctx->opts.output, strerror(err));
	return code;
}

static int choose_sink(struct read *r)
{
	struct ctx *ctx = r->ctx;
	const struct opts *opts = &ctx->opts;

	if (opts->raw + opts->hex + opts->json + opts->csv + (opts->output != NULL) > 1)
		return usage(ctx, "--raw, --hex, --json, --csv and --output exclude each other");
	if (opts->raw && isatty(ctx->out.fd))
		return usage(ctx,
			     "--raw: standard output is a terminal; use a pipe or --output FILE");
	r->sink = opts->hex                   ? hex_digits
		  : opts->json || opts->csv   ? rows
		  : opts->raw || opts->output ? raw
					      : dump;
	if (r->sink == rows)
		return table_init(&r->table, ctx, columns, N_COLUMNS);
	r->file = opts->raw ? &ctx->out : NULL;
	return 0;
}

static int run(struct ctx *ctx)
{
	struct read r = { .ctx = ctx };

	if (!parse_u64(ctx->args[2], &r.len) || r.len == 0)
		return usage(ctx, "'%s': not a length", ctx->args[2]);
	int code = choose_sink(&r);
	if (code != 0 || (code = session_open(ctx)) != 0)
		return code;
	if ((code = session_place(ctx, ctx->args[1], &r.place)) != 0)
		return code;
	if (r.len - 1 > UINT64_MAX - r.place.addr)
		return usage(ctx, "'%s': runs past the end of the address space", ctx->args[2]);
	if (ctx->opts.output && (code = open_file(&r)) != 0)
		return code;
	chunk_init(&r.chunk);
	code = read_all(&r);
	if (r.sink == rows)
		table_finish(&r.table);
	chunk_finish(&r.chunk);
	if (code == 0)
		code = holes_tell(&r.holes, ctx, r.place.name, r.len);
	return close_file(&r, code);
}

const struct cmd cmd_read = {
	.name = "read",
	.args = "TARGET ADDR LEN",
	.summary = "read memory: hex dump, raw bytes, or rows",
	.help = "Read LEN bytes at ADDR: 0x hex, decimal, SYMBOL or SYMBOL+OFFSET; LEN may end in\n"
		"k, M or G. The address is physical for numbers and the kernel's for symbols and "
		"for\n"
		"numbers from 0x8000000000000000 up, unless --pid, --kernel or --phys says "
		"otherwise.\n"
		"Unreadable bytes are shown as '--' (zeros in raw output), their ranges on stderr; "
		"a\n"
		"line like the one before it is '*'.\n"
		"Fields: addr len data error.\n",
	.example = "sonde read guest.elf linux_banner 128",
	.options = OPT_BIT(FIELDS) | OPT_BIT(PID) | OPT_BIT(KERNEL) | OPT_BIT(PHYS) |
		   OPT_BIT(OUTPUT) | OPT_BIT(RAW) | OPT_BIT(HEX),
	.min_args = 3,
	.max_args = 3,
	.run = run,
};
