/* SPDX-License-Identifier: MIT */
/*
 * The inside of a request: what the library keeps in sonde_io.core while it is in
 * flight, and the one way a request ends (io_finish). The states and who moves them
 * stand in <sonde/io.h>.
 */
#ifndef SONDE_IO_REQUEST_H
#define SONDE_IO_REQUEST_H

#include <sonde/error.h>
#include <sonde/io.h>
#include <sonde/loop.h>
#include <stdbool.h>

#include "base/ensure.h"
#include "io/loop.h"

struct sonde_space;

enum io_flag {
	IO_ASKED_CANCEL = 1u << 0, /* stop sending what has not left yet      */
	IO_TIMED_OUT = 1u << 1,    /* ... because its deadline passed         */
	IO_TIMER = 1u << 2,        /* the deadline timer may be running       */
	IO_TAKEN = 1u << 3,        /* a connector's submit has it in its hands */
	IO_DROPPED = 1u << 4,      /* io_finish: a plugin did not tell a piece as it must */
	IO_NO_ROOM = 1u << 5,      /* it may have, but there was no memory to keep that */
};

typedef void io_moved_fn(struct sonde_io *io, int32_t result);

struct io_core {
	/* It shares a cache line with what the caller fills in; what a lone read needs beyond that is in the next. */
	struct sonde_io *next;                 /* in the space's queue, then whoever has it  */
	void (*complete)(struct sonde_io *io); /* loop's thread; may run inside the submit   */
	struct sonde_space *space;             /* it was submitted to                        */
	uint32_t piece, off;                   /* backed space: next byte to send            */
	union {
		uint32_t pending;  /* file operations, or parts, in flight                   */
		uint32_t n_failed; /* from io_finish on: pieces with an error                */
	};
	uint32_t flags;             /* enum io_flag                               */
	struct loop_watch *watches; /* completion door: who else waits for its end         */
	union {
		sonde_fragment_fn *watcher; /* while it is lent: io.fragment               */
		io_moved_fn *moved;         /* while an engine reads its one piece          */
	};
	void *follow;          /* layer.c: while a layer follows it                   */
	struct loop_post post; /* carries it home from another thread                 */
	struct sonde_timer deadline;
};
_Static_assert(sizeof(struct io_core) <= sizeof(((struct sonde_io *)0)->core),
	       "struct sonde_io keeps room for io_core");

static inline struct io_core *io_core(struct sonde_io *io)
{
	return (struct io_core *)(void *)io->core;
}

/* 0, or the code that what has not been moved yet gets: its owner or its deadline asked for the end. */
static inline int32_t io_stop_code(struct sonde_io *io)
{
	uint32_t flags = io_core(io)->flags;

	if (!(flags & IO_ASKED_CANCEL))
		return 0;
	return flags & IO_TIMED_OUT ? SONDE_E_TIMED_OUT : SONDE_E_CANCELLED;
}

/* Call io->done from the loop, not from here. */
static inline void loop_add_done(struct sonde_loop *loop, struct sonde_io *io)
{
	io_core(io)->next = NULL;
	*loop->done_tail = io;
	loop->done_tail = &io_core(io)->next;
}

/* Behind io_prepare: any number of pieces. */
int io_prepare_any(struct sonde_io *io);

static inline bool io_xfer_ok(const struct sonde_xfer *x)
{
	return x->buf && x->len - 1u < 0x7fffffffu; /* len 0 wraps and fails too */
}

static inline void io_xfer_reset(struct sonde_xfer *x)
{
	x->done = 0;
	x->err = 0;
	x->err_off = x->len;
}

/*
 * Check and reset the out fields of every piece.
 * Returns 0; SONDE_E_BAD_ARG with nothing touched.
 */
static inline int io_prepare(struct sonde_io *io)
{
	struct sonde_xfer *x = io->xfers;

	if (io->n != 1 || !x || io->state != SONDE_IO_IDLE || io->op > SONDE_IO_WRITE ||
	    !io_xfer_ok(x))
		return io_prepare_any(io);
	io_xfer_reset(x);
	io->result = 0;
	return SONDE_OK;
}

/* A request that has passed io_prepare starts its way. */
static inline void io_begin(struct sonde_io *io, void (*complete)(struct sonde_io *io))
{
	struct io_core *core = io_core(io);

	core->complete = complete;
	core->piece = core->off = core->pending = core->flags = 0;
}

/* A submitted request of the completion door: fire watch when it is idle, just before its callback. */
void io_watch(struct sonde_io *io, struct loop_watch *watch);

/* For each state four bits: bit s is set where it may go to state s. */
#define IO_MAY_GO(state, next) ((uint32_t)(next) << 4 * (state))
#define IO_MOVES                                                                                   \
	(IO_MAY_GO(SONDE_IO_IDLE, 1u << SONDE_IO_QUEUED) |                                         \
	 IO_MAY_GO(SONDE_IO_QUEUED, 1u << SONDE_IO_IN_FLIGHT | 1u << SONDE_IO_DONE) |              \
	 IO_MAY_GO(SONDE_IO_IN_FLIGHT, 1u << SONDE_IO_DONE) |                                      \
	 IO_MAY_GO(SONDE_IO_DONE, 1u << SONDE_IO_IDLE))

/* Asserts that the move is a legal one. */
static inline void io_set_state(struct sonde_io *io, enum sonde_io_state state)
{
	ENSURE(io->state <= SONDE_IO_DONE && IO_MOVES >> (4 * io->state + state) & 1);
	io->state = state;
}

/*
 * A plugin gets the request, and what it tells of each piece is checked: every byte once. It has it
 * until io_recall, io_finish or io_finish_unsent. Meanwhile only done of a piece may be looked at.
 */
void io_lend(struct sonde_io *io);
/* It goes on unchanged, to whom it is not lent. Nothing happens to one that is not lent. */
void io_recall(struct sonde_io *io);
/* Must what is told be told on the loop's thread? */
bool io_is_watched(const struct sonde_io *io);

/*
 * Account for a stretch of one piece, and tell who watches: then on the loop's thread.
 */
void io_account(struct sonde_io *io, uint32_t piece, uint32_t off, uint32_t len, int32_t err);

/*
 * The piece is final, but what was accounted for it is not to be believed: it ends as a dropped
 * piece does.
 */
void io_distrust(struct sonde_io *io, uint32_t piece);

/* The code of a piece that is dropped. */
static inline int32_t io_drop_code(struct sonde_io *io)
{
	int32_t stop = io_stop_code(io);

	if (stop)
		return stop;
	return io_core(io)->flags & IO_NO_ROOM ? SONDE_E_NO_MEMORY : SONDE_E_IO;
}

/*
 * For whoever hands on what fragments of a request below told: after its end, was this piece of it
 * dropped? Then what was handed on is to be distrusted. May be true of others that ended alike.
 */
static inline bool io_was_dropped(struct sonde_io *io, uint32_t piece)
{
	const struct sonde_xfer *x = &io->xfers[piece];

	return io_core(io)->flags & IO_DROPPED && x->err == io_drop_code(io) && x->err_off == 0 &&
	       x->done == 0;
}

/*
 * Every piece is final: count, close the state, call complete. A piece of which bytes were never
 * accounted for, or not once each, is turned into SONDE_E_IO and zeroes: a dropped piece is never success.
 */
void io_finish(struct sonde_io *io);

/* io_finish where every piece is known to be whole, and is not lent: nothing is looked at again. */
static inline void io_finish_whole(struct sonde_io *io)
{
	io->result = (int32_t)io->n;
	io_core(io)->n_failed = 0;
	io_set_state(io, SONDE_IO_DONE);
	io_core(io)->complete(io);
}

/* End a prepared request that is never submitted: all of it gets err, which is the result. */
int io_refuse(struct sonde_io *io, int32_t err);

/* End a request whose pieces from its cursor on were never sent, with the code cancel asked for. */
void io_finish_unsent(struct sonde_io *io);

#endif
