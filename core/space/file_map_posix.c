/* SPDX-License-Identifier: MIT */
/* File maps by mmap: shared, writable where the descriptor is. */
#include "space/file_map.h"

#include <fcntl.h>
#include <sonde/error.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/guard.h"

static struct file_map map_file(int fd)
{
	struct file_map map = { .fd = fd };
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0)
		return map;
	map.read_only = (flags & O_ACCMODE) != O_RDWR;
	int prot = PROT_READ | (map.read_only ? 0 : PROT_WRITE);
	void *base = mmap(NULL, (size_t)st.st_size, prot, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return map;
	map.base = base;
	map.len = (size_t)st.st_size;
	return map;
}

static const struct file_map *find_map(const struct file_maps *maps, int32_t fd)
{
	/* The last one first: neighbouring extents mostly share a file. */
	for (size_t i = maps->n; i-- > 0;) {
		if (maps->at[i].fd == fd)
			return &maps->at[i];
	}
	return NULL;
}

static const struct file_map *get_map(struct file_maps *maps, int32_t fd)
{
	const struct file_map *map = find_map(maps, fd);

	if (map)
		return map;
	struct file_map *grown = realloc(maps->at, (maps->n + 1) * sizeof(*grown));
	if (!grown)
		return NULL;
	maps->at = grown;
	maps->at[maps->n] = map_file(fd);
	return &maps->at[maps->n++];
}

int file_maps_share(struct file_maps *maps, const struct file_maps *from)
{
	maps->at = calloc(from->n + 1, sizeof(*maps->at));
	if (!maps->at)
		return SONDE_E_NO_MEMORY;
	for (; maps->n < from->n; maps->n++) {
		maps->at[maps->n] = from->at[maps->n];
		maps->at[maps->n].shared = true;
	}
	return SONDE_OK;
}

int file_maps_open(struct file_maps *maps, struct extents *extents)
{
	int left = 0;

	if (guard_install())
		return (int)extents->n;
	for (size_t i = 0; i < extents->n; i++) {
		struct extent *e = &extents->at[i];
		if (e->kind != SONDE_EXTENT_FILE)
			continue;
		const struct file_map *map = get_map(maps, e->fd);
		if (!map)
			return SONDE_E_NO_MEMORY;
		if (map->base && e->off < map->len && e->last - e->addr < map->len - e->off) {
			e->ptr = map->base + e->off;
			e->ptr_read_only = map->read_only;
		} else {
			left++;
		}
	}
	return left;
}

void file_maps_trim(const struct file_maps *maps)
{
	for (size_t i = 0; i < maps->n; i++) {
		if (maps->at[i].base)
			madvise(maps->at[i].base, maps->at[i].len, MADV_DONTNEED);
	}
}

void file_maps_close(struct file_maps *maps)
{
	for (size_t i = 0; i < maps->n; i++) {
		if (maps->at[i].base && !maps->at[i].shared)
			munmap(maps->at[i].base, maps->at[i].len);
	}
	free(maps->at);
	*maps = (struct file_maps){ 0 };
}
