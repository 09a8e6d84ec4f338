/* SPDX-License-Identifier: MIT */
/*
 * A stream of fragments: read (or write) many pieces and work on each stretch as soon as it has
 * come, long before the last one has.
 *
 *	struct sonde_fragments stream;
 *	struct sonde_fragment f;
 *	int r = sonde_fragments_start(self, space, &stream, pieces, n, SONDE_IO_READ);
 *	while (r >= 0 && (r = sonde_fragments_next(self, &stream, &f)) > 0)
 *		use(&pieces[f.piece], f.off, f.len, f.err);
 *
 * Every byte of every piece is told once, with its own outcome. Nothing is allocated, however many
 * fragments come and however late the task is: stretches that lie together and share an outcome are
 * told as one, and at most 128 pieces are on their way at a time, so that what comes of them can be
 * kept. Should a few of those come in more bits than that (a piece with dozens of holes, told while
 * the task was elsewhere), then what could not be kept is asked for again when its turn comes: read
 * again, or written again with the same bytes.
 */
#ifndef SONDE_FRAGMENTS_H
#define SONDE_FRAGMENTS_H

#include <sonde/io.h>
#include <sonde/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Lives in its caller, from start until next has not returned 1 any more, or end has returned. */
struct sonde_fragments {
	struct sonde_xfer
		*xfers;     /* out: the pieces; theirs is settled as it is told               */
	uint32_t n;         /* out: how many                                                  */
	int32_t result;     /* out, at the end: pieces in full, 0..n; CANCELLED, TIMED_OUT    */
	uint64_t core[600]; /* the library's                                                  */
};

/*
 * Send n pieces off. op is an enum sonde_io_op. self is the task that runs; NULL in plain code,
 * which then pumps the loop inside next.
 *
 * Returns   0; SONDE_E_BAD_ARG (as sonde_space_read; another op; self does not run), SONDE_E_BUSY in
 *           a callback, or as sonde_task_check: nothing is on its way then.
 * Context   never suspends, allocates nothing. The pieces and their buffers are lent until the end.
 */
int sonde_fragments_start(struct sonde_task *self, struct sonde_space *space,
			  struct sonde_fragments *fragments, struct sonde_xfer *xfers, size_t n,
			  uint32_t op);

/*
 * Wait for the next fragment. Those of one piece come lowest first, those of different pieces in the
 * order in which they landed.
 *
 * Returns   1 and *ret; 0 when everything has been told: fragments->result counts and the pieces hold
 *           their outcomes; as sonde_task_check where the end of the task was asked for: then all is
 *           over as after sonde_fragments_end; SONDE_E_BAD_ARG (self does not run), SONDE_E_BUSY in a
 *           callback: nothing has changed.
 * Context   parks a task, pumps the loop in plain code; only where nothing has landed.
 */
int sonde_fragments_next(struct sonde_task *self, struct sonde_fragments *fragments,
			 struct sonde_fragment *ret);

/*
 * Have enough: call off what is on its way and wait until nothing is, so that the pieces may go. At
 * the end of a stream, and again, it does nothing.
 *
 * Returns   fragments->result: SONDE_E_CANCELLED where something was called off; the pieces say what
 *           has come of each all the same. Else as sonde_fragments_next refuses.
 */
int sonde_fragments_end(struct sonde_task *self, struct sonde_fragments *fragments);

#ifdef __cplusplus
}
#endif
#endif
