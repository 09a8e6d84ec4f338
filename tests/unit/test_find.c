/* SPDX-License-Identifier: MIT */
/*
 * The search kernel and the stream over it, compared with the naive way: every place, byte by byte. Patterns, masks,
 * alignments, bytes and where they are cut are random, and few of each, so that much of it matches.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "scan/stream.h"

#define BYTES_MAX 3000u
#define PATTERNS 5u
#define HITS_MAX (BYTES_MAX * PATTERNS)

static uint64_t seed = 1;

static uint64_t rnd(uint64_t below)
{
	/* Numerical Recipes, 7.1.4 */
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (seed >> 33) % below;
}

struct made {
	uint8_t bytes[64], mask[64];
	struct sonde_pattern pattern;
};

static void random_pattern(struct made *made, struct find *find)
{
	static const uint32_t aligns[] = { 0, 1, 1, 1, 2, 8, 64, 256 };
	static const uint8_t masks[] = { 0xff, 0xff, 0xff, 0x0f, 0x01, 0x00 };

	do {
		made->pattern = (struct sonde_pattern){ .bytes = made->bytes,
							.mask = rnd(2) ? made->mask : NULL,
							.len = 1 + (uint32_t)rnd(rnd(4) ? 4 : 64),
							.align = aligns[rnd(8)] };
		for (uint32_t i = 0; i < made->pattern.len; i++) {
			made->bytes[i] = (uint8_t)rnd(rnd(30) ? 2 : 256);
			made->mask[i] = masks[rnd(6)];
		}
	} while (!find_init(find, &made->pattern));
	find->wide &= rnd(4) != 0; /* the ways of other processors as well */
}

static bool matches(const struct made *made, const uint8_t *at, size_t len, uint64_t addr)
{
	const struct sonde_pattern *p = &made->pattern;

	if (p->len > len || (p->align && addr % p->align))
		return false;
	for (uint32_t i = 0; i < p->len; i++) {
		if ((at[i] ^ made->bytes[i]) & (p->mask ? made->mask[i] : 0xff))
			return false;
	}
	return true;
}

static void the_kernel_finds_what_is_there(void **state)
{
	struct made made;
	struct find find;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		random_pattern(&made, &find);
		size_t len = made.pattern.len + rnd(300);
		uint64_t addr = rnd(2) ? rnd(5000) : UINT64_MAX - len - rnd(100);
		uint8_t *bytes =
			malloc(len); /* no byte behind: a sanitizer sees what is read there */
		size_t n = len - made.pattern.len + 1;
		struct found found = { 0 };
		assert_non_null(bytes);
		for (size_t i = 0; i < len; i++)
			bytes[i] = (uint8_t)rnd(2);
		for (size_t i = 0; i < n; i++) {
			if (found.first == found.n && found.from < n)
				find_some(&find, bytes, n, addr, &found);
			bool got = found.first < found.n && found.at[found.first] == i;
			assert_int_equal(got, matches(&made, bytes + i, len - i, addr + i));
			found.first += got;
		}
		assert_true(found.first == found.n && found.from >= n);
		free(bytes);
	}
}

/* ---- the stream ------------------------------------------------------------------------------------ */

struct hits {
	struct sonde_scan_hit at[HITS_MAX];
	size_t n;
};

static int keep(void *user, const struct sonde_scan_hit *at, size_t n)
{
	struct hits *hits = user;

	assert_true(n && n <= HITS_MAX - hits->n);
	memcpy(hits->at + hits->n, at, n * sizeof(*at));
	hits->n += n;
	return 0;
}

struct run {
	struct made made[PATTERNS];
	struct find finds[PATTERNS];
	size_t n;
	uint8_t bytes[BYTES_MAX];
	uint8_t hole[BYTES_MAX]; /* not 0: not there */
	size_t len;
	uint64_t addr, last;
	struct stream stream;
	struct hits got, want;
};

static void search_naively(struct run *run)
{
	for (size_t at = 0; at < run->len; at++) {
		size_t there = 0;
		while (at + there < run->len && !run->hole[at + there])
			there++;
		for (size_t i = 0; i < run->n; i++) {
			struct sonde_scan_hit hit = { run->addr + at, (uint32_t)i, 0 };
			if (hit.addr <= run->last &&
			    matches(&run->made[i], run->bytes + at, there, hit.addr))
				keep(&run->want, &hit, 1);
		}
	}
}

/* In parts of random lengths, many shorter than a pattern; sometimes all of it once more, as after a fault. */
static void search_in_parts(struct run *run)
{
	bool again = rnd(3) == 0;

	for (size_t at = 0, n; at < run->len; at += n) {
		size_t there = 0;
		while (at + there < run->len && !run->hole[at + there])
			there++;
		n = there ? 1 + rnd(rnd(3) ? 8 : 500) : 1;
		if (there == 0)
			continue;
		n = n < there ? n : there;
		assert_int_equal(
			stream_feed(&run->stream, run->bytes + at, n, run->addr + at, rnd(2)), 0);
		if (again && at > run->len / 2) {
			stream_restart(&run->stream);
			again = false;
			at = n = 0;
		}
	}
	assert_int_equal(stream_flush(&run->stream), 0);
}

static void random_run(struct run *run)
{
	memset(run, 0, sizeof(*run));
	run->n = 1 + rnd(PATTERNS);
	run->stream = (struct stream){
		.finds = run->finds, .n = run->n, .hits = keep, .user = &run->got
	};
	for (size_t i = 0; i < run->n; i++) {
		random_pattern(&run->made[i], &run->finds[i]);
		if (run->finds[i].len > run->stream.longest)
			run->stream.longest = run->finds[i].len;
	}
	run->len = rnd(BYTES_MAX);
	run->addr = rnd(2) ? rnd(5000) : UINT64_MAX - (run->len ? run->len - 1 : 0);
	run->last = rnd(2) ? UINT64_MAX : run->addr + rnd(BYTES_MAX);
	run->stream.last = run->last;
	for (size_t i = 0; i < run->len; i++) {
		run->bytes[i] = (uint8_t)rnd(2);
		run->hole[i] = i && run->hole[i - 1] ? rnd(10) != 0 : rnd(200) == 0;
	}
}

static void a_stream_finds_each_once_and_in_order(void **state)
{
	struct run *run = malloc(sizeof(*run));

	(void)state;
	assert_non_null(run);
	for (unsigned round = 0; round < 2000; round++) {
		uint64_t began = seed;
		random_run(run);
		search_naively(run);
		search_in_parts(run);
		if (run->got.n != run->want.n ||
		    memcmp(run->got.at, run->want.at, run->want.n * sizeof(run->want.at[0])) != 0)
			fail_msg("seed %llu: %zu hits, want %zu", (unsigned long long)began,
				 run->got.n, run->want.n);
	}
	free(run);
}

static void what_no_bit_has_to_agree_with_is_no_pattern(void **state)
{
	const uint8_t bytes[4] = { 1, 2, 3, 4 }, mask[4] = { 0 };
	struct find find;

	(void)state;
	assert_false(find_init(&find, &(struct sonde_pattern){ bytes, mask, 4, 0 }));
	assert_true(find_init(&find, &(struct sonde_pattern){ bytes, NULL, 4, 0 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_finds_what_is_there),
		cmocka_unit_test(a_stream_finds_each_once_and_in_order),
		cmocka_unit_test(what_no_bit_has_to_agree_with_is_no_pattern),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
