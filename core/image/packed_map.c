/* SPDX-License-Identifier: MIT */
#include <sonde/error.h>
#include <stdlib.h>

#include "image/packed.h"

#define BLOCKS_MAX (4u << 20) /* 128 MiB of them; of 64 KiB each, 256 GiB          */
#define STEPS_MAX (64u << 20) /* looks at a file, most of them at what is at hand  */
/* Heads lie far apart: of a file a page is read at each. A server's answers take their time, and it is read through. */
#define NEAR_BYTES 4096u
#define FAR_BYTES (256u << 10)

int packed_walk_init(struct packed_walk *ret, struct sonde_image *file)
{
	*ret = (struct packed_walk){ .file = file, .cap = file->fd >= 0 ? NEAR_BYTES : FAR_BYTES };
	ret->bytes = malloc(ret->cap);
	return ret->bytes ? 0 : SONDE_E_NO_MEMORY;
}

void packed_walk_finish(struct packed_walk *walk)
{
	free(walk->bytes);
}

const uint8_t *packed_walk_at(struct packed_walk *walk, uint64_t off, uint32_t len)
{
	if (++walk->n_steps > STEPS_MAX)
		walk->err = SONDE_E_LIMIT;
	if (walk->err || off > walk->file->size || len > walk->file->size - off)
		return NULL;
	if (off < walk->off || off - walk->off > walk->n || len > walk->n - (off - walk->off)) {
		int64_t n = image_read_at(walk->file, off, walk->bytes, walk->cap);
		walk->err = n < 0 ? (int)n : 0;
		walk->off = off;
		walk->n = n < 0 ? 0 : (size_t)n;
	}
	return len <= walk->n - (off - walk->off) ? walk->bytes + (off - walk->off) : NULL;
}

static int make_room(struct packed_map *map)
{
	if (map->n == BLOCKS_MAX)
		return SONDE_E_LIMIT;
	if (map->n < map->cap)
		return 0;
	size_t cap = map->cap ? map->cap * 2 : 64;
	struct packed_block *blocks = realloc(map->blocks, cap * sizeof(*blocks));
	if (!blocks)
		return SONDE_E_NO_MEMORY;
	map->blocks = blocks;
	map->cap = cap;
	return 0;
}

int packed_map_add(struct packed_map *map, uint64_t off, uint64_t len, uint64_t size, uint32_t how)
{
	if (size == 0)
		return 0;
	if (size > PACKED_BLOCK_MAX || len == 0 || len > PACKED_LEN_MAX)
		return 1;
	int r = make_room(map);
	if (r < 0)
		return r;
	map->blocks[map->n++] = (struct packed_block){ .at = map->size,
						       .off = off,
						       .size = (uint32_t)size,
						       .len = (uint32_t)len,
						       .how = how };
	map->size += size;
	map->size_max = size > map->size_max ? (uint32_t)size : map->size_max;
	map->len_max = len > map->len_max ? (uint32_t)len : map->len_max;
	return 0;
}

void packed_map_finish(struct packed_map *map)
{
	free(map->blocks);
	*map = (struct packed_map){ 0 };
}
