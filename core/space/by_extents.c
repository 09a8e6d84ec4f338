/* SPDX-License-Identifier: MIT */
/*
 * Moving bytes that are there to be copied: mapped ones, in the submitting call, under a guard where the
 * file may shrink. What is not mapped is read here and now by the reference engine.
 */
#include <string.h>

#include "base/guard.h"
#include "space/mapped.h"
#include "space/stretch.h"

/* ---- one request ------------------------------------------------------------------------------- */

static int32_t copy(struct connector_space *cs, const struct sonde_io *io, const struct stretch *s)
{
	char *there = s->extent->ptr + s->in_extent;

	if (io->op == SONDE_IO_READ)
		copy_bytes(&cs->copier, s->buf, there, s->len);
	else if (s->extent->ptr_read_only)
		return SONDE_E_READ_ONLY;
	else
		copy_bytes(&cs->copier, there, s->buf, s->len);
	/* A fault in the copy must find the cursor where it was. */
	__asm__ volatile("" ::: "memory");
	return SONDE_OK;
}

/* ---- one request, all its pieces ------------------------------------------------------------------- */

#define FETCH_PIECES 32u

__attribute__((noinline)) struct mapped by_extents_mapped(struct connector_space *cs, uint64_t addr)
{
	uint64_t gap;

	return mapped(extents_find(&cs->extents, addr, &cs->hint, &gap));
}

/* Where the piece before lay. */
static inline struct mapped last_mapped(const struct connector_space *cs)
{
	return mapped(cs->hint < cs->extents.n ? &cs->extents.at[cs->hint] : NULL);
}

/* Where some pieces of a request are that come one after the other, each whole in a mapped extent. */
struct lot {
	const char *at[FETCH_PIECES];
	uint32_t n;
};

/* Those from first on, and ask for their bytes. */
static void find_lot(struct connector_space *cs, const struct sonde_io *io, uint32_t first,
		     struct lot *lot)
{
	struct mapped m = last_mapped(cs);
	const struct sonde_xfer *x = io->xfers + first;
	uint32_t n = io->n - first < FETCH_PIECES ? io->n - first : FETCH_PIECES, i;

	for (i = 0; i < n; i++) {
		lot->at[i] = find_piece(cs, &m, x + i);
		if (!lot->at[i])
			break;
	}
	lot->n = n = i;
	for (i = 0; i < n; i++)
		fetch(lot->at[i], x[i].len);
}

/* From the cursor on. It stands at a piece until its bytes are there: a fault in the copy finds it so. */
static inline void copy_pieces(struct connector_space *cs, struct sonde_io *io,
			       const char *const *at, uint32_t n)
{
	const bool watched = io->fragment;
	uint32_t piece = io_core(io)->piece;

	for (const char *const *end = at + n; at != end; at++) {
		struct sonde_xfer *x = &io->xfers[piece];
		const uint32_t len = x->len;
		copy_bytes(&cs->copier, x->buf, *at, len);
		__asm__ volatile("" ::: "memory");
		if (watched)
			io_account(io, piece, 0, len, SONDE_OK);
		else
			x->done = len;
		io_core(io)->piece = ++piece;
	}
}

/* Of requests of one piece there is nothing to ask for ahead. */
static void read_one(struct connector_space *cs, struct sonde_io *io)
{
	struct mapped m = last_mapped(cs);
	const char *at = find_piece(cs, &m, io->xfers);

	if (at)
		copy_pieces(cs, io, &at, 1);
}

/* From the cursor on, as far as that goes. One lot is copied while the next is under way. */
static void read_run(struct connector_space *cs, struct sonde_io *io)
{
	struct lot lots[2], *now = &lots[0], *soon = &lots[1];

	if (io->n == 1) {
		read_one(cs, io);
		return;
	}
	find_lot(cs, io, io_core(io)->piece, now);
	while (now->n) {
		find_lot(cs, io, io_core(io)->piece + now->n, soon);
		copy_pieces(cs, io, now->at, now->n);
		struct lot *done = now;
		now = soon;
		soon = done;
	}
}

/* Every copy in one stretch, as fast as it goes. Returns whether all pieces are known to be whole. */
static bool move_unguarded(struct connector_space *cs, struct sonde_io *io)
{
	if (io->op == SONDE_IO_READ && io->n)
		read_run(cs, io);
	if (io_core(io)->piece == io->n && !io->fragment)
		return true;
	while (io_core(io)->piece < io->n) {
		struct stretch s = stretch_at(cs, io);
		if (s.extent && s.extent->ptr && io->op == SONDE_IO_READ && io_core(io)->off == 0 &&
		    s.len == io->xfers[io_core(io)->piece].len) {
			read_run(cs, io);
			continue;
		}
		if (s.extent && s.extent->ptr && !stretch_is_denied(io, s.extent))
			stretch_settle(io, s.len, copy(cs, io, &s));
		else if (!stretch_settle_plain(io, &s))
			stretch_settle_pread(io, &s);
	}
	return false;
}

static void move_by_page(struct connector_space *cs, struct sonde_io *io)
{
	while (io_core(io)->piece < io->n) {
		struct stretch s = stretch_at(cs, io);
		if (!stretch_settle_guarded(cs, io, &s))
			stretch_settle_pread(io, &s);
	}
}

/* false: a fault has stopped it. */
static bool move_under_guard(struct connector_space *cs, struct sonde_io *io, bool *ret_whole)
{
	struct guard guard;
	volatile bool over = false;

	if (!GUARD_ENTER(&guard)) {
		*ret_whole = move_unguarded(cs, io);
		over = true;
	}
	guard_leave(&guard);
	return over;
}

/* Nothing but copies runs under a guard: no watcher, no end of a request. */
void by_extents_move(struct connector_space *cs, struct sonde_io *io)
{
	bool whole = false;

	if (!cs->guarded)
		whole = move_unguarded(cs, io);
	else if (io->fragment || !move_under_guard(cs, io, &whole))
		move_by_page(cs, io);
	if (whole)
		io_finish_whole(io);
	else
		io_finish(io);
}

void by_extents_inline(struct sonde_space *space, struct sonde_io *list)
{
	struct connector_space *cs = of_space(space);

	while (list) {
		if (io_core(list)->next)
			list = by_extents_move_singles(cs, list);
		if (!list)
			break;
		struct sonde_io *io = list;
		list = io_core(io)->next;
		by_extents_move(cs, io);
	}
	by_extents_keep(cs);
}
