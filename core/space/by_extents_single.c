/* SPDX-License-Identifier: MIT */
/*
 * Many reads of one piece each out of mapped memory, which nobody watches: nearly all that programs which
 * follow pointers ask for. Their places stand in a row, so that the bytes of those behind are asked for while those in
 * front are copied: the processor by itself looks only a few hundred instructions ahead.
 *
 * Where they are submitted one by one they are kept in such a row, and are neither queued nor looked up again.
 */
#include <stdlib.h>

#include "base/guard.h"
#include "space/mapped.h"

struct single {
	struct sonde_io *io;
	const char *from;
};

/* ---- copying a row ----------------------------------------------------------------------------------- */

#define GROUP 64u /* copied in one go: one guard, and then their callbacks */
#define AHEAD 8u  /* of larger pieces so many are under way                */

/* Of those in front that were copied at has gone past. */
struct row {
	const struct single *at, *end;
	uint64_t bytes; /* of them                    */
	uint32_t state; /* that they are in then      */
	bool small;     /* they take a cache line each */
};

static struct row row_of(const struct single *at, uint32_t n, uint32_t state)
{
	return (struct row){ at, at + n, 0, state, n && at->io->xfers->len <= LINE };
}

static inline const struct single *group_end(const struct row *row, const struct single *at)
{
	return row->end - at > GROUP ? at + GROUP : row->end;
}

/*
 * Ask for the bytes of those from at on. Of small pieces a group at a time, close together. always_inline: to gcc 12 a
 * function that only prefetches does nothing, and its calls go.
 */
static inline __attribute__((always_inline)) void fetch_group(const struct row *row,
							      const struct single *at)
{
	const struct single *end = row->small ? group_end(row, at) : at;

	for (; at < end; at++)
		__builtin_prefetch(at->from);
}

/* One whose end was asked for stops it, as a fault does. */
static void copy_group(struct connector_space *cs, struct row *row, const struct single *end)
{
	for (const struct single *at = row->at; at < end; row->at = ++at) {
		struct sonde_xfer *x = at->io->xfers;
		if (io_core(at->io)->flags & IO_ASKED_CANCEL)
			return;
		if (!row->small && row->end - at > AHEAD)
			fetch(at[AHEAD].from, x->len);
		copy_bytes(&cs->copier, x->buf, at->from, x->len);
		/* A fault in the copy must find the account where it was. */
		__asm__ volatile("" ::: "memory");
		x->done = x->len;
		at->io->state = row->state;
		row->bytes += x->len;
	}
}

/* Up to end, unless one before it is another matter: then row->at stands at that one. */
static void move_group(struct connector_space *cs, struct row *row, const struct single *end)
{
	struct guard guard;

	fetch_group(row, end);
	if (!cs->guarded) {
		copy_group(cs, row, end);
		return;
	}
	if (!GUARD_ENTER(&guard))
		copy_group(cs, row, end);
	guard_leave(&guard);
}

/* ---- of a list ------------------------------------------------------------------------------------- */

#define LIST_ROW 128u

static inline bool is_plain(const struct sonde_io *io)
{
	return io->n == 1 && io->op == SONDE_IO_READ && !io->fragment;
}

/* What fits from io on, in the order of the list. Returns how many. */
static uint32_t gather(struct connector_space *cs, struct sonde_io *io, struct single *room)
{
	struct mapped m = { 0 };
	struct single *at = room;

	for (; io && at < room + LIST_ROW && is_plain(io); io = io_core(io)->next, at++) {
		at->io = io;
		at->from = find_piece(cs, &m, io->xfers);
		if (!at->from)
			break;
	}
	return (uint32_t)(at - room);
}

static void end_in_turn(struct connector_space *cs, struct sonde_io *io)
{
	if (space_is_single(io))
		space_finish_single(&cs->space, io);
	else
		io_finish(io);
}

/* Returns whether all of the row moved. */
static bool move_row(struct connector_space *cs, struct row *row)
{
	fetch_group(row, row->at);
	while (row->at < row->end) {
		const struct single *first = row->at, *end = group_end(row, first);
		move_group(cs, row, end);
		for (; first < row->at; first++)
			end_in_turn(cs, first->io);
		if (row->at < end)
			return false;
	}
	return true;
}

struct sonde_io *by_extents_move_singles(struct connector_space *cs, struct sonde_io *list)
{
	struct single room[LIST_ROW];
	uint32_t n;

	while ((n = gather(cs, list, room)) > 0) {
		struct sonde_io *next = io_core(room[n - 1].io)->next;
		struct row row = row_of(room, n, SONDE_IO_IN_FLIGHT);
		if (!move_row(cs, &row))
			return row.at->io;
		list = next;
	}
	return list;
}

/* ---- kept as they are submitted ------------------------------------------------------------------------ */

#define KEPT_MAX 512u

/* While one half is served the other gathers those that its callbacks submit. */
struct singles {
	struct single *kept, *spare;
	struct mapped last; /* where the one before lies */
	struct single room[2][KEPT_MAX];
};

void by_extents_open(struct connector_space *cs)
{
	struct singles *singles = malloc(sizeof(*singles));

	if (!singles)
		return;
	singles->kept = singles->room[0];
	singles->spare = singles->room[1];
	singles->last = (struct mapped){ 0 };
	cs->singles = singles;
	by_extents_keep(cs);
}

void by_extents_close(struct connector_space *cs)
{
	free(cs->singles);
}

void by_extents_keep(struct connector_space *cs)
{
	if (cs->singles && cs->choice.copies)
		cs->space.at_once = 1;
}

static inline int keep(struct connector_space *cs, struct sonde_io *io, const char *from)
{
	cs->singles->kept[cs->space.n_kept++] = (struct single){ io, from };
	io_xfer_reset(io->xfers);
	io_begin(io, space_complete_by_callback);
	io_core(io)->watches = NULL;
	io->state = SONDE_IO_QUEUED;
	return space_enter(&cs->space, io);
}

/* Not where the one before it lies. */
static __attribute__((noinline)) int keep_elsewhere(struct connector_space *cs, struct sonde_io *io)
{
	const char *from = find_piece(cs, &cs->singles->last, io->xfers);

	return from ? keep(cs, io, from) : space_submit(&cs->space, io);
}

int by_extents_submit_at_once(struct sonde_space *space, struct sonde_io *io)
{
	struct connector_space *cs = of_space(space);

	if (!is_plain(io) || !io->xfers || io->state != SONDE_IO_IDLE || io->deadline_ns ||
	    !io->done || !io_xfer_ok(io->xfers) || space->n_kept == KEPT_MAX)
		return space_submit(space, io);
	const char *from = lies_in(cs->singles->last, io->xfers);
	return from ? keep(cs, io, from) : keep_elsewhere(cs, io);
}

/* All that is kept. What was copied is done, so that a callback of one cannot cancel another any more. */
static struct row take_row(struct connector_space *cs)
{
	struct singles *singles = cs->singles;
	struct single *at = singles->kept;
	uint32_t n = cs->space.n_kept;

	singles->kept = singles->spare;
	singles->spare = at;
	cs->space.n_kept = 0;
	by_extents_keep(cs);
	return row_of(at, n, SONDE_IO_DONE);
}

/* false: it has its end already, for it was asked for. */
static bool begin(struct connector_space *cs, struct sonde_io *io)
{
	io->state = SONDE_IO_IN_FLIGHT;
	if (io_stop_code(io)) {
		io_finish_unsent(io);
		return false;
	}
	space_count(&cs->space, io);
	return true;
}

/* Callbacks are called here. Behind the last of them nothing may be touched, for with it the space may be gone. */
void by_extents_submit_kept(struct sonde_space *space)
{
	struct connector_space *cs = of_space(space);
	struct sonde_loop *loop = space->loop;
	struct row row = take_row(cs);

	fetch_group(&row, row.at);
	while (row.at < row.end) {
		const struct single *first = row.at, *end = group_end(&row, first);
		move_group(cs, &row, end);
		const struct single *moved = row.at;
		space->stats.pieces += (size_t)(moved - first);
		space->stats.bytes += row.bytes;
		row.bytes = 0;
		loop->n_called += (unsigned)(moved - first);
		if (moved < end && begin(cs, row.at++->io))
			by_extents_move(cs, moved->io);
		for (; first < moved; first++)
			space_call_single(loop, first->io);
	}
}

struct sonde_io *by_extents_take_kept(struct connector_space *cs)
{
	struct row row = take_row(cs);
	struct sonde_io *list = NULL, **tail = &list;

	cs->space.n_leaving = (uint32_t)(row.end - row.at);
	for (; row.at < row.end; row.at++) {
		struct sonde_io *io = row.at->io;
		if (!begin(cs, io))
			continue;
		*tail = io;
		tail = &io_core(io)->next;
	}
	*tail = NULL;
	return list;
}
