/* SPDX-License-Identifier: MIT */
/*
 * Requests on the memory of a target, as packets "m", "M", "x" and "X".
 *
 *	requests ──cut──▶ window of parts, in order ──joined──▶ flights ──▶ link ──▶ stub
 *
 * A part is a stretch of a piece that fits into a packet. Reads of one window are put in order of address, and
 * parts that touch or share a page become one packet. Writes stay as they came. A flight whose packet is refused
 * asks for the first half of its pages, and so on down to one page: that fails, and what is behind it is asked for.
 */
#ifndef GDB_MEMORY_H
#define GDB_MEMORY_H

#include "link.h"
#include "ranges.h"

enum {
	MEMORY_REQUESTS = 256,
	MEMORY_WINDOW = 512,
	MEMORY_PARTS = 32, /* in one packet */
	MEMORY_PAGE = 4096,
};

struct memory_request {
	struct sonde_io *io; /* NULL: free                              */
	uint64_t left;       /* bytes not told yet                      */
	uint32_t piece, off; /* the first byte that was not cut yet     */
	uint32_t over;       /* all told; io_done is about to be called */
	struct memory_request *next;
};

struct memory_part {
	struct memory_request *of; /* NULL: ended early                    */
	uint64_t addr;             /* of its first byte; it does not wrap  */
	uint32_t piece, off, len;
};

struct memory_flight {
	struct exchange exchange; /* first */
	struct memory *memory;
	uint64_t addr; /* of its first byte; the end does not wrap      */
	uint32_t op, len;
	uint32_t at, ask;                       /* of [0, len): told up to, asked for behind it  */
	uint32_t n_parts;                       /* 0: free                                       */
	struct memory_part parts[MEMORY_PARTS]; /* reads: lowest first     */
};

struct memory {
	const struct sonde_host *host;
	struct link *link;
	const struct ranges *ranges; /* NULL: any address may be asked for    */
	int writable;
	int binary_read, binary_write; /* x, X                                */
	uint32_t read_max, write_max;  /* bytes in one packet                 */
	struct memory_request requests[MEMORY_REQUESTS];
	struct memory_request *first, *last;      /* not all cut yet, oldest first */
	struct memory_request *over;              /* for io_done                     */
	struct memory_part window[MEMORY_WINDOW]; /* [window_at .. window_n) wait */
	uint32_t window_at, window_n, window_op;
	struct memory_flight flights[LINK_DEPTH_MAX];
};

/*
 * Zero it, set host and link, and give it to the link as its source. Before the first request: ranges, writable,
 * binary_*, and by memory_size how long packets may be (128 bytes or more).
 */
void memory_init(struct memory *memory);
void memory_size(struct memory *memory, uint32_t packet_size);
struct link_source memory_source(struct memory *memory);

/* As the slots of a connector. */
size_t memory_submit(struct memory *memory, struct sonde_io *const *ios, size_t n);
void memory_cancel(struct memory *memory, struct sonde_io *io, int32_t why);

#endif
