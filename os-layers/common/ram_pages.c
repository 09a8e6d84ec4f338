/* SPDX-License-Identifier: MIT */
/*
 * The sweep: some bytes a page, thousands of pages a trip. Mapped memory is given back as it goes, so
 * a large dump does not come to lie in this process.
 */
#include "common/ram_pages.h"

#include <sonde/error.h>
#include <sonde/types.h>
#include <stdlib.h>

#define PAGES_A_TRIP 8192u

struct sweep {
	struct sonde_space *phys;
	const struct ram_pages *pages;
	struct sonde_xfer *xfers; /* [PAGES_A_TRIP] */
	uint8_t *bytes;           /* [PAGES_A_TRIP][pages->len] */
	size_t n;
	uint64_t *hits; /* [n_hits], room for cap */
	size_t n_hits, cap;
};

static int look(struct sweep *sweep)
{
	int r = sweep->n ? sonde_space_read(sweep->phys, sweep->xfers, sweep->n) : 0;

	for (size_t i = 0; i < sweep->n && r >= 0 && sweep->n_hits < sweep->cap; i++) {
		const struct sonde_xfer *x = &sweep->xfers[i];
		if (!x->err && sweep->pages->fits(x->buf))
			sweep->hits[sweep->n_hits++] = x->addr - sweep->pages->off;
	}
	sweep->n = 0;
	sonde_space_trim(sweep->phys);
	return r < 0 ? r : sweep->n_hits == sweep->cap;
}

static int sweep_region(void *user, const struct sonde_region *region)
{
	struct sweep *sweep = user;
	uint64_t first = (region->addr + SONDE_PAGE_SIZE - 1) & ~(SONDE_PAGE_SIZE - 1);
	uint64_t last = region->addr + (region->len - 1);
	int r = 0;

	/* first wraps where the region lies in the last page of all: no page begins in it. */
	if (!(region->flags & SONDE_REGION_RAM) || first < region->addr)
		return 0;
	for (uint64_t at = first;
	     r == 0 && at >= first && at <= last && last - at >= SONDE_PAGE_SIZE - 1;
	     at += SONDE_PAGE_SIZE) {
		sweep->xfers[sweep->n] = (struct sonde_xfer){
			.addr = at + sweep->pages->off,
			.buf = sweep->bytes + sweep->n * sweep->pages->len,
			.len = sweep->pages->len,
		};
		if (++sweep->n == PAGES_A_TRIP)
			r = look(sweep);
	}
	return r;
}

int ram_pages_find(struct sonde_space *phys, const struct ram_pages *pages, uint64_t *hits,
		   size_t cap)
{
	struct sweep sweep = { .phys = phys, .pages = pages, .hits = hits, .cap = cap };
	int r = SONDE_E_NO_MEMORY;

	sweep.xfers = malloc(PAGES_A_TRIP * sizeof(*sweep.xfers));
	sweep.bytes = malloc((size_t)PAGES_A_TRIP * pages->len);
	if (sweep.xfers && sweep.bytes)
		r = sonde_space_regions(phys, sweep_region, &sweep);
	if (r == 0)
		r = look(&sweep);
	free(sweep.xfers);
	free(sweep.bytes);
	return r < 0 ? r : (int)sweep.n_hits;
}
