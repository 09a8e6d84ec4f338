/* SPDX-License-Identifier: MIT */
/*
 * Are the bytes behind a space's maps in memory? A mapped byte that is not costs a page fault that nothing else
 * overlaps with; a ring fetches hundreds at once. Asked by sampling, for files are large.
 */
#ifndef SONDE_SPACE_RESIDENCY_H
#define SONDE_SPACE_RESIDENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "space/file_map.h"

/* Pages looked at, and how many of them cost no device: in the page cache, or in a hole of a sparse file. */
struct residency {
	uint32_t sampled, resident;
};

/*
 * Look at pages spread over all maps, others each time (seed is carried along). Files that live in memory, and
 * systems that do not tell, count as resident. Makes system calls: not for every batch.
 */
struct residency residency_sample(const struct file_maps *maps, uint64_t *seed);

/* Page faults of this thread so far that waited for a device. */
uint64_t residency_faults(void);

#endif
