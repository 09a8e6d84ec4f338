/* SPDX-License-Identifier: MIT */
/*
 * Writing into an overlay. What is not there below cannot be written, unless holes=yes: the bytes that
 * a write covers are read below first, a window at a time, and where that succeeds they become ours.
 *
 *	cursor ──window of parts──▶ read below ──each stretch as it lands: stored, or told why not──▶ cursor
 */
#include "overlay.h"

#include "../common/memory.h"

enum { WINDOW = 65536 };

struct writing {
	uint32_t piece, off; /* the cursor: what no window held yet */
	int32_t stop;        /* why no further one is to be sent    */
	int stepping, answered;
	uint8_t window[WINDOW]; /* what is read below goes here, and is not looked at */
};

static struct overlay *of_pool(const struct detour *d)
{
	return (struct overlay *)((char *)d->pool - offsetof(struct overlay, writes));
}

int32_t overlay_store(struct overlay *overlay, uint64_t addr, const uint8_t *bytes, uint32_t len,
		      uint32_t *ret_len)
{
	uint32_t done = 0;

	while (done < len) {
		uint32_t in_page = (uint32_t)((addr + done) % OVERLAY_PAGE);
		uint32_t n =
			OVERLAY_PAGE - in_page < len - done ? OVERLAY_PAGE - in_page : len - done;
		if (pages_store(&overlay->pages, addr + done, bytes + done, n) < 0)
			break;
		done += n;
	}
	*ret_len = done;
	return done == len ? 0 : SONDE_E_NO_MEMORY;
}

/* These bytes may be written: into the pages, and into the file. */
static void accept(struct overlay *overlay, struct sonde_io *io, uint32_t piece, uint32_t off,
		   uint32_t len)
{
	const struct sonde_xfer *x = &io->xfers[piece];
	const uint8_t *bytes = (const uint8_t *)x->buf + off;
	uint32_t stored = 0;
	int32_t err = overlay->write ? 0 : SONDE_E_READ_ONLY;

	if (err == 0)
		err = overlay_store(overlay, x->addr + off, bytes, len, &stored);
	if (stored) {
		int32_t kept = keep_write(overlay, x->addr + off, bytes, stored);
		sonde_progress(overlay->host, io, piece, off, stored, kept);
	}
	if (stored < len)
		sonde_progress(overlay->host, io, piece, off + stored, len - stored, err);
}

void overlay_write_landed(struct detour *d, uint32_t i, uint32_t off, uint32_t len, int32_t err)
{
	const struct detour_part *part = &d->parts[i];

	if (err == 0)
		accept(of_pool(d), d->upper, part->piece, part->off + off, len);
	else
		sonde_progress(of_pool(d)->host, d->upper, part->piece, part->off + off, len, err);
}

/* Up to the end of the window, or of the request; what can be told at once is. */
static void fill_window(struct detour *d, struct writing *w)
{
	struct sonde_io *io = d->upper;
	uint32_t used = 0;

	d->n = 0;
	while (w->piece < io->n && used < WINDOW) {
		const struct sonde_xfer *x = &io->xfers[w->piece];
		uint32_t left = x->len - w->off, len = left < WINDOW - used ? left : WINDOW - used;
		int32_t err = w->stop;
		if (err == 0 && detour_wraps(x, w->off)) {
			err = SONDE_E_NOT_MAPPED;
		} else if (err == 0) {
			err = detour_part_into(d, w->piece, w->off, len, w->window + used);
			used += len;
		}
		if (err)
			sonde_progress(d->pool->host, io, w->piece, w->off, len, err);
		w->off += len;
		if (w->off == x->len) {
			w->piece++;
			w->off = 0;
		}
	}
}

static void write_on(struct detour *d, struct writing *w)
{
	do {
		fill_window(d, w);
		if (d->n == 0)
			break;
		w->answered = 0;
		w->stepping = 1;
		detour_send(d);
		w->stepping = 0;
		if (!w->answered)
			return;
	} while (1);
	mem_release(w);
	d->user = NULL;
	detour_end(d);
}

static void window_over(struct detour *d)
{
	struct writing *w = d->user;

	w->answered = 1;
	if (!w->stepping)
		write_on(d, w);
}

static void write_anywhere(struct overlay *overlay, struct sonde_io *io)
{
	for (uint32_t i = 0; i < io->n; i++) {
		const struct sonde_xfer *x = &io->xfers[i];
		uint64_t room = UINT64_MAX - x->addr; /* one less than up to 2^64 */
		uint32_t len = x->len - 1 <= room ? x->len : (uint32_t)room + 1;
		accept(overlay, io, i, 0, len);
		if (len < x->len)
			sonde_progress(overlay->host, io, i, len, x->len - len, SONDE_E_NOT_MAPPED);
	}
	overlay->host->io_done(io);
}

void overlay_write(struct overlay *overlay, struct sonde_io *io)
{
	overlay->n_writes += io->n;
	if (overlay->holes && overlay->write) {
		write_anywhere(overlay, io);
		return;
	}
	struct writing *w = mem_resize(NULL, 1, sizeof(*w));
	struct detour *d = w ? detour_begin(&overlay->writes, io) : NULL;
	if (!d) {
		mem_release(w);
		detour_refuse(overlay->host, io, SONDE_E_NO_MEMORY);
		return;
	}
	w->piece = w->off = 0;
	w->stop = 0;
	d->op = SONDE_IO_READ;
	d->over = window_over;
	d->user = w;
	write_on(d, w);
}

void overlay_write_cancel(struct overlay *overlay, struct sonde_io *io, int32_t why)
{
	struct detour *d = detour_cancel(&overlay->writes, io, why);

	if (d)
		((struct writing *)d->user)->stop = why;
}
