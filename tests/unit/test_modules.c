/* SPDX-License-Identifier: MIT */
/* Lists and trees of modules written by hand: order, trips, circles, what one has and the other
 * not. */
#include "kmem.h"

/* struct module, made smaller; mod_tree_node lies in it as in v6.1. */
#define STATE 0u
#define LIST 8u
#define NAME 24u
#define KALLSYMS 80u
#define BASE 88u
#define SIZE 96u
#define INIT 100u
#define REFS 104u
#define NODE 112u /* struct mod_tree_node: mod, then node[2] */

static const struct layout layout = {
	.module_state = { STATE, 4 },
	.module_list = { LIST, 16 },
	.module_name = { NAME, 56 },
	.module_kallsyms = { KALLSYMS, 8 },
	.module_core_base = { BASE, 8 },
	.module_core_size = { SIZE, 4 },
	.module_init_size = { INIT, 4 },
	.module_refcnt = { REFS, 4 },
	.modtree_tree = { 8, 16 },
	.modnode_mod = { 0, 8 },
	.modnode_node = { 8, 48 },
	.rb_right = { 8, 8 },
	.rb_left = { 16, 8 },
	.mkall_symtab = { 0, 8 },
	.mkall_num_symtab = { 8, 4 },
	.mkall_strtab = { 16, 8 },
	.mkall_typetab = { 24, 8 },
};

/* `modules` and `mod_tree`; the list is empty, and so is the tree. */
struct roots {
	uint64_t list, tree;
};

static struct roots roots_new(struct kmem *k)
{
	struct roots roots = { kmem_new(k, 16), kmem_new(k, 32) };

	k->lx.layout = layout;
	kmem_put64(k, roots.list, roots.list);
	kmem_symbol(k, "modules", roots.list);
	kmem_symbol(k, "mod_tree", roots.tree);
	assert_int_equal(symbols_seal(k->symbols), 0);
	return roots;
}

static uint64_t module_new(struct kmem *k, const char *name)
{
	uint64_t m = kmem_new(k, 256);

	kmem_put(k, m + NAME, name, strlen(name));
	kmem_put64(k, m + BASE, UINT64_C(0xffffffffc0000000) + (m & 0xfffff));
	kmem_put32(k, m + SIZE, 0x3000);
	kmem_put32(k, m + INIT, 0x1000);
	kmem_put32(k, m + REFS, 3);
	return m;
}

/* Put m between the head and what is first. */
static void link_first(struct kmem *k, const struct roots *roots, uint64_t m)
{
	uint64_t first;

	memcpy(&first, k->bytes + (roots->list - KMEM_BASE), 8);
	kmem_put64(k, m + LIST, first);
	kmem_put64(k, roots->list, m + LIST);
}

/* One node of the tree; its children are nodes, or 0. */
static uint64_t tree_node(struct kmem *k, uint64_t m, uint64_t left, uint64_t right)
{
	uint64_t node = m + NODE + 8;

	kmem_put64(k, m + NODE, m);
	kmem_put64(k, node + 8, right);
	kmem_put64(k, node + 16, left);
	return node;
}

static struct sonde_modules *list(struct kmem *k)
{
	struct sonde_modules *got = calloc(1, sizeof(*got));
	struct sonde_error err;

	k->trips = 0;
	if (linux_modules(&k->lx.os, got, &err) < 0)
		fail_msg("%s", err.text);
	return got;
}

static void expect_names(struct sonde_modules *got, const char *const *names, size_t n)
{
	assert_int_equal(got->n, n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(got->items[i].name, names[i]);
}

static void a_kernel_without_modules_has_an_empty_list(void **state)
{
	roots_new(*state);
	struct sonde_modules *got = list(*state);

	assert_int_equal(got->n, 0);
	assert_null(got->damage);
	sonde_modules_destroy(got);
}

static void a_module_is_told_whole(void **state)
{
	struct kmem *k = *state;
	struct roots roots = roots_new(k);
	uint64_t m = module_new(k, "loop");

	link_first(k, &roots, m);
	kmem_put32(k, m + STATE, 1);
	struct sonde_modules *got = list(k);
	assert_int_equal(got->n, 1);
	assert_int_equal(got->items[0].addr, m);
	assert_int_equal(got->items[0].base, UINT64_C(0xffffffffc0000000) + (m & 0xfffff));
	assert_int_equal(got->items[0].size, 0x4000);
	assert_int_equal(got->items[0].refs, 2);
	assert_string_equal(got->items[0].state, "coming");
	assert_int_equal(got->items[0].err, 0);
	sonde_modules_destroy(got);
}

static void parts_of_newer_kernels_are_added_up(void **state)
{
	struct kmem *k = *state;
	struct roots roots = roots_new(k);
	uint64_t m = module_new(k, "loop");

	k->lx.layout.module_mem = (struct field){ 128, 7 * 16 };
	k->lx.layout.module_mem_size = 16;
	k->lx.layout.modmem_base = (struct field){ 0, 8 };
	k->lx.layout.modmem_size = (struct field){ 8, 4 };
	link_first(k, &roots, m);
	for (uint32_t i = 0; i < 7; i++) {
		kmem_put64(k, m + 128 + 16 * i, UINT64_C(0xffffffffc0100000) + 0x10000 * i);
		kmem_put32(k, m + 128 + 16 * i + 8, 0x1000 * (i + 1));
	}
	struct sonde_modules *got = list(k);
	assert_int_equal(got->items[0].base, UINT64_C(0xffffffffc0100000));
	assert_int_equal(got->items[0].size, 0x1000 * 28);
	sonde_modules_destroy(got);
}

static void the_list_alone_costs_a_trip_a_module(void **state)
{
	static const char *const names[] = { "c", "b", "a" };
	struct kmem *k = *state;
	struct roots roots = roots_new(k);

	link_first(k, &roots, module_new(k, "a"));
	link_first(k, &roots, module_new(k, "b"));
	link_first(k, &roots, module_new(k, "c"));
	struct sonde_modules *got = list(k);
	expect_names(got, names, 3);
	assert_int_equal(k->trips, 4);
	sonde_modules_destroy(got);
}

/* 127 modules in a full tree of 7 levels: roots, levels, all modules at once. The order stays the
 * list's. */
static void the_tree_saves_the_trips(void **state)
{
	struct kmem *k = *state;
	struct roots roots = roots_new(k);
	uint64_t m[128], node[256] = { 0 };
	char name[16];

	for (int i = 1; i < 128; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		m[i] = module_new(k, name);
		link_first(k, &roots, m[i]);
	}
	for (int i = 127; i > 0; i--)
		node[i] = tree_node(k, m[i], node[2 * i], node[2 * i + 1]);
	kmem_put64(k, roots.tree + 8, node[1]);
	struct sonde_modules *got = list(k);
	assert_int_equal(got->n, 127);
	assert_null(got->damage);
	for (int i = 0; i < 127; i++)
		assert_int_equal(got->items[i].addr, m[127 - i]);
	assert_int_equal(k->trips, 9);
	sonde_modules_destroy(got);
}

static void a_module_hidden_from_the_list_is_told(void **state)
{
	static const char *const names[] = { "shown", "rootkit" };
	struct kmem *k = *state;
	struct roots roots = roots_new(k);
	uint64_t shown = module_new(k, "shown"), hidden = module_new(k, "rootkit");

	link_first(k, &roots, shown);
	kmem_put64(k, roots.tree + 8, tree_node(k, shown, tree_node(k, hidden, 0, 0), 0));
	struct sonde_modules *got = list(k);
	expect_names(got, names, 2);
	assert_non_null(strstr(got->damage, "'rootkit'"));
	sonde_modules_destroy(got);
}

static void a_tree_that_lies_costs_nothing_but_the_trips(void **state)
{
	static const char *const names[] = { "a" };
	struct kmem *k = *state;
	struct roots roots = roots_new(k);
	uint64_t a = module_new(k, "a");
	uint64_t node = tree_node(k, a, 0, KMEM_HOLE);

	link_first(k, &roots, a);
	tree_node(k, a, node, KMEM_HOLE); /* its own child */
	kmem_put64(k, roots.tree + 8, node);
	struct sonde_modules *got = list(k);
	expect_names(got, names, 1);
	assert_null(got->damage);
	sonde_modules_destroy(got);
}

static void a_circle_ends_the_list(void **state)
{
	static const char *const names[] = { "b", "a" };
	struct kmem *k = *state;
	struct roots roots = roots_new(k);
	uint64_t a = module_new(k, "a"), b = module_new(k, "b");

	link_first(k, &roots, a);
	link_first(k, &roots, b);
	kmem_put64(k, a + LIST, b + LIST);
	struct sonde_modules *got = list(k);
	expect_names(got, names, 2);
	assert_non_null(strstr(got->damage, "circle"));
	sonde_modules_destroy(got);
}

static void links_out_of_memory_end_the_list(void **state)
{
	static const uint64_t bad[] = { KMEM_HOLE + LIST, 0x1000, 0, UINT64_MAX };
	struct kmem *k = *state;
	struct roots roots = roots_new(k);
	uint64_t a = module_new(k, "a");

	link_first(k, &roots, a);
	for (size_t i = 0; i < 4; i++) {
		kmem_put64(k, a + LIST, bad[i]);
		struct sonde_modules *got = list(k);
		/* The one in the hole is listed, with its error. */
		assert_int_equal(got->n, i == 0 ? 2 : 1);
		assert_int_equal(got->items[got->n - 1].err, i == 0 ? SONDE_E_NOT_MAPPED : 0);
		assert_non_null(got->damage);
		sonde_modules_destroy(got);
	}
}

static void without_a_head_there_is_an_error(void **state)
{
	struct kmem *k = *state;
	struct sonde_modules got = { 0 };
	struct sonde_error err;

	k->lx.layout = layout;
	assert_int_equal(linux_modules(&k->lx.os, &got, &err), SONDE_E_NO_TYPES);
	kmem_symbol(k, "modules", KMEM_HOLE);
	k->lx.os.symbols = symbols_create(0, 0);
	assert_int_equal(symbols_add(k->lx.os.symbols, KMEM_HOLE, 'D', "modules", 7, 0), 0);
	assert_int_equal(linux_modules(&k->lx.os, &got, &err), SONDE_E_NOT_MAPPED);
	symbols_destroy(k->lx.os.symbols);
}

/* ---- symbols ----------------------------------------------------------------------------------
 */

static void put_sym(struct kmem *k, uint64_t at, uint32_t name, uint8_t info, uint16_t shndx,
		    uint64_t value)
{
	kmem_put32(k, at, name);
	kmem_put(k, at + 4, &info, 1);
	kmem_put(k, at + 6, &shndx, 2);
	kmem_put64(k, at + 8, value);
}

/* Four entries: none, a local function, a global object, an undefined one. */
static uint64_t symbols_of(struct kmem *k, uint64_t m)
{
	static const char strings[] = "\0fn\0object\0undefined";
	uint64_t table = kmem_new(k, 32), syms = kmem_new(k, 96), names = kmem_new(k, 64);
	uint64_t types = kmem_new(k, 8);

	put_sym(k, syms + 24, 1, 2, 1, 0xffffffffc0000010);
	put_sym(k, syms + 48, 4, 0x11, 1, 0xffffffffc0000020);
	put_sym(k, syms + 72, 11, 0x10, 0, 0);
	kmem_put(k, names, strings, sizeof(strings));
	kmem_put(k, types, "?tdU", 4);
	kmem_put64(k, table, syms);
	kmem_put32(k, table + 8, 4);
	kmem_put64(k, table + 16, names);
	kmem_put64(k, table + 24, types);
	kmem_put64(k, m + KALLSYMS, table);
	return table;
}

static int add_symbols(struct kmem *k, struct sonde_symbols **ret)
{
	*ret = symbols_create(0, 0);
	int n = linux_module_symbols(&k->lx, *ret);
	assert_int_equal(symbols_seal(*ret), 0);
	return n;
}

static void modules_bring_symbols(void **state)
{
	struct kmem *k = *state;
	struct roots roots = roots_new(k);
	uint64_t m = module_new(k, "loop");
	struct sonde_symbols *symbols;
	struct sonde_symbol got;

	link_first(k, &roots, m);
	symbols_of(k, m);
	assert_int_equal(add_symbols(k, &symbols), 2);
	assert_true(sonde_symbol_find(symbols, "fn", &got));
	assert_int_equal(got.addr, 0xffffffffc0000010);
	assert_int_equal(got.type, 't');
	assert_string_equal(got.module, "loop");
	assert_true(sonde_symbol_find(symbols, "object", &got));
	assert_int_equal(got.type, 'D');
	symbols_destroy(symbols);
}

static void symbol_tables_that_lie_are_left_out(void **state)
{
	struct kmem *k = *state;
	struct roots roots = roots_new(k);
	uint64_t bad = module_new(k, "bad"), good = module_new(k, "good");
	uint64_t table = symbols_of(k, bad);
	struct sonde_symbols *symbols;

	symbols_of(k, good);
	link_first(k, &roots, bad);
	link_first(k, &roots, good);
	for (uint32_t n = 5; n; n *= 16) { /* behind the fourth lie zeroes, then other things */
		kmem_put32(k, table + 8, n);
		assert_true(add_symbols(k, &symbols) >= 2);
		symbols_destroy(symbols);
	}
	kmem_put32(k, table + 8, 4);
	kmem_put64(k, table, KMEM_HOLE);
	assert_int_equal(add_symbols(k, &symbols), 2);
	symbols_destroy(symbols);
	kmem_put64(k, bad + KALLSYMS, KMEM_HOLE);
	assert_int_equal(add_symbols(k, &symbols), 2);
	symbols_destroy(symbols);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kmem_setup, kmem_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_kernel_without_modules_has_an_empty_list),
		TEST(a_module_is_told_whole),
		TEST(parts_of_newer_kernels_are_added_up),
		TEST(the_list_alone_costs_a_trip_a_module),
		TEST(the_tree_saves_the_trips),
		TEST(a_module_hidden_from_the_list_is_told),
		TEST(a_tree_that_lies_costs_nothing_but_the_trips),
		TEST(a_circle_ends_the_list),
		TEST(links_out_of_memory_end_the_list),
		TEST(without_a_head_there_is_an_error),
		TEST(modules_bring_symbols),
		TEST(symbol_tables_that_lie_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
