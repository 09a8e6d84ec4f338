/* SPDX-License-Identifier: MIT */
/* Reference: a map with every page present, and a copy: by memcpy, and by a plain loop of AVX2. */
#include <errno.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "contenders.h"

static int open_map(const struct contender *contender, struct work *work, void **ret)
{
	(void)contender;
	*ret = work;
	return file_map(work->file) ? 0 : -errno;
}

static int run_memcpy(void *state, struct work *work)
{
	struct walk walk = walk_start(work);
	uint32_t depth = work->shape.depth, size = work->shape.size;
	const uint8_t *map = work->file->map;

	(void)state;
	for (uint64_t i = 0, k = 0; i < work->n_ops; i++, k = k + 1 == depth ? 0 : k + 1) {
		struct slot *slot = &work->slots[k];
		slot->off = walk_next(&walk);
		memcpy(slot->buf, map + slot->off, size);
	}
	return 0;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static inline void copy_avx2(uint8_t *to, const uint8_t *from,
							     uint32_t len)
{
	for (; len >= 32; to += 32, from += 32, len -= 32) {
		__m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)from);
		_mm256_storeu_si256((__m256i *)(void *)to, bytes);
	}
	while (len--)
		*to++ = *from++;
}

__attribute__((target("avx2"))) static int run_avx2(void *state, struct work *work)
{
	struct walk walk = walk_start(work);
	uint32_t depth = work->shape.depth, size = work->shape.size;
	const uint8_t *map = work->file->map;

	(void)state;
	for (uint64_t i = 0, k = 0; i < work->n_ops; i++, k = k + 1 == depth ? 0 : k + 1) {
		struct slot *slot = &work->slots[k];
		slot->off = walk_next(&walk);
		copy_avx2(slot->buf, map + slot->off, size);
	}
	return 0;
}

static int open_avx2(const struct contender *contender, struct work *work, void **ret)
{
	if (!__builtin_cpu_supports("avx2"))
		return bench_skip(contender, "this processor has no AVX2");
	return open_map(contender, work, ret);
}
#endif

const struct contender contenders_mmap[] = {
	{ .name = "mmap+memcpy", .open = open_map, .run = run_memcpy },
#if defined(__x86_64__)
	{ .name = "mmap+avx2", .open = open_avx2, .run = run_avx2 },
#endif
	{ 0 },
};
