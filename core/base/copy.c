/* SPDX-License-Identifier: MIT */
/* The loops for large copies, and the choice between them. */
#include "base/copy.h"

#include <stdlib.h>

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#include <immintrin.h>

/*
 * 128 bytes a round. The library's memcpy may choose "rep movsb" here, which some virtual machines run at
 * half the speed for bytes that are in no cache.
 */
__attribute__((target("avx2"))) static void copy_avx2(void *to, const void *from, size_t len)
{
	char *t = to;
	const char *f = from;

	for (; len >= 128; len -= 128, t += 128, f += 128) {
		__m256i a = _mm256_loadu_si256((const __m256i *)f);
		__m256i b = _mm256_loadu_si256((const __m256i *)(f + 32));
		__m256i c = _mm256_loadu_si256((const __m256i *)(f + 64));
		__m256i d = _mm256_loadu_si256((const __m256i *)(f + 96));
		_mm256_storeu_si256((__m256i *)t, a);
		_mm256_storeu_si256((__m256i *)(t + 32), b);
		_mm256_storeu_si256((__m256i *)(t + 64), c);
		_mm256_storeu_si256((__m256i *)(t + 96), d);
	}
	if (len)
		memcpy(t, f, len);
}

static void copy_memcpy(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
}

static copy_fn *const loops[COPY_LOOPS] = { copy_memcpy, copy_avx2 };

static int by_clocks(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static uint32_t median(uint32_t clocks[COPY_TRIALS])
{
	qsort(clocks, COPY_TRIALS, sizeof(clocks[0]), by_clocks);
	return clocks[COPY_TRIALS / 2];
}

static void choose(struct copier *copier)
{
	copier->chosen =
		median(copier->clocks[1]) < median(copier->clocks[0]) ? loops[1] : loops[0];
}

/* A copy that faults leaves its trial out: it is timed again with the next one. */
static void copy_timed(struct copier *copier, void *to, const void *from, size_t len)
{
	uint32_t loop = copier->n % COPY_LOOPS;
	uint64_t start = __builtin_ia32_rdtsc();

	loops[loop](to, from, len);
	uint64_t clocks = (__builtin_ia32_rdtsc() - start) * 1024 / len;
	copier->clocks[loop][copier->n / COPY_LOOPS] =
		clocks < UINT32_MAX ? (uint32_t)clocks : UINT32_MAX;
	if (++copier->n == COPY_LOOPS * COPY_TRIALS)
		choose(copier);
}

void copy_large(struct copier *copier, void *to, const void *from, size_t len)
{
	if (copier->chosen)
		copier->chosen(to, from, len);
	else if (__builtin_cpu_supports("avx2"))
		copy_timed(copier, to, from, len);
	else
		copier->chosen = copy_memcpy, memcpy(to, from, len);
}

#else

/* One loop only: the library's. */
void copy_large(struct copier *copier, void *to, const void *from, size_t len)
{
	(void)copier;
	memcpy(to, from, len);
}

#endif
