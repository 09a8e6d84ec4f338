/* SPDX-License-Identifier: MIT */
/*
 * Moving bytes that are there to be copied: mapped ones, in the submitting call, under a guard where the
 * file may shrink. What is not mapped is read here and now by the reference engine.
 */
#include <string.h>

#include "base/guard.h"
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

/*
 * Bytes that are wanted soon are asked for many pieces at a time, in a loop that does nothing else: a
 * prefetch that misses the TLB holds up what follows it until its page is found, and only searches
 * that stand close together overlap. Of a long piece the processor guesses what follows.
 */
#define FETCH_PIECES 32u
#define FETCH_LINES 4u /* cache lines of each */
#define LINE 64u

/* What is asked of a mapped extent for each piece: by itself, so that it stays in registers. All 0: nothing lies there. */
struct mapped {
	uint64_t addr, span; /* last byte - addr */
	uintptr_t at;        /* its first byte, a number: to no pointer nothing may be added */
};

static inline struct mapped mapped(const struct extent *e)
{
	if (!e || !e->ptr)
		return (struct mapped){ 0 };
	return (struct mapped){ e->addr, e->last - e->addr, (uintptr_t)e->ptr };
}

/* Where the bytes of a piece are; NULL: not whole in this extent. */
static inline const char *lies_in(struct mapped m, const struct sonde_xfer *x)
{
	uint64_t in_extent = x->addr - m.addr;

	if (in_extent > m.span || x->len - 1 > m.span - in_extent)
		return NULL;
	return (const char *)(m.at + in_extent);
}

/* always_inline: to gcc 12 a function that only prefetches does nothing, and its calls go. */
static inline __attribute__((always_inline)) void fetch(const char *at, uint32_t len)
{
	__builtin_prefetch(at);
	for (uint32_t off = LINE; off < len && off < FETCH_LINES * LINE; off += LINE)
		__builtin_prefetch(at + off);
}

/* The extent that a piece begins in. */
static __attribute__((noinline)) struct mapped mapped_at(struct connector_space *cs, uint64_t addr)
{
	uint64_t gap;
	const struct extent *e = extents_indexed(&cs->extents, addr);

	if (!e)
		e = extents_find(&cs->extents, addr, &cs->hint, &gap);
	return mapped(e);
}

/* Where the piece before lay. */
static inline struct mapped last_mapped(const struct connector_space *cs)
{
	return mapped(cs->hint < cs->extents.n ? &cs->extents.at[cs->hint] : NULL);
}

/* Where a piece lies, most likely in *m, which becomes the extent that it lies in; NULL: not whole in a mapped one. */
static inline const char *find_piece(struct connector_space *cs, struct mapped *m,
				     const struct sonde_xfer *x)
{
	const char *at = lies_in(*m, x);

	if (__builtin_expect(at != NULL, 1))
		return at;
	*m = mapped_at(cs, x->addr);
	return lies_in(*m, x);
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
static void move_one(struct connector_space *cs, struct sonde_io *io)
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

/* ---- a batch -------------------------------------------------------------------------------------- */

/*
 * Most requests of a large batch are reads of one piece that nobody watches. They are gathered in
 * groups; while one group is copied, the bytes of the next are asked for, in a loop that touches
 * little else, for the processor looks only a few hundred instructions ahead.
 */
#define GROUP 64u

struct group {
	struct single {
		struct sonde_io *io;
		const char *from;
	} at[GROUP];
	uint32_t n, moved;
};

/* What fits from io on, in the order of the list. Returns the first that is not in it. */
static struct sonde_io *gather(struct connector_space *cs, struct sonde_io *io, struct group *ret)
{
	struct mapped m = { 0 };
	struct single *at = ret->at;

	for (; io && at < ret->at + GROUP; io = io_core(io)->next, at++) {
		if (io->n != 1 || io->op != SONDE_IO_READ || io->fragment)
			break;
		at->io = io;
		at->from = find_piece(cs, &m, io->xfers);
		if (!at->from)
			break;
	}
	ret->n = (uint32_t)(at - ret->at);
	ret->moved = 0;
	return io;
}

static void copy_group(struct connector_space *cs, struct group *group, const struct group *soon)
{
	for (uint32_t i = 0; i < group->n; i++) {
		struct sonde_xfer *x = group->at[i].io->xfers;
		copy_bytes(&cs->copier, x->buf, group->at[i].from, x->len);
		/* A fault in the copy must find the account where it was. */
		__asm__ volatile("" ::: "memory");
		x->done = x->len;
		group->moved = i + 1;
		if (i < soon->n)
			fetch(soon->at[i].from, soon->at[i].io->xfers->len);
	}
}

/* Afterwards group->moved says how many; the next of it, if there is one, met a fault. */
static void move_group(struct connector_space *cs, struct group *group, const struct group *soon)
{
	struct guard guard;

	if (!cs->guarded) {
		copy_group(cs, group, soon);
		return;
	}
	if (!GUARD_ENTER(&guard))
		copy_group(cs, group, soon);
	guard_leave(&guard);
}

/* Returns the first of the list that is of another kind, or met a fault. */
static struct sonde_io *move_singles(struct connector_space *cs, struct sonde_io *list)
{
	struct group groups[2], *now = &groups[0], *soon = &groups[1];

	list = gather(cs, list, now);
	for (uint32_t i = 0; i < now->n; i++)
		fetch(now->at[i].from, now->at[i].io->xfers->len);
	while (now->n) {
		list = gather(cs, list, soon);
		move_group(cs, now, soon);
		for (uint32_t i = 0; i < now->moved; i++) {
			struct sonde_io *io = now->at[i].io;
			if (space_is_single(io))
				space_finish_single(&cs->space, io);
			else
				io_finish(io);
		}
		if (now->moved < now->n)
			return now->at[now->moved].io;
		struct group *done = now;
		now = soon;
		soon = done;
	}
	return list;
}

void by_extents_inline(struct sonde_space *space, struct sonde_io *list)
{
	struct connector_space *cs = of_space(space);

	while (list) {
		if (io_core(list)->next)
			list = move_singles(cs, list);
		if (!list)
			break;
		struct sonde_io *io = list;
		list = io_core(io)->next;
		move_one(cs, io);
	}
}
