/* SPDX-License-Identifier: MIT */
/*
 * The inside of a space: one small table, and the queue that makes batches. Kinds of
 * spaces: connector.c (a connector's), layer.c (in front of another), ../arch/virtual.c (page tables).
 *
 * To make one: embed struct sonde_space first, fill it with space_init, and see to it that every
 * request given to submit meets io_finish exactly once, on the loop's thread.
 */
#ifndef SONDE_SPACE_SPACE_H
#define SONDE_SPACE_SPACE_H

#include <sonde/space.h>

#include "io/loop.h"
#include "io/request.h"

struct sonde_cpu;
struct sonde_error;

struct space_ops {
	/*
	 * Take every request of a list (io_core.next), all IN_FLIGHT: one batch. io_finish may be called
	 * inside.
	 */
	void (*submit)(struct sonde_space *space, struct sonde_io *list);
	/* submit may get them QUEUED, and moves all on before anything is called that might look. */
	bool takes_queued;
	/*
	 * Optional, in the place of space_submit while space.at_once: what can be sent where that tells nobody yet need
	 * not wait in the queue. submit_kept, at the end of the pass, serves what it did not send but kept QUEUED.
	 */
	int (*submit_at_once)(struct sonde_space *space, struct sonde_io *io);
	void (*submit_kept)(struct sonde_space *space);
	/* Optional: a plugin has ended this request, on the loop's thread. NULL: io_finish. */
	void (*io_done)(struct sonde_io *io);
	/* Optional. */
	int (*regions)(struct sonde_space *space, sonde_region_fn *fn, void *user);
	/* Optional. *len: at most so many bytes, > 0; how many there are, > 0, where the result is not NULL. Never waits. */
	const void *(*borrow)(struct sonde_space *space, uint64_t addr, size_t *len);
	/*
	 * Optional, with borrow: call fn, in which looking at what was borrowed may end it. false: that
	 * happened, for the file behind a map is shorter now, or its disk failed. fn takes no lock and allocates nothing.
	 */
	bool (*guarded)(struct sonde_space *space, void (*fn)(void *arg), void *arg);
	/* Optional: give back pages of maps read so far. */
	void (*trim)(struct sonde_space *space);
	/* Optional: what was kept of its contents does not count any more. */
	void (*invalidate)(struct sonde_space *space);
	/*
	 * Optional: the end of a request was asked for that submit was given and that is not finished.
	 * Called in the loop, never inside submit; io_stop_code says why. It may be finished now or later.
	 */
	void (*cancel)(struct sonde_space *space, struct sonde_io *io);
	/* Optional: what stands behind the space knows more than its bytes; as of struct sonde_connector_ops. */
	int (*cpu)(struct sonde_space *space, uint32_t index, struct sonde_cpu *ret);
	int64_t (*note)(struct sonde_space *space, const char *name, void *buf, size_t cap);
	/* Optional: which way its bytes go now, and why; as snprintf. A space over another hands that one's on. */
	size_t (*how)(const struct sonde_space *space, char *text, size_t cap);
	/* Optional: as sonde_space_clone. */
	int (*clone)(struct sonde_space *space, struct sonde_loop *loop, struct sonde_space **ret,
		     struct sonde_error *err);
	/* Free everything, the space itself included. Nothing is in flight. */
	void (*destroy)(struct sonde_space *space);
};

struct sonde_space {
	const struct space_ops *ops;
	struct sonde_loop *loop;
	struct loop_flush flush; /* runs when the queue may leave         */
	struct sonde_io *queue_head, **queue_tail;
	uint32_t n_queued;  /* requests in it, those that were cancelled included  */
	uint32_t n_stopped; /* ... whose end was asked for                         */
	uint32_t n_leaving; /* ... of the batch that submit has, or had: at most as many */
	uint32_t at_once;   /* passes left in which requests are sent as they are submitted */
	uint32_t n_sent;    /* ... in this pass, not in stats yet                       */
	uint32_t n_kept;    /* ... and kept for its end, likewise                       */
	uint64_t n_sent_bytes;
	struct sonde_space_stats stats;
	/*
	 * A hint: submit finishes its requests before it returns. It may change with a batch, which then ends later
	 * as others do. A space over another shares that one's; space_always and space_never are for the rest.
	 */
	const bool *resident;
	struct sonde_space *owned;      /* a clone's: those below it, closed behind it */
	struct sonde_space *next_owned; /* ... by the same one                         */
};

extern const bool space_always, space_never;

void space_init(struct sonde_space *space, const struct space_ops *ops, struct sonde_loop *loop,
		const bool *resident);

/* As sonde_io_submit, by way of the queue. */
int space_submit(struct sonde_space *space, struct sonde_io *io);

/* The first request of a pass: at the end of it there is a flush. Returns 0. */
int space_enter_first(struct sonde_space *space);

/* A request is under way. Returns 0. */
static inline int space_enter(struct sonde_space *space, struct sonde_io *io)
{
	io_core(io)->space = space;
	space->loop->n_inflight++;
	return space->flush.queued ? SONDE_OK : space_enter_first(space);
}

/* Put an already prepared request (core.complete set) into the queue. */
void space_queue(struct sonde_space *space, struct sonde_io *io);

/*
 * For spaces that read other spaces: prepare and queue, or, where space is resident, finish
 * it inside the call. complete is called once either way.
 */
int space_issue(struct sonde_space *space, struct sonde_io *io,
		void (*complete)(struct sonde_io *io));

/* As space_issue, where the out fields of every piece are as io_prepare would set them. */
void space_issue_prepared(struct sonde_space *space, struct sonde_io *io,
			  void (*complete)(struct sonde_io *io));

/*
 * Ask for the end of a request, with CANCELLED or TIMED_OUT; the first reason stands. Nothing ends
 * inside, for that would run callbacks outside the loop. Returns 1 asked, 0 it is not under way.
 */
int space_stop(struct sonde_io *io, int32_t code);

/* First act of every complete function given to space_issue: the request is no longer in flight. */
void space_leave(struct sonde_io *io);

/* upper is a clone, and so is lower, which it reads: they are closed together. */
void space_own(struct sonde_space *upper, struct sonde_space *lower);
/* Why a space cannot be cloned, and what to do. Returns SONDE_E_UNSUPPORTED. */
int space_refuse_clone(struct sonde_error *err);

/* What is behind a space says of its machine; SONDE_E_UNSUPPORTED and SONDE_E_NOT_FOUND by default. */
int space_cpu(struct sonde_space *space, uint32_t index, struct sonde_cpu *ret);
int64_t space_note(struct sonde_space *space, const char *name, void *buf, size_t cap);

/* The complete function of the completion door, as long as there is no timer to stop. */
void space_complete_by_callback(struct sonde_io *io);

/* Does nothing but its callback wait for the end of a request? Of those whose fragments nobody watches. */
static inline bool space_is_single(struct sonde_io *io)
{
	return io_core(io)->complete == space_complete_by_callback;
}

/*
 * io_finish of one IN_FLIGHT for which that holds, and whose one piece was moved whole; here with its callback, so
 * in the loop only.
 */
static inline void space_call_single(struct sonde_loop *loop, struct sonde_io *io)
{
	loop->n_inflight--;
	io->result = 1;
	io->state = SONDE_IO_IDLE;
	loop_watch_fire_all(&io_core(io)->watches, SONDE_OK);
	io->done(io);
}

/* ... and here its callback has its turn soon. */
static inline void space_finish_single(struct sonde_space *space, struct sonde_io *io)
{
	space->loop->n_inflight--;
	io->result = 1;
	io->state = SONDE_IO_DONE;
	loop_add_done(space->loop, io);
}

/* One request of a batch that leaves: pieces and bytes for the statistics. */
void space_count(struct sonde_space *space, const struct sonde_io *io);

#endif
