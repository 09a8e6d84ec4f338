/* SPDX-License-Identifier: MIT */
/* Settling stretches: holes, zeros, denied writes, guarded copies, and what a file said. */
#include "space/stretch.h"

#include <string.h>

#include "base/guard.h"
#include "io/engine.h"

static int32_t zero(const struct sonde_io *io, const struct stretch *s)
{
	if (io->op != SONDE_IO_READ)
		return SONDE_E_READ_ONLY;
	memset(s->buf, 0, s->len);
	return SONDE_OK;
}

bool stretch_settle_plain(struct sonde_io *io, const struct stretch *s)
{
	const struct extent *e = s->extent;

	if (!e)
		stretch_settle(io, s->len, SONDE_E_NOT_MAPPED);
	else if (e->kind == SONDE_EXTENT_ABSENT)
		stretch_settle(io, s->len, e->err);
	else if (stretch_is_denied(io, e))
		stretch_settle(io, s->len, SONDE_E_READ_ONLY);
	else if (e->kind == SONDE_EXTENT_ZERO)
		stretch_settle(io, s->len, zero(io, s));
	else
		return false;
	return true;
}

static int32_t copy_guarded(struct connector_space *cs, const struct sonde_io *io,
			    const struct stretch *s)
{
	struct guard guard;
	volatile int32_t err = SONDE_E_TRUNCATED;
	char *there = s->extent->ptr + s->in_extent;

	if (io->op != SONDE_IO_READ && s->extent->ptr_read_only)
		return SONDE_E_READ_ONLY;
	if (!GUARD_ENTER(&guard)) {
		if (io->op == SONDE_IO_READ)
			copy_bytes(&cs->copier, s->buf, there, s->len);
		else
			copy_bytes(&cs->copier, there, s->buf, s->len);
		err = SONDE_OK;
	}
	guard_leave(&guard);
	return err;
}

bool stretch_settle_guarded(struct connector_space *cs, struct sonde_io *io, struct stretch *s)
{
	if (!s->extent || !s->extent->ptr || stretch_is_denied(io, s->extent))
		return stretch_settle_plain(io, s);
	s->len = rest_of_page((uintptr_t)(s->extent->ptr + s->in_extent), s->len);
	stretch_settle(io, s->len, copy_guarded(cs, io, s));
	return true;
}

/* How a result of a file move reads as an outcome. */
static int32_t move_error(int32_t result, uint32_t write)
{
	return result == 0 ? SONDE_E_TRUNCATED : errno_code(-result, write);
}

uint32_t stretch_judge(int32_t result, uint32_t write, uint64_t off, uint32_t len, int32_t *ret_err)
{
	if (result > 0) {
		*ret_err = SONDE_OK;
		return (uint32_t)result < len ? (uint32_t)result : len;
	}
	*ret_err = move_error(result, write);
	return result == 0 ? len : rest_of_page(off, len);
}

void stretch_settle_pread(struct sonde_io *io, const struct stretch *s)
{
	uint64_t off = s->extent->off + s->in_extent;
	uint32_t write = io->op == SONDE_IO_WRITE, done = 0;

	while (done < s->len) {
		int32_t err;
		int32_t moved =
			file_move(s->extent->fd, write, off + done, s->buf + done, s->len - done);
		uint32_t len = stretch_judge(moved, write, off + done, s->len - done, &err);
		stretch_settle(io, len, err);
		done += len;
	}
}
