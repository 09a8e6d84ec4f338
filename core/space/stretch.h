/* SPDX-License-Identifier: MIT */
/*
 * The stretch of memory at a request's cursor (io_core.piece, .off), as long as one extent or one hole goes
 * on; settling it and stepping over it. Shared by by_extents.c, which copies, and by_engine.c,
 * which sends.
 */
#ifndef SONDE_SPACE_STRETCH_H
#define SONDE_SPACE_STRETCH_H

#include <sonde/error.h>
#include <sonde/types.h>

#include "space/connector_space.h"

struct stretch {
	const struct extent *extent; /* NULL: a hole */
	char *buf;
	uint64_t in_extent;
	uint32_t len;
};

static inline struct stretch stretch_at(struct connector_space *cs, struct sonde_io *io)
{
	const struct io_core *core = io_core(io);
	const struct sonde_xfer *x = &io->xfers[core->piece];
	struct stretch s = { .buf = (char *)x->buf + core->off, .len = x->len - core->off };
	uint64_t addr = x->addr + core->off, room = 0;

	if (addr < x->addr)
		return s; /* past 2^64: a hole to the end of the piece */
	s.extent = extents_find(&cs->extents, addr, &cs->hint, &room);
	if (s.extent) {
		s.in_extent = addr - s.extent->addr;
		room = s.extent->last - addr + 1; /* 0: 2^64 bytes, more than any piece */
	}
	if (room && s.len > room)
		s.len = (uint32_t)room;
	/* The bytes behind 2^64 are a hole even where an extent reaches up to it. */
	if (s.len - 1 > UINT64_MAX - addr)
		s.len = (uint32_t)(UINT64_MAX - addr) + 1;
	return s;
}

static inline void stretch_advance(struct sonde_io *io, uint32_t len)
{
	struct io_core *core = io_core(io);

	core->off += len;
	if (core->off == io->xfers[core->piece].len) {
		core->piece++;
		core->off = 0;
	}
}

/* Account for the stretch at the cursor and step over it. */
static inline void stretch_settle(struct sonde_io *io, uint32_t len, int32_t err)
{
	const struct io_core *core = io_core(io);

	io_account(io, core->piece, core->off, len, err);
	stretch_advance(io, len);
}

static inline bool stretch_is_denied(const struct sonde_io *io, const struct extent *e)
{
	return io->op != SONDE_IO_READ && !(e->flags & SONDE_REGION_WRITE);
}

/* An error costs the rest of its page, so that what lies behind it is still tried. */
static inline uint32_t rest_of_page(uint64_t off, uint32_t len)
{
	uint32_t rest = (uint32_t)(SONDE_PAGE_SIZE - (off & (SONDE_PAGE_SIZE - 1)));

	return len < rest ? len : rest;
}

/* Settle a stretch that needs neither a copy nor a file operation; false: it does. */
bool stretch_settle_plain(struct sonde_io *io, const struct stretch *s);

/*
 * As stretch_settle_plain, and what is mapped as well. Page by page, each copy under a guard of its
 * own: a fault costs its page, and no watcher is called inside one.
 */
bool stretch_settle_guarded(struct connector_space *cs, struct sonde_io *io, struct stretch *s);

/* What is neither plain nor mapped: a file's, by the reference engine, here and now. */
void stretch_settle_pread(struct sonde_io *io, const struct stretch *s);

/* What a finished move (file_op.result) says of its first bytes: how many, and their outcome. */
uint32_t stretch_judge(int32_t result, uint32_t write, uint64_t off, uint32_t len,
		       int32_t *ret_err);

#endif
