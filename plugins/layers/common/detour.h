/* SPDX-License-Identifier: MIT */
/*
 * A request that is answered in parts: some of its bytes come from below, through a request of the
 * layer's own made of its buffers, the others are told by the layer. What becomes of a part below is told to
 * the request above as it lands.
 *
 *	struct detour *d = detour_begin(&pool, io);        NULL: no memory
 *	detour_part(d, piece, off, len);                   ... any number
 *	sonde_progress(host, io, piece, off, len, 0);      ... the rest of the bytes
 *	detour_send(d);                                    io_done comes by itself
 */
#ifndef LAYERS_COMMON_DETOUR_H
#define LAYERS_COMMON_DETOUR_H

#include <sonde/plugin.h>
#include <stdint.h>

/* Which bytes of the request above a piece below is. */
struct detour_part {
	uint32_t piece, off;
};

struct detour_pool;

struct detour {
	struct sonde_io lower;      /* first */
	struct detour *prev, *next; /* under way; or spare, by next */
	struct detour_pool *pool;
	struct sonde_io *upper;
	struct sonde_xfer *xfers;  /* [n], room for cap */
	struct detour_part *parts; /* [n]               */
	uint32_t n, cap;
	uint32_t op; /* of the parts: enum sonde_io_op; at first that of the request above */
	int sent;    /* its parts are below */
	/*
	 * All parts are final: NULL, or what to do instead of detour_end, which it calls then or later.
	 */
	void (*over)(struct detour *d);
	int32_t stop;   /* its end was asked for: why */
	uint32_t count; /* the layer's, 0 at first    */
	void *user;     /* the layer's                */
};

struct detour_pool {
	const struct sonde_host *host;
	void *below;
	struct detour *active, *spare;
	uint32_t n_spare;
	/* NULL, or told of each stretch that is final below in the place of sonde_progress. */
	void (*landed)(struct detour *d, uint32_t i, uint32_t off, uint32_t len, int32_t err);
};

void detour_pool_finish(struct detour_pool *pool); /* nothing under way */

struct detour *detour_begin(struct detour_pool *pool, struct sonde_io *upper);

/* An address range that wraps past 2^64 ends there: what is behind is a hole, and no part of anything. */
static inline int detour_wraps(const struct sonde_xfer *x, uint32_t off)
{
	return x->addr + off < x->addr;
}

/* These bytes are to come from below. Those past 2^64 are told as a hole. Without memory they are told as SONDE_E_NO_MEMORY. */
void detour_part(struct detour *d, uint32_t piece, uint32_t off, uint32_t len);
/* As detour_part, with the buffer somewhere else. Returns 0, or SONDE_E_NO_MEMORY with nothing told. */
int detour_part_into(struct detour *d, uint32_t piece, uint32_t off, uint32_t len, void *buf);

/* Send the parts as one request, which may end inside; without any, over or detour_end is next. */
void detour_send(struct detour *d);

/* io_done for the request above, and the detour is free again. */
void detour_end(struct detour *d);
/* Free again, and nothing is said of the request above: it is another one's to end. */
void detour_drop(struct detour *d);

/* The layer's cancel slot: ask for the end of what is below. Returns a detour of io, NULL: there is none. */
struct detour *detour_cancel(struct detour_pool *pool, const struct sonde_io *io, int32_t why);

/* io failed as a whole: tell all its bytes as err, and its end. */
void detour_refuse(const struct sonde_host *host, struct sonde_io *io, int32_t err);

#endif
