/* SPDX-License-Identifier: MIT */
/*
 * Types and symbols from files given by --symbols: an object's symbols and build id, a bare BTF
 * file, an ELF with .BTF, files that are none of these, files that lie. test_dwarf.c has DWARF.
 *
 * Argument: an object file of types_fixture.c.
 */
#include "sym/elf_file.h"
#include "sym/symbols.h"
#include "sym/types.h"
#include "sym/vmlinux.h"
#include "synth/btf_blob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static const char *object;

static struct vmlinux *open_object(void)
{
	struct vmlinux *v = NULL;
	struct sonde_error err = { 0 };

	if (vmlinux_open(object, &v, &err) < 0)
		fail_msg("%s", err.text);
	return v;
}

#ifndef HAVE_DWARF
static void without_elfutils_dwarf_says_what_to_do(void **state)
{
	(void)state;
	struct vmlinux *v = open_object();
	struct sonde_types *types = NULL;
	struct sonde_error err;

	assert_int_equal(vmlinux_types(v, &types, &err), SONDE_E_UNSUPPORTED);
	assert_non_null(strstr(err.text, "built without elfutils"));
	assert_null(types);
	vmlinux_close(v);
}
#endif

static void symbols_slide_with_the_kernel(void **state)
{
	(void)state;
	const uint64_t slide = 0x1000000;
	struct vmlinux *v = open_object();
	struct sonde_symbols *still, *moved;
	struct sonde_symbol a, b;
	static const struct {
		const char *name, *letters;
	} want[] = {
		{ "fixture_of", "T" },
		{ "fixture_local_data", "d" },
		{ "fixture_global_data", "BD" },
	};

	assert_int_equal(vmlinux_symbols(v, 0, &still, NULL), 0);
	assert_int_equal(vmlinux_symbols(v, slide, &moved, NULL), 0);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(sonde_symbol_find(still, want[i].name, &a), 1);
		assert_int_equal(sonde_symbol_find(moved, want[i].name, &b), 1);
		assert_true(b.addr == a.addr + slide);
		assert_non_null(strchr(want[i].letters, a.type));
	}
	symbols_destroy(still);
	symbols_destroy(moved);
	vmlinux_close(v);
}

static void build_id_is_read(void **state)
{
	(void)state;
	struct vmlinux *v = open_object();
	struct vmlinux_id id;

	vmlinux_build_id(v, &id);
	/* -Wl,--build-id=0x... of the fixture */
	static const uint8_t want[] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef };
	assert_int_equal(id.len, sizeof(want));
	assert_memory_equal(id.bytes, want, sizeof(want));
	vmlinux_close(v);
}

/* --- files made here ------------------------------------------------------------------------ */

static void write_file(char path[64], const void *bytes, size_t len)
{
	strcpy(path, "/tmp/sonde-test-XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

static uint8_t *world_blob(struct world *w, size_t *ret_len)
{
	struct btf_build b = { 0 };

	build_world(&b, w);
	uint8_t *blob = btf_blob(&b, BLOB_HOST_ORDER, ret_len);
	btf_build_finish(&b);
	return blob;
}

static void bare_btf_file_gives_types(void **state)
{
	(void)state;
	struct world w;
	size_t len;
	uint8_t *blob = world_blob(&w, &len);
	char path[64];
	struct vmlinux *v;
	struct sonde_types *types;
	struct sonde_symbols *symbols;
	struct sonde_error err;
	uint32_t id;

	write_file(path, blob, len);
	assert_int_equal(vmlinux_open(path, &v, &err), 0);
	assert_int_equal(vmlinux_types(v, &types, &err), 0);
	assert_int_equal(sonde_type_find(types, "struct thing", &id), 1);
	assert_non_null(strstr(sonde_types_source(types), "': BTF"));
	assert_int_equal(vmlinux_symbols(v, 0, &symbols, &err), SONDE_E_NOT_FOUND);
	types_destroy(types);
	vmlinux_close(v);
	unlink(path);
	free(blob);
}

static void put(uint8_t *at, uint64_t value, unsigned size, int big)
{
	for (unsigned i = 0; i < size; i++)
		at[i] = (uint8_t)(value >> 8 * (big ? size - 1 - i : i));
}

/* An ELF of either class and byte order with one section besides the names: .BTF. */
static uint8_t *elf_with_btf(int is_64, int big, const uint8_t *btf, size_t btf_len,
			     size_t *ret_len)
{
	static const char names[] = "\0.BTF\0.names";
	size_t header = is_64 ? 64 : 52, each = is_64 ? 64 : 40;
	size_t names_off = header, btf_off = 128, sections = (btf_off + btf_len + 7) & ~(size_t)7;
	uint8_t *elf = calloc(1, sections + 3 * each);
	unsigned word = is_64 ? 8 : 4;

	memcpy(elf, "\177ELF", 4);
	elf[4] = is_64 ? 2 : 1;
	elf[5] = big ? 2 : 1;
	put(elf + (is_64 ? 40 : 32), sections, word, big);
	put(elf + (is_64 ? 58 : 46), each, 2, big);
	put(elf + (is_64 ? 60 : 48), 3, 2, big);
	put(elf + (is_64 ? 62 : 50), 2, 2, big);
	memcpy(elf + names_off, names, sizeof(names));
	memcpy(elf + btf_off, btf, btf_len);
	for (unsigned i = 1; i < 3; i++) {
		uint8_t *h = elf + sections + i * each;
		put(h, i == 1 ? 1 : 6, 4, big);
		put(h + 4, i == 1 ? 1 : 3, 4, big);
		put(h + (is_64 ? 24 : 16), i == 1 ? btf_off : names_off, word, big);
		put(h + (is_64 ? 32 : 20), i == 1 ? btf_len : sizeof(names), word, big);
	}
	*ret_len = sections + 3 * each;
	return elf;
}

static void btf_section_in_each_class_and_byte_order(void **state)
{
	(void)state;
	struct world w;
	size_t btf_len;
	uint8_t *btf = world_blob(&w, &btf_len);

	for (int kind = 0; kind < 4; kind++) {
		size_t len;
		uint8_t *bytes = elf_with_btf(kind & 1, kind >> 1, btf, btf_len, &len);
		char path[64];
		struct vmlinux *v;
		struct sonde_types *types = NULL;
		struct sonde_error err = { 0 };
		uint32_t id;
		write_file(path, bytes, len);
		if (vmlinux_open(path, &v, &err) < 0 || vmlinux_types(v, &types, &err) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(sonde_type_find(types, "struct thing", &id), 1);
		types_destroy(types);
		vmlinux_close(v);
		unlink(path);
		free(bytes);
	}
	free(btf);
}

/* Cut anywhere, or any header byte turned: an answer, and no byte outside is touched. */
static void truncated_and_lying_elf_is_survived(void **state)
{
	(void)state;
	struct world w;
	size_t btf_len, len;
	uint8_t *btf = world_blob(&w, &btf_len), id[64];
	uint8_t *bytes = elf_with_btf(1, 0, btf, btf_len, &len);
	struct elf_file elf;
	struct elf_section s;

	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *copy = malloc(cut ? cut : 1);
		memcpy(copy, bytes, cut);
		int r = elf_file_open(copy, cut, &elf, NULL);
		assert_int_equal(r, cut < 64 ? SONDE_E_BAD_FORMAT : SONDE_E_CORRUPT);
		free(copy);
	}
	for (size_t at = 4; at < len; at += at == 63 ? len - 3 * 64 - 63 : 1) {
		uint8_t *copy = malloc(len);
		memcpy(copy, bytes, len);
		copy[at] ^= 0xff;
		if (elf_file_open(copy, len, &elf, NULL) == 0) {
			elf_section_find(&elf, ".BTF", &s);
			elf_build_id(&elf, id, sizeof(id));
		}
		free(copy);
	}
	free(bytes);
	free(btf);
}

static void files_that_are_none_are_named(void **state)
{
	(void)state;
	struct vmlinux *v = NULL;
	struct sonde_types *types = NULL;
	struct sonde_error err;
	struct world w;
	char path[64], want[300];
	size_t len;
	uint8_t *btf = world_blob(&w, &len), *elf;

	assert_int_equal(vmlinux_open("/nowhere/vmlinux", &v, &err), SONDE_E_NOT_FOUND);
	assert_string_equal(err.text, "symbols: '/nowhere/vmlinux': cannot be opened: "
				      "No such file or directory");
	assert_int_equal(vmlinux_open("/tmp", &v, &err), SONDE_E_BAD_FORMAT);
	assert_string_equal(err.text, "symbols: '/tmp': is no regular file, or empty");
	write_file(path, "MZ is not ELF", 13);
	assert_int_equal(vmlinux_open(path, &v, &err), SONDE_E_BAD_FORMAT);
	snprintf(want, sizeof(want), "symbols: '%s': not an ELF file", path);
	assert_string_equal(err.text, want);
	unlink(path);

	elf = elf_with_btf(1, 0, btf, len, &len);
	elf[64 + 1] = '!'; /* ".BTF" is no longer called that */
	write_file(path, elf, len);
	assert_int_equal(vmlinux_open(path, &v, &err), 0);
	assert_int_equal(vmlinux_types(v, &types, &err), SONDE_E_NO_TYPES);
	assert_non_null(strstr(err.text, "neither a .BTF section nor DWARF"));
	assert_null(types);
	vmlinux_close(v);
	unlink(path);
	free(elf);
	free(btf);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#ifndef HAVE_DWARF
		cmocka_unit_test(without_elfutils_dwarf_says_what_to_do),
#endif
		cmocka_unit_test(symbols_slide_with_the_kernel),
		cmocka_unit_test(build_id_is_read),
		cmocka_unit_test(bare_btf_file_gives_types),
		cmocka_unit_test(btf_section_in_each_class_and_byte_order),
		cmocka_unit_test(truncated_and_lying_elf_is_survived),
		cmocka_unit_test(files_that_are_none_are_named),
	};
	if (argc != 2) {
		fprintf(stderr, "usage: %s OBJECT\n", argv[0]);
		return 1;
	}
	object = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
