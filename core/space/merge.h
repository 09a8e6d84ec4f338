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

#define MERGE_WINDOW 2048u /* parts that are ordered at once, at most */

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
 * Bring neighbours together: by file, reads before writes, by offset. false: there are none, and the order
 * is as it was: random access pays no sort. n <= MERGE_WINDOW.
 */
bool merge_order(struct part **parts, size_t n, struct merge_room *room);

/*
 * How many parts from the front (n > 0) make one operation. gap: how many bytes that nobody asked for may
 * lie between two; a page in which both have bytes counts as none. UINT32_MAX: never merge.
 */
struct merged merge_front(struct part *const *parts, size_t n, uint32_t gap);

#endif
