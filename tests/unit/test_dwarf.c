/* SPDX-License-Identifier: MIT */
/*
 * Types from DWARF of several versions, against what the compiler itself says of them.
 *
 * Arguments: the object files of types_fixture.c, one per DWARF version.
 */
#include "sym/types.h"
#include "sym/vmlinux.h"
#include "synth/types_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static char **objects;
static int n_objects;

#define PLACE(member)                                                                              \
	{                                                                                          \
#member, 8 * offsetof(struct fixture_thing, member),                               \
			8 * sizeof(((struct fixture_thing *)0)->member)                            \
	}

static const struct {
	const char *path;
	uint64_t bit_off, bit_size;
} places[] = {
	PLACE(flags),
	PLACE(elsewhere),
	PLACE(pid),
	PLACE(lo),
	PLACE(hi),
	PLACE(links),
	PLACE(links[3].prev),
	PLACE(grid[1][2]),
	PLACE(grid[1]),
	PLACE(count),
	PLACE(count.counter),
	PLACE(node),
	PLACE(text),
	PLACE(color),
	PLACE(ratio),
	PLACE(yes),
	PLACE(call),
	{ "tail", 8 * offsetof(struct fixture_thing, tail), 0 },
	{ "narrow", 8 * offsetof(struct fixture_thing, grid) + 8 * sizeof(int[2][3]), 3 },
	{ "wide", 8 * offsetof(struct fixture_thing, grid) + 8 * sizeof(int[2][3]) + 3, 11 },
};

static struct vmlinux *open_object(int i)
{
	struct vmlinux *v = NULL;
	struct sonde_error err = { 0 };

	if (vmlinux_open(objects[i], &v, &err) < 0)
		fail_msg("%s", err.text);
	return v;
}

static struct sonde_types *open_types(const struct vmlinux *v)
{
	struct sonde_types *types = NULL;
	struct sonde_error err = { 0 };

	if (vmlinux_types(v, &types, &err) < 0)
		fail_msg("%s", err.text);
	return types;
}

static void dwarf_agrees_with_the_compiler(void **state)
{
	(void)state;
	for (int i = 0; i < n_objects; i++) {
		struct vmlinux *v = open_object(i);
		struct sonde_types *types = open_types(v);
		struct sonde_member m;
		uint32_t id;
		assert_int_equal(sonde_type_find(types, "struct fixture_thing", &id), 1);
		assert_int_equal(sonde_type_size(types, id), sizeof(struct fixture_thing));
		for (size_t k = 0; k < sizeof(places) / sizeof(places[0]); k++) {
			if (!sonde_type_member(types, id, places[k].path, &m) ||
			    m.bit_off != places[k].bit_off || m.bit_size != places[k].bit_size)
				fail_msg("%s: '%s' at %llu+%llu, want %llu+%llu", objects[i],
					 places[k].path, (unsigned long long)m.bit_off,
					 (unsigned long long)m.bit_size,
					 (unsigned long long)places[k].bit_off,
					 (unsigned long long)places[k].bit_size);
		}
		assert_non_null(strstr(sonde_types_source(types), "': DWARF"));
		types_destroy(types);
		vmlinux_close(v);
	}
}

static void dwarf_names_and_enumerators(void **state)
{
	(void)state;
	for (int i = 0; i < n_objects; i++) {
		struct vmlinux *v = open_object(i);
		struct sonde_types *types = open_types(v);
		int64_t value;
		uint32_t id;
		assert_int_equal(sonde_type_enumerator(types, "FIXTURE_MINUS", &value), 1);
		assert_int_equal(value, -2);
		assert_int_equal(sonde_type_enumerator(types, "FIXTURE_SECOND", &value), 1);
		assert_int_equal(value, 42);
		assert_int_equal(sonde_type_enumerator(types, "FIXTURE_HUGE", &value), 1);
		assert_true(value == 0x123456789aLL);
		assert_int_equal(sonde_type_enumerator(types, "FIXTURE_NONE", &value), 0);
		assert_int_equal(sonde_type_find(types, "struct fixture_elsewhere", &id), 0);
		assert_int_equal(sonde_type_find(types, "fixture_nothing", &id), 0);
		assert_int_equal(sonde_type_find(types, "fixture_atomic_t", &id), 1);
		assert_int_equal(sonde_type_size(types, id), 4);
		assert_int_equal(sonde_type_find(types, "double", &id), 1);
		assert_int_equal(sonde_type_size(types, id), 8);
		types_destroy(types);
		vmlinux_close(v);
	}
}

/* Pointed to first, found whole later: the forward record must not hide the real one. */
static void dwarf_type_behind_a_pointer_is_found_whole(void **state)
{
	(void)state;
	struct vmlinux *v = open_object(0);
	struct sonde_types *types = open_types(v);
	struct sonde_member m;
	uint32_t id, to;

	assert_int_equal(sonde_type_find(types, "struct fixture_thing", &id), 1);
	assert_int_equal(sonde_type_member(types, id, "node", &m), 1);
	assert_int_equal(types_pointee(types, m.type, &to), 1);
	assert_int_equal(sonde_type_size(types, to), -1);
	assert_int_equal(sonde_type_find(types, "fixture_node_t", &id), 1);
	assert_int_equal(sonde_type_size(types, id), sizeof(fixture_node_t));
	assert_int_equal(sonde_type_find(types, "struct fixture_node", &id), 1);
	assert_int_equal(sonde_type_member(types, id, "self", &m), 1);
	assert_int_equal(m.bit_off, 64);
	types_destroy(types);
	vmlinux_close(v);
}

static void dwarf_prints_as_c(void **state)
{
	(void)state;
	struct vmlinux *v = open_object(0);
	struct sonde_types *types = open_types(v);
	char text[4096];
	uint32_t id;

	assert_int_equal(sonde_type_find(types, "struct fixture_thing", &id), 1);
	assert_true(sonde_type_print(types, id, text, sizeof(text)) < (int)sizeof(text));
	/* No line of what compilers order differently: qualifiers, "long unsigned". */
	static const char *const lines[] = {
		"\tstruct fixture_elsewhere *elsewhere;",
		"\tstruct fixture_list links[4];",
		"\tint grid[2][3];",
		"\tunsigned int narrow:3;",
		"\tfixture_atomic_t count;",
		"\tint (*call)(struct fixture_thing *, struct fixture_node *, ",
		" tail[];",
	};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (!strstr(text, lines[i]))
			fail_msg("no '%s' in:\n%s", lines[i], text);
	}
	types_destroy(types);
	vmlinux_close(v);
}
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dwarf_agrees_with_the_compiler),
		cmocka_unit_test(dwarf_names_and_enumerators),
		cmocka_unit_test(dwarf_type_behind_a_pointer_is_found_whole),
		cmocka_unit_test(dwarf_prints_as_c),
	};
	objects = argv + 1;
	n_objects = argc - 1;
	if (!n_objects) {
		fprintf(stderr, "usage: %s OBJECT...\n", argv[0]);
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
