/* SPDX-License-Identifier: MIT */
/*
 * The stream of fragments. Pieces leave in windows; each piece of a window has a lane, where what has
 * landed of it waits for the task:
 *
 *   0 ──── told ────▶│◀─ waiting, one outcome ─▶ front ─ ─ a gap ─ ─ [early] ─ ─ [early] ─ ─ len
 *
 * Stretches that land further on are kept as early ones, as long as there is room. At the end of its
 * window a piece has no gaps: what its outcome says of them is told, and where it does not say enough
 * (behind its first error) the rest of the piece is asked for again, in a window of its own.
 */
#include <sonde/error.h>
#include <sonde/fragments.h>
#include <sonde/plugin.h>
#include <stdbool.h>

#include "base/mem.h"
#include "space/space.h"
#include "task/task.h"

#define WINDOW 64u /* pieces              */
#define EARLY 48u
#define NONE UINT16_MAX

struct lane {
	uint32_t told, front; /* bytes, from the start of its piece         */
	int32_t err;          /* of what waits between them                 */
	uint32_t good;        /* bytes told without an error                */
	uint16_t next;        /* in the order of arrival                    */
	bool queued;
};

struct early {
	uint32_t off, len;
	int32_t err;
	uint32_t lane;
};

struct window {
	struct sonde_io io; /* first: the request is the window              */
	struct stream *stream;
	uint32_t first; /* index of its first piece among the stream's  */
	uint32_t base;  /* again: its piece begins so far in that one   */
	uint32_t lane;  /* index of its first lane                      */
	bool busy, done;
};

/* Two windows in turn, and the one that asks again. */
enum { AGAIN = 2, N_WINDOWS };

struct stream {
	struct sonde_space *space;
	struct task_wait *wait; /* NULL: nobody waits */
	struct window windows[N_WINDOWS];
	struct lane lanes[2 * WINDOW + 1];
	struct early early[EARLY]; /* [n_early], in no order */
	struct sonde_xfer again;
	uint32_t n_early;
	uint32_t n_sent; /* pieces; those behind have not left yet */
	uint32_t op, n_in_flight;
	uint16_t head, tail; /* lanes with something to tell */
	bool over;
};
_Static_assert(sizeof(struct stream) <= sizeof(((struct sonde_fragments *)0)->core),
	       "struct sonde_fragments keeps room for a stream");

static struct stream *of(struct sonde_fragments *fragments)
{
	return (struct stream *)(void *)fragments->core;
}

/* ---- what lands ---------------------------------------------------------------------------- */

static void queue(struct stream *s, uint32_t i)
{
	struct lane *lane = &s->lanes[i];

	if (lane->queued || lane->told == lane->front)
		return;
	lane->queued = true;
	lane->next = NONE;
	if (s->head == NONE)
		s->head = (uint16_t)i;
	else
		s->lanes[s->tail].next = (uint16_t)i;
	s->tail = (uint16_t)i;
}

/* Goes on where the front is, with the outcome of what waits there. */
static bool goes_on(const struct lane *lane, uint32_t off, int32_t err)
{
	return off == lane->front && (lane->told == lane->front || lane->err == err);
}

/* Early stretches that the front has come to are early no more. */
static void catch_up(struct stream *s, uint32_t i)
{
	struct lane *lane = &s->lanes[i];

	for (uint32_t k = 0; k < s->n_early; k++) {
		const struct early e = s->early[k];
		if (e.lane != i || !goes_on(lane, e.off, e.err))
			continue;
		lane->front += e.len;
		lane->err = e.err;
		s->early[k] = s->early[--s->n_early];
		k = UINT32_MAX; /* from the start: another may go on now */
	}
}

static bool joins(struct early *e, const struct early *new)
{
	if (e->lane != new->lane || e->err != new->err)
		return false;
	if (new->off + new->len == e->off)
		e->off = new->off;
	else if (e->off + e->len != new->off)
		return false;
	e->len += new->len;
	return true;
}

/* Without room the lowest of a lane are kept: they are told first, so asking again gets on. */
static void keep(struct stream *s, const struct early *new)
{
	struct early *highest = NULL;

	for (uint32_t k = 0; k < s->n_early; k++) {
		struct early *e = &s->early[k];
		if (joins(e, new))
			return;
		if (e->lane == new->lane && (!highest || e->off > highest->off))
			highest = e;
	}
	if (s->n_early < EARLY)
		s->early[s->n_early++] = *new;
	else if (highest && highest->off > new->off)
		*highest = *new;
}

static void land(struct stream *s, uint32_t i, uint32_t off, uint32_t len, int32_t err)
{
	struct lane *lane = &s->lanes[i];

	if (!goes_on(lane, off, err)) {
		keep(s, &(struct early){ off, len, err, i });
		return;
	}
	lane->front += len;
	lane->err = err;
	catch_up(s, i);
	queue(s, i);
}

static void wake(struct stream *s)
{
	if (s->wait && !s->wait->over)
		task_wake(s->wait, SONDE_OK);
}

static void landed(struct sonde_io *io, const struct sonde_fragment *f)
{
	const struct window *w = (const struct window *)(void *)io;

	if (!f->len)
		return;
	land(w->stream, w->lane + f->piece, f->off, f->len, f->err);
	wake(w->stream);
}

/* ---- windows --------------------------------------------------------------------------------- */

static void window_over(struct sonde_io *io)
{
	struct window *w = (struct window *)(void *)io;

	space_leave(io);
	w->done = true;
	w->stream->n_in_flight--;
	wake(w->stream);
}

/* Its pieces were found to be good when the stream began. */
static void issue(struct stream *s, struct window *w, struct sonde_xfer *xfers, uint32_t n)
{
	memset(&s->lanes[w->lane], 0, n * sizeof(struct lane));
	w->io = (struct sonde_io){ .xfers = xfers, .n = n, .op = s->op, .fragment = landed };
	w->busy = true;
	w->done = false;
	s->n_in_flight++;
	space_issue(s->space, &w->io, window_over);
}

static void send_next(struct sonde_fragments *fragments, struct window *w)
{
	struct stream *s = of(fragments);
	uint32_t left = fragments->n - s->n_sent, n = left < WINDOW ? left : WINDOW;

	if (n == 0)
		return;
	w->first = s->n_sent;
	s->n_sent += n;
	issue(s, w, fragments->xfers + w->first, n);
}

/* ---- the end of a window ----------------------------------------------------------------------- */

static void forget_early(struct stream *s, uint32_t i)
{
	for (uint32_t k = 0; k < s->n_early;) {
		if (s->early[k].lane == i)
			s->early[k] = s->early[--s->n_early];
		else
			k++;
	}
}

/* Where the gap at the front of a lane ends. */
static uint32_t gap_end(const struct stream *s, uint32_t i, uint32_t len)
{
	uint32_t end = len;

	for (uint32_t k = 0; k < s->n_early; k++) {
		const struct early *e = &s->early[k];
		if (e->lane == i && e->off < end)
			end = e->off;
	}
	return end;
}

/* The rest of a piece once more; what has been told of it stays as it was told. */
static bool ask_again(struct sonde_fragments *fragments, struct window *w, uint32_t i)
{
	struct stream *s = of(fragments);
	struct window *again = &s->windows[AGAIN];
	struct lane *lane = &s->lanes[w->lane + i];
	struct sonde_xfer *x = &w->io.xfers[i];
	uint32_t front = lane->front, base = w->base + front;

	if (w != again && again->busy)
		return false;
	forget_early(s, w->lane + i);
	if (w != again) {
		x->done = lane->good;
		if (x->err_off >= front)
			x->err = 0, x->err_off = x->len;
	}
	s->again = (struct sonde_xfer){ .addr = x->addr + front,
					.buf = (char *)x->buf + front,
					.len = x->len - front };
	lane->told = lane->front = x->len;
	again->first = w->first + i;
	again->base = base;
	issue(s, again, &s->again, 1);
	return true;
}

/*
 * A lane whose piece is final and that has a gap at its front: some of it is known from the outcome
 * of the piece. False: has to wait.
 */
static bool close_gap(struct sonde_fragments *fragments, struct window *w, uint32_t i)
{
	struct stream *s = of(fragments);
	const struct sonde_xfer *x = &w->io.xfers[i];
	uint32_t front = s->lanes[w->lane + i].front;
	uint32_t end = gap_end(s, w->lane + i, x->len);

	if (io_was_dropped(&w->io, i) || end < front) {
		/* What a broken connector told is worth nothing. */
		forget_early(s, w->lane + i);
		land(s, w->lane + i, front, x->len - front, x->err);
		return true;
	}
	if (x->addr + front < x->addr) { /* behind 2^64 there is nothing to ask for */
		land(s, w->lane + i, front, end - front, SONDE_E_NOT_MAPPED);
		return true;
	}
	if (x->err && front >= x->err_off)
		return ask_again(fragments, w, i);
	if (x->err && end > x->err_off)
		end = x->err_off;
	land(s, w->lane + i, front, end - front, SONDE_OK);
	return true;
}

/* 1: there is something to tell, or on its way; 0: the window is told; -1: it has to wait. */
static int settle(struct sonde_fragments *fragments, struct window *w)
{
	struct stream *s = of(fragments);
	int r = 0;

	for (uint32_t i = 0; i < w->io.n; i++) {
		if (s->lanes[w->lane + i].front == w->io.xfers[i].len)
			continue;
		if (close_gap(fragments, w, i))
			return 1;
		r = -1;
	}
	return r;
}

/* What a broken connector told twice may be left of it. */
static void retire(struct stream *s, struct window *w)
{
	for (uint32_t i = 0; s->n_early && i < w->io.n; i++)
		forget_early(s, w->lane + i);
	w->busy = false;
}

/* Nothing is left to tell of what landed. True: look again. */
static bool go_on(struct sonde_fragments *fragments)
{
	struct stream *s = of(fragments);

	for (uint32_t k = 0; k < N_WINDOWS; k++) {
		struct window *w = &s->windows[k];
		if (!w->busy || !w->done)
			continue;
		int r = settle(fragments, w);
		if (r == 0)
			retire(s, w);
		if (r == 0 && k != AGAIN)
			send_next(fragments, w);
		if (r >= 0)
			return true;
	}
	return false;
}

/* ---- waiting --------------------------------------------------------------------------------------- */

struct stream_wait {
	struct task_wait wait;
	struct stream *stream;
};

static void stop_all(struct stream *s, int code)
{
	for (uint32_t k = 0; k < N_WINDOWS; k++) {
		if (s->windows[k].busy && !s->windows[k].done)
			space_stop(&s->windows[k].io, code);
	}
}

static void stop_waiting(struct task_wait *wait, int code)
{
	stop_all(((struct stream_wait *)(void *)wait)->stream, code);
}

static void wait_for_more(struct stream *s)
{
	struct stream_wait wait = { .wait.stop = stop_waiting, .stream = s };

	s->wait = &wait.wait;
	task_wait(s->space->loop, &wait.wait);
	s->wait = NULL;
}

/* ---- the doors --------------------------------------------------------------------------------------- */

/* 0; or why self may not wait for something of this space. */
static int may_wait(const struct sonde_space *space, const struct sonde_task *self)
{
	return self == space->loop->current ? task_may_wait(space->loop) : SONDE_E_BAD_ARG;
}

static int count_full(const struct sonde_fragments *fragments)
{
	int32_t full = 0;

	for (uint32_t i = 0; i < fragments->n; i++)
		full += fragments->xfers[i].err == 0;
	return full;
}

/* Of a piece that was asked for again only what was told of it is known. */
static void give_up_again(struct sonde_fragments *fragments, int code)
{
	struct stream *s = of(fragments);
	const struct window *w = &s->windows[AGAIN];
	struct sonde_xfer *x = &fragments->xfers[w->first];
	uint32_t off = w->base + s->lanes[w->lane].told;

	sonde_xfer_account(x, s->op, off, x->len - off, code);
	fragments->result = code;
}

static int end_with(struct sonde_fragments *fragments, int code)
{
	struct stream *s = of(fragments);
	bool called_off = s->n_in_flight || s->n_sent < fragments->n;

	stop_all(s, code);
	while (s->n_in_flight)
		wait_for_more(s);
	if (s->windows[AGAIN].busy)
		give_up_again(fragments, code);
	for (; s->n_sent < fragments->n; s->n_sent++) {
		struct sonde_xfer *x = &fragments->xfers[s->n_sent];
		sonde_xfer_account(x, s->op, 0, x->len, code);
	}
	s->over = true;
	if (!fragments->result)
		fragments->result = called_off ? code : count_full(fragments);
	return fragments->result;
}

/* Told in the second asking, it becomes the outcome of the piece. */
static void tell(struct sonde_fragments *fragments, uint32_t i, struct sonde_fragment *ret)
{
	struct stream *s = of(fragments);
	uint32_t k = i / WINDOW;
	const struct window *w = &s->windows[k];
	struct lane *lane = &s->lanes[i];

	*ret = (struct sonde_fragment){ .piece = w->first + (i - w->lane),
					.off = w->base + lane->told,
					.len = lane->front - lane->told,
					.err = lane->err };
	lane->good += ret->err ? 0 : ret->len;
	lane->told = lane->front;
	if (k == AGAIN)
		sonde_xfer_account(&fragments->xfers[ret->piece], s->op, ret->off, ret->len,
				   ret->err);
	catch_up(s, i);
	queue(s, i);
}

static bool take(struct sonde_fragments *fragments, struct sonde_fragment *ret)
{
	struct stream *s = of(fragments);
	uint32_t i = s->head;

	if (i == NONE)
		return false;
	s->head = s->lanes[i].next;
	s->lanes[i].queued = false;
	tell(fragments, i, ret);
	return true;
}

int sonde_fragments_start(struct sonde_task *self, struct sonde_space *space,
			  struct sonde_fragments *fragments, struct sonde_xfer *xfers, size_t n,
			  uint32_t op)
{
	struct stream *s = of(fragments);
	struct sonde_io all = { .xfers = xfers, .n = (uint32_t)n, .op = op };

	int r = n > INT32_MAX ? SONDE_E_BAD_ARG : may_wait(space, self);

	if (r == SONDE_OK)
		r = task_stop_here(space->loop);
	if (r == SONDE_OK)
		r = io_prepare(&all);
	if (r < 0)
		return r;
	fragments->xfers = xfers;
	fragments->n = (uint32_t)n;
	fragments->result = 0;
	memset(s, 0, sizeof(*s));
	s->space = space;
	s->op = op;
	s->head = NONE;
	for (uint32_t k = 0; k < N_WINDOWS; k++) {
		s->windows[k].stream = s;
		s->windows[k].lane = k * WINDOW;
	}
	send_next(fragments, &s->windows[0]);
	send_next(fragments, &s->windows[1]);
	return SONDE_OK;
}

int sonde_fragments_next(struct sonde_task *self, struct sonde_fragments *fragments,
			 struct sonde_fragment *ret)
{
	struct stream *s = of(fragments);
	int r = may_wait(s->space, self);

	if (r < 0)
		return r;
	while (!s->over) {
		r = task_stop_here(s->space->loop);
		if (r < 0) {
			end_with(fragments, r);
			return r;
		}
		if (take(fragments, ret))
			return 1;
		if (go_on(fragments))
			continue;
		if (s->n_in_flight == 0) {
			s->over = true;
			fragments->result = count_full(fragments);
			break;
		}
		wait_for_more(s);
	}
	return 0;
}

int sonde_fragments_end(struct sonde_task *self, struct sonde_fragments *fragments)
{
	struct stream *s = of(fragments);
	int r = may_wait(s->space, self);

	if (r < 0)
		return r;
	return s->over ? fragments->result : end_with(fragments, SONDE_E_CANCELLED);
}
