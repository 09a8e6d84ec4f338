/* SPDX-License-Identifier: MIT */
/* A machine's memory copied out of its process as fast as it goes, by all processors. */
#ifndef RAM_COPY_H
#define RAM_COPY_H

#include "memory_map.h"

#include <sys/types.h>

/*
 * Copy the bytes of each range of map, of process pid, to image + at[i], as far as they lie below limit there. ret_bad[i] becomes 1
 * where not all of them could be read. Blocks; starts threads, and ends them.
 *
 * at: [map->n], rising from 0 without gaps; image has room for all. ret_bad: [map->n], zeroed.
 */
void ram_copy(pid_t pid, const struct memory_map *map, const uint64_t *at, uint8_t *image,
	      uint64_t limit, uint8_t *ret_bad);

#endif
