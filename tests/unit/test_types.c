/* SPDX-License-Identifier: MIT */
/* Types: names, sizes, members by path, C text; and records that lie about one another. */
#include "sym/types.h"
#include "synth/btf_blob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static struct world world;

static struct sonde_types *make_types(struct btf_build *b)
{
	struct sonde_types *types;
	size_t len;
	uint8_t *blob = btf_blob(b, BLOB_HOST_ORDER, &len);

	assert_false(b->failed);
	assert_int_equal(types_from_btf(blob, len, TYPES_COPY, "a test", &types, NULL), 0);
	free(blob);
	btf_build_finish(b);
	return types;
}

static int setup(void **state)
{
	struct btf_build b = { 0 };

	build_world(&b, &world);
	*state = make_types(&b);
	return 0;
}

static int teardown(void **state)
{
	types_destroy(*state);
	return 0;
}

static void finds_by_c_name(void **state)
{
	const struct sonde_types *types = *state;
	const struct {
		const char *name;
		uint32_t want; /* 0: none */
	} cases[] = {
		{ "struct thing", world.thing },
		{ "thing", world.thing },
		{ "struct  thing", world.thing },
		{ "pid_t", world.pid_t_ },
		{ "enum color", world.color },
		{ "big", world.big_enum },
		{ "atomic_t", world.typedef_anon },
		{ "int", world.int_ },
		{ "long unsigned int", world.ulong_ },
		{ "double", world.fp },
		{ "struct mm_struct", 0 }, /* only forward-declared */
		{ "mm_struct", 0 },
		{ "union thing", 0 },
		{ "struct pid_t", 0 },
		{ "struct ", 0 },
		{ "", 0 },
		{ "nothing", 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t id = 0;
		int r = sonde_type_find(types, cases[i].name, &id);
		if (r != (cases[i].want != 0) || id != cases[i].want)
			fail_msg("'%s': got %d, type %u; want type %u", cases[i].name, r, id,
				 cases[i].want);
	}
	assert_string_equal(sonde_types_source(types), "a test");
}

static void struct_wins_over_typedef_of_the_same_name(void **state)
{
	(void)state;
	struct btf_build b = { 0 };
	uint32_t id;

	uint32_t i = btf_build_type(&b, BTF_INT, "int", 0, 0, 4);
	btf_build_int(&b, 0, 0, 32);
	btf_build_type(&b, BTF_FWD, "twin", 0, 0, 0);
	uint32_t alias = btf_build_type(&b, BTF_TYPEDEF, "twin", 0, 0, i);
	uint32_t whole = btf_build_type(&b, BTF_STRUCT, "twin", 0, 0, 4);
	uint32_t only = btf_build_type(&b, BTF_TYPEDEF, "only", 0, 0, i);
	struct sonde_types *types = make_types(&b);
	assert_int_equal(sonde_type_find(types, "twin", &id), 1);
	assert_int_equal(id, whole);
	assert_int_not_equal(id, alias);
	assert_int_equal(sonde_type_find(types, "only", &id), 1);
	assert_int_equal(id, only);
	types_destroy(types);
}

static void sizes(void **state)
{
	const struct sonde_types *types = *state;

	assert_int_equal(sonde_type_size(types, world.thing), 136);
	assert_int_equal(sonde_type_size(types, world.pid_t_), 4);
	assert_int_equal(sonde_type_size(types, world.ptr_mm), 8);
	assert_int_equal(sonde_type_size(types, world.arr4), 64);
	assert_int_equal(sonde_type_size(types, world.arr2x4), 32);
	assert_int_equal(sonde_type_size(types, world.flex), 0);
	assert_int_equal(sonde_type_size(types, world.const_char), 1);
	assert_int_equal(sonde_type_size(types, 0), -1);
	assert_int_equal(sonde_type_size(types, world.fwd_mm), -1);
	assert_int_equal(sonde_type_size(types, world.proto), -1);
	assert_int_equal(sonde_type_size(types, UINT32_MAX), -1);
}

static void members_by_path(void **state)
{
	const struct sonde_types *types = *state;
	const struct {
		const char *path;
		int found;
		uint64_t bit_off, bit_size;
	} cases[] = {
		{ "flags", 1, 0, 64 },
		{ "mm", 1, 64, 64 },
		{ "pid", 1, 128, 32 },
		{ "lo", 1, 128, 32 },
		{ "hi", 1, 160, 32 },
		{ "links", 1, 192, 512 },
		{ "links[0]", 1, 192, 128 },
		{ "links[3].prev", 1, 192 + 3 * 128 + 64, 64 },
		{ "grid[1][2]", 1, 88 * 8 + 4 * 32 + 2 * 32, 32 },
		{ "grid[1]", 1, 88 * 8 + 4 * 32, 128 },
		{ "bits.a", 1, 960, 3 },
		{ "bits.b", 1, 963, 5 },
		{ "bits.c", 1, 992, 32 },
		{ "name[3]", 1, 131 * 8, 8 },
		{ "tail", 1, 132 * 8, 0 },
		{ "tail[5]", 1, 132 * 8 + 5 * 32, 32 },
		{ "links[4]", 0, 0, 0 },
		{ "links[", 0, 0, 0 },
		{ "links[]", 0, 0, 0 },
		{ "links[1", 0, 0, 0 },
		{ "links[-1]", 0, 0, 0 },
		{ "links[99999999999999999999]", 0, 0, 0 },
		{ "links[0]next", 0, 0, 0 },
		{ "links.next", 0, 0, 0 },
		{ "mm.pgd", 0, 0, 0 }, /* pointers are not followed */
		{ "flags[0]", 0, 0, 0 },
		{ "fla", 0, 0, 0 },
		{ "flagsx", 0, 0, 0 },
		{ "bits.", 0, 0, 0 },
		{ ".bits", 0, 0, 0 },
		{ "", 0, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sonde_member m = { 0 };
		int r = sonde_type_member(types, world.thing, cases[i].path, &m);
		if (r != cases[i].found || m.bit_off != cases[i].bit_off ||
		    m.bit_size != cases[i].bit_size)
			fail_msg("'%s': got %d, %llu+%llu", cases[i].path, r,
				 (unsigned long long)m.bit_off, (unsigned long long)m.bit_size);
	}
}

static void member_tells_its_type(void **state)
{
	const struct sonde_types *types = *state;
	struct sonde_member m;
	uint32_t to, elem, n;

	assert_int_equal(sonde_type_member(types, world.thing, "links[1].next", &m), 1);
	assert_int_equal(m.type, world.ptr_list);
	assert_int_equal(types_pointee(types, m.type, &to), 1);
	assert_int_equal(to, world.list_head);
	assert_int_equal(types_pointee(types, world.thing, &to), 0);
	assert_int_equal(types_array(types, world.arr4, &elem, &n), 1);
	assert_int_equal(elem, world.list_head);
	assert_int_equal(n, 4);
	assert_int_equal(types_kind(types, world.pid_t_), BTF_INT);
}

static void members_are_seen_through_typedefs(void **state)
{
	const struct sonde_types *types = *state;
	struct sonde_member m;

	assert_int_equal(sonde_type_member(types, world.typedef_anon, "counter", &m), 1);
	assert_int_equal(m.bit_size, 32);
	assert_int_equal(sonde_type_member(types, world.int_, "counter", &m), 0);
}

/* Before kflag, a bitfield's width and place were told by an INT type of its own. */
static void old_style_bitfields(void **state)
{
	(void)state;
	struct btf_build b = { 0 };
	struct sonde_member m;

	uint32_t narrow = btf_build_type(&b, BTF_INT, "unsigned int", 0, 0, 4);
	btf_build_int(&b, 0, 2, 3);
	uint32_t s = btf_build_type(&b, BTF_STRUCT, "old", 1, 0, 4);
	btf_build_member(&b, "f", narrow, 8);
	struct sonde_types *types = make_types(&b);
	assert_int_equal(sonde_type_member(types, s, "f", &m), 1);
	assert_int_equal(m.bit_off, 10);
	assert_int_equal(m.bit_size, 3);
	types_destroy(types);
}

static void enumerators(void **state)
{
	const struct sonde_types *types = *state;
	int64_t value;

	assert_int_equal(sonde_type_enumerator(types, "RED", &value), 1);
	assert_int_equal(value, 7);
	assert_int_equal(sonde_type_enumerator(types, "MINUS", &value), 1);
	assert_int_equal(value, -2);
	assert_int_equal(sonde_type_enumerator(types, "HUGE", &value), 1);
	assert_true(value == INT64_C(0x123456789a));
	assert_int_equal(sonde_type_enumerator(types, "BLUE", &value), 0);
	assert_int_equal(sonde_type_enumerator(types, "", &value), 0);
}

static void expect_print(const struct sonde_types *types, uint32_t id, const char *want)
{
	char text[4096];
	int len = sonde_type_print(types, id, text, sizeof(text));

	assert_string_equal(text, want);
	assert_int_equal(len, strlen(want));
	/* Any smaller buffer: the same length, a terminated beginning. */
	for (size_t cap = 0; cap <= strlen(want); cap++) {
		memset(text, 'x', sizeof(text));
		assert_int_equal(sonde_type_print(types, id, text, cap), len);
		if (cap) {
			assert_int_equal(strlen(text), cap - 1);
			assert_memory_equal(text, want, cap - 1);
		}
		assert_int_equal(text[cap], 'x');
	}
}

static void prints_structures_with_offsets(void **state)
{
	expect_print(*state, world.thing,
		     "struct thing {\n"
		     "\tlong unsigned int flags;                        /*     0       8 */\n"
		     "\tstruct mm_struct *mm;                           /*     8       8 */\n"
		     "\tunion {\n"
		     "\t\tpid_t pid;                              /*    16       4 */\n"
		     "\t\tstruct {\n"
		     "\t\t\tint lo;                         /*    16       4 */\n"
		     "\t\t\tint hi;                         /*    20       4 */\n"
		     "\t\t};                                      /*    16       8 */\n"
		     "\t};                                              /*    16       8 */\n"
		     "\tstruct list_head links[4];                      /*    24      64 */\n"
		     "\tint grid[2][4];                                 /*    88      32 */\n"
		     "\tstruct bits bits;                               /*   120       8 */\n"
		     "\tconst char name[4];                             /*   128       4 */\n"
		     "\tint tail[];                                     /*   132       0 */\n"
		     "}; /* size: 136, members: 8 */\n");
}

static void prints_bitfields_enums_and_functions(void **state)
{
	uint32_t ops;

	expect_print(*state, world.bits_struct,
		     "struct bits {\n"
		     "\tint a:3;                                        /*     0:0    3 bits */\n"
		     "\tint b:5;                                        /*     0:3    5 bits */\n"
		     "\tint c;                                          /*     4       4 */\n"
		     "}; /* size: 8, members: 3 */\n");
	expect_print(*state, world.color,
		     "enum color {\n\tRED = 7,\n\tMINUS = -2,\n}; /* size: 4, enumerators: 2 */\n");
	expect_print(*state, world.typedef_anon,
		     "typedef struct {\n"
		     "\tint counter;                                    /*     0       4 */\n"
		     "} atomic_t; /* size: 4, members: 1 */\n");
	expect_print(*state, world.pid_t_, "typedef int pid_t; /* size: 4 */\n");
	expect_print(*state, world.fwd_mm, "struct mm_struct; /* incomplete */\n");
	expect_print(*state, world.ptr_proto,
		     "int (*)(struct thing *, pid_t, ...); /* size: 8 */\n");
	assert_int_equal(sonde_type_find(*state, "struct ops", &ops), 1);
	expect_print(*state, ops,
		     "struct ops {\n"
		     "\tint (*call)(struct thing *, pid_t, ...);        /*     0       8 */\n"
		     "}; /* size: 8, members: 1 */\n");
}

static void print_refuses_what_is_no_type(void **state)
{
	char text[8] = "xxxxxxx";

	assert_int_equal(sonde_type_print(*state, UINT32_MAX, text, sizeof(text)), SONDE_E_BAD_ARG);
	assert_string_equal(text, "");
}

static void names_with_control_bytes_are_printed_harmless(void **state)
{
	(void)state;
	struct btf_build b = { 0 };
	uint32_t id = btf_build_type(&b, BTF_STRUCT, "a\033[31m\x9b", 0, 0, 0);
	struct sonde_types *types = make_types(&b);

	expect_print(types, id, "struct a?[31m? {\n}; /* size: 0, members: 0 */\n");
	types_destroy(types);
}

/* Chains without an end: each question comes back with "no". */
static void endless_chains_end(void **state)
{
	(void)state;
	struct btf_build b = { 0 };
	struct sonde_member m;
	char text[4096];

	uint32_t loop = btf_build_type(&b, BTF_TYPEDEF, "loop", 0, 0, 2);
	uint32_t back = btf_build_type(&b, BTF_CONST, "", 0, 0, 1);
	uint32_t array = btf_build_type(&b, BTF_ARRAY, "", 0, 0, 0);
	btf_build_array(&b, array, 1, 2);
	uint32_t ptr = btf_build_type(&b, BTF_PTR, "", 0, 0, 4);
	uint32_t proto = btf_build_type(&b, BTF_FUNC_PROTO, "", 2, 0, 5);
	btf_build_param(&b, "", 5);
	btf_build_param(&b, "", 5);
	struct sonde_types *types = make_types(&b);

	for (uint32_t id = loop; id <= proto; id++) {
		assert_int_equal(sonde_type_size(types, id), id == ptr ? 8 : -1);
		assert_int_equal(sonde_type_member(types, id, "x", &m), 0);
		int len = sonde_type_print(types, id, text, sizeof(text));
		assert_true(len > 0 && len < 4096);
	}
	assert_int_equal(types_kind(types, back), BTF_VOID);
	types_destroy(types);
}

/* Eight anonymous copies of itself in every structure: 8^16 members, were it not bounded. */
static void anonymous_structures_do_not_multiply(void **state)
{
	(void)state;
	struct btf_build b = { 0 };
	struct sonde_member m;

	uint32_t s = btf_build_type(&b, BTF_STRUCT, "", 8, 0, 8);
	for (int i = 0; i < 8; i++)
		btf_build_member(&b, "", s, 0);
	struct sonde_types *types = make_types(&b);
	assert_int_equal(sonde_type_member(types, s, "x", &m), 0);
	int len = sonde_type_print(types, s, NULL, 0);
	assert_true(len > 0 && len < 8 << 20);
	types_destroy(types);
}

static void members_outside_their_structure_are_none(void **state)
{
	(void)state;
	struct btf_build b = { 0 };
	struct sonde_member m;

	uint32_t i = btf_build_type(&b, BTF_INT, "int", 0, 0, 4);
	btf_build_int(&b, 0, 0, 32);
	uint32_t huge = btf_build_type(&b, BTF_ARRAY, "", 0, 0, 0);
	btf_build_array(&b, i, i, UINT32_MAX);
	uint32_t huger = btf_build_type(&b, BTF_ARRAY, "", 0, 0, 0);
	btf_build_array(&b, huge, i, UINT32_MAX);
	uint32_t s = btf_build_type(&b, BTF_STRUCT, "s", 5, 0, 8);
	btf_build_member(&b, "in", i, 32);
	btf_build_member(&b, "half", i, 48);
	btf_build_member(&b, "out", i, 0xffffffe0);
	btf_build_member(&b, "huge", huge, 0);
	btf_build_member(&b, "nothing", 9999, 0);
	struct sonde_types *types = make_types(&b);

	assert_int_equal(sonde_type_member(types, s, "in", &m), 1);
	assert_int_equal(sonde_type_member(types, s, "half", &m), 0);
	assert_int_equal(sonde_type_member(types, s, "out", &m), 0);
	assert_int_equal(sonde_type_member(types, s, "huge", &m), 0);
	assert_int_equal(sonde_type_member(types, s, "nothing", &m), 0);
	assert_true(sonde_type_size(types, huge) == INT64_C(4) * UINT32_MAX);
	assert_int_equal(sonde_type_size(types, huger), -1); /* overflows */
	types_destroy(types);
}

/* long open(const char *path, struct how *how, bool once, enum color c, struct how by_value, unsigned char mode, ...) */
static void functions_tell_their_parameters(void **state)
{
	(void)state;
	struct btf_build b = { 0 };
	struct sonde_parameter got;
	uint32_t id, loop;

	build_world(&b, &world);
	uint32_t bool_ = btf_build_type(&b, BTF_INT, "_Bool", 0, 0, 1);
	btf_build_int(&b, BTF_INT_BOOL, 0, 8);
	uint32_t byte = btf_build_type(&b, BTF_INT, "unsigned char", 0, 0, 1);
	btf_build_int(&b, 0, 0, 8);
	uint32_t user = btf_build_type(&b, BTF_TYPE_TAG, "user", 0, 0, world.const_char);
	uint32_t path = btf_build_type(&b, BTF_PTR, "", 0, 0, user);
	uint32_t bytes = btf_build_type(&b, BTF_PTR, "", 0, 0, byte);
	uint32_t proto = btf_build_type(&b, BTF_FUNC_PROTO, "", 9, 0, world.int_);
	btf_build_param(&b, "path", path);
	btf_build_param(&b, "mm", world.ptr_mm);
	btf_build_param(&b, "once", bool_);
	btf_build_param(&b, "c", world.color);
	btf_build_param(&b, "links", world.list_head);
	btf_build_param(&b, "bytes", bytes);
	btf_build_param(&b, "pid", world.pid_t_);
	btf_build_param(&b, "lies", 0xffffff);
	btf_build_param(&b, "", 0);
	btf_build_type(&b, BTF_FUNC, "open", 1, 0, proto);
	btf_build_type(&b, BTF_FUNC, "odd", 1, 0, world.int_);
	btf_build_type(&b, BTF_FUNC, "far", 1, 0, 0xffffff);
	loop = btf_build_type(&b, BTF_TYPEDEF, "loop", 0, 0, 0);
	struct sonde_types *types = make_types(&b);

	static const struct sonde_parameter want[] = {
		{ "path", "", 8, SONDE_VALUE_TEXT },
		{ "mm", "mm_struct", 8, SONDE_VALUE_POINTER },
		{ "once", "", 1, SONDE_VALUE_BOOL },
		{ "c", "", 4, SONDE_VALUE_ENUM },
		{ "links", "", 16, SONDE_VALUE_OTHER },
		{ "bytes", "", 8, SONDE_VALUE_POINTER },
		{ "pid", "", 4, SONDE_VALUE_SIGNED },
		{ "lies", "", 0, SONDE_VALUE_OTHER },
	};
	assert_int_equal(sonde_function_find(types, "open", &id), 1);
	for (uint32_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_int_equal(sonde_function_parameter(types, id, i, &got), 1);
		if (strcmp(got.name, want[i].name) != 0 ||
		    strcmp(got.points_to, want[i].points_to) != 0 || got.size != want[i].size ||
		    got.kind != want[i].kind)
			fail_msg("%u: got %s to '%s', %u bytes, kind %u", i, got.name,
				 got.points_to, (unsigned)got.size, got.kind);
	}
	assert_int_equal(sonde_function_parameter(types, id, 8, &got), 0); /* "..." */
	assert_int_equal(sonde_function_parameter(types, id, 9, &got), 0);
	assert_int_equal(sonde_function_parameter(types, id, UINT32_MAX, &got), 0);
	assert_int_equal(sonde_function_find(types, "odd", &id), 1);
	assert_int_equal(sonde_function_parameter(types, id, 0, &got), 0);
	assert_int_equal(sonde_function_find(types, "far", &id), 1);
	assert_int_equal(sonde_function_parameter(types, id, 0, &got), 0);
	assert_int_equal(sonde_function_parameter(types, loop, 0, &got), 0);
	assert_int_equal(sonde_function_parameter(types, UINT32_MAX, 0, &got), 0);
	assert_int_equal(sonde_function_find(types, "thing", &id), 0);
	assert_int_equal(sonde_function_find(types, "", &id), 0);
	types_destroy(types);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(finds_by_c_name, setup, teardown),
		cmocka_unit_test(struct_wins_over_typedef_of_the_same_name),
		cmocka_unit_test_setup_teardown(sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(members_by_path, setup, teardown),
		cmocka_unit_test_setup_teardown(member_tells_its_type, setup, teardown),
		cmocka_unit_test_setup_teardown(members_are_seen_through_typedefs, setup, teardown),
		cmocka_unit_test(old_style_bitfields),
		cmocka_unit_test_setup_teardown(enumerators, setup, teardown),
		cmocka_unit_test_setup_teardown(prints_structures_with_offsets, setup, teardown),
		cmocka_unit_test_setup_teardown(prints_bitfields_enums_and_functions, setup,
						teardown),
		cmocka_unit_test_setup_teardown(print_refuses_what_is_no_type, setup, teardown),
		cmocka_unit_test(names_with_control_bytes_are_printed_harmless),
		cmocka_unit_test(endless_chains_end),
		cmocka_unit_test(anonymous_structures_do_not_multiply),
		cmocka_unit_test(members_outside_their_structure_are_none),
		cmocka_unit_test(functions_tell_their_parameters),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
