/* SPDX-License-Identifier: MIT */
/* Where the bytes of a dump come from: an image, a flattened one made plain, a fuzzer's memory. */
#ifndef SOURCE_H
#define SOURCE_H

#include <sonde/plugin.h>
#include <stddef.h>
#include <stdint.h>

struct source {
	/* Up to len bytes at off; any thread. Returns how many came, fewer at the end only; a code. */
	int64_t (*read)(void *user, uint64_t off, void *buf, size_t len);
	/* Only of one that answers after a while: have these at hand (buf is NULL), for read. Any thread. Changes them. */
	void (*ahead)(void *user, struct sonde_image_read *reads, size_t n);
	void *user;
	uint64_t size;
};

/* 0 where all of [off, off + len) came; SONDE_E_TRUNCATED, a code of read. */
int source_read(const struct source *source, uint64_t off, void *buf, size_t len);
/* Have [off, off + len) at hand, as far as there is that much. */
void source_ahead(const struct source *source, uint64_t off, uint64_t len);

/* Stretches of sources that answer after a while, so that many are asked for together; those of others are passed over. Begins as zeros. */
#define SOURCE_LOT_MAX 1024u
struct source_lot {
	const struct source *source;
	size_t n;
	struct sonde_image_read reads[SOURCE_LOT_MAX]; /* [n] */
};
void source_lot_add(struct source_lot *lot, const struct source *source, uint64_t off,
		    uint32_t len);
void source_lot_end(struct source_lot *lot);

/* How far somebody who goes through a source from its front to its end has it at hand. Begins as zeros. */
struct source_scan {
	uint64_t end;
	uint32_t ahead; /* bytes that were asked for last */
};

/* Before len bytes are read at off, behind all that was read before: what is farther comes along, more each time. */
void source_scan(struct source_scan *scan, const struct source *source, uint64_t off, size_t len);

#endif
