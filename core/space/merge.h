/* SPDX-License-Identifier: MIT */
/*
 * Which stretches of files become one operation. Stretches that touch, overlap, share a page or lie close
 * together are cheaper as one move through a buffer of ours than as one each: an operation
 * costs about as much as copying a page.
 */
#ifndef SONDE_SPACE_MERGE_H
#define SONDE_SPACE_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sonde/types.h>

struct sonde_io;

/* A stretch of one piece on its way through the engine. */
struct part {
	struct part *next; /* of the same operation, or of a list                */
	struct sonde_io *io;
	char *buf;
	uint64_t off; /* in the file                                        */
	uint32_t len;
	uint32_t piece, piece_off; /* which bytes of io these are            */
	int32_t fd, slot;          /* slot: of the engine's table, -1: none  */
	int16_t past;              /* as extent.past                         */
	bool write;
	bool alone; /* a merged move of it failed: it wants its own verdict */
};

#define MERGE_SPAN_MAX (64u * 1024) /* bytes of one merged operation                         */
#define MERGE_PART_MAX (8u * 1024)  /* a longer stretch is not copied once more to save a move */

/* What parts[0 .. n) of a window make: one operation of the file. */
struct merged {
	size_t n;     /* parts                    */
	uint64_t off; /* first byte, in the file  */
	uint32_t len; /* bytes, gaps included     */
};

#define MERGE_WINDOW_BITS 11u
#define MERGE_WINDOW (1u << MERGE_WINDOW_BITS) /* parts that are ordered at once, at most */

struct merge_key {
	uint64_t off;
	struct part *part;
};

/* Room for ordering a window. Contents mean nothing between calls. */
struct merge_room {
	uint16_t seen[2 *
		      MERGE_WINDOW]; /* pages, hashed: does anything lie close to anything else? */
	struct merge_key keys[2][MERGE_WINDOW];
};

/*
 * A guess at how many of a batch lie close to others, right nearly always: a page that shares its place with a
 * later one is forgotten, and two far ones may look alike.
 */
struct merge_probe {
	struct merge_room *room;
	uint32_t n_bits; /* 1 << n_bits of room->seen are in use */
	uint32_t gap;
	size_t hits; /* of those added, how many had one before them close by */
};

/* n <= MERGE_WINDOW: how many will be added. */
void merge_probe_begin(struct merge_probe *probe, struct merge_room *room, size_t n, uint32_t gap);

/* Where a page has its place, and what stands there once it was seen: never 0, which is nothing. */
static inline uint16_t *merge_probe_place(const struct merge_probe *probe, uint64_t page)
{
	return &probe->room->seen[page & ((UINT64_C(1) << probe->n_bits) - 1)];
}

static inline uint16_t merge_probe_mark(const struct merge_probe *probe, uint64_t page)
{
	return (uint16_t)(page >> probe->n_bits | 1);
}

/* 1: yes. */
static inline uint32_t merge_probe_saw(const struct merge_probe *probe, uint64_t page)
{
	return *merge_probe_place(probe, page) == merge_probe_mark(probe, page);
}

static inline void merge_probe_see(const struct merge_probe *probe, uint64_t page)
{
	*merge_probe_place(probe, page) = merge_probe_mark(probe, page);
}

/* Close: in one page, or beyond its edge and no farther than the gap. Without branches on where in a page: nobody could guess them. */
static inline void merge_probe_add(struct merge_probe *probe, uint64_t off, uint32_t len)
{
	uint64_t end = off + len - 1;
	uint64_t first = off / SONDE_PAGE_SIZE, last = end / SONDE_PAGE_SIZE;
	uint32_t at_begin = off % SONDE_PAGE_SIZE <= probe->gap;
	uint32_t at_end = SONDE_PAGE_SIZE - 1 - end % SONDE_PAGE_SIZE <= probe->gap;
	uint32_t hit = merge_probe_saw(probe, first);

	hit |= at_begin & merge_probe_saw(probe, first - 1);
	hit |= at_end & merge_probe_saw(probe, last + 1);
	if (last != first) {
		hit |= merge_probe_saw(probe, last);
		merge_probe_see(probe, last);
	}
	merge_probe_see(probe, first);
	probe->hits += hit;
}

/*
 * Bring neighbours together: by file, reads before writes, by offset. false: there are none, and the order
 * is as it was: random access pays no sort. n <= MERGE_WINDOW.
 */
bool merge_order(struct part **parts, size_t n, struct merge_room *room, uint32_t gap);

/*
 * How many parts from the front (n > 0) make one operation. gap: how many bytes that nobody asked for may
 * lie between two; a page in which both have bytes counts as none. UINT32_MAX: never merge.
 */
struct merged merge_front(struct part *const *parts, size_t n, uint32_t gap);

#endif
