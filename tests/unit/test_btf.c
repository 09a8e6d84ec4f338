/* SPDX-License-Identifier: MIT */
/* BTF blobs: what is read from a good one, and how each bad one is refused. */
#include "base/arena.h"
#include "synth/btf_blob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

/* A blob of the world in the byte order asked for; the fixture owns it. */
struct fixture {
	struct btf_build build;
	struct world world;
	struct arena arena;
	uint8_t *blob;
	size_t len;
	struct sonde_error err;
};

static void make(struct fixture *f, int other)
{
	*f = (struct fixture){ 0 };
	build_world(&f->build, &f->world);
	assert_false(f->build.failed);
	f->blob = btf_blob(&f->build, other, &f->len);
}

static void drop(struct fixture *f)
{
	free(f->blob);
	arena_finish(&f->arena);
	btf_build_finish(&f->build);
}

static void check_world(const struct btf *btf, const struct world *w)
{
	struct btf_type type;
	struct btf_member m;
	struct btf_enumerator e;
	struct btf_array a;

	assert_int_equal(btf->pointer_size, 8);
	assert_int_equal(btf_type_get(btf, w->thing, &type), 1);
	assert_string_equal(type.name, "thing");
	assert_int_equal(type.kind, BTF_STRUCT);
	assert_int_equal(type.size, 136);
	assert_int_equal(type.vlen, 8);
	btf_member_get(btf, &type, 3, &m);
	assert_string_equal(m.name, "links");
	assert_int_equal(m.type, w->arr4);
	assert_int_equal(m.bit_off, 24 * 8);
	assert_int_equal(m.bit_width, 0);

	btf_type_get(btf, w->bits_struct, &type);
	btf_member_get(btf, &type, 1, &m);
	assert_int_equal(m.bit_off, 3);
	assert_int_equal(m.bit_width, 5);

	btf_type_get(btf, w->arr4, &type);
	btf_array_get(btf, &type, &a);
	assert_int_equal(a.elem, w->list_head);
	assert_int_equal(a.n, 4);

	btf_type_get(btf, w->color, &type);
	btf_enumerator_get(btf, &type, 1, &e);
	assert_string_equal(e.name, "MINUS");
	assert_int_equal(e.value, -2);
	btf_type_get(btf, w->big_enum, &type);
	btf_enumerator_get(btf, &type, 0, &e);
	assert_true(e.value == INT64_C(0x123456789a));

	btf_type_get(btf, w->ptr_mm, &type);
	assert_int_equal(type.ref, w->fwd_mm);
	btf_type_get(btf, 0, &type);
	assert_int_equal(type.kind, BTF_VOID);
}

static void reads_both_byte_orders(void **state)
{
	(void)state;
	for (int other = BLOB_HOST_ORDER; other <= BLOB_OTHER_ORDER; other++) {
		struct fixture f;
		struct btf btf;
		make(&f, other);
		assert_int_equal(btf_total_size(f.blob), f.len);
		assert_int_equal(btf_open(f.blob, f.len, &f.arena, &btf, &f.err), 0);
		assert_int_equal(btf.n_types, f.world.fp + 1);
		check_world(&btf, &f.world);
		drop(&f);
	}
}

static void ignores_bytes_behind_the_sections(void **state)
{
	(void)state;
	struct fixture f;
	struct btf btf;

	make(&f, BLOB_HOST_ORDER);
	f.blob = realloc(f.blob, f.len + 100);
	memset(f.blob + f.len, 0xff, 100);
	assert_int_equal(btf_open(f.blob, f.len + 100, &f.arena, &btf, &f.err), 0);
	check_world(&btf, &f.world);
	drop(&f);
}

static void no_such_type_is_told(void **state)
{
	(void)state;
	struct fixture f;
	struct btf btf;
	struct btf_type type;

	make(&f, BLOB_HOST_ORDER);
	assert_int_equal(btf_open(f.blob, f.len, &f.arena, &btf, &f.err), 0);
	assert_int_equal(btf_type_get(&btf, btf.n_types, &type), 0);
	assert_int_equal(btf_type_get(&btf, UINT32_MAX, &type), 0);
	drop(&f);
}

/* Nothing shorter than the whole is taken; each copy is exactly that long, for the sanitizer. */
static void refuses_every_truncation(void **state)
{
	(void)state;
	struct fixture f;
	struct btf btf;

	make(&f, BLOB_HOST_ORDER);
	for (size_t len = 0; len < f.len; len++) {
		uint8_t *copy = malloc(len ? len : 1);
		memcpy(copy, f.blob, len);
		int r = btf_open(copy, len, &f.arena, &btf, &f.err);
		assert_true(r == SONDE_E_BAD_FORMAT || r == SONDE_E_CORRUPT);
		assert_int_equal(strncmp(f.err.text, "BTF: ", 5), 0);
		free(copy);
	}
	drop(&f);
}

/* A section cut short inside: the type section ends in the middle of a record, or on its edge. */
static void refuses_every_cut_of_the_type_section(void **state)
{
	(void)state;
	struct fixture f;
	struct btf btf;

	make(&f, BLOB_HOST_ORDER);
	for (uint32_t cut = 0; cut < f.build.types_len; cut++) {
		int edge = 0;
		memcpy(f.blob + 12, &cut, 4);
		for (size_t i = 1; i < f.build.n_types; i++)
			edge |= f.build.offsets[i] == cut;
		int r = btf_open(f.blob, f.len, &f.arena, &btf, &f.err);
		assert_int_equal(r, edge ? 0 : SONDE_E_CORRUPT);
	}
	drop(&f);
}

static void bad_headers_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		size_t off, len;
		uint32_t value;
		int want;
		const char *says;
	} cases[] = {
		{ "magic", 0, 2, 0x1234, SONDE_E_BAD_FORMAT, "magic" },
		{ "version", 2, 1, 9, SONDE_E_BAD_FORMAT, "version 9" },
		{ "header too short", 4, 4, 20, SONDE_E_BAD_FORMAT, "20 bytes of header" },
		{ "header too long", 4, 4, 0x7fffffff, SONDE_E_BAD_FORMAT, "of header" },
		{ "types off", 8, 4, 0xfffffff0, SONDE_E_CORRUPT, "types: section" },
		{ "types len wraps", 12, 4, 0xffffffff, SONDE_E_CORRUPT, "types: section" },
		{ "strings off", 16, 4, 0xfffffff0, SONDE_E_CORRUPT, "strings: section" },
		{ "strings len", 20, 4, 0xffffffff, SONDE_E_CORRUPT, "strings: section" },
		{ "no strings", 20, 4, 0, SONDE_E_CORRUPT, "strings" },
		{ "strings end early", 20, 4, 4, SONDE_E_CORRUPT, "do not end with NUL" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture f;
		struct btf btf;
		make(&f, BLOB_HOST_ORDER);
		memcpy(f.blob + cases[i].off, &cases[i].value, cases[i].len);
		int r = btf_open(f.blob, f.len, &f.arena, &btf, &f.err);
		if (r != cases[i].want || !strstr(f.err.text, cases[i].says))
			fail_msg("%s: got %d '%s', want %d '%s'", cases[i].name, r, f.err.text,
				 cases[i].want, cases[i].says);
		drop(&f);
	}
}

static void unknown_kind_is_named(void **state)
{
	(void)state;
	struct fixture f;
	struct btf btf;
	uint32_t info = 25u << 24;

	make(&f, BLOB_HOST_ORDER);
	memcpy(f.blob + BTF_HEADER_SIZE + f.build.offsets[3] + 4, &info, 4);
	assert_int_equal(btf_open(f.blob, f.len, &f.arena, &btf, &f.err), SONDE_E_BAD_FORMAT);
	assert_string_equal(f.err.text, "BTF: type 3: kind 25 is not known");
	drop(&f);
}

static void name_out_of_the_strings_is_named(void **state)
{
	(void)state;
	struct fixture f;
	struct btf btf;
	uint32_t off = (uint32_t)1 << 20;

	make(&f, BLOB_HOST_ORDER);
	memcpy(f.blob + BTF_HEADER_SIZE + f.build.offsets[2], &off, 4);
	assert_int_equal(btf_open(f.blob, f.len, &f.arena, &btf, &f.err), SONDE_E_CORRUPT);
	assert_string_equal(f.err.text, "BTF: type 2: its name is out of the strings");
	drop(&f);
}

static void member_name_out_of_the_strings_is_empty(void **state)
{
	(void)state;
	struct fixture f;
	struct btf btf;
	struct btf_type type;
	struct btf_member m;
	uint32_t off = UINT32_MAX;

	make(&f, BLOB_HOST_ORDER);
	memcpy(f.blob + BTF_HEADER_SIZE + f.build.offsets[f.world.thing] + 12, &off, 4);
	assert_int_equal(btf_open(f.blob, f.len, &f.arena, &btf, &f.err), 0);
	btf_type_get(&btf, f.world.thing, &type);
	btf_member_get(&btf, &type, 0, &m);
	assert_string_equal(m.name, "");
	drop(&f);
}

/* The strings of a module's BTF go on where those of the kernel end: no empty name comes first. */
static void split_btf_is_refused(void **state)
{
	(void)state;
	struct fixture f;
	struct btf btf;

	make(&f, BLOB_HOST_ORDER);
	f.blob[BTF_HEADER_SIZE + f.build.types_len] = 'x';
	assert_int_equal(btf_open(f.blob, f.len, &f.arena, &btf, &f.err), SONDE_E_UNSUPPORTED);
	assert_non_null(strstr(f.err.text, "split BTF"));
	drop(&f);
}

static void pointer_size_follows_long(void **state)
{
	(void)state;
	struct btf_build b = { 0 };
	struct arena arena = { 0 };
	struct btf btf;
	size_t len;

	btf_build_type(&b, BTF_INT, "long unsigned int", 0, 0, 4);
	btf_build_int(&b, 0, 0, 32);
	uint8_t *blob = btf_blob(&b, BLOB_HOST_ORDER, &len);
	assert_int_equal(btf_open(blob, len, &arena, &btf, NULL), 0);
	assert_int_equal(btf.pointer_size, 4);
	free(blob);
	arena_finish(&arena);
	btf_build_finish(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_both_byte_orders),
		cmocka_unit_test(ignores_bytes_behind_the_sections),
		cmocka_unit_test(no_such_type_is_told),
		cmocka_unit_test(refuses_every_truncation),
		cmocka_unit_test(refuses_every_cut_of_the_type_section),
		cmocka_unit_test(bad_headers_are_named),
		cmocka_unit_test(unknown_kind_is_named),
		cmocka_unit_test(name_out_of_the_strings_is_named),
		cmocka_unit_test(member_name_out_of_the_strings_is_empty),
		cmocka_unit_test(split_btf_is_refused),
		cmocka_unit_test(pointer_size_follows_long),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
