/* SPDX-License-Identifier: MIT */
/*
 * Reads of an image that lies packed in blocks: cut at blocks, each unpacked once a lot, and kept. What a round lacks
 * is read in one call, so that a server is asked once for all of it, and unpacked by a crew.
 *
 *	reads ──cut──▶ parts ──by block──▶ wants ─┬─ kept ────────────────┐
 *	                                          └─ read, crew unpacks ──┴─▶ copied to the parts
 */
#include <sonde/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crew.h"
#include "base/page_cache.h"
#include "image/packed.h"

#define PARTS_MAX 2048u
#define KEEP_BYTES (256u << 20) /* of unpacked blocks; memory is taken as they come        */
#define KEPT_MIN 4u             /* blocks: two of a round, and two of the one before       */
#define KEPT_MAX 65536u
#define LACKED_BYTES (16u << 20) /* of packed ones in a round, or the largest of them       */
#define WORKERS_MAX 16u

/* What of a read lies in one block. */
struct part {
	struct sonde_image_read *read;
	size_t block;
	uint32_t off, len; /* of the read                */
	uint32_t inside;   /* where it begins in the block */
};

/* A block that somebody wants, and [n] parts of it from first on. */
struct want {
	size_t block;
	uint32_t slot, first, n;
	int32_t err;
	uint8_t *packed; /* NULL: it is kept */
};

struct blocks_image {
	struct sonde_image image;
	const struct packing *packing;
	struct packed_map map;
	char how[64];
	pthread_mutex_t lock; /* of what follows */
	struct crew *crew;
	void *decoders[WORKERS_MAX]; /* [n_workers] */
	unsigned n_workers;
	struct page_cache cache;
	uint32_t lot; /* number of this round */
	uint8_t *lacked;
	uint32_t lacked_cap, lacked_len;
	struct part parts[PARTS_MAX];
	struct want wants[PARTS_MAX], *missing[PARTS_MAX];
	struct sonde_image_read reads[PARTS_MAX]; /* [n_missing], of the file */
	uint32_t n_parts, n_wants, n_missing;
	uint64_t n_unpacked, bytes_unpacked;
	int is_wrong; /* where blocks begin is not known: no byte is believed */
};

static struct blocks_image *of_image(struct sonde_image *image)
{
	return (struct blocks_image *)(void *)image;
}

/* ---- a round ------------------------------------------------------------------------------------ */

/* Any thread of the crew. */
static void unpack_one(void *user, unsigned worker, size_t i)
{
	struct blocks_image *blocks = user;
	struct want *want = blocks->missing[i];

	if (want->err == 0)
		want->err = blocks->packing->unpack(blocks->decoders[worker],
						    &blocks->map.blocks[want->block], want->packed,
						    page_cache_bytes(&blocks->cache, want->slot));
}

static void read_missing(struct blocks_image *blocks)
{
	struct sonde_image *file = blocks->image.below;

	for (uint32_t i = 0; i < blocks->n_missing; i++) {
		const struct want *want = blocks->missing[i];
		const struct packed_block *block = &blocks->map.blocks[want->block];
		blocks->reads[i] = (struct sonde_image_read){ .off = block->off,
							      .buf = want->packed,
							      .len = block->len };
	}
	image_read(file, blocks->reads, blocks->n_missing);
	for (uint32_t i = 0; i < blocks->n_missing; i++) {
		const struct sonde_image_read *read = &blocks->reads[i];
		struct want *want = blocks->missing[i];
		if (read->err)
			want->err = read->err;
		else if (read->done < blocks->map.blocks[want->block].len)
			want->err = SONDE_E_TRUNCATED;
	}
}

/* What cannot be had is told once by name; its pieces fail by code. */
static void tell_failure(struct blocks_image *blocks, const struct want *want)
{
	const struct packed_block *block = &blocks->map.blocks[want->block];
	struct sonde_error why = { 0 }, below = { 0 };
	const char *what = want->err == SONDE_E_CORRUPT ? "it is damaged"
			   : want->err == 1
				   ? "its size is not what those of the others let expect, "
				     "so where they begin is not known: unpack the file"
				   : sonde_strerror(want->err);

	if (want->err < 0 && image_failure(blocks->image.below, &below) == want->err)
		what = below.text;
	sonde_error_set(
		&why, want->err == 1 ? SONDE_E_CORRUPT : want->err,
		"'%.150s': %s block %zu of %zu, %u bytes at %#llx, unpacked %#llx-%#llx: %.200s",
		blocks->image.shown, blocks->packing->name, want->block, blocks->map.n, block->len,
		(unsigned long long)block->off, (unsigned long long)block->at,
		(unsigned long long)(block->at + block->size), what);
	image_failed(&blocks->image, &why);
}

static void settle_missing(struct blocks_image *blocks)
{
	for (uint32_t i = 0; i < blocks->n_missing; i++) {
		struct want *want = blocks->missing[i];
		if (want->err == 0) {
			blocks->n_unpacked++;
			blocks->bytes_unpacked += blocks->map.blocks[want->block].size;
			continue;
		}
		tell_failure(blocks, want);
		blocks->is_wrong |= want->err == 1;
		want->err = want->err == 1 ? SONDE_E_CORRUPT : want->err;
		page_cache_drop(&blocks->cache, want->slot);
	}
}

static void hand_out(struct blocks_image *blocks, const struct want *want)
{
	const uint8_t *bytes = page_cache_bytes(&blocks->cache, want->slot);

	for (uint32_t i = 0; i < want->n; i++) {
		const struct part *part = &blocks->parts[want->first + i];
		struct sonde_image_read *read = part->read;
		if (read->err == 0 && want->err == 0) {
			if (read->buf)
				memcpy((uint8_t *)read->buf + part->off, bytes + part->inside,
				       part->len);
			read->done += part->len;
		}
		read->err = read->err ? read->err : want->err;
	}
}

static void run_round(struct blocks_image *blocks)
{
	if (blocks->n_missing) {
		read_missing(blocks);
		crew_run(blocks->crew, blocks->n_missing, unpack_one, blocks);
		settle_missing(blocks);
	}
	for (uint32_t i = 0; i < blocks->n_wants; i++)
		hand_out(blocks, &blocks->wants[i]);
	blocks->n_wants = blocks->n_missing = blocks->lacked_len = 0;
	blocks->lot += blocks->lot == UINT32_MAX ? 2 : 1; /* 0 is an empty slot */
}

/* ---- a lot -------------------------------------------------------------------------------------- */

static int by_block(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	return (x->read > y->read) - (x->read < y->read);
}

static void sort_parts(struct blocks_image *blocks)
{
	for (uint32_t i = 1; i < blocks->n_parts; i++) {
		if (blocks->parts[i].block < blocks->parts[i - 1].block) {
			qsort(blocks->parts, blocks->n_parts, sizeof(*blocks->parts), by_block);
			return;
		}
	}
}

/* A place for a block, and one for what it is made of. */
static void add_want(struct blocks_image *blocks, size_t block, uint32_t first, uint32_t n)
{
	uint32_t len = blocks->map.blocks[block].len;
	struct want want = { .block = block, .first = first, .n = n };

	if (blocks->n_wants == blocks->cache.n / 2 || len > blocks->lacked_cap - blocks->lacked_len)
		run_round(blocks);
	want.slot = page_cache_find(&blocks->cache, block, blocks->lot);
	if (want.slot == PAGE_CACHE_NONE) {
		want.slot = page_cache_take(&blocks->cache, block, blocks->lot);
		want.packed = blocks->lacked + blocks->lacked_len;
		blocks->lacked_len += len;
		blocks->missing[blocks->n_missing++] = &blocks->wants[blocks->n_wants];
	}
	blocks->wants[blocks->n_wants++] = want;
}

static void run_lot(struct blocks_image *blocks)
{
	sort_parts(blocks);
	for (uint32_t i = 0, first; i < blocks->n_parts;) {
		for (first = i;
		     i < blocks->n_parts && blocks->parts[i].block == blocks->parts[first].block;)
			i++;
		add_want(blocks, blocks->parts[first].block, first, i - first);
	}
	run_round(blocks);
	blocks->n_parts = 0;
}

/* The block that holds an address of the image. */
static size_t find(const struct packed_map *map, uint64_t at)
{
	size_t from = 0, to = map->n;

	while (to - from > 1) {
		size_t middle = from + (to - from) / 2;
		if (map->blocks[middle].at <= at)
			from = middle;
		else
			to = middle;
	}
	return from;
}

static void cut(struct blocks_image *blocks, struct sonde_image_read *read)
{
	size_t block = read->len ? find(&blocks->map, read->off) : 0;

	for (uint32_t off = 0, len; off < read->len; off += len, block++) {
		const struct packed_block *it = &blocks->map.blocks[block];
		uint32_t inside = (uint32_t)(read->off + off - it->at);
		len = read->len - off < it->size - inside ? read->len - off : it->size - inside;
		if (blocks->n_parts == PARTS_MAX)
			run_lot(blocks);
		blocks->parts[blocks->n_parts++] = (struct part){
			.read = read, .block = block, .off = off, .len = len, .inside = inside
		};
	}
}

static void blocks_read(struct sonde_image *image, struct sonde_image_read *reads, size_t n)
{
	struct blocks_image *blocks = of_image(image);

	pthread_mutex_lock(&blocks->lock);
	for (size_t i = 0; i < n && !blocks->is_wrong; i++)
		cut(blocks, &reads[i]);
	run_lot(blocks);
	for (size_t i = 0; i < n && blocks->is_wrong; i++) {
		reads[i].done = 0;
		reads[i].err = SONDE_E_CORRUPT;
	}
	pthread_mutex_unlock(&blocks->lock);
}

static void blocks_figures(struct sonde_image *image, struct sonde_image_figures *ret)
{
	struct blocks_image *blocks = of_image(image);

	pthread_mutex_lock(&blocks->lock);
	*ret = (struct sonde_image_figures){ .name = image->shown,
					     .how = blocks->how,
					     .size = image->size,
					     .unpacked = blocks->bytes_unpacked,
					     .blocks = blocks->n_unpacked };
	pthread_mutex_unlock(&blocks->lock);
}

/* ---- life --------------------------------------------------------------------------------------- */

static void blocks_close(struct sonde_image *image)
{
	struct blocks_image *blocks = of_image(image);

	crew_destroy(blocks->crew);
	for (unsigned i = 0; i < blocks->n_workers; i++)
		blocks->packing->destroy(blocks->decoders[i]);
	page_cache_finish(&blocks->cache);
	packed_map_finish(&blocks->map);
	free(blocks->lacked);
	pthread_mutex_destroy(&blocks->lock);
	image_unref(image->below);
	image_finish(image);
	free(blocks);
}

static const struct image_ops blocks_ops = { .read = blocks_read,
					     .close = blocks_close,
					     .figures = blocks_figures };

static uint32_t at_most(uint64_t n, uint64_t least, uint64_t most)
{
	return (uint32_t)(n < least ? least : n > most ? most : n);
}

/* The caller is one of the workers. */
static int create_workers(struct blocks_image *blocks)
{
	long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = at_most(n_cpus > 0 ? (uint64_t)n_cpus : 1, 1, WORKERS_MAX);

	n = at_most(blocks->map.n, 1, n);
	blocks->crew = crew_create(n - 1);
	if (!blocks->crew)
		return SONDE_E_NO_MEMORY;
	crew_at_once(blocks->crew, 1);
	for (; blocks->n_workers < n; blocks->n_workers++) {
		blocks->decoders[blocks->n_workers] = blocks->packing->create();
		if (!blocks->decoders[blocks->n_workers])
			return SONDE_E_NO_MEMORY;
	}
	return 0;
}

static int create_room(struct blocks_image *blocks)
{
	const struct packed_map *map = &blocks->map;
	uint32_t slots = at_most(KEEP_BYTES / map->size_max, KEPT_MIN, KEPT_MAX);

	blocks->lot = 1;
	blocks->lacked_cap = at_most(blocks->image.below->size, map->len_max,
				     map->len_max > LACKED_BYTES ? map->len_max : LACKED_BYTES);
	blocks->lacked = malloc(blocks->lacked_cap);
	if (!blocks->lacked)
		return SONDE_E_NO_MEMORY;
	return page_cache_init(&blocks->cache, at_most(map->n * 2, KEPT_MIN, slots), map->size_max);
}

static void tell_cut(struct blocks_image *blocks)
{
	struct sonde_error why = { 0 };

	sonde_error_set(&why, SONDE_E_TRUNCATED,
			"'%.300s': from byte %#llx of the file on there is no whole %s block: what "
			"was packed "
			"behind %#llx is missing",
			blocks->image.shown, (unsigned long long)blocks->map.cut,
			blocks->packing->name, (unsigned long long)blocks->map.size);
	image_failed(&blocks->image, &why);
}

int packed_blocks_open(const struct packing *packing, struct sonde_image *file,
		       struct packed_map *map, struct sonde_image **ret)
{
	struct blocks_image *blocks = calloc(1, sizeof(*blocks));

	if (!blocks || image_init(&blocks->image, file->name) < 0) {
		free(blocks);
		packed_map_finish(map);
		image_unref(file);
		return SONDE_E_NO_MEMORY;
	}
	blocks->image.ops = &blocks_ops;
	blocks->image.below = file;
	blocks->image.size = map->size;
	blocks->packing = packing;
	blocks->map = *map;
	pthread_mutex_init(&blocks->lock, NULL);
	if (map->cut)
		tell_cut(blocks);
	snprintf(blocks->how, sizeof(blocks->how), "%s in %zu blocks", packing->name, map->n);
	int r = create_workers(blocks);
	if (r == 0)
		r = create_room(blocks);
	if (r < 0)
		blocks_close(&blocks->image);
	else
		*ret = &blocks->image;
	return r;
}
