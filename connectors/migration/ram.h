/* SPDX-License-Identifier: MIT */
/*
 * The RAM in a stream that is kept: indexed once, then read in any order.
 *
 *	pieces ──map──▶ stretches of blocks ──index──▶ runs of pages ─┬─ plain, together in the file: one preadv
 *	                                                             ├─ filled
 *	                                                             └─ packed, changed, in clusters: one by one
 *
 * A file that answers after a while is asked for all that a batch wants first (ahead.c), and then everything is read one by one.
 */
#ifndef RAM_H
#define RAM_H

#include "../common/memory_map.h"
#include "../common/ram_stream.h"
#include "page_index.h"
#include "spans.h"

struct libdeflate_decompressor;

struct ram {
	struct spans *spans;
	int fd; /* of the file that spans are in; -1: read through spans alone */
	struct page_index index;
	struct ram_stream_block *blocks; /* [n_blocks] */
	size_t n_blocks;
	struct ram_stream_end end; /* of the reading                          */
	int damage;                /* 0, or what ended it before the RAM did   */
	uint64_t n_told;           /* pages, repeated ones too                 */
	uint8_t *page, *packed;    /* [a page of the stream], [and a bit more] */
	struct libdeflate_decompressor *zlib;
	struct source_lot *lot; /* only of a file that answers after a while */
};

/*
 * Read the stream in spans up to the end of its RAM. One that is cut off or broken behind the list of its blocks is taken
 * as far as it goes: damage says so.
 *
 * Returns   0; as ram_stream_read, and ret->end says why.
 * Owns      *ret: ram_finish, also after an error. spans are kept until then.
 */
int ram_open(struct ram *ret, struct spans *spans, int fd);
void ram_finish(struct ram *ram);

/* Where pages of blocks are: off of a range counts from the first block's first byte on. One thread at a time. */
void ram_transfer(struct ram *ram, const struct memory_map *map, const struct sonde_host *host,
		  struct sonde_io *const *ios, size_t n);

/* More than that is not asked for at once: what a file keeps would make room for itself. */
#define RAM_AHEAD_MAX (16u << 20)
/* Have what these want at hand: 1; it is too much: 0. Where lot is NULL all of it is. */
int ram_ahead(struct ram *ram, const struct memory_map *map, struct sonde_io *const *ios, size_t n);
/* Have len bytes at hand, off counted as below. Where there is a lot. */
void ram_ahead_some(struct ram *ram, uint64_t off, uint64_t len);

/* Read what of one page lies at in, len bytes, off counted as above. Returns 0; as pieces fail. */
int ram_read_page(struct ram *ram, uint64_t off, void *buf, uint32_t len);

#endif
