/* SPDX-License-Identifier: MIT */
#include "scan/find.h"

#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define PROBE_ALIGN 64u /* from here on most bytes need not be looked at */

/*
 * How common a byte is in memory, roughly: zeros and their complement fill it, then come text, small numbers, and
 * the prefixes, moves and paddings of x86-64 code.
 */
static unsigned commonness(uint8_t byte)
{
	static const uint8_t code[] = { 0x48, 0x8b, 0x89, 0xe8, 0x0f, 0x24, 0x4c, 0x90, 0xcc };

	if (byte == 0)
		return 6;
	if (byte == 0xff)
		return 5;
	if (byte <= 0x10 || memchr(code, byte, sizeof(code)))
		return 4;
	if (byte == ' ' || (byte >= 'a' && byte <= 'z'))
		return 3;
	if (byte >= 0x20 && byte < 0x7f)
		return 2;
	return 1;
}

static uint8_t care_of(const struct find *find, uint32_t i)
{
	return find->mask ? find->mask[i] : 0xff;
}

/* Bits that are not cared for count most: such a byte lets many through. */
static unsigned cost(const struct find *find, uint32_t i)
{
	unsigned free_bits = 8 - (unsigned)__builtin_popcount(care_of(find, i));

	return 16 * free_bits + commonness(find->bytes[i]);
}

static void choose(struct find *find)
{
	uint32_t best = 0, second;

	for (uint32_t i = 1; i < find->len; i++) {
		if (cost(find, i) < cost(find, best))
			best = i;
	}
	second = best ? 0 : find->len - 1;
	for (uint32_t i = 0; i < find->len; i++) {
		if (i != best && cost(find, i) < cost(find, second))
			second = i;
	}
	find->at[0] = best;
	find->at[1] = second;
	for (unsigned k = 0; k < 2; k++) {
		find->care[k] = care_of(find, find->at[k]);
		find->value[k] = find->bytes[find->at[k]] & find->care[k];
	}
}

bool find_init(struct find *find, const struct sonde_pattern *pattern)
{
	*find = (struct find){ .bytes = pattern->bytes,
			       .mask = pattern->mask,
			       .len = pattern->len,
			       .align = pattern->align ? pattern->align : 1 };
	choose(find);
#if defined(__x86_64__)
	find->wide = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
#endif
	find->enough = find->len <= 2 && find->align == 1;
	return find->care[0] != 0;
}

static bool agrees(const struct find *find, const uint8_t *at, uint64_t addr)
{
	if (addr & (find->align - 1))
		return false;
	if (!find->mask)
		return memcmp(at, find->bytes, find->len) == 0;
	for (uint32_t i = 0; i < find->len; i++) {
		if ((at[i] ^ find->bytes[i]) & find->mask[i])
			return false;
	}
	return true;
}

/* false: there is room for no more. */
static inline bool add(struct found *found, size_t at)
{
	found->at[found->n++] = at;
	found->from = at + 1;
	return found->n < FOUND_MAX;
}

/* Few places come into question. */
static void probe(const struct find *find, const uint8_t *bytes, size_t n, uint64_t addr,
		  struct found *found)
{
	size_t i = found->from + (size_t)(-(addr + found->from) & (find->align - 1));

	for (; i < n; i += find->align) {
		if (agrees(find, bytes + i, addr + i) && !add(found, i))
			return;
	}
	found->from = n;
}

/* One byte that has to agree as a whole: the C library looks for it. */
static void by_memchr(const struct find *find, const uint8_t *bytes, size_t n, uint64_t addr,
		      struct found *found)
{
	const uint8_t *base = bytes + find->at[0];

	for (size_t i = found->from; i < n; i++) {
		const uint8_t *hit = memchr(base + i, find->value[0], n - i);
		if (!hit)
			break;
		i = (size_t)(hit - base);
		if (agrees(find, bytes + i, addr + i) && !add(found, i))
			return;
	}
	found->from = n;
}

static void one_by_one(const struct find *find, const uint8_t *bytes, size_t n, uint64_t addr,
		       struct found *found)
{
	for (size_t i = found->from; i < n; i++) {
		if ((bytes[i + find->at[0]] & find->care[0]) == find->value[0] &&
		    agrees(find, bytes + i, addr + i) && !add(found, i))
			return;
	}
	found->from = n;
}

#if defined(__x86_64__)

#define STEP 64u
/*
 * The processor's own prefetch stops at the end of a page, and while hits are told it has nothing to go by; this one
 * goes on, far enough for both.
 */
#define AHEAD 6144u

struct wide {
	__m256i value[2], care[2];
};

__attribute__((target("avx2"))) static inline __m256i agree(const struct wide *wide, unsigned k,
							    const uint8_t *at)
{
	__m256i x = _mm256_loadu_si256((const __m256i *)(const void *)at);

	return _mm256_cmpeq_epi8(_mm256_and_si256(x, wide->care[k]), wide->value[k]);
}

/* A bit for each of 32 places where both bytes agree, or the one there is. */
__attribute__((target("avx2"))) static inline uint32_t places(const struct wide *wide,
							      const uint8_t *a, const uint8_t *b)
{
	__m256i x = agree(wide, 0, a);

	if (a != b)
		x = _mm256_and_si256(x, agree(wide, 1, b));
	return (uint32_t)_mm256_movemask_epi8(x);
}

/*
 * Where some places come into question: looked for in one loop and looked at in another, for whether a step has any
 * is guessed wrong nearly as often as it has.
 */
#define STEPS_MAX 64u

struct steps {
	uint32_t n;
	uint64_t places[STEPS_MAX]; /* [n], none of it 0 */
	size_t at[STEPS_MAX];
};

/* From i on, until as many places as are wanted are there, or a few steps are done. Returns where the next begins. */
__attribute__((target("avx2,popcnt"))) static inline __attribute__((always_inline)) size_t look(
	const struct wide *wide, const uint8_t *a, const uint8_t *b, size_t i, size_t n,
	uint32_t wanted, struct steps *steps)
{
	size_t most = (n - i) / STEP, end = i + STEP * (most < STEPS_MAX ? most : STEPS_MAX);

	steps->n = 0;
	for (uint32_t found = 0; i < end && found < wanted; i += STEP) {
		_mm_prefetch((const char *)a + i + AHEAD, _MM_HINT_T2);
		uint64_t here = places(wide, a + i, b + i) |
				(uint64_t)places(wide, a + i + 32, b + i + 32) << 32;
		steps->places[steps->n] = here;
		steps->at[steps->n] = i;
		steps->n += here != 0;
		found += (uint32_t)__builtin_popcountll(here);
	}
	return i;
}

/* false: there is room for no more. */
static inline bool take(const struct find *find, const uint8_t *bytes, uint64_t addr,
			const struct steps *steps, struct found *found)
{
	for (uint32_t k = 0; k < steps->n; k++) {
		for (uint64_t here = steps->places[k]; here; here &= here - 1) {
			size_t at = steps->at[k] + (size_t)__builtin_ctzll(here);
			if ((find->enough || agrees(find, bytes + at, addr + at)) &&
			    !add(found, at))
				return false;
		}
	}
	return true;
}

__attribute__((target("avx2,popcnt"))) static void by_vectors(const struct find *find,
							      const uint8_t *bytes, size_t n,
							      uint64_t addr, struct found *found)
{
	const uint8_t *a = bytes + find->at[0], *b = bytes + find->at[1];
	struct wide wide;
	struct steps steps;
	size_t i = found->from;

	for (unsigned k = 0; k < 2; k++) {
		wide.value[k] = _mm256_set1_epi8((char)find->value[k]);
		wide.care[k] = _mm256_set1_epi8((char)find->care[k]);
	}
	while (n - i >= STEP) {
		uint32_t room = FOUND_MAX - found->n;
		i = a == b ? look(&wide, a, a, i, n, room, &steps)
			   : look(&wide, a, b, i, n, room, &steps);
		if (!take(find, bytes, addr, &steps, found))
			return;
	}
	found->from = i;
	one_by_one(find, bytes, n, addr, found);
}

#else

static void by_vectors(const struct find *find, const uint8_t *bytes, size_t n, uint64_t addr,
		       struct found *found)
{
	one_by_one(find, bytes, n, addr, found);
}

#endif

void find_some(const struct find *find, const uint8_t *bytes, size_t n, uint64_t addr,
	       struct found *found)
{
	found->n = found->first = 0;
	if (find->align >= PROBE_ALIGN)
		probe(find, bytes, n, addr, found);
	else if (find->wide)
		by_vectors(find, bytes, n, addr, found);
	else if (find->care[0] == 0xff)
		by_memchr(find, bytes, n, addr, found);
	else
		one_by_one(find, bytes, n, addr, found);
}
