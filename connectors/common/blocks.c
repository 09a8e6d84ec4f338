/* SPDX-License-Identifier: MIT */
#include "blocks.h"
#include "../../core/base/crew.h"
#include "../../core/base/page_cache.h"
#include "unpack.h"

#include <stdlib.h>
#include <unistd.h>

#define LOT_MAX 1024u
#define KEPT_MIN 64u
#define KEPT_MAX (1u << 20)
#define KEEP_MAX 4096u       /* MiB */
#define TAKEN_AT_ONCE 16384u /* bytes of blocks that a thread takes at a time */

/* What of a piece lies in one block. */
struct part {
	uint64_t block;    /* its id                           */
	uint32_t size;     /* of the block                     */
	uint32_t io, xfer; /* whose                            */
	uint32_t off, len; /* of the piece                     */
	uint32_t inside;   /* where it begins in the block     */
};

/* A block that somebody wants, and [n] parts of it from first on. */
struct want {
	uint64_t block;
	uint8_t *bytes; /* its place: a slot that is kept, or a part's own buffer */
	struct block_place where;
	uint32_t size;
	uint32_t first, n;
	uint32_t slot; /* PAGE_CACHE_NONE: in a part's buffer                    */
	int32_t err;
};

struct blocks {
	struct block_map map;
	struct crew *crew;
	unsigned n_workers;
	struct unpacker **unpackers; /* [n_workers]               */
	uint8_t **packed;            /* [n_workers][packed_max]   */
	struct page_cache cache;
	uint32_t lot, lot_max; /* number of this one; parts a lot has at most */

	struct part parts[LOT_MAX];
	struct want wants[LOT_MAX];
	struct want *missing[LOT_MAX]; /* those of wants that are to be unpacked */
	uint64_t ids[LOT_MAX];
	struct source_lot ahead;
	uint32_t n_parts, n_missing;
};

/* ---- one block ---------------------------------------------------------------------------------- */

/* Any thread of the crew. */
static void fetch(void *user, unsigned worker, size_t i)
{
	struct blocks *blocks = user;
	struct want *want = blocks->missing[i];
	const struct block_place *where = &want->where;
	uint8_t *packed = where->packed ? blocks->packed[worker] : want->bytes;

	want->err = source_read(where->source, where->off, packed, where->len);
	if (want->err == 0 && where->packed)
		want->err = unpack(blocks->unpackers[worker], where->packed, packed, where->len,
				   want->bytes, want->size);
}

/* ---- a lot -------------------------------------------------------------------------------------- */

static int by_block(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	return (x->block > y->block) - (x->block < y->block);
}

static void sort_parts(struct blocks *blocks)
{
	for (uint32_t i = 1; i < blocks->n_parts; i++) {
		if (blocks->parts[i].block < blocks->parts[i - 1].block) {
			qsort(blocks->parts, blocks->n_parts, sizeof(*blocks->parts), by_block);
			return;
		}
	}
}

static uint8_t *part_bytes(const struct part *part, struct sonde_io *const *ios)
{
	return (uint8_t *)ios[part->io]->xfers[part->xfer].buf + part->off;
}

/* The buffer of a part that wants all of the block: then it needs no other place. NULL none. */
static uint8_t *whole_part(const struct blocks *blocks, const struct want *want,
			   struct sonde_io *const *ios)
{
	for (uint32_t i = 0; i < want->n; i++) {
		const struct part *part = &blocks->parts[want->first + i];
		if (part->len == want->size)
			return part_bytes(part, ios);
	}
	return NULL;
}

static void place(struct blocks *blocks, struct want *want, struct sonde_io *const *ios)
{
	want->slot = page_cache_find(&blocks->cache, want->block, blocks->lot);
	want->err = 0;
	if (want->slot != PAGE_CACHE_NONE) {
		want->bytes = page_cache_bytes(&blocks->cache, want->slot);
		return;
	}
	want->err = blocks->map.place(blocks->map.user, want->block, &want->where);
	if (want->err)
		return;
	want->bytes = whole_part(blocks, want, ios);
	if (!want->bytes) {
		want->slot = page_cache_take(&blocks->cache, want->block, blocks->lot);
		want->bytes = page_cache_bytes(&blocks->cache, want->slot);
	}
	blocks->missing[blocks->n_missing++] = want;
}

/* Where they lie is found out for all of them at once. */
static void expect(struct blocks *blocks)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < blocks->n_parts; i++) {
		if (n == 0 || blocks->ids[n - 1] != blocks->parts[i].block)
			blocks->ids[n++] = blocks->parts[i].block;
	}
	blocks->map.expect(blocks->map.user, blocks->ids, n);
}

/* What answers after a while is asked for all of a lot at once. */
static void have_at_hand(struct blocks *blocks)
{
	for (uint32_t i = 0; i < blocks->n_missing; i++) {
		const struct block_place *where = &blocks->missing[i]->where;
		source_lot_add(&blocks->ahead, where->source, where->off, where->len);
	}
	source_lot_end(&blocks->ahead);
}

static uint32_t find_wants(struct blocks *blocks, struct sonde_io *const *ios)
{
	uint32_t n = 0;

	blocks->lot += blocks->lot == UINT32_MAX ? 2 : 1; /* 0 is an empty slot */
	blocks->n_missing = 0;
	for (uint32_t i = 0; i < blocks->n_parts;) {
		struct want *want = &blocks->wants[n++];
		*want = (struct want){ .block = blocks->parts[i].block,
				       .size = blocks->parts[i].size,
				       .first = i };
		while (i < blocks->n_parts && blocks->parts[i].block == want->block)
			i++;
		want->n = i - want->first;
		place(blocks, want, ios);
	}
	return n;
}

static void hand_out(struct blocks *blocks, const struct sonde_host *host, const struct want *want,
		     struct sonde_io *const *ios)
{
	for (uint32_t i = 0; i < want->n; i++) {
		const struct part *part = &blocks->parts[want->first + i];
		uint8_t *to = part_bytes(part, ios);
		if (want->err == 1)
			memset(to, 0, part->len);
		else if (want->err == 0 && to != want->bytes)
			memcpy(to, want->bytes + part->inside, part->len);
		sonde_progress(host, ios[part->io], part->xfer, part->off, part->len,
			       want->err < 0 ? want->err : 0);
	}
}

static void run_lot(struct blocks *blocks, const struct sonde_host *host,
		    struct sonde_io *const *ios)
{
	sort_parts(blocks);
	if (blocks->map.expect)
		expect(blocks);
	uint32_t n = find_wants(blocks, ios);
	have_at_hand(blocks);
	crew_run(blocks->crew, blocks->n_missing, fetch, blocks);
	for (uint32_t i = 0; i < n; i++)
		hand_out(blocks, host, &blocks->wants[i], ios);
	for (uint32_t i = 0; i < blocks->n_missing; i++) {
		if (blocks->missing[i]->err && blocks->missing[i]->slot != PAGE_CACHE_NONE)
			page_cache_drop(&blocks->cache, blocks->missing[i]->slot);
	}
	blocks->n_parts = 0;
}

/* ---- cutting ------------------------------------------------------------------------------------ */

static void cut(struct blocks *blocks, const struct sonde_host *host, struct sonde_io *const *ios,
		uint32_t io, uint32_t xfer)
{
	const struct sonde_xfer *x = &ios[io]->xfers[xfer];
	int writing = ios[io]->op != SONDE_IO_READ;

	for (uint32_t off = 0, len; off < x->len; off += len) {
		uint64_t addr = x->addr + off;
		struct block block = { 0 };
		if (addr < x->addr) { /* past 2^64 */
			sonde_progress(host, ios[io], xfer, off, x->len - off, SONDE_E_NOT_MAPPED);
			return;
		}
		blocks->map.at(blocks->map.user, addr, &block);
		len = block.run ? block.run : block.size - block.inside;
		len = x->len - off < len ? x->len - off : len;
		if (block.err || writing) {
			sonde_progress(host, ios[io], xfer, off, len,
				       block.err ? block.err : SONDE_E_READ_ONLY);
			continue;
		}
		if (blocks->n_parts == blocks->lot_max)
			run_lot(blocks, host, ios);
		blocks->parts[blocks->n_parts++] = (struct part){
			.block = block.id,
			.size = block.size,
			.io = io,
			.xfer = xfer,
			.off = off,
			.len = len,
			.inside = block.inside,
		};
	}
}

void blocks_transfer(struct blocks *blocks, const struct sonde_host *host,
		     struct sonde_io *const *ios, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < ios[i]->n; k++)
			cut(blocks, host, ios, (uint32_t)i, k);
	}
	run_lot(blocks, host, ios);
}

/* ---- life --------------------------------------------------------------------------------------- */

static int create_workers(struct blocks *blocks, unsigned n_threads)
{
	blocks->n_workers = n_threads + 1;
	blocks->crew = crew_create(n_threads);
	blocks->unpackers = calloc(blocks->n_workers, sizeof(struct unpacker *));
	blocks->packed = calloc(blocks->n_workers, sizeof(uint8_t *));
	if (!blocks->crew || !blocks->unpackers || !blocks->packed)
		return SONDE_E_NO_MEMORY;
	crew_at_once(blocks->crew, blocks->map.size_max < TAKEN_AT_ONCE
					   ? TAKEN_AT_ONCE / blocks->map.size_max
					   : 1);
	for (unsigned i = 0; i < blocks->n_workers; i++) {
		blocks->unpackers[i] = unpacker_create();
		blocks->packed[i] = malloc(blocks->map.packed_max);
		if (!blocks->unpackers[i] || !blocks->packed[i])
			return SONDE_E_NO_MEMORY;
	}
	return 0;
}

int blocks_create(struct blocks **ret, const struct block_map *map, unsigned n_threads,
		  uint64_t keep)
{
	struct blocks *blocks = calloc(1, sizeof(*blocks));
	uint64_t n = keep / map->size_max;

	if (!blocks)
		return SONDE_E_NO_MEMORY;
	blocks->map = *map;
	n = n < KEPT_MIN ? KEPT_MIN : n > KEPT_MAX ? KEPT_MAX : n;
	blocks->lot_max = n / 2 < LOT_MAX ? (uint32_t)n / 2 : LOT_MAX;
	int r = create_workers(blocks, n_threads);
	if (r == 0)
		r = page_cache_init(&blocks->cache, (uint32_t)n, map->size_max);
	if (r < 0) {
		blocks_destroy(blocks);
		return r;
	}
	*ret = blocks;
	return 0;
}

void blocks_destroy(struct blocks *blocks)
{
	if (!blocks)
		return;
	crew_destroy(blocks->crew);
	for (unsigned i = 0; i < blocks->n_workers; i++) {
		if (blocks->unpackers)
			unpacker_destroy(blocks->unpackers[i]);
		if (blocks->packed)
			free(blocks->packed[i]);
	}
	free(blocks->unpackers);
	free(blocks->packed);
	page_cache_finish(&blocks->cache);
	free(blocks);
}

int blocks_keep(const struct sonde_host *host, const struct sonde_args *args, const char *who,
		uint64_t *ret, struct sonde_error *err)
{
	if (host->arg_u64(args, "keep", ret, err) < 0)
		return SONDE_E_BAD_ARG;
	if (*ret > KEEP_MAX)
		return host->error_set(err, SONDE_E_BAD_ARG, "%s: keep=%llu: give MiB, %u at most",
				       who, (unsigned long long)*ret, KEEP_MAX);
	return 0;
}

unsigned blocks_threads(void)
{
	long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);

	return n_cpus > 1 ? (unsigned)n_cpus - 1 : 0;
}
