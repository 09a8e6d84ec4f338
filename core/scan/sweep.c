/* SPDX-License-Identifier: MIT */
#include "scan/sweep.h"

#include <sonde/error.h>
#include <sonde/task.h>
#include <stdlib.h>
#include <string.h>

#include "space/space.h"

#define BORROW_MAX (UINT32_C(1) << 20) /* searched between two looks at the clock */

void sweep_init(struct sweep *sweep, struct sonde_space *space, const struct spans *spans,
		const struct find *finds, size_t n, stream_hits_fn *hits, void *user)
{
	*sweep = (struct sweep){ .space = space, .spans = spans };
	sweep->stream = (struct stream){ .finds = finds, .n = n, .hits = hits, .user = user };
	for (size_t i = 0; i < n; i++) {
		if (finds[i].len > sweep->stream.longest)
			sweep->stream.longest = finds[i].len;
	}
	sweep->filling = &sweep->blocks[0];
}

void sweep_finish(struct sweep *sweep)
{
	for (unsigned i = 0; i < 2; i++) {
		free(sweep->blocks[i].bytes);
		free(sweep->blocks[i].bad);
	}
}

/* Shall it go on? */
static int check(const struct sweep *sweep)
{
	if (sweep->stop && __atomic_load_n(sweep->stop, __ATOMIC_RELAXED))
		return SONDE_E_CANCELLED;
	if (sweep->cancel && __atomic_load_n(&sweep->cancel->asked, __ATOMIC_RELAXED))
		return SONDE_E_CANCELLED;
	if (sweep->deadline_ns && sonde_now_ns() >= sweep->deadline_ns)
		return SONDE_E_TIMED_OUT;
	return 0;
}

/* Bytes that another chunk counts, because hits that begin in this one may reach into them, do not count. */
static uint64_t own(const struct sweep *sweep, uint64_t addr, uint64_t len)
{
	if (addr > sweep->stream.last)
		return 0;
	return len - 1 > sweep->stream.last - addr ? sweep->stream.last - addr + 1 : len;
}

/* ---- what is read ---------------------------------------------------------------------------------- */

static void landed(struct sonde_io *io, const struct sonde_fragment *f)
{
	struct block *block = (struct block *)(void *)io;
	const struct sonde_xfer *x = &io->xfers[f->piece];

	if (!f->err)
		return;
	memset(block->bad + ((uint8_t *)x->buf - block->bytes) + f->off, 1, f->len);
	block->failed = true;
}

static void nothing(struct sonde_io *io)
{
	(void)io;
}

static bool block_ready(struct block *block)
{
	if (!block->bytes)
		block->bytes = malloc(BLOCK);
	if (!block->bad)
		block->bad = calloc(BLOCK, 1);
	return block->bytes && block->bad;
}

static uint32_t bytes_in(const uint8_t *bad, uint32_t len, uint8_t kind)
{
	uint32_t n = 0;

	while (n < len && bad[n] == kind)
		n++;
	return n;
}

/* A piece of which some bytes failed, or were never told, which its error says alone. */
static int feed_parts(struct sweep *sweep, const struct sonde_xfer *x, const uint8_t *bad)
{
	const uint8_t *bytes = x->buf;
	int r = 0;

	for (uint32_t off = 0, n; r == 0 && off < x->len; off += n) {
		uint8_t kind = x->done ? bad[off] : 1;
		n = x->done ? bytes_in(bad + off, x->len - off, kind) : x->len;
		if (kind)
			sweep->skipped += own(sweep, x->addr + off, n);
		else
			r = stream_feed(&sweep->stream, bytes + off, n, x->addr + off, false);
	}
	return r;
}

static int feed_block(struct sweep *sweep, struct block *block)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < block->io.n; i++) {
		const struct sonde_xfer *x = &block->xfers[i];
		const uint8_t *bytes = x->buf;
		if (x->err)
			r = feed_parts(sweep, x, block->bad + (bytes - block->bytes));
		else
			r = stream_feed(&sweep->stream, bytes, x->len, x->addr, false);
	}
	return r;
}

static void block_clear(struct block *block)
{
	if (block->failed)
		memset(block->bad, 0, BLOCK);
	block->failed = false;
	block->io.n = block->len = 0;
}

/* Wait for the block that was sent and search it, while the next may be on its way. */
static int land(struct sweep *sweep)
{
	struct block *block = sweep->flying;

	sweep->flying = NULL;
	if (!block)
		return 0;
	int r = sonde_task_await(sweep->space->loop->current, &block->io);
	if (r == SONDE_E_TIMED_OUT || r == SONDE_E_CANCELLED) {
		block_clear(block);
		return r;
	}
	sonde_loop_turn(sweep->space->loop); /* what was submitted since leaves now */
	r = feed_block(sweep, block);
	block_clear(block);
	return r;
}

/* Send what was gathered; then there is time for what was sent before. */
static int send(struct sweep *sweep)
{
	struct block *block = sweep->filling;
	int r = check(sweep);

	if (r == 0 && block->io.n) {
		block->io.xfers = block->xfers;
		block->io.op = SONDE_IO_READ;
		block->io.done = nothing;
		block->io.fragment = landed;
		block->io.deadline_ns = sweep->deadline_ns;
		r = sonde_io_submit(sweep->space, &block->io);
	}
	if (r < 0 || !block->io.n)
		return r;
	r = land(sweep);
	sweep->flying = block;
	sweep->filling = block == &sweep->blocks[0] ? &sweep->blocks[1] : &sweep->blocks[0];
	return r;
}

/* All that was gathered and sent so far comes before what comes next. */
static int drain(struct sweep *sweep)
{
	int r = send(sweep);

	return r == 0 ? land(sweep) : r;
}

static int read_part(struct sweep *sweep, uint64_t addr, uint32_t len)
{
	struct block *block = sweep->filling;

	if (!block_ready(block))
		return SONDE_E_NO_MEMORY;
	block->xfers[block->io.n++] =
		(struct sonde_xfer){ .addr = addr, .buf = block->bytes + block->len, .len = len };
	block->len += len;
	return block->len == BLOCK || block->io.n == BLOCK_PIECES ? send(sweep) : 0;
}

/* An end in the middle: nothing of ours may stay in flight. */
static void give_up(struct sweep *sweep)
{
	if (sweep->flying) {
		sonde_io_cancel(&sweep->flying->io);
		sonde_task_await(sweep->space->loop->current, &sweep->flying->io);
		block_clear(sweep->flying);
		sweep->flying = NULL;
	}
	block_clear(sweep->filling);
}

/* ---- a chunk ----------------------------------------------------------------------------------------- */

static int feed_borrowed(struct sweep *sweep, const void *at, uint64_t addr, size_t len)
{
	int r = drain(sweep);

	if (r != 0)
		return r;
	sweep->borrowed += own(sweep, addr, len);
	return stream_feed(&sweep->stream, at, len, addr, true);
}

/* len bytes that lie in one span. */
static int sweep_span(struct sweep *sweep, uint64_t addr, uint64_t len, bool may_borrow)
{
	int r = 0;

	for (size_t n; r == 0 && len; addr += n, len -= n) {
		const void *at = NULL;
		if (may_borrow)
			at = sonde_space_borrow_run(sweep->space, addr,
						    len < BORROW_MAX ? (size_t)len : BORROW_MAX,
						    &n);
		if (at) {
			r = feed_borrowed(sweep, at, addr, n);
			continue;
		}
		uint32_t room = BLOCK - sweep->filling->len;
		n = len < room ? (size_t)len : room;
		r = read_part(sweep, addr, (uint32_t)n);
	}
	return r;
}

static int sweep_spans(struct sweep *sweep, const struct chunk *chunk, bool may_borrow)
{
	uint64_t left = chunk->len, addr = chunk->addr;
	int r = 0;

	sweep->skipped = sweep->borrowed = 0;
	sweep->stream.last = UINT64_MAX;
	for (size_t i = chunk->span; r == 0 && left; i++) {
		const struct span *span = &sweep->spans->at[i];
		uint64_t rest, len = left;
		addr = i == chunk->span ? chunk->addr : span->first;
		rest = span->last - addr;
		if (rest < left) {
			len = rest + 1;
			r = sweep_span(sweep, addr, len, may_borrow);
		} else {
			/* What begins in here may end in the next chunk. */
			uint64_t more = rest - (left - 1);
			uint32_t want = sweep->stream.longest - 1;
			sweep->stream.last = addr + (len - 1);
			r = sweep_span(sweep, addr, len + (more < want ? more : want), may_borrow);
		}
		left -= len;
	}
	if (r == 0)
		r = drain(sweep);
	return r == 0 ? stream_flush(&sweep->stream) : r;
}

int sweep_chunk(struct sweep *sweep, const struct chunk *chunk)
{
	sweep->len = chunk->len;
	stream_start(&sweep->stream);
	int r = sweep_spans(sweep, chunk, true);
	if (r ==
	    STREAM_FAULT) { /* a file was cut under its map: read, and hear which bytes are gone */
		give_up(sweep);
		stream_restart(&sweep->stream);
		r = sweep_spans(sweep, chunk, false);
	}
	if (r != 0)
		give_up(sweep);
	return r;
}
