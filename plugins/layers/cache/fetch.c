/* SPDX-License-Identifier: MIT */
/* Bringing pages: what a batch is missing is one request below, and whoever else wants a page joins. */
#include "cache.h"

#include "../common/memory.h"

enum { SPARES_MAX = 16, WAITERS_MAX = 4096, PAGES_FEW = 16 };

static int grow(struct fetch *fetch)
{
	uint32_t cap = fetch->cap ? 2 * fetch->cap : PAGES_FEW;
	struct sonde_xfer *xfers = mem_resize(fetch->xfers, cap, sizeof(*xfers));

	if (!xfers)
		return -1;
	fetch->xfers = xfers;
	struct frame **frames = mem_resize(fetch->frames, cap, sizeof(struct frame *));
	if (!frames)
		return -1;
	fetch->frames = frames;
	fetch->cap = cap;
	return 0;
}

static struct fetch *take_fetch(struct cache *cache, uint64_t now)
{
	struct fetch *fetch = cache->spare;

	if (fetch) {
		cache->spare = fetch->next;
		cache->n_spare--;
	} else if (!(fetch = mem_alloc(1, sizeof(*fetch)))) {
		return NULL;
	}
	fetch->cache = cache;
	fetch->n = 0;
	fetch->stopped = 0;
	fetch->sent_ns = now;
	fetch->epoch = cache->epoch;
	fetch->prev = NULL;
	fetch->next = cache->active;
	if (cache->active)
		cache->active->prev = fetch;
	cache->active = fetch;
	return fetch;
}

static void fetch_free(struct fetch *fetch)
{
	mem_release(fetch->xfers);
	mem_release(fetch->frames);
	mem_release(fetch);
}

static void put_fetch(struct fetch *fetch)
{
	struct cache *cache = fetch->cache;

	if (fetch->prev)
		fetch->prev->next = fetch->next;
	else
		cache->active = fetch->next;
	if (fetch->next)
		fetch->next->prev = fetch->prev;
	if (cache->n_spare == SPARES_MAX) {
		fetch_free(fetch);
		return;
	}
	fetch->next = cache->spare;
	cache->spare = fetch;
	cache->n_spare++;
}

int fetch_add(struct cache *cache, struct fetch **fetch, struct frame *frame, uint64_t now)
{
	if (!*fetch && !(*fetch = take_fetch(cache, now)))
		return -1;
	struct fetch *f = *fetch;
	if (f->n == f->cap && grow(f) < 0)
		return -1;
	f->frames[f->n] = frame;
	f->xfers[f->n++] = (struct sonde_xfer){ .addr = frame->number * CACHE_PAGE,
						.buf = frame->bytes,
						.len = CACHE_PAGE };
	frame->fetch = f;
	frame->sent_ns = f->sent_ns;
	frame->epoch = f->epoch;
	return 0;
}

int fetch_joinable(const struct cache *cache, const struct fetch *fetch, uint64_t now)
{
	return !fetch->stopped && fetch->epoch == cache->epoch &&
	       (!cache->ms_ns || now - fetch->sent_ns < cache->ms_ns);
}

/* ---- who waits ------------------------------------------------------------------------------------ */

int fetch_wait(struct cache *cache, struct frame *frame, const struct waiter *waiter)
{
	struct waiter *own = cache->spare_waiters;

	if (own) {
		cache->spare_waiters = own->next;
		cache->n_spare_waiters--;
	} else if (!(own = mem_resize(NULL, 1, sizeof(*own)))) {
		return -1;
	}
	*own = *waiter;
	own->next = frame->waits;
	frame->waits = own;
	own->answer->count++;
	return 0;
}

static void put_waiter(struct cache *cache, struct waiter *waiter)
{
	if (cache->n_spare_waiters == WAITERS_MAX) {
		mem_release(waiter);
		return;
	}
	waiter->next = cache->spare_waiters;
	cache->spare_waiters = waiter;
	cache->n_spare_waiters++;
}

void fetch_unwait(struct cache *cache, struct frame *frame)
{
	struct waiter *last = frame->waits;

	frame->waits = last->next;
	last->answer->count--;
	put_waiter(cache, last);
}

/* Does anybody but this one wait for a page of it? */
static int others_wait(const struct fetch *fetch, const struct detour *answer)
{
	for (uint32_t i = 0; i < fetch->n; i++) {
		for (const struct waiter *w = fetch->frames[i]->waits; w; w = w->next) {
			if (w->answer != answer)
				return 1;
		}
	}
	return 0;
}

static int one_waits(const struct fetch *fetch, const struct detour *answer)
{
	for (uint32_t i = 0; i < fetch->n; i++) {
		for (const struct waiter *w = fetch->frames[i]->waits; w; w = w->next) {
			if (w->answer == answer)
				return 1;
		}
	}
	return 0;
}

static void leave_frame(struct cache *cache, struct frame *frame, const struct detour *answer,
			int32_t why)
{
	for (struct waiter **link = &frame->waits; *link;) {
		struct waiter *w = *link;
		if (w->answer != answer) {
			link = &w->next;
			continue;
		}
		*link = w->next;
		sonde_progress(cache->host, answer->upper, w->piece, w->off, w->len, why);
		w->answer->count--;
		put_waiter(cache, w);
	}
}

/*
 * The last who waits stays: something of ours must not be under way below when nothing is above, for
 * then the target may be closed. It asks for the end instead.
 */
void fetch_leave(struct cache *cache, const struct detour *answer, int32_t why)
{
	for (struct fetch *fetch = cache->active; fetch; fetch = fetch->next) {
		if (others_wait(fetch, answer)) {
			for (uint32_t i = 0; i < fetch->n; i++)
				leave_frame(cache, fetch->frames[i], answer, why);
		} else if (one_waits(fetch, answer)) {
			fetch->stopped = 1;
			cache->host->cancel(&fetch->lower, why);
		}
	}
}

/* ---- what comes ------------------------------------------------------------------------------------- */

/* Of each page: does all that fails in it fail alike? Then its err is the code, else FRAME_PARTLY. */
static void landed(struct sonde_io *lower, const struct sonde_fragment *f)
{
	struct frame *frame = ((struct fetch *)(void *)lower)->frames[f->piece];

	if (f->err && frame->err == 0)
		frame->err = f->err;
	else if (f->err && frame->err != f->err)
		frame->err = FRAME_PARTLY;
}

/* What will be the same in a moment, as far as anything is. A failed transfer is none of it. */
static int is_lasting(int32_t err)
{
	switch (err) {
	case 0:
	case FRAME_PARTLY:
	case SONDE_E_NOT_MAPPED:
	case SONDE_E_NOT_SAVED:
	case SONDE_E_PAGED_OUT:
	case SONDE_E_TRUNCATED:
	case SONDE_E_NO_ACCESS:
		return 1;
	default:
		return 0;
	}
}

/*
 * From the account of the whole page, which is what the core vouches for: where it was not told as it
 * must be, the page is dropped, whatever was told of it.
 */
static void judge(struct frame *frame, const struct sonde_xfer *x)
{
	if (x->err == 0)
		frame->err = 0;
	else if (x->done)
		frame->err = FRAME_PARTLY;
	else if (frame->err != FRAME_PARTLY)
		frame->err = x->err;
}

/*
 * Who wants bytes of a page that failed, or is there in parts, is not to suffer for the rest of it: what he
 * asked for is asked for by itself.
 */
static void serve(struct cache *cache, struct frame *frame)
{
	while (frame->waits) {
		struct waiter *w = frame->waits;
		frame->waits = w->next;
		if (frame->err == FRAME_PARTLY || !is_lasting(frame->err))
			answer_reread(cache, w);
		else
			answer_part(cache, w->answer->upper, w, frame);
		struct detour *answer = w->answer;
		put_waiter(cache, w);
		answer_less(answer);
	}
}

/* Is what it brings what there is now, as far as we know? */
static int is_current(const struct fetch *fetch)
{
	return !fetch->stopped && fetch->epoch == fetch->cache->epoch;
}

/* Answer who waits, then keep the page if it may be kept. */
static void settle(struct fetch *fetch, struct frame *frame, const struct sonde_xfer *x, int keep)
{
	struct frames *frames = &fetch->cache->frames;

	judge(frame, x);
	serve(fetch->cache, frame);
	if (keep && is_lasting(frame->err))
		frames_arrived(frames, frame);
	else
		frames_drop(frames, frame);
}

static void fetch_done(struct sonde_io *lower)
{
	struct fetch *fetch = (struct fetch *)(void *)lower;
	int keep = is_current(fetch);

	fetch->stopped = 1; /* it is too late to join */
	for (uint32_t i = 0; i < fetch->n; i++)
		settle(fetch, fetch->frames[i], &fetch->xfers[i], keep);
	put_fetch(fetch);
}

void fetch_send(struct fetch *fetch)
{
	const struct cache *cache = fetch->cache;

	fetch->lower.xfers = fetch->xfers;
	fetch->lower.n = fetch->n;
	fetch->lower.op = SONDE_IO_READ;
	fetch->lower.fragment = landed;
	fetch->lower.done = fetch_done;
	if (fetch->n)
		cache->host->issue(cache->below, &fetch->lower);
	else
		put_fetch(fetch);
}

void fetch_finish(struct cache *cache)
{
	while (cache->spare) {
		struct fetch *next = cache->spare->next;
		fetch_free(cache->spare);
		cache->spare = next;
	}
	while (cache->spare_waiters) {
		struct waiter *next = cache->spare_waiters->next;
		mem_release(cache->spare_waiters);
		cache->spare_waiters = next;
	}
}
