/* SPDX-License-Identifier: MIT */
/* Extents: overlaps, lies about files, the ends of the address space, and a slow oracle. */
#include "fake.h"
#include "space/extents.h"

#define MEMORY ((void *)0x10000)

static void add(struct extents *extents, uint64_t addr, uint64_t len, int32_t err)
{
	struct sonde_extent e = {
		.addr = addr, .len = len, .kind = SONDE_EXTENT_ABSENT, .err = err
	};
	assert_int_equal(extents_add(extents, &e), 0);
}

static int32_t at(const struct extents *extents, uint64_t addr, uint64_t *ret_gap)
{
	size_t hint = 0;
	const struct extent *e = extents_find(extents, addr, &hint, ret_gap);

	if (e)
		assert_true(e->addr <= addr && addr <= e->last);
	return e ? e->err : 0;
}

static void the_first_told_wins(void **state)
{
	struct extents extents = { 0 };
	uint64_t gap;

	(void)state;
	add(&extents, 100, 10, -1);
	add(&extents, 90, 100, -2);
	add(&extents, 95, 10, -3);
	add(&extents, 185, 10, -4);
	assert_int_equal(extents_seal(&extents), 0);
	assert_int_equal(at(&extents, 90, &gap), -2);
	assert_int_equal(at(&extents, 99, &gap), -2);
	assert_int_equal(at(&extents, 100, &gap), -1);
	assert_int_equal(at(&extents, 109, &gap), -1);
	assert_int_equal(at(&extents, 110, &gap), -2);
	assert_int_equal(at(&extents, 189, &gap), -2);
	assert_int_equal(at(&extents, 190, &gap), -4);
	assert_int_equal(at(&extents, 195, &gap), 0);
	assert_true(gap == 0);
	assert_int_equal(at(&extents, 80, &gap), 0);
	assert_true(gap == 10);
	extents_finish(&extents);
}

static void the_last_byte_of_the_address_space_is_reached(void **state)
{
	struct extents extents = { 0 };
	uint64_t gap;

	(void)state;
	add(&extents, UINT64_MAX - 15, 16, -1);
	add(&extents, 0, UINT64_MAX, -2);
	assert_int_equal(extents_seal(&extents), 0);
	assert_int_equal(at(&extents, UINT64_MAX, &gap), -1);
	assert_int_equal(at(&extents, UINT64_MAX - 16, &gap), -2);
	assert_int_equal(at(&extents, 0, &gap), -2);
	assert_int_equal(extents.n, 2);
	extents_finish(&extents);
}

static void bad_ones_are_refused(void **state)
{
	static const struct sonde_extent bad[] = {
		{ .addr = 1, .len = 0, .kind = SONDE_EXTENT_ZERO },
		{ .addr = 2, .len = UINT64_MAX, .kind = SONDE_EXTENT_ZERO },
		{ .addr = UINT64_MAX, .len = 2, .kind = SONDE_EXTENT_ZERO },
		{ .addr = 1, .len = 1, .kind = 0 },
		{ .addr = 1, .len = 1, .kind = 5 },
		{ .addr = 1, .len = 1, .kind = SONDE_EXTENT_MEMORY },
	};
	struct extents extents = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(extents_add(&extents, &bad[i]), SONDE_E_BAD_ARG);
	assert_int_equal(extents.n, 0);
	extents_finish(&extents);
}

static void no_file_reaches_beyond_its_largest_offset(void **state)
{
	struct sonde_extent half = { .addr = 0x1000,
				     .len = 0x2000,
				     .kind = SONDE_EXTENT_FILE,
				     .off = (uint64_t)INT64_MAX - 0xfff,
				     .fd = 3 };
	struct sonde_extent none = { .addr = 0x8000,
				     .len = UINT64_MAX - 0x8000,
				     .kind = SONDE_EXTENT_FILE,
				     .off = UINT64_MAX,
				     .fd = 3 };
	struct extents extents = { 0 };
	size_t hint = 0;
	uint64_t gap;

	(void)state;
	assert_int_equal(extents_add(&extents, &half), 0);
	assert_int_equal(extents_add(&extents, &none), 0);
	assert_int_equal(extents_seal(&extents), 0);
	const struct extent *e = extents_find(&extents, 0x1000, &hint, &gap);
	assert_int_equal(e->kind, SONDE_EXTENT_FILE);
	assert_true(e->off + (e->last - e->addr) <= INT64_MAX);
	e = extents_find(&extents, 0x2fff, &hint, &gap);
	assert_int_equal(e->kind, SONDE_EXTENT_ABSENT);
	assert_int_equal(e->err, SONDE_E_TRUNCATED);
	assert_int_equal(at(&extents, 0x8000, &gap), SONDE_E_TRUNCATED);
	extents_finish(&extents);
}

static void neighbours_of_one_kind_become_one(void **state)
{
	struct extents extents = { 0 };
	struct sonde_extent a = {
		.addr = 0, .len = 16, .kind = SONDE_EXTENT_MEMORY, .ptr = MEMORY
	};
	struct sonde_extent b = {
		.addr = 16, .len = 16, .kind = SONDE_EXTENT_MEMORY, .ptr = (char *)MEMORY + 16
	};
	struct sonde_extent c = {
		.addr = 32, .len = 16, .kind = SONDE_EXTENT_MEMORY, .ptr = MEMORY
	};

	(void)state;
	extents_add(&extents, &c);
	extents_add(&extents, &b);
	extents_add(&extents, &a);
	assert_int_equal(extents_seal(&extents), 0);
	assert_int_equal(extents.n, 2);
	assert_true(extents.at[0].last == 31);
	extents_finish(&extents);
}

static void nothing_told_is_all_hole(void **state)
{
	struct extents extents = { 0 };
	uint64_t gap = 7;

	(void)state;
	assert_int_equal(extents_seal(&extents), 0);
	assert_int_equal(at(&extents, 0, &gap), 0);
	assert_true(gap == 0);
	extents_finish(&extents);
}

/* Many random overlapping extents against a byte map. */
static void the_sweep_agrees_with_a_byte_map(void **state)
{
	enum { SPAN = 400, EXTENTS = 40 };

	(void)state;
	for (unsigned seed = 1; seed <= 200; seed++) {
		struct extents extents = { 0 };
		int32_t map[SPAN] = { 0 };
		srand(seed);
		for (int i = 0; i < EXTENTS; i++) {
			int from = rand() % SPAN, len = 1 + rand() % (rand() % 2 ? 5 : 60);
			len = from + len > SPAN ? SPAN - from : len;
			add(&extents, (uint64_t)from, (uint64_t)len, -1 - i);
			for (int k = from; k < from + len; k++)
				map[k] = map[k] ? map[k] : -1 - i;
		}
		assert_int_equal(extents_seal(&extents), 0);
		for (int k = 0; k < SPAN; k++) {
			uint64_t gap;
			if (at(&extents, (uint64_t)k, &gap) != map[k])
				fail_msg("seed %u, byte %d: got %d, want %d", seed, k,
					 at(&extents, (uint64_t)k, &gap), map[k]);
		}
		for (size_t i = 1; i < extents.n; i++)
			assert_true(extents.at[i - 1].last < extents.at[i].addr);
		extents_finish(&extents);
	}
}

/* What the search says, by looking at each. */
static const struct extent *look_through(const struct extents *extents, uint64_t addr,
					 uint64_t *ret_gap)
{
	for (size_t i = 0; i < extents->n; i++) {
		const struct extent *e = &extents->at[i];
		if (e->last < addr)
			continue;
		*ret_gap = e->addr - addr;
		return e->addr <= addr ? e : NULL;
	}
	*ret_gap = 0;
	return NULL;
}

static void check_search(const struct extents *extents, uint64_t addr, size_t *hint)
{
	uint64_t gap = 0, want_gap = 0;
	const struct extent *want = look_through(extents, addr, &want_gap);

	assert_ptr_equal(extents_find(extents, addr, hint, &gap), want);
	if (!want)
		assert_true(gap == want_gap);
}

/* Thousands, spread over few and over many addresses, up to the last one of all. */
static void a_search_among_many_agrees_with_looking_at_each(void **state)
{
	static const uint64_t spans[] = { 1 << 12, UINT64_C(1) << 36, UINT64_MAX };

	(void)state;
	for (unsigned round = 0; round < 9; round++) {
		struct extents extents = { 0 };
		uint64_t seed = round + 1, span = spans[round % 3];
		size_t hint = 0;
		for (int i = 0; i < 1500; i++) {
			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
			/* Half of them close together. */
			uint64_t addr = (seed >> 7) % span >> (i % 2 ? 0 : 12);
			uint64_t len = 1 + (seed >> 40) % (span / 3000 + 1);
			add(&extents, addr, len - 1 > UINT64_MAX - addr ? 1 : len, -1);
		}
		add(&extents, span - 3, span == UINT64_MAX ? 4 : 3, -2);
		assert_int_equal(extents_seal(&extents), 0);
		assert_non_null(extents.index);
		for (size_t i = 0; i < extents.n; i++) {
			const struct extent *e = &extents.at[i];
			check_search(&extents, e->addr, &hint);
			check_search(&extents, e->last, &hint);
			check_search(&extents, e->addr - 1, &hint);
			check_search(&extents, e->last + 1, &hint);
		}
		for (int i = 0; i < 3000; i++) {
			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
			check_search(&extents, seed >> 5 >> (i % 60), &hint);
		}
		extents_finish(&extents);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_told_wins),
		cmocka_unit_test(the_last_byte_of_the_address_space_is_reached),
		cmocka_unit_test(bad_ones_are_refused),
		cmocka_unit_test(no_file_reaches_beyond_its_largest_offset),
		cmocka_unit_test(neighbours_of_one_kind_become_one),
		cmocka_unit_test(nothing_told_is_all_hole),
		cmocka_unit_test(the_sweep_agrees_with_a_byte_map),
		cmocka_unit_test(a_search_among_many_agrees_with_looking_at_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
