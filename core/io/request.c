/* SPDX-License-Identifier: MIT */
/* Requests: checking, accounting and the end of each. Moving their bytes is the engines' work. */
#include "io/request.h"

#include <sonde/error.h>
#include <sonde/plugin.h>

#include "base/mem.h"

int io_prepare_any(struct sonde_io *io)
{
	const uint32_t n = io->n;
	struct sonde_xfer *x = io->xfers;

	if (io->state != SONDE_IO_IDLE || io->op > SONDE_IO_WRITE || n > 0x7fffffffu || (n && !x))
		return SONDE_E_BAD_ARG;
#pragma GCC unroll 4
	for (uint32_t i = 0; i < n; i++, x++) {
		if (!io_xfer_ok(x))
			return SONDE_E_BAD_ARG;
	}
	x = io->xfers;
#pragma GCC unroll 4
	for (uint32_t i = 0; i < n; i++, x++)
		io_xfer_reset(x);
	io->result = 0;
	return SONDE_OK;
}

/* ---- while a plugin has it ------------------------------------------------------------------ */

/*
 * A plugin may tell the stretches of a piece in any order, but must tell each byte once. There is no
 * room to note which were told, so err of a piece holds this meanwhile:
 *
 *   bits 0..7    code of its lowest failing byte, negated (none is below -127); 0 none
 *   bits 8..31   sum of mark(off) - mark(off + len) over the stretches told
 *
 * Where one stretch ends and another begins the marks cancel out. What is left is the piece's own
 * ends if every byte was told once, and hardly ever otherwise: by chance one time in 2^24. Those
 * two have fixed marks, so a piece that is told whole, as nearly all are, costs no hash.
 */
#define MARK_END UINT32_C(0x5bd1e900)

/* MurmurHash3's last step: sums of marks of different places agree by chance only. */
static uint32_t mark(const struct sonde_xfer *x, uint32_t off)
{
	if (off == 0)
		return 0;
	if (off == x->len)
		return MARK_END;
	off ^= off >> 16;
	off *= 0x85ebca6bu;
	off ^= off >> 13;
	off *= 0xc2b2ae35u;
	return (off ^ off >> 16) << 8;
}

static void account_lent(struct sonde_xfer *x, uint32_t op, uint32_t off, uint32_t len, int32_t err)
{
	if (off > x->len || len > x->len - off)
		return;
	uint32_t told = (uint32_t)x->err + mark(x, off) - mark(x, off + len);
	uint32_t code = told & 0xff;

	if (err == 0)
		x->done += len;
	else if (op == SONDE_IO_READ)
		memset((char *)x->buf + off, 0, len);
	if (err && (code == 0 || off < x->err_off)) {
		told += (uint32_t)-err - code;
		x->err_off = off;
	}
	x->err = (int32_t)told;
}

/* What io.fragment is meanwhile, so that plugins call even where nobody watches. */
static void lent(struct sonde_io *io, const struct sonde_fragment *f)
{
	io_account(io, f->piece, f->off, f->len, f->err);
}

void io_lend(struct sonde_io *io)
{
	if (io->fragment == lent)
		return;
	io_core(io)->watcher = io->fragment;
	io->fragment = lent;
}

void io_recall(struct sonde_io *io)
{
	if (io->fragment != lent)
		return;
	io->fragment = io_core(io)->watcher;
	for (uint32_t i = 0; i < io->n; i++)
		io->xfers[i].err = -(int32_t)((uint32_t)io->xfers[i].err & 0xff);
}

/* The plugin says that it is done. */
static void judge(struct sonde_io *io)
{
	for (uint32_t i = 0; i < io->n; i++) {
		const struct sonde_xfer *x = &io->xfers[i];
		if (((uint32_t)x->err + MARK_END) >> 8)
			io_distrust(io, i);
	}
	io_recall(io);
}

bool io_is_watched(const struct sonde_io *io)
{
	const struct io_core *core = (const struct io_core *)(const void *)io->core;

	return io->fragment == lent ? core->watcher : io->fragment;
}

/* ---- accounting and the end -------------------------------------------------------------------- */

void io_account(struct sonde_io *io, uint32_t piece, uint32_t off, uint32_t len, int32_t err)
{
	struct sonde_fragment f = { piece, off, len, err };
	sonde_fragment_fn *watcher = io->fragment;

	if (watcher == lent) {
		account_lent(&io->xfers[piece], io->op, off, len, err);
		watcher = io_core(io)->watcher;
	} else {
		sonde_xfer_account(&io->xfers[piece], io->op, off, len, err);
	}
	if (watcher)
		watcher(io, &f);
}

#define DISTRUSTED UINT32_C(0x80000000) /* in done: more than any piece has */

void io_distrust(struct sonde_io *io, uint32_t piece)
{
	io->xfers[piece].done |= DISTRUSTED;
}

/* Nobody knows which bytes were dropped, so none of them is trusted. Who was asked to stop may drop some. */
static void drop_piece(struct sonde_io *io, struct sonde_xfer *x)
{
	io_core(io)->flags |= IO_DROPPED;
	x->done = 0;
	x->err = 0; /* what it failed with as far as it was told counts no more than the rest */
	sonde_xfer_account(x, io->op, 0, x->len, io_drop_code(io));
}

static inline bool is_full(const struct sonde_xfer *x)
{
	return x->done == x->len && x->err == 0;
}

static int32_t count_full(struct sonde_io *io)
{
	int32_t full = 0;

	for (uint32_t i = 0; i < io->n; i++) {
		struct sonde_xfer *x = &io->xfers[i];
		if (is_full(x))
			full++;
		else if (x->err == 0 || x->done > x->len)
			drop_piece(io, x);
	}
	io_core(io)->n_failed = io->n - (uint32_t)full;
	return full;
}

/* As nearly all are. */
static inline bool are_all_full(const struct sonde_io *io)
{
	const struct sonde_xfer *x = io->xfers;
	uint32_t i = 0;

	while (i < io->n && is_full(&x[i]))
		i++;
	return i == io->n;
}

void io_finish(struct sonde_io *io)
{
	struct io_core *core = io_core(io);

	if (io->fragment == lent)
		judge(io);
	if (are_all_full(io)) {
		io_finish_whole(io);
		return;
	}
	io->result = count_full(io);
	if (io->result < (int32_t)io->n && io_stop_code(io))
		io->result = io_stop_code(io);
	io_set_state(io, SONDE_IO_DONE);
	core->complete(io);
}

void io_finish_unsent(struct sonde_io *io)
{
	struct io_core *core = io_core(io);
	int32_t err = io_stop_code(io);

	io_recall(io);
	for (; core->piece < io->n; core->piece++, core->off = 0)
		io_account(io, core->piece, core->off, io->xfers[core->piece].len - core->off, err);
	if (core->pending == 0)
		io_finish(io);
}

int io_refuse(struct sonde_io *io, int32_t err)
{
	for (uint32_t i = 0; i < io->n; i++)
		io_account(io, i, 0, io->xfers[i].len, err);
	io->result = err;
	return err;
}

void io_watch(struct sonde_io *io, struct loop_watch *watch)
{
	loop_watch_add(&io_core(io)->watches, watch);
}
