/* SPDX-License-Identifier: MIT */
/* Requests that are answered in parts; detour.h says how. */
#include "detour.h"

#include "memory.h"

enum { SPARES_MAX = 64, PARTS_FEW = 16 };

static void detour_free(struct detour *d)
{
	mem_release(d->xfers);
	mem_release(d->parts);
	mem_release(d);
}

void detour_pool_finish(struct detour_pool *pool)
{
	while (pool->spare) {
		struct detour *next = pool->spare->next;
		detour_free(pool->spare);
		pool->spare = next;
	}
}

static struct detour *take_spare(struct detour_pool *pool)
{
	struct detour *d = pool->spare;

	if (d) {
		pool->spare = d->next;
		pool->n_spare--;
		return d;
	}
	return mem_alloc(1, sizeof(*d));
}

struct detour *detour_begin(struct detour_pool *pool, struct sonde_io *upper)
{
	struct detour *d = take_spare(pool);

	if (!d)
		return NULL;
	d->pool = pool;
	d->upper = upper;
	d->op = upper->op;
	d->n = 0;
	d->sent = 0;
	d->stop = 0;
	d->count = 0;
	d->over = NULL;
	d->prev = NULL;
	d->next = pool->active;
	if (pool->active)
		pool->active->prev = d;
	pool->active = d;
	return d;
}

static void leave_active(struct detour *d)
{
	if (d->prev)
		d->prev->next = d->next;
	else
		d->pool->active = d->next;
	if (d->next)
		d->next->prev = d->prev;
}

static int grow(struct detour *d)
{
	uint32_t cap = d->cap ? 2 * d->cap : PARTS_FEW;
	struct sonde_xfer *xfers = mem_resize(d->xfers, cap, sizeof(*xfers));

	if (!xfers)
		return SONDE_E_NO_MEMORY;
	d->xfers = xfers;
	struct detour_part *parts = mem_resize(d->parts, cap, sizeof(*parts));
	if (!parts)
		return SONDE_E_NO_MEMORY;
	d->parts = parts;
	d->cap = cap;
	return 0;
}

int detour_part_into(struct detour *d, uint32_t piece, uint32_t off, uint32_t len, void *buf)
{
	if (d->n == d->cap && (d->n > INT32_MAX / 2 || grow(d) < 0))
		return SONDE_E_NO_MEMORY;
	d->parts[d->n] = (struct detour_part){ piece, off };
	d->xfers[d->n++] = (struct sonde_xfer){ .addr = d->upper->xfers[piece].addr + off,
						.buf = buf,
						.len = len };
	return 0;
}

void detour_part(struct detour *d, uint32_t piece, uint32_t off, uint32_t len)
{
	char *buf = (char *)d->upper->xfers[piece].buf + off;
	struct sonde_xfer *last = d->n ? &d->xfers[d->n - 1] : NULL;

	if (detour_wraps(&d->upper->xfers[piece], off)) {
		sonde_progress(d->pool->host, d->upper, piece, off, len, SONDE_E_NOT_MAPPED);
		return;
	}
	/* What goes on where the last part ends is part of it. */
	if (last && d->parts[d->n - 1].piece == piece && (char *)last->buf + last->len == buf) {
		last->len += len;
		return;
	}
	if (detour_part_into(d, piece, off, len, buf) < 0)
		sonde_progress(d->pool->host, d->upper, piece, off, len, SONDE_E_NO_MEMORY);
}

static void relay(struct sonde_io *lower, const struct sonde_fragment *f)
{
	struct detour *d = (struct detour *)(void *)lower;
	const struct detour_part *part = &d->parts[f->piece];

	if (d->pool->landed)
		d->pool->landed(d, f->piece, f->off, f->len, f->err);
	else
		sonde_progress(d->pool->host, d->upper, part->piece, part->off + f->off, f->len,
			       f->err);
}

static void settled(struct detour *d)
{
	d->sent = 0;
	if (d->over)
		d->over(d);
	else
		detour_end(d);
}

static void lower_done(struct sonde_io *lower)
{
	settled((struct detour *)(void *)lower);
}

void detour_send(struct detour *d)
{
	const struct detour_pool *pool = d->pool;

	if (d->n == 0) {
		settled(d);
		return;
	}
	d->lower.xfers = d->xfers;
	d->lower.n = d->n;
	d->lower.op = d->op;
	d->lower.done = lower_done;
	d->lower.fragment = relay;
	d->sent = 1;
	/* Its pieces are parts of checked ones, so there is nothing to refuse. */
	pool->host->issue(pool->below, &d->lower);
}

void detour_drop(struct detour *d)
{
	struct detour_pool *pool = d->pool;

	leave_active(d);
	if (pool->n_spare < SPARES_MAX) {
		d->next = pool->spare;
		pool->spare = d;
		pool->n_spare++;
	} else {
		detour_free(d);
	}
}

void detour_end(struct detour *d)
{
	const struct sonde_host *host = d->pool->host;
	struct sonde_io *upper = d->upper;

	detour_drop(d);
	host->io_done(upper);
}

struct detour *detour_cancel(struct detour_pool *pool, const struct sonde_io *io, int32_t why)
{
	struct detour *found = NULL;

	for (struct detour *d = pool->active; d; d = d->next) {
		if (d->upper != io)
			continue;
		found = d;
		d->stop = why;
		if (d->sent)
			pool->host->cancel(&d->lower, why);
	}
	return found;
}

void detour_refuse(const struct sonde_host *host, struct sonde_io *io, int32_t err)
{
	for (uint32_t i = 0; i < io->n; i++)
		sonde_progress(host, io, i, 0, io->xfers[i].len, err);
	host->io_done(io);
}
