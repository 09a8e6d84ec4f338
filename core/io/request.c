/* SPDX-License-Identifier: MIT */
/* Requests: checking, accounting and the end of each. Moving their bytes is the engines' work. */
#include "io/request.h"

#include <sonde/error.h>
#include <sonde/plugin.h>

static int xfer_ok(const struct sonde_xfer *x)
{
	return x->buf && x->len - 1u < 0x7fffffffu; /* len 0 wraps and fails too */
}

int io_prepare(struct sonde_io *io)
{
	if (io->state != SONDE_IO_IDLE || io->op > SONDE_IO_WRITE || io->n > 0x7fffffffu)
		return SONDE_E_BAD_ARG;
	if (io->n && !io->xfers)
		return SONDE_E_BAD_ARG;
	for (uint32_t i = 0; i < io->n; i++) {
		if (!xfer_ok(&io->xfers[i]))
			return SONDE_E_BAD_ARG;
	}
	for (uint32_t i = 0; i < io->n; i++) {
		struct sonde_xfer *x = &io->xfers[i];
		x->done = 0;
		x->err = 0;
		x->err_off = x->len;
	}
	io->result = 0;
	return SONDE_OK;
}

void io_account(struct sonde_io *io, uint32_t piece, uint32_t off, uint32_t len, int32_t err)
{
	sonde_xfer_account(&io->xfers[piece], io->op, off, len, err);
	if (io->fragment) {
		struct sonde_fragment f = { piece, off, len, err };
		io->fragment(io, &f);
	}
}

/* Nobody knows which bytes were dropped, so none of them is trusted. Who was asked to stop may drop some. */
static void drop_piece(struct sonde_io *io, struct sonde_xfer *x)
{
	int32_t stop = io_stop_code(io);

	x->done = 0;
	sonde_xfer_account(x, io->op, 0, x->len, stop ? stop : SONDE_E_IO);
}

static int32_t count_full(struct sonde_io *io)
{
	int32_t full = 0;

	for (uint32_t i = 0; i < io->n; i++) {
		struct sonde_xfer *x = &io->xfers[i];
		if (x->err == 0 && x->done == x->len)
			full++;
		else if (x->err == 0 || x->done > x->len)
			drop_piece(io, x);
	}
	io_core(io)->n_failed = io->n - (uint32_t)full;
	return full;
}

static inline bool is_one_in_full(const struct sonde_io *io)
{
	return io->n == 1 && io->xfers->err == 0 && io->xfers->done == io->xfers->len;
}

void io_finish(struct sonde_io *io)
{
	struct io_core *core = io_core(io);

	if (is_one_in_full(io)) { /* most of them, where each operation is a request */
		io->result = 1;
		core->n_failed = 0;
		io_set_state(io, SONDE_IO_DONE);
		core->complete(io);
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
