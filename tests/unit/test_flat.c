/* SPDX-License-Identifier: MIT */
/* Raw images with gaps and in parts: the lists that users write, and through the connector what is read where. */
#include "../../connectors/flat/regions.h"

#include <sonde/loop.h>
#include <sonde/space.h>
#include <sonde/target.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- lists ------------------------------------------------------------------------------------ */

static const struct {
	const char *text;
	size_t n;
	uint64_t addr, len, off; /* of the last one */
} lists[] = {
	{ "0+640k", 1, 0, 640 << 10, 0 },
	{ "0x1000+636k;1m+127m", 2, 1 << 20, 127 << 20, 636 << 10 },
	{ "0+1k@4k;4g+1g", 2, UINT64_C(4) << 30, 1 << 30, 5 << 10 },
	{ " 0 + 1k @ 4k ; 8k+1 ;", 2, 8 << 10, 1, 5 << 10 },
	{ "# of a guest\n0x1000 0x2000\n\n0x10000 4096 64 # the rest\r\n", 2, 0x10000, 4096, 64 },
	{ "0xffffffffffffffff+1", 1, UINT64_MAX, 1, 0 },
};

static void lists_say_address_length_and_offset(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct flat_regions regions;
		const char *why = "";
		size_t entry;
		int r = flat_regions_parse(&regions, lists[i].text, &entry, &why);
		if (r < 0 || regions.n != lists[i].n)
			fail_msg("'%s': %d '%s', %zu regions", lists[i].text, r, why, regions.n);
		const struct flat_region *last = &regions.at[regions.n - 1];
		assert_int_equal(last->addr, lists[i].addr);
		assert_int_equal(last->len, lists[i].len);
		assert_int_equal(last->off, lists[i].off);
		flat_regions_finish(&regions);
	}
}

static const struct {
	const char *text, *why;
	size_t entry;
} wrong[] = {
	{ "", "there is none", 0 },
	{ "# nothing\n;;", "there is none", 0 },
	{ "4k", "write ADDRESS+LENGTH", 1 },
	{ "0+1;1+", "write ADDRESS+LENGTH", 2 },
	{ "0+1;2+1@", "write ADDRESS+LENGTH", 2 },
	{ "0+1+2+3", "write ADDRESS+LENGTH", 1 },
	{ "0+1k x", "write ADDRESS+LENGTH", 1 },
	{ "0+18446744073709551616", "write ADDRESS+LENGTH", 1 },
	{ "0+0", "no bytes", 1 },
	{ "0xffffffffffffffff+2", "beyond 2^64", 1 },
	{ "0+1@0x7fffffffffffffff", "beyond any image", 1 },
	{ "0+1@0x8000000000000000", "beyond any image", 1 },
};

static void lists_that_are_wrong_are_refused_by_entry(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct flat_regions regions;
		const char *why = "";
		size_t entry;
		int r = flat_regions_parse(&regions, wrong[i].text, &entry, &why);
		if (r != SONDE_E_BAD_ARG || !strstr(why, wrong[i].why) || entry != wrong[i].entry)
			fail_msg("'%s': %d, entry %zu: '%s'", wrong[i].text, r, entry, why);
		flat_regions_finish(&regions);
	}
}

static void a_list_has_a_bound(void **state)
{
	char *text = calloc(FLAT_REGIONS_MAX + 2, 4);
	struct flat_regions regions;
	const char *why = "";
	size_t entry;

	(void)state;
	for (size_t i = 0; i <= FLAT_REGIONS_MAX; i++)
		memcpy(text + 4 * i, "0+1;", 4);
	assert_int_equal(flat_regions_parse(&regions, text, &entry, &why), SONDE_E_LIMIT);
	assert_int_equal(entry, FLAT_REGIONS_MAX + 1);
	flat_regions_finish(&regions);
	free(text);
}

/* ---- through the connector -------------------------------------------------------------------- */

static char folder[] = "/tmp/sonde-flat-XXXXXX";

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

/* Bytes first, first + 1 ... */
static void save(const char *leaf, uint8_t first, size_t len)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", folder, leaf);
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	for (size_t i = 0; i < len; i++)
		fputc((uint8_t)(first + i), file);
	fclose(file);
}

static void save_text(const char *leaf, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", folder, leaf);
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

struct opened {
	struct sonde_loop *loop;
	struct sonde_target *target;
	struct sonde_space *space;
	struct sonde_error err;
};

/* "%s" in name is the folder. */
static int open_flat(struct opened *opened, const char *name)
{
	struct sonde_target_options options = { .size = sizeof(options), .write = 1 };
	char full[256], *at = full;

	for (const char *from = name; *from; from++) {
		if (*from == '%')
			at += snprintf(at, 64, "%s", folder);
		else
			*at++ = *from;
	}
	*at = '\0';
	assert_int_equal(sonde_loop_create(NULL, &opened->loop, NULL), 0);
	int r = sonde_target_open(opened->loop, full, &options, &opened->target, &opened->err);
	if (r == 0)
		opened->space = sonde_target_memory(opened->target);
	else
		sonde_loop_destroy(opened->loop);
	return r;
}

static void close_flat(struct opened *opened)
{
	sonde_target_close(opened->target);
	sonde_loop_destroy(opened->loop);
}

static int byte_at(struct opened *opened, uint64_t addr)
{
	uint8_t byte;
	int r = sonde_space_get(opened->space, addr, &byte, 1);

	return r < 0 ? r : byte;
}

static void regions_lie_where_the_list_says(void **state)
{
	static const char *const names[] = {
		"flat:%/raw,regions=0x1000+16;0x9000+16@64;0x1008+16@0;0xa000+300",
		"flat:%/raw,regions=%/list"
	};

	(void)state;
	save("raw", 0, 256);
	save_text("list",
		  "# address length offset\n0x1000 16\n0x9000 16 64\n0x1008 16 0\n0xa000 300\n");
	for (int i = 0; i < 2; i++) {
		struct opened opened;
		struct sonde_target_info info;
		if (open_flat(&opened, names[i]) < 0)
			fail_msg("%s", opened.err.text);
		sonde_target_info(opened.target, &info);
		assert_string_equal(info.detail, "raw image, 4 regions");
		assert_int_equal(byte_at(&opened, 0x1000), 0);
		assert_int_equal(byte_at(&opened, 0x100f), 15);
		assert_int_equal(byte_at(&opened, 0x1010), 8); /* of the third: told later */
		assert_int_equal(byte_at(&opened, 0x1018), SONDE_E_NOT_MAPPED);
		assert_int_equal(byte_at(&opened, 0x9001), 65);
		assert_int_equal(byte_at(&opened, 0xa000), 16); /* behind those of the third */
		assert_int_equal(byte_at(&opened, 0xa000 + 239), 255);
		assert_int_equal(byte_at(&opened, 0xa000 + 240), SONDE_E_TRUNCATED);
		close_flat(&opened);
	}
}

static void parts_are_one_image(void **state)
{
	struct opened opened;
	struct sonde_target_info info;
	uint8_t bytes[32], byte = 0xee;

	(void)state;
	save("image.001", 0, 16);
	save("image.002", 16, 7);
	save("image.003", 23, 100);
	if (open_flat(&opened, "flat:%/image.001,parts=all") < 0)
		fail_msg("%s", opened.err.text);
	sonde_target_info(opened.target, &info);
	assert_string_equal(info.detail, "raw image, 123 bytes at 0x0, 3 parts");
	assert_int_equal(sonde_space_get(opened.space, 3, bytes, 32), 0);
	for (int i = 0; i < 32; i++)
		assert_int_equal(bytes[i], 3 + i);
	assert_int_equal(sonde_space_put(opened.space, 17, &byte, 1), 0);
	assert_int_equal(byte_at(&opened, 17), 0xee);
	assert_int_equal(byte_at(&opened, 123), SONDE_E_NOT_MAPPED);
	close_flat(&opened);
	save("image.002", 16, 7);

	if (open_flat(&opened, "flat:%/image.001,parts=all,regions=0+10;0x100+20@9") < 0)
		fail_msg("%s", opened.err.text);
	for (int i = 0; i < 20; i++)
		assert_int_equal(byte_at(&opened, 0x100 + (uint64_t)i), 9 + i);
	close_flat(&opened);

	if (open_flat(&opened, "flat:%/image.001") < 0)
		fail_msg("%s", opened.err.text);
	assert_int_equal(byte_at(&opened, 16), SONDE_E_NOT_MAPPED);
	close_flat(&opened);
}

static const struct {
	const char *name;
	int code;
	const char *why;
} refused[] = {
	{ "flat:%/gap.001,parts=all", SONDE_E_TRUNCATED, "gap.002': this part is missing" },
	{ "flat:%/raw,parts=all", SONDE_E_BAD_ARG, "ends in a dot and a number" },
	{ "flat:%/void.001,parts=all", SONDE_E_BAD_FORMAT, "void.002': is empty" },
	{ "flat:%/raw,parts=two", SONDE_E_BAD_ARG, "parts=all or parts=one" },
	{ "flat:%/raw,regions=0+1,base=4k", SONDE_E_BAD_ARG, "leave out" },
	{ "flat:%/raw,regions=0+1;0+0", SONDE_E_BAD_ARG, "region 2: it has no bytes" },
	{ "flat:%/raw,regions=%/nowhere", SONDE_E_BAD_ARG, "nowhere" },
	{ "flat:%/raw,regions=%/long", SONDE_E_BAD_ARG, "longer than a list" },
};

static void what_is_wrong_is_said(void **state)
{
	(void)state;
	save("raw", 0, 256);
	save("gap.001", 0, 4);
	save("gap.003", 0, 4);
	save("void.001", 0, 4);
	save("void.002", 0, 0);
	save("long", '#', (1 << 20) + 1);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct opened opened;
		int r = open_flat(&opened, refused[i].name);
		if (r != refused[i].code || !strstr(opened.err.text, refused[i].why))
			fail_msg("%s: %d '%s'", refused[i].name, r, r < 0 ? opened.err.text : "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_say_address_length_and_offset),
		cmocka_unit_test(lists_that_are_wrong_are_refused_by_entry),
		cmocka_unit_test(a_list_has_a_bound),
		cmocka_unit_test(regions_lie_where_the_list_says),
		cmocka_unit_test(parts_are_one_image),
		cmocka_unit_test(what_is_wrong_is_said),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
