/* SPDX-License-Identifier: MIT */
/* sonde write: change a target's memory, only when asked for twice (the command and --write). */
#include "pattern.h"
#include "session.h"
#include "table.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ADDR, LEN, WRITTEN, ERROR_ADDR, ERROR, N_COLUMNS };

static const struct column columns[N_COLUMNS] = {
	[ADDR] = { "addr", "Address", 0 },       [LEN] = { "len", "Bytes", 0 },
	[WRITTEN] = { "written", "Written", 0 }, [ERROR_ADDR] = { "error_addr", "Failed at", 0 },
	[ERROR] = { "error", "Because", 0 },
};

enum { FILE_MAX = 1 << 30 };

static int hex_bytes(struct ctx *ctx, const char *text, struct buf *ret)
{
	for (const char *at = text; *at; at += 2) {
		while (isspace((unsigned char)*at))
			at++;
		if (*at == '\0')
			break;
		int high = hex_digit(at[0]), low = high < 0 ? -1 : hex_digit(at[1]);
		if (low < 0)
			return usage(ctx,
				     "--hex '%s': pairs of hex digits are needed, '%.2s' is none",
				     text, at);
		buf_char(ret, (char)(high << 4 | low));
	}
	return 0;
}

static int file_bytes(struct ctx *ctx, const char *path, struct buf *ret)
{
	char block[65536];
	ssize_t n;

	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail(ctx, EXIT_FAILED, "'%s': %s", path, strerror(errno));
	while ((n = read(fd, block, sizeof(block))) > 0 && ret->len <= FILE_MAX)
		buf_bytes(ret, block, (size_t)n);
	int err = n < 0 ? errno : 0;
	close(fd);
	if (err != 0)
		return fail(ctx, EXIT_FAILED, "'%s': %s", path, strerror(err));
	if (ret->len > FILE_MAX)
		return fail(ctx, EXIT_FAILED, "'%s': larger than 1 GiB", path);
	return 0;
}

static int bytes_to_write(struct ctx *ctx, struct buf *ret)
{
	const struct opts *opts = &ctx->opts;
	int code = 0;

	if ((opts->hex_bytes != NULL) + (opts->file != NULL) + (opts->string != NULL) != 1)
		return usage(ctx, "give the bytes by one of --hex, --file, --string");
	if (!opts->write)
		return usage(ctx, "nothing was written: add --write if this memory is to change");
	if (opts->hex_bytes)
		code = hex_bytes(ctx, opts->hex_bytes, ret);
	else if (opts->file)
		code = file_bytes(ctx, opts->file, ret);
	else
		buf_str(ret, opts->string);
	if (code == 0 && ret->len == 0)
		return usage(ctx, "there are no bytes to write");
	return code;
}

static int put(struct ctx *ctx, const struct place *place, const struct buf *bytes)
{
	struct sonde_xfer x = { .addr = place->addr,
				.buf = bytes->bytes,
				.len = (uint32_t)bytes->len };
	struct table t;

	int r = sonde_space_write(place->space, &x, 1);
	if (r < 0)
		return fail(ctx, EXIT_FAILED, "%s 0x%" PRIx64 ": %s", place->name, place->addr,
			    sonde_strerror(r));
	if (x.err)
		complain(ctx, "%s 0x%" PRIx64 ": %s; %" PRIu32 " of %" PRIu32 " bytes were written",
			 place->name, x.addr + x.err_off, sonde_strerror(x.err), x.done, x.len);
	if (record_init(&t, ctx, columns, N_COLUMNS) != 0)
		return EXIT_USAGE;
	table_addr(&t, x.addr);
	table_u64(&t, x.len);
	table_u64(&t, x.done);
	if (x.err)
		table_addr(&t, x.addr + x.err_off);
	else
		table_null(&t);
	table_str(&t, x.err ? sonde_error_name(x.err) : NULL);
	table_row(&t);
	table_finish(&t);
	return x.err == 0 ? 0 : x.done > 0 ? EXIT_PARTIAL : EXIT_FAILED;
}

static int run(struct ctx *ctx)
{
	struct buf bytes = { 0 };
	struct place place;

	int code = bytes_to_write(ctx, &bytes);
	if (code == 0)
		code = session_open(ctx);
	if (code == 0)
		code = session_place(ctx, ctx->args[1], &place);
	if (code == 0)
		code = put(ctx, &place, &bytes);
	buf_finish(&bytes);
	return code;
}

const struct cmd cmd_write = {
	.name = "write",
	.args = "TARGET ADDR",
	.summary = "write memory (needs --write)",
	.help = "Write bytes at ADDR, which is read as 'sonde read' does. Nothing happens without\n"
		"--write, and only targets that can be opened for writing take it.\n"
		"Fields: addr len written error_addr error.\n",
	.example = "sonde write process:1234 0x7ffc00001000 --hex '90 90' --write",
	.options = OPT_BIT(PID) | OPT_BIT(KERNEL) | OPT_BIT(PHYS) | OPT_BIT(HEX_BYTES) |
		   OPT_BIT(FILE) | OPT_BIT(STRING) | OPT_BIT(WRITE),
	.min_args = 2,
	.max_args = 2,
	.run = run,
};
