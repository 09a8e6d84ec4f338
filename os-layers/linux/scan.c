/* SPDX-License-Identifier: MIT */
/*
 * The sweep: 16 bytes a page, thousands of pages a trip. Mapped memory is given back as it goes, so
 * a large dump does not come to lie in this process.
 */
#include "linux/scan.h"

#include <sonde/error.h>
#include <sonde/types.h>
#include <stdlib.h>

#include "linux/vmcoreinfo.h"

#define PAGES_A_TRIP 8192u

struct sweep {
	struct sonde_space *phys;
	struct sonde_xfer *xfers; /* [PAGES_A_TRIP] */
	uint8_t (*heads)[VMCOREINFO_MAGIC];
	size_t n;
	uint64_t *hits;
	size_t n_hits;
};

static int look(struct sweep *sweep)
{
	int r = sweep->n ? sonde_space_read(sweep->phys, sweep->xfers, sweep->n) : 0;

	for (size_t i = 0; i < sweep->n && r >= 0 && sweep->n_hits < SCAN_HITS_MAX; i++) {
		if (!sweep->xfers[i].err && vmcoreinfo_looks_like(sweep->heads[i]))
			sweep->hits[sweep->n_hits++] = sweep->xfers[i].addr;
	}
	sweep->n = 0;
	sonde_space_trim(sweep->phys);
	return r < 0 ? r : sweep->n_hits == SCAN_HITS_MAX;
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
		sweep->xfers[sweep->n] = (struct sonde_xfer){ .addr = at,
							      .buf = sweep->heads[sweep->n],
							      .len = VMCOREINFO_MAGIC };
		if (++sweep->n == PAGES_A_TRIP)
			r = look(sweep);
	}
	return r;
}

int scan_vmcoreinfo(struct sonde_space *phys, uint64_t hits[SCAN_HITS_MAX])
{
	struct sweep sweep = { .phys = phys, .hits = hits };
	int r = SONDE_E_NO_MEMORY;

	sweep.xfers = malloc(PAGES_A_TRIP * sizeof(*sweep.xfers));
	sweep.heads = malloc(PAGES_A_TRIP * sizeof(*sweep.heads));
	if (sweep.xfers && sweep.heads)
		r = sonde_space_regions(phys, sweep_region, &sweep);
	if (r == 0)
		r = look(&sweep);
	free(sweep.xfers);
	free(sweep.heads);
	return r < 0 ? r : (int)sweep.n_hits;
}
