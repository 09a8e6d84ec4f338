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

#define INTERVAL_MIN 64u /* copies between two choices: what is cold at first is warm soon */
#define INTERVAL_MAX 4096u

#define CLOCKS_MAX (1u << 24)

static void choose(struct copy_choice *choice)
{
	uint32_t interval = choice->interval ? 2 * choice->interval : INTERVAL_MIN;

	for (uint32_t i = 0; i < COPY_LOOPS; i++)
		choice->score[i] =
			choice->score[i] - choice->score[i] / 4 + median(choice->clocks[i]);
	choice->chosen = choice->score[1] < choice->score[0] ? loops[1] : loops[0];
	choice->n = 0;
	choice->n_left = choice->interval = interval < INTERVAL_MAX ? interval : INTERVAL_MAX;
}

/*
 * Each loop several times in a row, for what it leaves in the caches is paid for by the next copies. One that faults
 * leaves its trial out: it is timed again with the next one.
 */
static void copy_timed(struct copy_choice *choice, void *to, const void *from, size_t len)
{
	uint32_t loop = choice->n / COPY_TRIALS;
	uint64_t start = __builtin_ia32_rdtsc();

	loops[loop](to, from, len);
	uint64_t clocks = (__builtin_ia32_rdtsc() - start) * 1024 / len;
	choice->clocks[loop][choice->n % COPY_TRIALS] =
		clocks < CLOCKS_MAX ? (uint32_t)clocks : CLOCKS_MAX;
	if (++choice->n == COPY_LOOPS * COPY_TRIALS)
		choose(choice);
}

void copy_large(struct copier *copier, void *to, const void *from, size_t len)
{
	struct copy_choice *choice = len < COPY_HUGE ? &copier->large : &copier->huge;

	if (choice->n_left) {
		choice->n_left--;
		choice->chosen(to, from, len);
	} else if (__builtin_cpu_supports("avx2")) {
		copy_timed(choice, to, from, len);
	} else {
		choice->chosen = copy_memcpy;
		choice->n_left = UINT32_MAX;
		memcpy(to, from, len);
	}
}

#else

/* One loop only: the library's. */
void copy_large(struct copier *copier, void *to, const void *from, size_t len)
{
	(void)copier;
	memcpy(to, from, len);
}

#endif
