/* SPDX-License-Identifier: MIT */
/*
 * What is kept lies in sets of WAYS places, a block's set by its number; the one used longest ago makes room. A range
 * that was fetched is handed out from where it was fetched to, so nothing has to stay kept until it is.
 */
#include "image/blocks.h"

#include <stdlib.h>
#include <string.h>

#define WAYS 8u
#define PARTS_MAX 2048u /* of one lot: 8 MiB                                                    */
#define RUN_BLOCKS 64u  /* of one range: more come over several connections at once             */
/* Blocks that nobody asked for are fetched with those on both sides: cheaper than a range of their own. */
#define GAP_BLOCKS 1u

struct place {
	uint64_t block;
	uint64_t used; /* 0: empty */
};

/* What of a read lies in one block. */
struct part {
	uint64_t block;
	struct sonde_image_read *read;
	uint32_t off, len; /* of the read                                   */
	uint32_t inside;   /* where it begins in the block                  */
	int32_t err;
};

struct blocks {
	uint64_t size, now;
	image_blocks_fetch_fn *fetch;
	void *user;
	size_t n_sets; /* a power of two                                */
	struct place *places;
	uint8_t *bytes; /* [n_sets * WAYS][BLOCK_SIZE]                   */
	struct part parts[PARTS_MAX];
	uint32_t n_parts;
	struct part *missing[PARTS_MAX];
	uint32_t n_missing;
	struct image_range runs[PARTS_MAX];
	uint32_t n_runs;
	uint64_t next;  /* the block behind the last run                 */
	uint32_t ahead; /* blocks that were read ahead of it             */
};

/* ---- what is kept ------------------------------------------------------------------------------- */

static struct place *set_of(const struct blocks *blocks, uint64_t block)
{
	uint64_t hash = block * UINT64_C(0x9e3779b97f4a7c15);

	return &blocks->places[(size_t)(hash >> 32 & (blocks->n_sets - 1)) * WAYS];
}

static uint8_t *bytes_of(const struct blocks *blocks, const struct place *place)
{
	return blocks->bytes + (size_t)(place - blocks->places) * BLOCK_SIZE;
}

static const uint8_t *find(struct blocks *blocks, uint64_t block)
{
	struct place *set = set_of(blocks, block);

	for (uint32_t i = 0; i < WAYS; i++) {
		if (set[i].used && set[i].block == block) {
			set[i].used = ++blocks->now;
			return bytes_of(blocks, &set[i]);
		}
	}
	return NULL;
}

static void keep(struct blocks *blocks, uint64_t block, const void *bytes, uint32_t len)
{
	struct place *set = set_of(blocks, block), *oldest = set;

	for (uint32_t i = 1; i < WAYS; i++)
		oldest = set[i].used < oldest->used ? &set[i] : oldest;
	*oldest = (struct place){ .block = block, .used = ++blocks->now };
	memcpy(bytes_of(blocks, oldest), bytes, len);
}

static void keep_all(struct blocks *blocks, uint64_t off, const uint8_t *bytes, uint32_t len)
{
	for (uint32_t at = 0; at < len; at += BLOCK_SIZE) {
		uint32_t left = len - at;
		keep(blocks, (off + at) >> BLOCK_SHIFT, bytes + at,
		     left < BLOCK_SIZE ? left : BLOCK_SIZE);
	}
}

void image_blocks_put_head(struct blocks *blocks, const void *bytes, uint32_t len)
{
	keep_all(blocks, 0, bytes, len);
}

/* ---- what is missing ---------------------------------------------------------------------------- */

static int by_block(const void *a, const void *b)
{
	const struct part *x = *(struct part *const *)a, *y = *(struct part *const *)b;

	return (x->block > y->block) - (x->block < y->block);
}

/* Runs begin with a block. No sum of bytes: that of a source that lies about its size would wrap. */
static uint64_t run_end(const struct image_range *run)
{
	return (run->off >> BLOCK_SHIFT) + ((run->len + BLOCK_SIZE - 1) >> BLOCK_SHIFT);
}

/* Put a block at the end of a run, which begins anew where it does not fit. */
static void add_to_run(struct blocks *blocks, uint64_t block)
{
	struct image_range *run = blocks->n_runs ? &blocks->runs[blocks->n_runs - 1] : NULL;
	uint64_t off = block << BLOCK_SHIFT, left = blocks->size - off;

	if (run && block < run_end(run))
		return;
	if (!run || block - run_end(run) > GAP_BLOCKS ||
	    block - (run->off >> BLOCK_SHIFT) >= RUN_BLOCKS) {
		run = &blocks->runs[blocks->n_runs++];
		*run = (struct image_range){ .off = off };
	}
	run->len = (uint32_t)(off - run->off) + (left < BLOCK_SIZE ? (uint32_t)left : BLOCK_SIZE);
}

/* Who reads on where the last range ended, again and again, gets twice as much each time. */
static void read_ahead(struct blocks *blocks)
{
	struct image_range *run = &blocks->runs[blocks->n_runs - 1];
	int goes_on = blocks->n_runs == 1 && run->off >> BLOCK_SHIFT == blocks->next;
	uint64_t left = blocks->size - run->off - run->len;

	blocks->ahead = !goes_on ? 0 : blocks->ahead ? blocks->ahead * 2 : 1;
	blocks->ahead = blocks->ahead < RUN_BLOCKS ? blocks->ahead : RUN_BLOCKS;
	uint64_t more = (uint64_t)blocks->ahead << BLOCK_SHIFT;
	run->len += (uint32_t)(more < left ? more : left);
	blocks->next = run_end(run);
}

/* Room for all of them, in one piece. */
static uint8_t *room_for_runs(struct blocks *blocks)
{
	size_t size = 0;

	for (uint32_t i = 0; i < blocks->n_runs; i++)
		size += blocks->runs[i].len;
	uint8_t *room = malloc(size), *at = room;
	for (uint32_t i = 0; room && i < blocks->n_runs; i++) {
		blocks->runs[i].buf = at;
		at += blocks->runs[i].len;
	}
	return room;
}

static void copy_part(const struct part *part, const uint8_t *block)
{
	if (part->read->buf)
		memcpy((uint8_t *)part->read->buf + part->off, block + part->inside, part->len);
}

/* Parts and runs are both by block. */
static void hand_out(struct blocks *blocks)
{
	const struct image_range *run = blocks->runs;

	for (uint32_t i = 0; i < blocks->n_missing; i++) {
		struct part *part = blocks->missing[i];
		while (part->block >= run_end(run))
			run++;
		part->err = run->err;
		if (part->err == 0)
			copy_part(part, (const uint8_t *)run->buf +
						((part->block << BLOCK_SHIFT) - run->off));
	}
}

static void fetch_missing(struct blocks *blocks)
{
	qsort(blocks->missing, blocks->n_missing, sizeof(struct part *), by_block);
	blocks->n_runs = 0;
	for (uint32_t i = 0; i < blocks->n_missing; i++)
		add_to_run(blocks, blocks->missing[i]->block);
	read_ahead(blocks);
	uint8_t *room = room_for_runs(blocks);
	if (!room) {
		for (uint32_t i = 0; i < blocks->n_missing; i++)
			blocks->missing[i]->err = SONDE_E_NO_MEMORY;
		return;
	}
	blocks->fetch(blocks->user, blocks->runs, blocks->n_runs);
	hand_out(blocks);
	for (uint32_t i = 0; i < blocks->n_runs; i++) {
		const struct image_range *run = &blocks->runs[i];
		if (run->err == 0)
			keep_all(blocks, run->off, run->buf, run->len);
	}
	free(room);
}

/* ---- a lot -------------------------------------------------------------------------------------- */

static void settle(const struct part *part)
{
	struct sonde_image_read *read = part->read;

	if (read->err == 0 && part->err == 0)
		read->done += part->len;
	else if (read->err == 0)
		read->err = part->err;
}

static void run_lot(struct blocks *blocks)
{
	blocks->n_missing = 0;
	for (uint32_t i = 0; i < blocks->n_parts; i++) {
		const uint8_t *kept = find(blocks, blocks->parts[i].block);
		if (kept)
			copy_part(&blocks->parts[i], kept);
		else
			blocks->missing[blocks->n_missing++] = &blocks->parts[i];
	}
	if (blocks->n_missing)
		fetch_missing(blocks);
	for (uint32_t i = 0; i < blocks->n_parts; i++)
		settle(&blocks->parts[i]);
	blocks->n_parts = 0;
}

static void cut(struct blocks *blocks, struct sonde_image_read *read)
{
	for (uint32_t off = 0, len; off < read->len; off += len) {
		uint32_t inside = (uint32_t)((read->off + off) & (BLOCK_SIZE - 1));
		len = read->len - off < BLOCK_SIZE - inside ? read->len - off : BLOCK_SIZE - inside;
		if (blocks->n_parts == PARTS_MAX)
			run_lot(blocks);
		blocks->parts[blocks->n_parts++] = (struct part){
			.block = (read->off + off) >> BLOCK_SHIFT,
			.read = read,
			.off = off,
			.len = len,
			.inside = inside,
		};
	}
}

void image_blocks_read(struct blocks *blocks, struct sonde_image_read *reads, size_t n)
{
	for (size_t i = 0; i < n; i++)
		cut(blocks, &reads[i]);
	run_lot(blocks);
}

/* ---- life --------------------------------------------------------------------------------------- */

int image_blocks_create(struct blocks **ret, uint64_t size, uint64_t keep_bytes,
			image_blocks_fetch_fn *fetch, void *user)
{
	struct blocks *blocks = calloc(1, sizeof(*blocks));

	if (!blocks)
		return SONDE_E_NO_MEMORY;
	blocks->size = size;
	blocks->fetch = fetch;
	blocks->user = user;
	blocks->n_sets = 1;
	while (blocks->n_sets * 2 * WAYS * BLOCK_SIZE <= keep_bytes &&
	       blocks->n_sets * WAYS * BLOCK_SIZE < size)
		blocks->n_sets *= 2;
	blocks->places = calloc(blocks->n_sets * WAYS, sizeof(*blocks->places));
	blocks->bytes = malloc(blocks->n_sets * WAYS * BLOCK_SIZE);
	if (!blocks->places || !blocks->bytes) {
		image_blocks_destroy(blocks);
		return SONDE_E_NO_MEMORY;
	}
	*ret = blocks;
	return 0;
}

void image_blocks_destroy(struct blocks *blocks)
{
	if (!blocks)
		return;
	free(blocks->places);
	free(blocks->bytes);
	free(blocks);
}
