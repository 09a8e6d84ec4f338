/* SPDX-License-Identifier: MIT */
/*
 * The completion door: submit a request, go on computing, be called back.
 *
 * Contract, here and everywhere: returns 0: the callback runs exactly once;
 * returns < 0: it never runs. Callbacks run only inside the loop, on its thread,
 * never inside submit.
 */
#ifndef SONDE_IO_H
#define SONDE_IO_H

#include <sonde/space.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sonde_io;

enum sonde_io_op { SONDE_IO_READ = 0, SONDE_IO_WRITE = 1 };

/*
 *   IDLE ──submit──▶ QUEUED ──loop flushed it──▶ IN_FLIGHT ──last piece──▶ DONE
 *    ▲                  └──────── cancelled: the flush ends it ──────────▶ │
 *    └─────────────────────── callback is called ──────────────────────────┘
 */
enum sonde_io_state { SONDE_IO_IDLE = 0, SONDE_IO_QUEUED, SONDE_IO_IN_FLIGHT, SONDE_IO_DONE };

/*
 * A stretch of one piece that has just become final. What a broken connector never told is told by no
 * fragment: such a piece is known by its error when the request is done.
 */
struct sonde_fragment {
	uint32_t piece; /* index into xfers                                    */
	uint32_t off;   /* first byte, from the start of the piece             */
	uint32_t len;   /* bytes                                               */
	int32_t err;    /* 0: transferred; < 0: why not (a read is zeroed here) */
};

/* Both run on the loop's thread. In done the request is idle again and may be reused or freed. */
typedef void sonde_done_fn(struct sonde_io *io);
typedef void sonde_fragment_fn(struct sonde_io *io, const struct sonde_fragment *fragment);

/*
 * A request: a batch of pieces with one completion. It lives in its caller (a struct,
 * a stack) until done has been called; zero it, set the in fields, submit.
 */
struct sonde_io {
	struct sonde_xfer *xfers;    /* in:  [n]                                        */
	uint32_t n;                  /* in:  pieces, 0 .. 2^31-1                        */
	uint32_t op;                 /* in:  enum sonde_io_op                           */
	sonde_done_fn *done;         /* in:  not NULL                                   */
	sonde_fragment_fn *fragment; /* in:  NULL, or told of each fragment as it lands */
	void *user;                  /* in:  the caller's                               */
	int32_t result;              /* out: pieces in full, 0..n; CANCELLED, TIMED_OUT */
	uint32_t state;              /* out: enum sonde_io_state                        */
	uint64_t deadline_ns;        /* in:  0, or sonde_now_ns() time: then TIMED_OUT  */
	uint64_t core[17];           /* the library's while in flight                   */
};

/*
 * Submit one request to a space. It leaves with all others that were submitted to that
 * space before the loop next runs out of things to do: as one batch.
 *
 * Returns   0: done runs exactly once; SONDE_E_BAD_ARG (see sonde_space_read; also done
 *           is NULL or the request is not idle): it never runs.
 * Context   never blocks, never calls back, allocates nothing. The loop's thread only.
 */
int sonde_io_submit(struct sonde_space *space, struct sonde_io *io);

/*
 * Ask for the end of a request. done still comes, with CANCELLED or with the result
 * that won. What was transferred by then is in the pieces; the rest carry CANCELLED.
 *
 * Returns   1 asked, 0 nothing to cancel (idle or already done).
 */
int sonde_io_cancel(struct sonde_io *io);

/*
 * The outcome of a whole request, without looking at its pieces; as sonde_xfers_total.
 *
 * Returns   as sonde_xfers_total; SONDE_E_BUSY while it is in flight (ret is not touched).
 */
int sonde_io_total(const struct sonde_io *io, struct sonde_total *ret);

#ifdef __cplusplus
}
#endif
#endif
