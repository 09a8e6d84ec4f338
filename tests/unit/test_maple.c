/* SPDX-License-Identifier: MIT */
/* Maple trees written by hand: what is found, in how many trips, and what a hostile tree costs. */
#include "linux/maple.h"

#include "kmem.h"

/* struct maple_node of v6.1, 64-bit. */
#define TYPE(t) ((uint64_t)(t) << 3 | 4)
enum { DENSE, LEAF_64, RANGE_64, ARANGE_64 };
#define ROOT 2u
#define R64_PIVOT 8u
#define R64_SLOT 128u
#define A64_PIVOT 8u
#define A64_SLOT 80u
#define ENTRY(n) (KMEM_BASE + 0x80000 + 64 * (uint64_t)(n))
#define ZERO_ENTRY UINT64_C(0x406) /* XA_ZERO_ENTRY */

static const struct layout layout = {
	.maple_node_size = 256,
	.mn_r64_pivot = { R64_PIVOT, 120 },
	.mn_r64_slot = { R64_SLOT, 128 },
	.mn_a64_pivot = { A64_PIVOT, 72 },
	.mn_a64_slot = { A64_SLOT, 80 },
	.mn_alloc_slot = { 8, 248 },
};

static uint64_t node_new(struct kmem *k, uint32_t type)
{
	return kmem_new(k, 256) | TYPE(type);
}

static void set(struct kmem *k, uint64_t node, uint32_t i, uint64_t slot, uint64_t pivot)
{
	uint64_t at = node & ~UINT64_C(255);
	bool arange = (node >> 3 & 15) == ARANGE_64;

	kmem_put64(k, at + (arange ? A64_SLOT : R64_SLOT) + 8 * i, slot);
	if (i < (arange ? 9u : 15u))
		kmem_put64(k, at + (arange ? A64_PIVOT : R64_PIVOT) + 8 * i, pivot);
}

static void collect(struct kmem *k, uint64_t root, struct maple_entries *ret)
{
	k->trips = 0;
	assert_int_equal(maple_collect(k->loop, k->lx.os.kernel_memory, &layout, root, ret), 0);
	assert_int_equal(k->trips, ret->levels);
}

static void expect(struct maple_entries *got, size_t n, uint32_t levels, int32_t err)
{
	assert_int_equal(got->n, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(got->items[i], ENTRY(i));
	assert_int_equal(got->levels, levels);
	assert_int_equal(got->err, err);
	free(got->items);
}

static void a_tree_without_node_is_empty_or_one_entry(void **state)
{
	struct maple_entries got;

	collect(*state, 0, &got);
	expect(&got, 0, 0, 0);
	collect(*state, ENTRY(0), &got);
	expect(&got, 1, 0, 0);
	collect(*state, ZERO_ENTRY, &got);
	expect(&got, 0, 0, 0);
}

static void a_leaf_gives_entries_and_skips_gaps(void **state)
{
	struct kmem *k = *state;
	struct maple_entries got;
	uint64_t leaf = node_new(k, LEAF_64);

	set(k, leaf, 0, 0, 0x3ff);
	set(k, leaf, 1, ENTRY(0), 0x4ff);
	set(k, leaf, 2, ZERO_ENTRY, 0x5ff);
	set(k, leaf, 3, ENTRY(1), 0x6ff);
	set(k, leaf, 4, 0, 0);        /* no pivot: the last      */
	set(k, leaf, 5, ENTRY(9), 0); /* left behind, not in use */
	collect(k, leaf | ROOT, &got);
	expect(&got, 2, 1, 0);
}

/* The place of the sixteenth slot holds the number of slots when there are fewer. */
static void the_last_slot_is_an_entry_only_when_all_are_used(void **state)
{
	struct kmem *k = *state;
	struct maple_entries got;
	uint64_t leaf = node_new(k, LEAF_64);

	for (uint32_t i = 0; i < 15; i++)
		set(k, leaf, i, ENTRY(i), 0x100 * (i + 1));
	set(k, leaf, 15, ENTRY(15), 0);
	collect(k, leaf | ROOT, &got);
	expect(&got, 16, 1, 0);
	set(k, leaf, 14, ENTRY(14), UINT64_MAX);
	collect(k, leaf | ROOT, &got);
	expect(&got, 15, 1, 0);
}

static uint64_t two_leaves(struct kmem *k, uint32_t type, uint64_t *ret_second)
{
	uint64_t top = node_new(k, type), a = node_new(k, LEAF_64), b = node_new(k, LEAF_64);

	set(k, top, 0, a, 0xfff);
	set(k, top, 1, b, UINT64_MAX);
	set(k, a, 0, ENTRY(0), 0x7ff);
	set(k, a, 1, ENTRY(1), 0xfff);
	set(k, b, 0, 0, 0x1fff);
	set(k, b, 1, ENTRY(2), 0x2fff);
	*ret_second = b;
	return top;
}

static void levels_cost_a_trip_each(void **state)
{
	struct maple_entries got;
	uint64_t second;

	collect(*state, two_leaves(*state, ARANGE_64, &second) | ROOT, &got);
	expect(&got, 3, 2, 0);
	collect(*state, two_leaves(*state, RANGE_64, &second) | ROOT, &got);
	expect(&got, 3, 2, 0);
}

static void dense_nodes_have_no_pivots(void **state)
{
	struct kmem *k = *state;
	struct maple_entries got;
	uint64_t dense = node_new(k, DENSE);

	for (uint32_t i = 0; i < 31; i++)
		kmem_put64(k, (dense & ~UINT64_C(255)) + 8 + 8 * i, ENTRY(i));
	collect(k, dense | ROOT, &got);
	expect(&got, 31, 1, 0);
}

static void an_unreadable_leaf_leaves_the_others(void **state)
{
	struct kmem *k = *state;
	struct maple_entries got;
	uint64_t second, top = two_leaves(k, ARANGE_64, &second);

	set(k, top, 1, KMEM_HOLE | TYPE(LEAF_64), UINT64_MAX);
	collect(k, top | ROOT, &got);
	assert_int_equal(got.err_addr, KMEM_HOLE);
	expect(&got, 2, 2, SONDE_E_NOT_MAPPED);
}

static void links_that_are_no_nodes_are_damage(void **state)
{
	static const uint64_t bad[] = {
		0,                                       /* none                       */
		0x400000 | TYPE(LEAF_64),                /* user memory                */
		(KMEM_BASE + 0x800) | TYPE(7),           /* no such type               */
		(KMEM_BASE + 0x800) | TYPE(LEAF_64) | 1, /* a value, no pointer */
	};
	struct kmem *k = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct maple_entries got;
		uint64_t second, top = two_leaves(k, ARANGE_64, &second);
		set(k, top, 1, bad[i], UINT64_MAX);
		collect(k, top | ROOT, &got);
		expect(&got, 2, 2, SONDE_E_CORRUPT);
	}
}

static void a_tree_that_contains_itself_ends(void **state)
{
	struct kmem *k = *state;
	struct maple_entries got;
	uint64_t second, top = two_leaves(k, ARANGE_64, &second);

	for (uint32_t i = 1; i < 10; i++)
		set(k, top, i, top, 0x1000 * (uint64_t)i + 0xfff);
	collect(k, top | ROOT, &got);
	assert_int_equal(got.n_damaged, 9);
	assert_int_equal(got.err_addr, top & ~UINT64_C(255));
	expect(&got, 2, 2, SONDE_E_CORRUPT);
}

static void a_chain_of_nodes_ends_at_the_height_limit(void **state)
{
	struct kmem *k = *state;
	struct maple_entries got;
	uint64_t top = node_new(k, RANGE_64), at = top;

	for (uint32_t i = 0; i < 2 * MAPLE_LEVELS_MAX; i++) {
		uint64_t next = node_new(k, RANGE_64);
		set(k, at, 0, next, UINT64_MAX);
		at = next;
	}
	collect(k, top | ROOT, &got);
	expect(&got, 0, MAPLE_LEVELS_MAX, SONDE_E_LIMIT);
}

/* A freed node is its own parent; what it still holds is given, and marked. */
static void a_dead_node_is_damage(void **state)
{
	struct kmem *k = *state;
	struct maple_entries got;
	uint64_t leaf = node_new(k, LEAF_64);

	set(k, leaf, 0, ENTRY(0), UINT64_MAX);
	kmem_put64(k, leaf & ~UINT64_C(255), leaf & ~UINT64_C(255));
	collect(k, leaf | ROOT, &got);
	expect(&got, 1, 1, SONDE_E_CORRUPT);
}

static void a_layout_that_does_not_fit_the_node_is_refused(void **state)
{
	struct kmem *k = *state;
	struct maple_entries got;
	struct layout bad[] = { layout, layout, layout };

	bad[0].mn_r64_slot.size = 0;
	bad[1].mn_a64_slot.off = 250;
	bad[2].maple_node_size = 1 << 20;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(maple_collect(k->loop, k->lx.os.kernel_memory, &bad[i],
					       node_new(k, LEAF_64) | ROOT, &got),
				 SONDE_E_NO_TYPES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kmem_setup, kmem_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_tree_without_node_is_empty_or_one_entry),
		TEST(a_leaf_gives_entries_and_skips_gaps),
		TEST(the_last_slot_is_an_entry_only_when_all_are_used),
		TEST(levels_cost_a_trip_each),
		TEST(dense_nodes_have_no_pivots),
		TEST(an_unreadable_leaf_leaves_the_others),
		TEST(links_that_are_no_nodes_are_damage),
		TEST(a_tree_that_contains_itself_ends),
		TEST(a_chain_of_nodes_ends_at_the_height_limit),
		TEST(a_dead_node_is_damage),
		TEST(a_layout_that_does_not_fit_the_node_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
