/* SPDX-License-Identifier: MIT */
/*
 * Some pages of one stretch: read in one piece while others are packed, then looked at and packed by all processors.
 * A page of which nothing could be read is missing; one of which something could is saved, zeros in the place of the rest.
 * What is marked as excluded between batch_place and batch_read stays that.
 */
#ifndef SONDE_TOOL_DUMP_BATCH_H
#define SONDE_TOOL_DUMP_BATCH_H

#include "../../../core/base/crew.h"
#include "packer.h"

#include <sonde/sonde.h>
#include <stdbool.h>

#define BATCH_SIZE (4u << 20)

/* Values are bits of a set: 1u << state. */
enum page_state { PAGE_SAVED, PAGE_ZERO, PAGE_MISSING, PAGE_EXCLUDED };
/* The set of those whose bytes are there. */
#define STATES_THERE (1u << PAGE_SAVED | 1u << PAGE_ZERO)

struct batch_page {
	uint8_t state;      /* enum page_state                              */
	uint32_t n_bad;     /* bytes that are missing                       */
	uint32_t n_no_mem;  /* ... of which are no memory: NOT_MAPPED       */
	uint32_t first_bad; /* the first of the others, else of those; in the batch's bytes */
	int32_t err;        /* ... of that one                              */
};

/* What is packed at once. */
struct batch_unit {
	uint32_t off, len; /* in bytes                               */
	uint32_t packed;   /* bytes, from room * (its number) on     */
	bool is_packed;    /* false: they are as they were           */
};

struct batch {
	uint32_t page_size, page_shift;
	uint64_t addr;
	uint32_t len;   /* 0: there is nothing in it          */
	uint8_t *bytes; /* [BATCH_SIZE]                       */
	uint32_t n_pages;
	struct batch_page *pages; /* [n_pages]                          */
	uint32_t n_units;
	struct batch_unit *units; /* [n_units], by rising offset        */
	uint8_t *packed;          /* room bytes a unit                  */
	uint32_t room;
	struct sonde_io io;
	struct sonde_xfer *pieces; /* [io.n], at most one for two pages of which one is excluded */
	bool is_flying;
};

/* For pages of page_size, packed unit bytes at once, 0: not at all. Returns 0, SONDE_E_NO_MEMORY; finish either way. */
int batch_init(struct batch *batch, uint32_t page_size, uint32_t unit);
/* Nothing of it is on its way. */
void batch_finish(struct batch *batch);

/* As many bytes as a batch takes at addr, of left: it ends where a page does. */
uint32_t batch_fit(const struct batch *batch, uint64_t addr, uint64_t left);

/* It is to be of these bytes. */
void batch_place(struct batch *batch, uint64_t addr, uint32_t len);
/* Start to read all of it, or what is not excluded; batch_wait ends it. Returns 0, or why nothing was tried. */
int batch_read(struct batch *batch, struct sonde_loop *loop, struct sonde_space *space, bool all);
int batch_wait(struct batch *batch, struct sonde_loop *loop);
/* What is on its way comes home, and is nothing. */
void batch_cancel(struct batch *batch, struct sonde_loop *loop);

/* What each page is. */
void batch_look(struct batch *batch, struct crew *crew);

/* Pack runs of pages whose states are in the set, unit by unit. packers: [workers of crew]. */
void batch_pack(struct batch *batch, struct crew *crew, struct packer *const *packers,
		unsigned states, uint32_t unit);

/* First byte of a page in bytes; of n_pages: len. */
static inline uint32_t batch_offset(const struct batch *batch, uint32_t page)
{
	uint64_t first = batch->addr >> batch->page_shift;

	if (page == 0)
		return 0;
	return page < batch->n_pages
		       ? (uint32_t)(((first + page) << batch->page_shift) - batch->addr)
		       : batch->len;
}

/* Pages in a row. */
struct batch_run {
	uint32_t first, n;
};

/* The next one whose states are in the set, from a page on; false: there is none. */
bool batch_next_run(const struct batch *batch, unsigned states, uint32_t from,
		    struct batch_run *ret);

#endif
