/* SPDX-License-Identifier: MIT */
/* Searching RAM for pages in which something stands at one place. */
#ifndef SONDE_COMMON_RAM_PAGES_H
#define SONDE_COMMON_RAM_PAGES_H

#include <sonde/space.h>
#include <stddef.h>
#include <stdint.h>

/* Of each page len bytes are looked at, off bytes into it. */
struct ram_pages {
	uint32_t off, len;
	int (*fits)(const uint8_t *bytes); /* not 0: a hit */
};

/*
 * Look at every page of RAM, in large batches. Pages that cannot be read are no hits.
 *
 * Returns   how many, in rising order in hits (at most cap, the rest is not looked at); SONDE_E_NO_MEMORY; what
 *           sonde_space_regions says.
 */
int ram_pages_find(struct sonde_space *phys, const struct ram_pages *pages, uint64_t *hits,
		   size_t cap);

#endif
