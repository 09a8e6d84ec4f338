/* SPDX-License-Identifier: MIT */
/*
 * sonde write: change a target's memory with --write, or with --overlay a file that is seen over it; without either
 * show what would change. outcome.c tells of the ranges.
 */
#include "journal.h"
#include "outcome.h"
#include "pattern.h"
#include "reader.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

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

static int options_agree(struct ctx *ctx)
{
	const struct opts *opts = &ctx->opts;

	if (opts->write && opts->overlay)
		return usage(
			ctx,
			"--write changes the target, --overlay leaves it alone: which of them?");
	if (!opts->write && (opts->no_verify || opts->journal))
		return usage(ctx, "%s is of what --write writes",
			     opts->journal ? "--journal" : "--no-verify");
	return 0;
}

/* ---- pages that may be shared ------------------------------------------------------------------- */

enum { PAGES_ASKED_MAX = 4096 };

/*
 * A page that its owner may not write is read-only text, or stands for a page still to be copied: the page of
 * zeros, one shared since a fork, one of the page cache. The write reaches all who map it.
 */
static void warn_of_pages(struct ctx *ctx, const struct place *place, uint64_t len)
{
	struct sonde_translation tr;
	struct sonde_target_info info;
	uint64_t n_pages = 0, first = 0, off = 0;

	sonde_target_info(ctx->target, &info);
	if (place->pid < 0 || !(info.flags & SONDE_TARGET_PHYSICAL))
		return;
	for (int asked = 0; off < len && asked < PAGES_ASKED_MAX; asked++) {
		uint64_t va = place->addr + off, page = 4096;
		if (sonde_os_translate(ctx->os, (int32_t)place->pid, va, &tr, NULL) == 0) {
			page = tr.page_size ? tr.page_size : page;
			if (!(tr.flags & SONDE_PAGE_WRITE) && n_pages++ == 0)
				first = va;
		}
		off += page - va % page;
	}
	if (n_pages)
		complain(ctx,
			 "%s 0x%" PRIx64 ": the page tables say read-only (%" PRIu64
			 " of the pages): it may be "
			 "shared, and then all who map it see the change",
			 place->name, first, n_pages);
}

/* ---- writing ------------------------------------------------------------------------------------ */

struct job {
	struct ctx *ctx;
	struct place place;
	const uint8_t *bytes; /* [len] to be written at place.addr */
	uint64_t len;
	struct outcome outcome;
	struct journal journal; /* file NULL: none is kept                  */
	uint64_t off;           /* of the piece that is being written       */
	struct sonde_error err; /* what has become of the journal           */
};

static void told(void *user, const struct sonde_written *w)
{
	struct job *job = user;

	outcome_written(&job->outcome, job->place.addr + job->off, job->bytes + job->off, w,
			job->ctx->opts.no_verify ? OUTCOME_UNVERIFIED : OUTCOME_WRITTEN);
}

static int write_piece(struct job *job, uint64_t off, uint32_t len)
{
	struct sonde_xfer x = { .addr = job->place.addr + off,
				.buf = (void *)(uintptr_t)(job->bytes + off),
				.len = len };
	uint32_t flags = job->ctx->opts.no_verify ? SONDE_WRITE_UNVERIFIED : 0;

	job->off = off;
	return sonde_space_write_verified(job->place.space, &x, 1, flags, told, job);
}

/* What is there now, and what would be. */
static int show_piece(struct job *job, uint64_t off, uint32_t len, struct chunk *chunk)
{
	const uint8_t *bytes = job->bytes + off;

	int r = chunk_read(job->ctx, job->place.space, job->place.addr + off, len, chunk);
	for (uint32_t at = 0, n; r == 0 && at < len; at += n) {
		n = chunk_run(chunk, at);
		bool same = memcmp(chunk->bytes + at, bytes + at, n) == 0;
		struct outcome_range range = {
			.addr = chunk->addr + at,
			.len = n,
			.kind = chunk->err[at] ? OUTCOME_FAILED
				: same         ? OUTCOME_UNCHANGED
					       : OUTCOME_WOULD_CHANGE,
			.err = chunk->err[at],
			.wanted = chunk->err[at] ? NULL : bytes + at,
			.got = chunk->err[at] ? NULL : chunk->bytes + at,
		};
		outcome_add(&job->outcome, &range);
	}
	return r;
}

/* The old bytes of what can be read go into the journal, and onto the disk. */
static int add_to_journal(struct job *job, uint64_t off, const struct chunk *chunk)
{
	struct timespec now;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &now);
	for (uint32_t at = 0, n; r == 0 && at < chunk->len; at += n) {
		n = chunk_run(chunk, at);
		struct journal_write w = {
			.time_ns =
				(uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec,
			.addr = chunk->addr + at,
			.pid = (int32_t)job->place.pid,
			.len = n,
		};
		if (!chunk->err[at])
			r = journal_add(&job->journal, &w, chunk->bytes + at, job->bytes + off + at,
					&job->err);
	}
	return r == 0 ? journal_sync(&job->journal, &job->err) : r;
}

/* What cannot be read cannot be undone, and is not written. */
static int write_journaled(struct job *job, uint64_t off, uint32_t len, struct chunk *chunk)
{
	int r = chunk_read(job->ctx, job->place.space, job->place.addr + off, len, chunk);

	if (r == 0)
		r = add_to_journal(job, off, chunk);
	for (uint32_t at = 0, n; r >= 0 && at < len; at += n) {
		n = chunk_run(chunk, at);
		struct outcome_range lost = { .addr = chunk->addr + at,
					      .len = n,
					      .kind = OUTCOME_FAILED,
					      .err = chunk->err[at] };
		if (chunk->err[at])
			outcome_add(&job->outcome, &lost);
		else
			r = write_piece(job, off + at, n);
	}
	return r;
}

static int all_pieces(struct job *job)
{
	bool writes = job->ctx->opts.write || job->ctx->opts.overlay;
	struct chunk chunk;
	int r = 0;

	chunk_init(&chunk);
	for (uint64_t off = 0; r >= 0 && off < job->len; off += CHUNK_MAX) {
		uint64_t left = job->len - off;
		uint32_t len = left < CHUNK_MAX ? (uint32_t)left : CHUNK_MAX;
		r = job->journal.file ? write_journaled(job, off, len, &chunk)
		    : writes          ? write_piece(job, off, len)
				      : show_piece(job, off, len, &chunk);
	}
	chunk_finish(&chunk);
	return r;
}

/* Returns 0, or an exit code having told why not. Owns: journal_close, in any case. */
static int open_journal(struct job *job)
{
	const char *path = job->ctx->opts.journal;
	char identity[JOURNAL_TEXT_MAX];
	struct sonde_target_info info;
	struct sonde_error err = { 0 };

	sonde_target_info(job->ctx->target, &info);
	if (!path && job->ctx->opts.write && info.flags & SONDE_TARGET_LIVE)
		complain(job->ctx,
			 "no journal is kept, and so this cannot be undone: --journal FILE");
	if (!path)
		return 0;
	session_identity(job->ctx, identity, sizeof(identity));
	if (journal_open(&job->journal, path, JOURNAL_ADD, info.name, identity, &err) < 0)
		return fail(job->ctx, EXIT_FAILED, "%s", err.text);
	if (journal_is_of(&job->journal, identity))
		return 0;
	return fail(
		job->ctx, EXIT_FAILED,
		"'%s' is the journal of another target, '%s': %s; this is: %s; name another file",
		path, job->journal.target, job->journal.identity, identity);
}

static int put(struct ctx *ctx, const struct place *place, const struct buf *bytes)
{
	struct job job = { .ctx = ctx,
			   .place = *place,
			   .bytes = (const uint8_t *)bytes->bytes,
			   .len = bytes->len };

	int code = open_journal(&job);
	if (code == 0)
		code = outcome_begin(&job.outcome, ctx);
	if (code != 0) {
		journal_close(&job.journal);
		return code;
	}
	outcome_place(&job.outcome, place);
	warn_of_pages(ctx, place, bytes->len);
	int r = all_pieces(&job);
	code = outcome_end(&job.outcome);
	journal_close(&job.journal);
	if (r < 0)
		return fail(ctx, EXIT_FAILED, "%s 0x%" PRIx64 ": not all was written: %s",
			    place->name, place->addr,
			    job.err.text[0] ? job.err.text : sonde_strerror(r));
	if (code == EXIT_SHOWN_ONLY)
		complain(
			ctx,
			"nothing was written: --write changes the target; --overlay FILE keeps the "
			"change in FILE, to be seen over it");
	return code;
}

static int run(struct ctx *ctx)
{
	struct buf bytes = { 0 };
	struct place place;

	int code = options_agree(ctx);
	if (code == 0)
		code = bytes_to_write(ctx, &bytes);
	if (code == 0)
		code = session_open(ctx);
	if (code == 0)
		code = session_place(ctx, ctx->args[1], &place);
	if (code == 0 && bytes.len - 1 > UINT64_MAX - place.addr)
		code = usage(ctx,
			     "'%s': %zu bytes from there run past the end of the address space",
			     ctx->args[1], bytes.len);
	if (code == 0)
		code = put(ctx, &place, &bytes);
	buf_finish(&bytes);
	return code;
}

const struct cmd cmd_write = {
	.name = "write",
	.args = "TARGET ADDR",
	.summary = "write memory, or show what would change",
	.help = "Write bytes at ADDR, which is read as 'sonde read' does: into the target with\n"
		"--write, into a file that is seen over it with --overlay FILE; without either "
		"show\n"
		"what would change, exit code 6. What was written is read again and compared.\n"
		"With --journal FILE 'sonde undo' can take it back.\n"
		"Fields: space pid addr len result written error_addr error wanted got.\n",
	.example = "sonde write process:1234 0x7ffc00001000 --hex '90 90' --write",
	.options = OPT_BIT(FIELDS) | OPT_BIT(PID) | OPT_BIT(KERNEL) | OPT_BIT(PHYS) |
		   OPT_BIT(HEX_BYTES) | OPT_BIT(FILE) | OPT_BIT(STRING) | OPT_BIT(WRITE) |
		   OPT_BIT(NO_VERIFY) | OPT_BIT(JOURNAL),
	.min_args = 2,
	.max_args = 2,
	.run = run,
};
