/* SPDX-License-Identifier: MIT */
/* Residency on Linux: mincore for the page cache, SEEK_DATA for holes, getrusage for faults that waited. */
#include "space/residency.h"

#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SAMPLES 64u

/* Their pages come from no device; what is swapped out comes back by the same way as any memory. */
static bool lives_in_memory(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs))
		return false;
	return fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC || fs.f_type == HUGETLBFS_MAGIC;
}

static bool is_hole(int fd, uint64_t off)
{
	off_t data = lseek(fd, (off_t)off, SEEK_DATA);

	return data < 0 || (uint64_t)data != off;
}

static bool costs_nothing(const struct file_map *map, uint64_t off, uint64_t page_size)
{
	unsigned char in_memory = 0;

	off -= off % page_size;
	if (mincore(map->base + off, page_size, &in_memory) || in_memory & 1)
		return true;
	return is_hole(map->fd, off);
}

/* xorshift64: G. Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8(14), 2003. */
static uint64_t next_random(uint64_t *seed)
{
	uint64_t x = *seed ? *seed : UINT64_C(0x9e3779b97f4a7c15);

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *seed = x;
}

struct residency residency_sample(const struct file_maps *maps, uint64_t *seed)
{
	uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	struct residency seen = { 0 };

	for (size_t i = 0; i < maps->n && seen.sampled < 16 * SAMPLES; i++) {
		const struct file_map *map = &maps->at[i];
		if (!map->base || lives_in_memory(map->fd))
			continue;
		for (uint32_t k = 0; k < SAMPLES; k++) {
			/* One at random in each of as many equal parts. */
			uint64_t part = map->len / SAMPLES ? map->len / SAMPLES : 1;
			uint64_t off = k * part + next_random(seed) % part;
			if (off >= map->len)
				break;
			seen.sampled++;
			seen.resident += costs_nothing(map, off, page_size);
		}
	}
	return seen;
}

uint64_t residency_faults(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) ? 0 : (uint64_t)usage.ru_majflt;
}
