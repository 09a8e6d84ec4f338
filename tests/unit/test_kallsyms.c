/* SPDX-License-Identifier: MIT */
/*
 * kallsyms: every layout and form that kernels have had, found by shape and fetched by address;
 * then tables that lie.
 */
#include "base/arena.h"
#include "linux/vmcoreinfo.h"
#include "sym/symbols.h"
#include "synth/kallsyms_image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static const struct {
	const char *name;
	struct image_plan plan;
} plans[] = {
	{ "v5.10 x86-64", { 1000, IMAGE_OLD, KALLSYMS_PERCPU, 8 } },
	{ "v5.10, a marker for the last symbol alone", { 1025, IMAGE_OLD, KALLSYMS_PERCPU, 8 } },
	{ "v5.10, blocks all full", { 1024, IMAGE_OLD, KALLSYMS_PERCPU, 8 } },
	{ "v6.1 arm64", { 1300, IMAGE_OLD, KALLSYMS_RELATIVE, 8 } },
	{ "v6.1 absolute", { 1001, IMAGE_OLD, KALLSYMS_ABSOLUTE, 8 } },
	{ "v6.2 x86-64", { 1500, IMAGE_OLD_SEQS, KALLSYMS_PERCPU, 8 } },
	{ "v6.4 x86-64", { 1111, IMAGE_NEW, KALLSYMS_PERCPU, 8 } },
	{ "v6.12 arm64", { 2345, IMAGE_NEW, KALLSYMS_RELATIVE, 8 } },
	{ "v6.4 absolute", { 1003, IMAGE_NEW, KALLSYMS_ABSOLUTE, 8 } },
	{ "self-relative", { 1005, IMAGE_NEW, KALLSYMS_SELF_RELATIVE, 8 } },
	{ "v5.10 i386", { 1003, IMAGE_OLD, KALLSYMS_RELATIVE, 4 } },
	{ "v6.12 32-bit", { 1007, IMAGE_NEW, KALLSYMS_RELATIVE, 4 } },
};
#define N_PLANS (sizeof(plans) / sizeof(plans[0]))

/* A space with holes: what lies outside the image, and one place inside that is told. */
struct memory {
	const struct image *image;
	uint64_t hole; /* virtual address of the first byte that fails; 0 none */
	unsigned trips;
};

static int read_memory(void *user, struct sonde_xfer *xfers, size_t n)
{
	struct memory *memory = user;
	const struct image *image = memory->image;
	int whole = 0;

	memory->trips++;
	for (size_t i = 0; i < n; i++) {
		struct sonde_xfer *x = &xfers[i];
		uint64_t off = x->addr - image->va;
		uint64_t end = image->len;
		if (memory->hole > x->addr || memory->hole == x->addr)
			end = memory->hole - image->va < end ? memory->hole - image->va : end;
		uint64_t there = off < end ? end - off : 0;
		x->done = there < x->len ? (uint32_t)there : x->len;
		x->err_off = x->done;
		x->err = x->done < x->len ? SONDE_E_NOT_MAPPED : 0;
		memset(x->buf, 0, x->len);
		memcpy(x->buf, image->bytes + off, x->done);
		whole += !x->err;
	}
	return whole;
}

static void check_symbols(const char *what, const struct image_plan *plan,
			  const struct sonde_symbols *symbols, uint32_t n)
{
	if (sonde_symbol_count(symbols) != n)
		fail_msg("%s: %zu symbols, want %u", what, sonde_symbol_count(symbols), n);
	for (uint32_t i = 0; i < n; i++) {
		struct sonde_symbol got;
		char name[256], type;
		uint64_t addr;
		image_symbol(plan, i, &addr, &type, name);
		sonde_symbol_get(symbols, i, &got);
		if (got.addr != addr || got.type != type || strcmp(got.name, name) != 0 ||
		    got.module)
			fail_msg("%s: symbol %u: got %llx %c %s, want %llx %c %s", what, i,
				 (unsigned long long)got.addr, got.type, got.name,
				 (unsigned long long)addr, type, name);
	}
}

static void finds_every_layout_by_shape(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_PLANS; i++) {
		struct image image = image_create(plans[i].plan);
		struct kallsyms_tables tables;
		struct sonde_symbols *symbols;
		struct sonde_error err = { 0 };
		int r = kallsyms_find(image.bytes, image.len, image.va, plans[i].plan.word_size,
				      &tables, &err);
		if (r < 0)
			fail_msg("%s: %s", plans[i].name, err.text);
		if (tables.form != plans[i].plan.form || tables.n != plans[i].plan.n)
			fail_msg("%s: form %u, %u symbols", plans[i].name, tables.form, tables.n);
		assert_int_equal(kallsyms_decode(&tables, &symbols, &err), 0);
		check_symbols(plans[i].name, &plans[i].plan, symbols, plans[i].plan.n);
		symbols_destroy(symbols);
		free(image.bytes);
	}
}

static void fetches_every_layout_by_address(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_PLANS; i++) {
		struct image image = image_create(plans[i].plan);
		struct memory memory = { .image = &image };
		struct kallsyms_tables tables;
		struct sonde_symbols *symbols;
		struct arena arena = { 0 };
		struct sonde_error err = { 0 };
		int r = kallsyms_fetch(&image.at, plans[i].plan.word_size, read_memory, &memory,
				       &arena, &tables, &err);
		if (r < 0)
			fail_msg("%s: %s", plans[i].name, err.text);
		assert_true(memory.trips <= 3);
		assert_int_equal(kallsyms_decode(&tables, &symbols, &err), 0);
		check_symbols(plans[i].name, &plans[i].plan, symbols, plans[i].plan.n);
		symbols_destroy(symbols);
		arena_finish(&arena);
		free(image.bytes);
	}
}

/* From v6.11 on vmcoreinfo no longer tells the relative base; it stands behind the offsets. */
static void fetch_finds_the_base_behind_the_offsets(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_PLANS; i++) {
		struct image image = image_create(plans[i].plan);
		struct memory memory = { .image = &image };
		struct kallsyms_tables tables;
		struct sonde_symbols *symbols;
		struct arena arena = { 0 };
		struct sonde_error err = { 0 };
		image.at.relative_base = 0;
		int r = kallsyms_fetch(&image.at, plans[i].plan.word_size, read_memory, &memory,
				       &arena, &tables, &err);
		if (r < 0)
			fail_msg("%s: %s", plans[i].name, err.text);
		assert_int_equal(kallsyms_decode(&tables, &symbols, &err), 0);
		check_symbols(plans[i].name, &plans[i].plan, symbols, plans[i].plan.n);
		symbols_destroy(symbols);
		arena_finish(&arena);
		free(image.bytes);
	}
}

static void addresses_come_from_vmcoreinfo(void **state)
{
	(void)state;
	static const char text[] = "OSRELEASE=6.1.0\n"
				   "SYMBOL(kallsyms_names)=ffffffff8df74d18\n"
				   "SYMBOL(kallsyms_num_syms)=ffffffff8df74d10\n"
				   "SYMBOL(kallsyms_token_table)=ffffffff8e0c88e8\n"
				   "SYMBOL(kallsyms_token_index)=ffffffff8e0c8c80\n"
				   "SYMBOL(kallsyms_offsets)=ffffffff8df1fad0\n";
	struct kallsyms_addresses at;
	struct vmcoreinfo info;

	assert_int_equal(vmcoreinfo_parse(text, sizeof(text), &info, NULL), 0);
	assert_int_equal(kallsyms_from_vmcoreinfo(&info, &at), 1);
	assert_true(at.names == UINT64_C(0xffffffff8df74d18));
	assert_true(at.offsets == UINT64_C(0xffffffff8df1fad0));
	assert_true(at.relative_base == 0 && at.addresses == 0);
	/* Without one that matters they do not suffice: v5.10 has none at all. */
	assert_int_equal(vmcoreinfo_parse(text, sizeof(text) - 50, &info, NULL), 0);
	assert_int_equal(kallsyms_from_vmcoreinfo(&info, &at), 0);
}

/* An image cut anywhere before the end of what is needed gives no tables, never wrong ones. */
static void find_refuses_every_truncation(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_PLANS; i++) {
		struct image image = image_create(plans[i].plan);
		struct kallsyms_tables tables;
		struct sonde_error err;
		for (size_t len = 0; len <= image.len; len += len + 64 < image.end ? 61 : 1) {
			uint8_t *copy = malloc(len + 1);
			memcpy(copy, image.bytes, len);
			int r = kallsyms_find(copy, len, image.va, plans[i].plan.word_size, &tables,
					      &err);
			if ((r == 0) != (len >= image.end))
				fail_msg("%s: cut at %zu of %zu: %d", plans[i].name, len, image.end,
					 r);
			free(copy);
		}
		free(image.bytes);
	}
}

/* Flip each byte of an image: whatever comes out, it comes out. */
static void find_survives_every_flipped_byte(void **state)
{
	(void)state;
	struct image image = image_create(plans[6].plan);
	unsigned found = 0;

	for (size_t at = IMAGE_FRONT; at < image.end; at++) {
		struct kallsyms_tables tables;
		struct sonde_symbols *symbols = NULL;
		image.bytes[at] ^= 0x81;
		if (kallsyms_find(image.bytes, image.len, image.va, 8, &tables, NULL) == 0) {
			kallsyms_decode(&tables, &symbols, NULL);
			found++;
		}
		symbols_destroy(symbols);
		image.bytes[at] ^= 0x81;
	}
	assert_true(found > 0 && found < image.end - IMAGE_FRONT);
	free(image.bytes);
}

static void find_goes_on_behind_a_decoy(void **state)
{
	(void)state;
	struct image image = image_create(plans[0].plan);
	struct kallsyms_tables tables;
	struct sonde_error err;

	memcpy(image.bytes + 13, "0\0001\0002\0003\0004\0005\0006\0007\0008\0009", 20);
	assert_int_equal(kallsyms_find(image.bytes, image.len, image.va, 8, &tables, &err), 0);
	assert_int_equal(tables.n, plans[0].plan.n);
	free(image.bytes);
}

static void find_says_what_is_missing(void **state)
{
	(void)state;
	struct image image = image_create(plans[0].plan);
	struct kallsyms_tables tables;
	struct sonde_error err;

	assert_int_equal(kallsyms_find(image.bytes, IMAGE_FRONT, image.va, 8, &tables, &err),
			 SONDE_E_NOT_FOUND);
	assert_string_equal(err.text,
			    "kallsyms: no token table in 512 bytes from 0xffffffff81000000");
	image.bytes[image.at.names - image.va]++; /* the rows no longer agree with the markers */
	assert_int_equal(kallsyms_find(image.bytes, image.len, image.va, 8, &tables, &err),
			 SONDE_E_CORRUPT);
	assert_non_null(strstr(err.text, "no markers and names fit it"));
	image.bytes[image.at.names - image.va]--;
	memset(image_ptr(&image, image.at.relative_base), 0, 8);
	assert_int_equal(kallsyms_find(image.bytes, image.len, image.va, 8, &tables, &err),
			 SONDE_E_CORRUPT);
	assert_non_null(strstr(err.text, "no addresses fit it"));
	free(image.bytes);
}

/* A memory full of rows that could all be num_syms: the search gives up after bounded work. */
static void find_bounds_its_work(void **state)
{
	(void)state;
	static const uint8_t row[8] = { 7, 0xd0, 7, 0, 'T', 'b', 'c', 'd' };
	struct image tail = image_create(plans[6].plan);
	size_t tail_off = tail.at.token_table - tail.va, front = 4 << 20;
	size_t len = front + 4096 + tail.len - tail_off;
	uint8_t *bytes = calloc(1, len);
	struct kallsyms_tables tables;
	struct sonde_error err;

	for (size_t at = 0; at < front; at += sizeof(row))
		memcpy(bytes + at, row, sizeof(row));
	for (uint32_t i = 0; i < 1024; i++) {
		uint32_t marker = i * 2048;
		memcpy(bytes + front + 4 * i, &marker, 4);
	}
	memcpy(bytes + front + 4096, tail.bytes + tail_off, tail.len - tail_off);
	assert_int_equal(kallsyms_find(bytes, len, tail.va, 8, &tables, &err), SONDE_E_CORRUPT);
	free(bytes);
	free(tail.bytes);
}

/* Tables found whole, then one of them made to lie. */
static struct image good_tables(struct kallsyms_tables *ret)
{
	struct image image = image_create(plans[0].plan);

	assert_int_equal(kallsyms_find(image.bytes, image.len, image.va, 8, ret, NULL), 0);
	return image;
}

static void names_running_past_the_end_give_what_came_before(void **state)
{
	(void)state;
	struct kallsyms_tables tables;
	struct image image = good_tables(&tables);
	struct sonde_symbols *symbols;
	struct sonde_error err;

	for (size_t len = 0; len < tables.names_len; len++) {
		struct kallsyms_tables cut = tables;
		uint8_t *copy = malloc(len ? len : 1);
		memcpy(copy, tables.names, len);
		cut.names = copy;
		cut.names_len = len;
		assert_int_equal(kallsyms_decode(&cut, &symbols, &err), SONDE_E_CORRUPT);
		size_t n = symbols ? sonde_symbol_count(symbols) : 0;
		char want[80];
		snprintf(want, sizeof(want),
			 "kallsyms: names: symbol %zu of 1000: runs past the table's end", n);
		assert_string_equal(err.text, want);
		if (symbols)
			check_symbols("cut", &image.plan, symbols, (uint32_t)n);
		symbols_destroy(symbols);
		free(copy);
	}
	free(image.bytes);
}

static void addresses_running_out_are_named(void **state)
{
	(void)state;
	struct kallsyms_tables tables;
	struct image image = good_tables(&tables);
	struct sonde_symbols *symbols;
	struct sonde_error err;

	tables.addresses_len = 4 * 123 + 3;
	assert_int_equal(kallsyms_decode(&tables, &symbols, &err), SONDE_E_CORRUPT);
	assert_string_equal(err.text,
			    "kallsyms: addresses: symbol 123 of 1000: runs past the table's end");
	check_symbols("cut", &image.plan, symbols, 123);
	symbols_destroy(symbols);
	free(image.bytes);
}

static void token_index_out_of_range_is_named(void **state)
{
	(void)state;
	struct kallsyms_tables tables;
	struct image image = good_tables(&tables);
	struct sonde_symbols *symbols;
	struct sonde_error err;
	size_t at = image.at.token_index - image.va + 2 * 200;

	image.bytes[at] = image.bytes[at + 1] = 0xff;
	assert_int_equal(kallsyms_decode(&tables, &symbols, &err), SONDE_E_CORRUPT);
	assert_null(symbols);
	assert_non_null(strstr(err.text, "kallsyms: token_index: token 200 at 65535 lies past"));
	free(image.bytes);
}

static void token_without_end_is_named(void **state)
{
	(void)state;
	struct kallsyms_tables tables;
	struct image image = good_tables(&tables);
	struct sonde_symbols *symbols;
	struct sonde_error err;

	memset(image.bytes + image.len - 512 - 100, 'x', 100);
	tables.token_table_len = tables.token_index - tables.token_table;
	assert_int_equal(kallsyms_decode(&tables, &symbols, &err), SONDE_E_CORRUPT);
	assert_non_null(strstr(err.text, "runs past the table's end"));
	assert_null(symbols);
	free(image.bytes);
}

static void name_too_long_is_named(void **state)
{
	(void)state;
	struct kallsyms_tables tables;
	struct image image = good_tables(&tables);
	struct sonde_symbols *symbols;
	struct sonde_error err;
	uint8_t *names = malloc(100);

	names[0] = 99;
	memset(names + 1, 2, 99); /* 99 times "a_longer_token_" */
	tables.names = names;
	tables.names_len = 100;
	assert_int_equal(kallsyms_decode(&tables, &symbols, &err), SONDE_E_CORRUPT);
	assert_string_equal(err.text, "kallsyms: names: symbol 0 of 1000: is empty or too long");
	assert_null(symbols);
	free(names);
	free(image.bytes);
}

static void fetch_names_the_table_it_could_not_read(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		size_t field;
		int want;
		const char *says;
	} cases[] = {
		{ "num_syms", offsetof(struct kallsyms_addresses, num_syms), SONDE_E_NOT_MAPPED,
		  "kallsyms: num_syms: at 0x1000: " },
		{ "names", offsetof(struct kallsyms_addresses, names), SONDE_E_NOT_MAPPED,
		  "kallsyms: names: at 0x1000: " },
		{ "token_table", offsetof(struct kallsyms_addresses, token_table),
		  SONDE_E_NOT_MAPPED, "kallsyms: token_table: at 0x1000: " },
		{ "token_index", offsetof(struct kallsyms_addresses, token_index),
		  SONDE_E_NOT_MAPPED, "kallsyms: token_index: at 0x1000: " },
		{ "offsets", offsetof(struct kallsyms_addresses, offsets), SONDE_E_NOT_MAPPED,
		  "kallsyms: addresses: at 0x1000: " },
		{ "relative_base", offsetof(struct kallsyms_addresses, relative_base),
		  SONDE_E_NOT_MAPPED, "kallsyms: relative_base: at 0x1000: " },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct image image = image_create(plans[0].plan);
		struct memory memory = { .image = &image };
		struct kallsyms_tables tables;
		struct arena arena = { 0 };
		struct sonde_error err;
		uint64_t nowhere = 0x1000;
		memcpy((char *)&image.at + cases[i].field, &nowhere, sizeof(nowhere));
		int r = kallsyms_fetch(&image.at, 8, read_memory, &memory, &arena, &tables, &err);
		if (r != cases[i].want || strncmp(err.text, cases[i].says, strlen(cases[i].says)))
			fail_msg("%s: got %d '%s'", cases[i].what, r, err.text);
		arena_finish(&arena);
		free(image.bytes);
	}
}

static void fetch_checks_the_count(void **state)
{
	(void)state;
	static const uint32_t counts[] = { 0, 999, 2000001, UINT32_MAX };

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		struct image image = image_create(plans[0].plan);
		struct memory memory = { .image = &image };
		struct kallsyms_tables tables;
		struct arena arena = { 0 };
		struct sonde_error err;
		memcpy(image_ptr(&image, image.at.num_syms), &counts[i], 4);
		assert_int_equal(
			kallsyms_fetch(&image.at, 8, read_memory, &memory, &arena, &tables, &err),
			SONDE_E_CORRUPT);
		assert_non_null(strstr(err.text, "num_syms"));
		arena_finish(&arena);
		free(image.bytes);
	}
}

static void fetch_refuses_addresses_that_do_not_rise(void **state)
{
	(void)state;
	struct image image = image_create(plans[3].plan);
	struct memory memory = { .image = &image };
	struct kallsyms_tables tables;
	struct arena arena = { 0 };
	struct sonde_error err;

	memset(image_ptr(&image, image.at.offsets + 4 * 500), 0, 4);
	assert_int_equal(kallsyms_fetch(&image.at, 8, read_memory, &memory, &arena, &tables, &err),
			 SONDE_E_CORRUPT);
	assert_string_equal(err.text, "kallsyms: addresses: do not rise in any form that is known");
	arena_finish(&arena);
	free(image.bytes);
}

/* A page of the names is gone: the symbols before it still come. */
static void fetch_with_a_hole_in_the_names_gives_what_came_before(void **state)
{
	(void)state;
	struct image image = image_create(plans[6].plan);
	struct memory memory = { .image = &image };
	struct kallsyms_tables tables;
	struct sonde_symbols *symbols;
	struct arena arena = { 0 };
	struct sonde_error err;

	memory.hole = image.at.names + 3000;
	assert_int_equal(kallsyms_fetch(&image.at, 8, read_memory, &memory, &arena, &tables, &err),
			 0);
	assert_int_equal(kallsyms_decode(&tables, &symbols, &err), SONDE_E_CORRUPT);
	assert_non_null(symbols);
	assert_true(sonde_symbol_count(symbols) > 100);
	check_symbols("hole", &image.plan, symbols, (uint32_t)sonde_symbol_count(symbols));
	symbols_destroy(symbols);
	arena_finish(&arena);
	free(image.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_every_layout_by_shape),
		cmocka_unit_test(fetches_every_layout_by_address),
		cmocka_unit_test(fetch_finds_the_base_behind_the_offsets),
		cmocka_unit_test(addresses_come_from_vmcoreinfo),
		cmocka_unit_test(find_refuses_every_truncation),
		cmocka_unit_test(find_survives_every_flipped_byte),
		cmocka_unit_test(find_goes_on_behind_a_decoy),
		cmocka_unit_test(find_says_what_is_missing),
		cmocka_unit_test(find_bounds_its_work),
		cmocka_unit_test(names_running_past_the_end_give_what_came_before),
		cmocka_unit_test(addresses_running_out_are_named),
		cmocka_unit_test(token_index_out_of_range_is_named),
		cmocka_unit_test(token_without_end_is_named),
		cmocka_unit_test(name_too_long_is_named),
		cmocka_unit_test(fetch_names_the_table_it_could_not_read),
		cmocka_unit_test(fetch_checks_the_count),
		cmocka_unit_test(fetch_refuses_addresses_that_do_not_rise),
		cmocka_unit_test(fetch_with_a_hole_in_the_names_gives_what_came_before),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
