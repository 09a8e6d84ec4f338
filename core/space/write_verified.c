/* SPDX-License-Identifier: MIT */
/*
 * Writing, window by window, with an outcome for each byte: what the write said, then what reading again
 * said, then what is there. Runs of bytes that fared alike are told. Doors below: fragments.h.
 */
#include <sonde/error.h>
#include <sonde/fragments.h>
#include <sonde/plugin.h>
#include <sonde/write.h>

#include "base/mem.h"
#include "io/request.h"
#include "space/space.h"

enum { WINDOW = 65536, PARTS = 256 };

/* A part of one piece that lies in the window. */
struct part {
	uint32_t piece, off; /* of the caller's      */
	uint32_t at;         /* its first byte in the window */
	uint32_t len;
};

struct window {
	struct sonde_space *space;
	uint32_t flags;
	sonde_written_fn *fn;
	void *user;
	uint32_t n, used; /* parts, bytes */
	struct part parts[PARTS];
	uint32_t n_sent;                /* parts that have an address            */
	uint32_t sent[PARTS];           /* ... which ones                        */
	struct sonde_xfer xfers[PARTS]; /* ... and on their way, written or read */
	struct sonde_fragments stream;
	int8_t refused
		[WINDOW];      /* of each byte what writing it said, 0 or a code; those are small */
	int8_t unread[WINDOW]; /* ... and what reading it said                                    */
	uint8_t got[WINDOW];
};

/* ---- which parts -------------------------------------------------------------------------------- */

/* The next parts of the pieces, from *piece and *off on. */
static void fill(struct window *w, const struct sonde_xfer *xfers, uint32_t n, uint32_t *piece,
		 uint32_t *off)
{
	w->n = w->used = 0;
	while (*piece < n && w->n < PARTS && w->used < WINDOW) {
		const struct sonde_xfer *x = &xfers[*piece];
		uint32_t left = x->len - *off, room = WINDOW - w->used;
		uint32_t len = left < room ? left : room;
		w->parts[w->n++] = (struct part){ *piece, *off, w->used, len };
		w->used += len;
		*off += len;
		if (*off == x->len) {
			++*piece;
			*off = 0;
		}
	}
}

/* What lies behind 2^64 has no address: it is a hole, which address 0 is not. */
static int has_address(const struct sonde_xfer *x, const struct part *p)
{
	return p->off <= UINT64_MAX - x->addr;
}

/* What is to be sent: the bytes of the pieces, or to be read into got. */
static void gather(struct window *w, const struct sonde_xfer *xfers, uint32_t op)
{
	w->n_sent = 0;
	for (uint32_t i = 0; i < w->n; i++) {
		const struct part *p = &w->parts[i];
		const struct sonde_xfer *x = &xfers[p->piece];
		if (!has_address(x, p))
			continue;
		w->xfers[w->n_sent] = (struct sonde_xfer){
			.addr = x->addr + p->off,
			.buf = op == SONDE_IO_WRITE ? (uint8_t *)x->buf + p->off : w->got + p->at,
			.len = p->len,
		};
		w->sent[w->n_sent++] = i;
	}
}

/* ---- one trip ----------------------------------------------------------------------------------- */

/* Mark each byte that was sent with what is told of it; what no fragment tells has failed. */
static int trip(struct window *w, uint32_t op, int8_t *marks)
{
	struct sonde_task *self = w->space->loop->current;
	struct sonde_fragment f;

	memset(marks, SONDE_E_IO, w->used);
	if (w->n_sent == 0)
		return 0;
	int r = sonde_fragments_start(self, w->space, &w->stream, w->xfers, w->n_sent, op);
	for (uint32_t i = 0; r < 0 && i < w->n_sent; i++)
		sonde_xfer_account(&w->xfers[i], op, 0, w->xfers[i].len, r);
	while (r >= 0 && (r = sonde_fragments_next(self, &w->stream, &f)) > 0)
		memset(marks + w->parts[w->sent[f.piece]].at + f.off, f.err, f.len);
	return r;
}

/* The outcome of a part is the piece's, of which the parts come in their order. */
static void account(struct sonde_xfer *x, uint32_t off, uint32_t done, int32_t err)
{
	x->done += done;
	if (err && !x->err) {
		x->err = err;
		x->err_off = off;
	}
}

static int write_parts(struct window *w, struct sonde_xfer *xfers)
{
	gather(w, xfers, SONDE_IO_WRITE);
	int r = trip(w, SONDE_IO_WRITE, w->refused);
	for (uint32_t i = 0, sent = 0; i < w->n; i++) {
		const struct part *p = &w->parts[i];
		struct sonde_xfer *x = &xfers[p->piece];
		if (has_address(x, p)) {
			const struct sonde_xfer *part = &w->xfers[sent++];
			account(x, p->off + part->err_off, part->done, part->err);
		} else {
			account(x, p->off, 0, SONDE_E_NOT_MAPPED);
			memset(w->refused + p->at, SONDE_E_NOT_MAPPED, p->len);
		}
	}
	return r;
}

/* Bytes that were refused are read for nothing: to leave them out would cost more pieces. */
static int read_parts(struct window *w, const struct sonde_xfer *xfers)
{
	gather(w, xfers, SONDE_IO_READ);
	sonde_space_invalidate(w->space);
	return trip(w, SONDE_IO_READ, w->unread);
}

/* ---- what is told ------------------------------------------------------------------------------- */

static struct sonde_written byte_result(const struct window *w, uint32_t at, uint8_t wanted)
{
	struct sonde_written result = { .result = SONDE_WRITE_DONE };

	if (w->refused[at])
		return (struct sonde_written){ .result = SONDE_WRITE_REFUSED,
					       .err = w->refused[at] };
	if (w->flags & SONDE_WRITE_UNVERIFIED)
		return result;
	if (w->unread[at])
		return (struct sonde_written){ .result = SONDE_WRITE_UNREAD, .err = w->unread[at] };
	if (w->got[at] != wanted)
		result.result = SONDE_WRITE_DIFFERS;
	return result;
}

/* Tell the runs of a part. Returns 1: all of it was written and is there. */
static int tell(const struct window *w, const struct part *p, const uint8_t *wanted)
{
	int whole = 1;

	for (uint32_t off = 0, end; off < p->len; off = end) {
		struct sonde_written told = byte_result(w, p->at + off, wanted[off]);
		for (end = off + 1; end < p->len; end++) {
			struct sonde_written next = byte_result(w, p->at + end, wanted[end]);
			if (next.result != told.result || next.err != told.err)
				break;
		}
		told.piece = p->piece;
		told.off = p->off + off;
		told.len = end - off;
		told.got = told.result == SONDE_WRITE_DIFFERS ? w->got + p->at + off : NULL;
		whole &= told.result == SONDE_WRITE_DONE;
		if (w->fn)
			w->fn(w->user, &told);
	}
	return whole;
}

/* ---- all of it ---------------------------------------------------------------------------------- */

/* One window; *whole: all is well so far of the piece that goes on in the next. Returns pieces that ended well. */
static int move_window(struct window *w, struct sonde_xfer *xfers, int *whole)
{
	int n_done = 0, r = write_parts(w, xfers);

	if (r >= 0 && !(w->flags & SONDE_WRITE_UNVERIFIED))
		r = read_parts(w, xfers);
	for (uint32_t i = 0; r >= 0 && i < w->n; i++) {
		const struct part *p = &w->parts[i];
		const struct sonde_xfer *x = &xfers[p->piece];
		int well = tell(w, p, (const uint8_t *)x->buf + p->off);
		*whole = well && (p->off == 0 || *whole);
		n_done += *whole && p->off + p->len == x->len;
	}
	return r < 0 ? r : n_done;
}

int sonde_space_write_verified(struct sonde_space *space, struct sonde_xfer *xfers, size_t n,
			       uint32_t flags, sonde_written_fn *fn, void *user)
{
	struct sonde_io all = { .xfers = xfers, .n = (uint32_t)n, .op = SONDE_IO_WRITE };
	uint32_t piece = 0, off = 0;
	int whole = 1, n_done = 0, r = 0;

	if (n > INT32_MAX || flags & ~(uint32_t)SONDE_WRITE_UNVERIFIED || io_prepare(&all) < 0)
		return SONDE_E_BAD_ARG;
	struct window *w = mem_alloc(1, sizeof(*w));
	if (!w)
		return SONDE_E_NO_MEMORY;
	w->space = space;
	w->flags = flags;
	w->fn = fn;
	w->user = user;
	while (r >= 0 && piece < n) {
		fill(w, xfers, (uint32_t)n, &piece, &off);
		r = move_window(w, xfers, &whole);
		n_done += r > 0 ? r : 0;
	}
	for (; piece < n; piece++, off = 0) /* not reached */
		sonde_xfer_account(&xfers[piece], SONDE_IO_WRITE, off, xfers[piece].len - off, r);
	mem_release(w);
	return r < 0 ? r : n_done;
}
