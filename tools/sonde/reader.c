/* SPDX-License-Identifier: MIT */
/*
 * Reading with an outcome per byte; see reader.h. The blocking door tells one error a
 * piece; here the completion door is used, whose fragments tell exactly which bytes came.
 */
#include "reader.h"

#include <stdlib.h>
#include <string.h>

void chunk_init(struct chunk *chunk)
{
	*chunk = (struct chunk){ .bytes = grow(NULL, CHUNK_MAX, 1),
				 .err = grow(NULL, CHUNK_MAX, 1) };
}

void chunk_finish(struct chunk *chunk)
{
	free(chunk->bytes);
	free(chunk->err);
}

static void landed(struct sonde_io *io, const struct sonde_fragment *f)
{
	struct chunk *chunk = io->user;

	if (f->off <= chunk->len && f->len <= chunk->len - f->off)
		memset(chunk->err + f->off, (int8_t)f->err, f->len);
}

static void done(struct sonde_io *io)
{
	io->user = NULL;
}

int chunk_read(struct ctx *ctx, struct sonde_space *space, uint64_t addr, uint32_t len,
	       struct chunk *chunk)
{
	struct sonde_xfer x = { .addr = addr, .buf = chunk->bytes, .len = len };
	struct sonde_io io = { .xfers = &x,
			       .n = 1,
			       .op = SONDE_IO_READ,
			       .done = done,
			       .fragment = landed,
			       .user = chunk };

	chunk->addr = addr;
	chunk->len = len;
	memset(chunk->bytes, 0, len);
	memset(chunk->err, (int8_t)SONDE_E_IO, len);
	int r = sonde_io_submit(space, &io);
	while (r >= 0 && io.user)
		r = sonde_loop_wait(ctx->loop, UINT64_MAX);
	return r < 0 ? r : 0;
}

uint32_t chunk_run(const struct chunk *chunk, uint32_t off)
{
	uint32_t end = off;

	while (end < chunk->len && chunk->err[end] == chunk->err[off])
		end++;
	return end - off;
}
