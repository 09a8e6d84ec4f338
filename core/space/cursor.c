/* SPDX-License-Identifier: MIT */
/* The cursor: positions over the doors of space.h, so that it blocks or parks as they do. */
#include <sonde/cursor.h>
#include <sonde/error.h>
#include <sonde/fragments.h>
#include <stdbool.h>

#include "base/mem.h"
#include "space/space.h"

#define STEP (UINT32_C(1) << 30)

/* The last position there is; never 2^64-1, for behind it must be another one. */
static uint64_t last_of(const struct sonde_cursor *c)
{
	uint64_t room = UINT64_MAX - (c->base ? c->base : 1);

	return c->size && c->size - 1 < room ? c->size - 1 : room;
}

/* How much of len lies in front of the end. */
static size_t clip(const struct sonde_cursor *c, size_t len)
{
	uint64_t last = last_of(c);

	if (c->pos > last)
		return 0;
	return len && len - 1 > last - c->pos ? (size_t)(last - c->pos + 1) : len;
}

static bool is_hole(int32_t err)
{
	return err == SONDE_E_NOT_MAPPED || err == SONDE_E_PAGED_OUT || err == SONDE_E_NOT_SAVED;
}

/*
 * The piece once more, to learn of each of its failing stretches why: it is good up to the first
 * that is no hole. What failed is zero already.
 */
static int read_over_holes(struct sonde_space *space, struct sonde_xfer *x)
{
	struct sonde_task *self = space->loop->current;
	struct sonde_fragments stream;
	struct sonde_fragment f;
	uint32_t off = x->len;
	int32_t err = 0;
	int r = sonde_fragments_start(self, space, &stream, x, 1, SONDE_IO_READ);

	while (r >= 0 && (r = sonde_fragments_next(self, &stream, &f)) > 0) {
		if (f.err && !is_hole(f.err) && f.off < off) {
			off = f.off;
			err = f.err;
		}
	}
	x->err_off = off;
	x->err = err;
	return r;
}

static int read_step(const struct sonde_cursor *c, struct sonde_xfer *x)
{
	int r = sonde_space_read(c->space, x, 1);

	if (r < 0 || !(c->flags & SONDE_CURSOR_ZEROS) || !is_hole(x->err))
		return r;
	return read_over_holes(c->space, x);
}

/* Up to len bytes, which the end does not cut; an error only where there is no byte. */
static int64_t move(struct sonde_cursor *c, char *buf, size_t len, uint32_t op)
{
	size_t done = 0;

	if (len > INT64_MAX)
		return SONDE_E_BAD_ARG;
	while (done < len) {
		uint32_t step = len - done < STEP ? (uint32_t)(len - done) : STEP;
		struct sonde_xfer x = { .addr = c->base + c->pos, .buf = buf + done, .len = step };
		int r = op == SONDE_IO_READ ? read_step(c, &x) : sonde_space_write(c->space, &x, 1);
		if (r < 0)
			return done ? (int64_t)done : r;
		done += x.err_off;
		c->pos += x.err_off;
		if (x.err)
			return done ? (int64_t)done : x.err;
	}
	return (int64_t)done;
}

int64_t sonde_cursor_read(struct sonde_cursor *cursor, void *buf, size_t len)
{
	return move(cursor, buf, clip(cursor, len), SONDE_IO_READ);
}

int64_t sonde_cursor_write(struct sonde_cursor *cursor, const void *buf, size_t len)
{
	size_t room = clip(cursor, len);

	if (len && !room)
		return SONDE_E_NOT_MAPPED;
	return move(cursor, (char *)(uintptr_t)buf, room, SONDE_IO_WRITE);
}

/* At a hole move stops, and at the next byte says why. */
static int move_all(struct sonde_cursor *c, char *buf, size_t len, uint32_t op)
{
	uint64_t pos = c->pos;
	size_t done = 0;

	if (clip(c, len) < len)
		return SONDE_E_TRUNCATED;
	while (done < len) {
		int64_t r = move(c, buf + done, len - done, op);
		if (r < 0) {
			c->pos = pos;
			return (int)r;
		}
		done += (size_t)r;
	}
	return SONDE_OK;
}

int sonde_cursor_read_all(struct sonde_cursor *cursor, void *buf, size_t len)
{
	return move_all(cursor, buf, len, SONDE_IO_READ);
}

int sonde_cursor_write_all(struct sonde_cursor *cursor, const void *buf, size_t len)
{
	return move_all(cursor, (char *)(uintptr_t)buf, len, SONDE_IO_WRITE);
}

/* ---- moving about --------------------------------------------------------------------------- */

struct last_region {
	uint64_t last; /* address */
	bool any;
};

static int note_region(void *user, const struct sonde_region *region)
{
	struct last_region *seen = user;

	seen->last = region->addr + (region->len - 1);
	seen->any = true;
	return 0;
}

int sonde_cursor_end(struct sonde_cursor *cursor, uint64_t *ret)
{
	struct last_region seen = { 0 };
	int r;

	if (cursor->size) {
		*ret = last_of(cursor) + 1;
		return SONDE_OK;
	}
	r = sonde_space_regions(cursor->space, note_region, &seen);
	if (r < 0)
		return r;
	if (!seen.any || seen.last < cursor->base)
		*ret = 0;
	else if (seen.last - cursor->base == UINT64_MAX)
		*ret = UINT64_MAX; /* 2^64 does not fit */
	else
		*ret = seen.last - cursor->base + 1;
	return SONDE_OK;
}

int sonde_cursor_init(struct sonde_cursor *cursor, struct sonde_space *space, uint32_t flags)
{
	*cursor = (struct sonde_cursor){ .space = space, .flags = flags };
	int r = sonde_cursor_end(cursor, &cursor->size);

	return r == SONDE_E_UNSUPPORTED ? SONDE_OK : r;
}

int sonde_cursor_seek(struct sonde_cursor *cursor, int64_t off, uint32_t whence)
{
	uint64_t from = whence == SONDE_SEEK_CUR ? cursor->pos : 0;
	uint64_t by = (uint64_t)off;

	if (whence == SONDE_SEEK_END) {
		int r = sonde_cursor_end(cursor, &from);
		if (r < 0)
			return r;
	}
	if (whence > SONDE_SEEK_END || (off < 0 ? 0 - by > from : by > UINT64_MAX - from))
		return SONDE_E_BAD_ARG;
	cursor->pos = from + by;
	return SONDE_OK;
}
