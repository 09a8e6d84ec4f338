/* SPDX-License-Identifier: MIT */
/* Memory maps of the files behind a space's extents: one map a descriptor. */
#ifndef SONDE_SPACE_FILE_MAP_H
#define SONDE_SPACE_FILE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "space/extents.h"

struct file_map {
	int32_t fd;
	char *base; /* NULL: cannot be mapped */
	size_t len;
	bool read_only; /* as the descriptor                       */
	bool shared;    /* another space's, which outlives this one */
};

struct file_maps {
	struct file_map *at; /* [n] */
	size_t n;
};

/* Begin with the maps that another space has. Returns 0; SONDE_E_NO_MEMORY. */
int file_maps_share(struct file_maps *maps, const struct file_maps *from);

/*
 * Map what can be mapped and is not yet, and set ptr of every FILE extent that lies in a map as a whole.
 * Returns how many FILE extents are left without, or SONDE_E_NO_MEMORY.
 */
int file_maps_open(struct file_maps *maps, struct extents *extents);
/* Drop the pages of the maps from this process; the page cache keeps them. */
void file_maps_trim(const struct file_maps *maps);
void file_maps_close(struct file_maps *maps);

#endif
