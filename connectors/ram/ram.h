/* SPDX-License-Identifier: MIT */
/* Inside of the ram connector: the bytes, what is missing of them, and its asynchronous half. */
#ifndef RAM_H
#define RAM_H

#include <sonde/plugin.h>

#define RAM_RANGES_MAX 64

struct ram_range {
	uint64_t addr, len; /* len > 0, does not wrap */
	int32_t err;        /* what reading it gives  */
};

struct ram_async; /* the thread of mode=submit */

struct ram {
	const struct sonde_host *host;
	uint8_t *bytes; /* [size]; byte i starts as i / 16      */
	uint64_t size;
	struct ram_range bad[RAM_RANGES_MAX]; /* [n_bad]; the first that covers an address counts */
	size_t n_bad;
	uint32_t ways; /* one bit of enum sonde_way            */
	int writable;
	struct ram_async *async; /* mode=submit only */
	char detail[64];
};

/*
 * How far the answer for addr reaches: returns its error, or 0 for bytes that are there, and
 * in *ret_len how many of the next max (> 0) bytes share it.
 */
int32_t ram_at(const struct ram *ram, uint64_t addr, uint64_t max, uint32_t *ret_len);

/* Do one stretch of a piece that ram_at gave as uniform, and tell it. */
void ram_move(const struct ram *ram, struct sonde_io *io, uint32_t i, uint32_t off, uint32_t len,
	      int32_t err);

/* mode=submit: seed orders completions; take: requests taken by one submit at most, 0 all. */
int ram_async_open(struct ram *ram, uint64_t seed, uint64_t take, struct sonde_error *err);
void ram_async_close(struct ram_async *async); /* NULL is allowed; no request in flight */
void ram_async_cancel(void *conn, struct sonde_io *io, int32_t why);
size_t ram_async_submit(void *conn, struct sonde_io *const *ios, size_t n);

#endif
