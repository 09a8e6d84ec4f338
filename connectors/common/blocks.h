/* SPDX-License-Identifier: MIT */
/*
 * Requests for memory that lies packed in blocks: cut at blocks, each unpacked once a batch, on all processors, and kept.
 *
 *	pieces ──cut──▶ parts ──by block──▶ wants ─┬─ kept ───────────────┐
 *	                                           └─ crew reads, unpacks ─┴─▶ copied to the parts, told
 */
#ifndef BLOCKS_H
#define BLOCKS_H

#include <sonde/plugin.h>

#include "pack.h"
#include "source.h"

struct blocks;

/* The block that holds an address. */
struct block {
	uint64_t id;     /* any number that no other block has                   */
	uint32_t size;   /* > 0, unpacked, up to size_max; of a hole, any        */
	uint32_t inside; /* < size: where the address is in it                   */
	int32_t err;     /* not 0: none, from the address on for size - inside bytes */
	uint32_t run;    /* bytes of it that lie from the address on; 0: all behind inside */
};

/* Where its bytes lie. */
struct block_place {
	const struct source *source;
	uint64_t off;
	uint32_t len;    /* > 0, up to packed_max             */
	uint32_t packed; /* enum pack; PACK_NONE: len is size */
};

/* Which blocks there are: by the format. On one thread at a time. */
struct block_map {
	void *user;
	uint32_t size_max, packed_max;
	void (*at)(void *user, uint64_t addr, struct block *ret);
	/* Optional: place will be asked for these, by rising id. */
	void (*expect)(void *user, const uint64_t *ids, size_t n);
	/* Returns 0; 1 all of it is zeros; an error of all of it. */
	int (*place)(void *user, uint64_t id, struct block_place *ret);
};

/* n_threads beside the caller's; keep: bytes of unpacked blocks. Returns 0, SONDE_E_NO_MEMORY. */
int blocks_create(struct blocks **ret, const struct block_map *map, unsigned n_threads,
		  uint64_t keep);
void blocks_destroy(struct blocks *blocks);

/* As transfer of plugin.h; what is packed is not written. */
void blocks_transfer(struct blocks *blocks, const struct sonde_host *host,
		     struct sonde_io *const *ios, size_t n);

/* The argument keep of a connector, in MiB: *ret where it is not given. Returns 0, or an error with err filled. */
int blocks_keep(const struct sonde_host *host, const struct sonde_args *args, const char *who,
		uint64_t *ret, struct sonde_error *err);

/* Threads beside the caller's that this machine is worth. */
unsigned blocks_threads(void);

#endif
