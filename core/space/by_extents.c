/* SPDX-License-Identifier: MIT */
/*
 * Moving bytes that are there to be copied: mapped ones, in the submitting call, under a guard where the
 * file may shrink. What is not mapped is read here and now by the reference engine.
 */
#include <string.h>

#include "base/guard.h"
#include "io/engine.h"
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

/* The sync engine: the reference. */
static void settle_by_pread(struct sonde_io *io, const struct stretch *s)
{
	uint64_t off = s->extent->off + s->in_extent;
	uint32_t write = io->op == SONDE_IO_WRITE, done = 0;

	while (done < s->len) {
		int32_t err;
		int32_t moved =
			file_move(s->extent->fd, write, off + done, s->buf + done, s->len - done);
		uint32_t len = stretch_judge(moved, write, off + done, s->len - done, &err);
		stretch_settle(io, len, err);
		done += len;
	}
}

/*
 * The bytes that are wanted soon, over all requests of a batch. They are asked for a group at a time in a tight
 * loop: a prefetch that misses the TLB holds up what follows it until its page is found, and only
 * searches that stand close together overlap.
 */
struct ahead {
	const struct sonde_io *io; /* NULL: nothing is left       */
	uint32_t piece;
	uint32_t left; /* pieces to copy until the next group */
};

#define AHEAD 32u /* pieces of a group */

#define AHEAD_LINES                                                                                \
	4u /* ... and cache lines of each: what follows in a longer one the processor guesses */
#define LINE 64u

/* always_inline: to gcc 12 a function that only prefetches does nothing, and its calls go. */
static inline __attribute__((always_inline)) void ahead_fetch(const struct extent *e,
							      const struct sonde_xfer *x)
{
	uint64_t in_extent = x->addr - e->addr;

	if (in_extent > e->last - e->addr)
		return;
	const char *at = e->ptr + in_extent;
	__builtin_prefetch(at);
	for (uint32_t off = LINE; off < x->len && off < AHEAD_LINES * LINE; off += LINE)
		__builtin_prefetch(at + off);
}

static void ahead_fill(struct ahead *ahead, const struct extent *e)
{
	const struct sonde_io *io = ahead->io;
	uint32_t piece = ahead->piece;

	for (uint32_t room = AHEAD; io && room;) {
		uint32_t n = io->n - piece < room ? io->n - piece : room;
		for (const struct sonde_xfer *x = io->xfers + piece; n; n--, x++, piece++, room--)
			ahead_fetch(e, x);
		if (piece == io->n) {
			io = io_core((struct sonde_io *)(uintptr_t)io)->next;
			piece = 0;
		}
	}
	*ahead = (struct ahead){ .io = io, .piece = piece, .left = AHEAD };
}

/* Whole pieces of one request in one mapped extent, from its cursor on; at most n. How many they were. */
static inline uint32_t read_some(struct connector_space *cs, const struct extent *e,
				 struct sonde_io *io, uint32_t n)
{
	struct io_core *core = io_core(io);
	uint64_t span = e->last - e->addr;
	uint32_t first = core->piece, piece = first;

	for (; piece - first < n; piece++) {
		struct sonde_xfer *x = &io->xfers[piece];
		uint64_t in_extent = x->addr - e->addr;
		if (in_extent > span || x->len - 1 > span - in_extent)
			break;
		copy_bytes(&cs->copier, x->buf, e->ptr + in_extent, x->len);
		/* A fault in the copy must find the cursor, and the account, where they were. */
		__asm__ volatile("" ::: "memory");
		if (io->fragment)
			io_account(io, piece, 0, x->len, SONDE_OK);
		else
			x->done = x->len;
		core->piece = piece + 1;
	}
	return piece - first;
}

/* ... as long as they come one after the other. */
static void read_run(struct connector_space *cs, const struct extent *e, struct sonde_io *io,
		     struct ahead *ahead)
{
	uint32_t n, done;

	do {
		if (ahead->left == 0)
			ahead_fill(ahead, e);
		n = io->n - io_core(io)->piece;
		n = n < ahead->left ? n : ahead->left;
		done = read_some(cs, e, io, n);
		ahead->left -= done;
	} while (done == n && io_core(io)->piece < io->n);
}

/* Requests that are over may be gone: what is wanted soon never lies behind. */
static inline void ahead_leave(struct ahead *ahead, const struct sonde_io *io)
{
	if (ahead->io == io)
		*ahead = (struct ahead){ .io = io_core((struct sonde_io *)(uintptr_t)io)->next,
					 .left = ahead->left };
}

/* Every copy in one stretch, as fast as it goes. */
static void move_unguarded(struct connector_space *cs, struct sonde_io *io, struct ahead *ahead)
{
	while (io_core(io)->piece < io->n) {
		struct stretch s = stretch_at(cs, io);
		if (s.extent && s.extent->ptr && io->op == SONDE_IO_READ && io_core(io)->off == 0 &&
		    s.len == io->xfers[io_core(io)->piece].len) {
			read_run(cs, s.extent, io, ahead);
			continue;
		}
		if (s.extent && s.extent->ptr && !stretch_is_denied(io, s.extent))
			stretch_settle(io, s.len, copy(cs, io, &s));
		else if (!stretch_settle_plain(io, &s))
			settle_by_pread(io, &s);
	}
	ahead_leave(ahead, io);
}

/* The extent of the piece before, where the next one most likely lies; NULL: it is not mapped. */
static inline const struct extent *extent_at_hand(const struct connector_space *cs)
{
	const struct extent *e = &cs->extents.at[cs->hint];

	return cs->hint < cs->extents.n && e->ptr ? e : NULL;
}

/*
 * Most requests of a large batch are reads of one piece that nobody watches, in one extent.
 * false: this is another kind, and nothing was done.
 */
static inline bool move_single(struct connector_space *cs, const struct extent *e,
			       struct sonde_io *io, struct ahead *ahead)
{
	struct sonde_xfer *x = io->xfers;

	if (!e || io->n != 1 || io->op != SONDE_IO_READ || io->fragment)
		return false;
	uint64_t in_extent = x->addr - e->addr, span = e->last - e->addr;
	if (in_extent > span || x->len - 1 > span - in_extent)
		return false;
	if (ahead->left == 0)
		ahead_fill(ahead, e);
	ahead->left--;
	copy_bytes(&cs->copier, x->buf, e->ptr + in_extent, x->len);
	/* A fault in the copy must find the cursor, and the account, where they were. */
	__asm__ volatile("" ::: "memory");
	x->done = x->len;
	io_core(io)->piece = 1;
	ahead_leave(ahead, io);
	return true;
}

static void move_by_page(struct connector_space *cs, struct sonde_io *io, struct ahead *ahead)
{
	while (io_core(io)->piece < io->n) {
		struct stretch s = stretch_at(cs, io);
		if (!stretch_settle_guarded(cs, io, &s))
			settle_by_pread(io, &s);
	}
	ahead_leave(ahead, io);
}

/* ---- a batch ------------------------------------------------------------------------------------ */

/* Requests under one guard: those at its begin are still in the cache at its end. */
#define GUARDED_MAX 64u

/* The first misses of a batch start together. */
static struct ahead ahead_begin(struct connector_space *cs, const struct sonde_io *list)
{
	struct ahead ahead = { .io = list };
	const struct extent *e = extent_at_hand(cs);

	if (!e || (!io_core((struct sonde_io *)(uintptr_t)list)->next && list->n == 1))
		return (struct ahead){ .left = UINT32_MAX };
	ahead_fill(&ahead, e);
	ahead_fill(&ahead, e);
	return ahead;
}

/* Move requests from the front, all under one guard. true: a fault has stopped the one at *at. */
static bool move_some(struct connector_space *cs, struct sonde_io *volatile *at,
		      struct ahead *ahead)
{
	struct guard guard;
	volatile bool faulted = true;

	if (!GUARD_ENTER(&guard)) {
		const struct extent *e = extent_at_hand(cs);
		struct sonde_io *io = *at;
		for (uint32_t i = 0; io && i < GUARDED_MAX && !io->fragment; i++) {
			if (!move_single(cs, e, io, ahead)) {
				move_unguarded(cs, io, ahead);
				e = extent_at_hand(cs);
			}
			*at = io = io_core(io)->next;
		}
		faulted = false;
	}
	guard_leave(&guard);
	return faulted;
}

/* Nothing but copies runs under a guard: no watcher, no end of a request. */
static void move_guarded(struct connector_space *cs, struct sonde_io *list)
{
	struct ahead ahead = ahead_begin(cs, list);

	while (list) {
		struct sonde_io *volatile at = list;
		bool faulted = move_some(cs, &at, &ahead);
		struct sonde_io *stop = at;
		while (list != stop) {
			struct sonde_io *io = list;
			list = io_core(io)->next;
			io_finish(io);
		}
		if (!stop || (!faulted && !stop->fragment))
			continue;
		list = io_core(stop)->next;
		move_by_page(cs, stop, &ahead);
		io_finish(stop);
	}
}

void by_extents_inline(struct sonde_space *space, struct sonde_io *list)
{
	struct connector_space *cs = of_space(space);

	if (cs->guarded) {
		move_guarded(cs, list);
		return;
	}
	struct ahead ahead = ahead_begin(cs, list);
	while (list) {
		struct sonde_io *io = list;
		list = io_core(io)->next;
		if (!move_single(cs, extent_at_hand(cs), io, &ahead))
			move_unguarded(cs, io, &ahead);
		io_finish(io);
	}
}
