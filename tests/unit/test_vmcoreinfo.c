/* SPDX-License-Identifier: MIT */
/* vmcoreinfo: where the text ends, each kind of line, and text that lies. */
#include "linux/vmcoreinfo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const char text[] = "OSRELEASE=6.1.0-50-cloud-amd64\n"
			   "BUILD-ID=bb603a9147d3efe4744bf83c83eee397c591cc20\n"
			   "PAGESIZE=4096\n"
			   "SYMBOL(init_uts_ns)=ffffffff8e81b7a0\n"
			   "SYMBOL(_stext)=ffffffff8ce00000\n"
			   "OFFSET(list_head.next)=0\n"
			   "OFFSET(page.lru)=8\n"
			   "SIZE(page)=64\n"
			   "LENGTH(zone.free_area)=11\n"
			   "NUMBER(phys_base)=8388608\n"
			   "NUMBER(negative)=-129\n"
			   "NUMBER(lowest)=-9223372036854775808\n"
			   "NUMBER(kimage_voffset)=0xffff800008000000\n"
			   "KERNELOFFSET=be00000\n"
			   "CRASHTIME=1700000000\n";

static struct vmcoreinfo parse(const char *bytes, size_t len)
{
	struct vmcoreinfo info;
	struct sonde_error err;

	assert_int_equal(vmcoreinfo_parse(bytes, len, &info, &err), 0);
	return info;
}

static void answers_each_kind_of_line(void **state)
{
	(void)state;
	struct vmcoreinfo info = parse(text, sizeof(text) - 1);
	uint64_t value;
	int64_t number;
	char buf[64];

	assert_int_equal(vmcoreinfo_symbol(&info, "_stext", &value), 1);
	assert_true(value == UINT64_C(0xffffffff8ce00000));
	assert_int_equal(vmcoreinfo_offset(&info, "page.lru", &value), 1);
	assert_int_equal(value, 8);
	assert_int_equal(vmcoreinfo_offset(&info, "list_head.next", &value), 1);
	assert_int_equal(value, 0);
	assert_int_equal(vmcoreinfo_size(&info, "page", &value), 1);
	assert_int_equal(value, 64);
	assert_int_equal(vmcoreinfo_length(&info, "zone.free_area", &value), 1);
	assert_int_equal(value, 11);
	assert_int_equal(vmcoreinfo_number(&info, "phys_base", &number), 1);
	assert_int_equal(number, 8388608);
	assert_int_equal(vmcoreinfo_number(&info, "negative", &number), 1);
	assert_int_equal(number, -129);
	assert_int_equal(vmcoreinfo_number(&info, "lowest", &number), 1);
	assert_true(number == INT64_MIN);
	assert_int_equal(vmcoreinfo_number(&info, "kimage_voffset", &number), 1);
	assert_true((uint64_t)number == UINT64_C(0xffff800008000000));
	assert_int_equal(vmcoreinfo_hex(&info, "KERNELOFFSET", &value), 1);
	assert_int_equal(value, 0xbe00000);
	assert_int_equal(vmcoreinfo_text(&info, "OSRELEASE", buf, sizeof(buf)), 1);
	assert_string_equal(buf, "6.1.0-50-cloud-amd64");
}

static void absent_or_of_another_kind_is_no(void **state)
{
	(void)state;
	struct vmcoreinfo info = parse(text, sizeof(text) - 1);
	uint64_t value = 77;
	char buf[8], name[300];

	assert_int_equal(vmcoreinfo_symbol(&info, "stext", &value), 0);
	assert_int_equal(vmcoreinfo_symbol(&info, "_stex", &value), 0);
	assert_int_equal(vmcoreinfo_symbol(&info, "page", &value), 0);
	assert_int_equal(vmcoreinfo_symbol(&info, "", &value), 0);
	assert_int_equal(vmcoreinfo_hex(&info, "KERNELOFF", &value), 0);
	assert_int_equal(vmcoreinfo_text(&info, "OSRELEASE", buf, sizeof(buf)), 0); /* too long */
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(vmcoreinfo_symbol(&info, name, &value), 0);
	assert_int_equal(value, 77);
}

static void values_that_are_no_numbers_are_no(void **state)
{
	(void)state;
	static const char bad[] = "OSRELEASE=6.1.0-50\n"
				  "SYMBOL(empty)=\n"
				  "SYMBOL(wide)=1ffffffffffffffff\n"
				  "SYMBOL(junk)=12 34\n"
				  "SYMBOL(prefix)=0x12\n"
				  "SIZE(hex)=1f\n"
				  "SIZE(wide)=18446744073709551616\n"
				  "NUMBER(sign)=-\n"
				  "NUMBER(low)=-9223372036854775809\n"
				  "NUMBER(high)=9223372036854775808\n"
				  "NUMBER(x)=0x\n";
	static const char *const symbols[] = { "empty", "wide", "junk", "prefix" };
	static const char *const numbers[] = { "sign", "low", "high", "x" };
	struct vmcoreinfo info = parse(bad, sizeof(bad) - 1);
	uint64_t value;
	int64_t number;

	for (size_t i = 0; i < 4; i++)
		assert_int_equal(vmcoreinfo_symbol(&info, symbols[i], &value), 0);
	assert_int_equal(vmcoreinfo_size(&info, "hex", &value), 0);
	assert_int_equal(vmcoreinfo_size(&info, "wide", &value), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(vmcoreinfo_number(&info, numbers[i], &number), 0);
}

static void page_of_zeroes_or_garbage_ends_the_text(void **state)
{
	(void)state;
	char page[8192];

	memset(page, 0, sizeof(page));
	memcpy(page, text, sizeof(text) - 1);
	assert_int_equal(parse(page, sizeof(page)).len, sizeof(text) - 1);
	memset(page + sizeof(text) - 1, 0xfe, 100);
	assert_int_equal(parse(page, sizeof(page)).len, sizeof(text) - 1);
	/* Garbage that happens to be text, but is no line of KEY=VALUE. */
	memcpy(page + sizeof(text) - 1, "garbage\nA=B\n", 12);
	assert_int_equal(parse(page, sizeof(page)).len, sizeof(text) - 1);
}

static void never_more_than_a_page(void **state)
{
	(void)state;
	char page[8192];
	struct vmcoreinfo info;

	memcpy(page, "OSRELEASE=6.1.0\n", 16);
	for (size_t at = 16; at + 8 <= sizeof(page); at += 8)
		memcpy(page + at, "KEY=ABC\n", 8);
	info = parse(page, sizeof(page));
	assert_int_equal(info.len, VMCOREINFO_MAX);
	assert_int_equal(info.text[VMCOREINFO_MAX - 1], '\n');
}

/* Each copy is exactly as long as claimed, for the sanitizer. */
static void every_truncation_keeps_whole_lines_only(void **state)
{
	(void)state;
	size_t first = strlen("OSRELEASE=6.1.0-50-cloud-amd64\n");

	for (size_t len = 0; len < sizeof(text); len++) {
		char *copy = malloc(len ? len : 1);
		struct vmcoreinfo info;
		struct sonde_error err;
		memcpy(copy, text, len);
		int r = vmcoreinfo_parse(copy, len, &info, &err);
		assert_int_equal(r, len < first ? SONDE_E_BAD_FORMAT : 0);
		if (!r) {
			assert_true(info.len <= len);
			assert_int_equal(info.text[info.len - 1], '\n');
			assert_memory_equal(info.text, text, info.len);
		}
		free(copy);
	}
}

static void looks_like_wants_the_key_and_a_digit(void **state)
{
	(void)state;
	static const struct {
		const char *first;
		int want;
	} cases
		[] = {
			{ "OSRELEASE=6.1.0-", 1 },
			{ "OSRELEASE=%s\nBUI", 0 }, /* the kernel's own format string */
			{ "OSRELEASF=6.1.0-", 0 },
			{ "\0SRELEASE=6.1.0-", 0 },
			{ "NAME=x\nOSRELEASE", 0 },
		};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(vmcoreinfo_looks_like((const uint8_t *)cases[i].first),
				 cases[i].want);
}

static void another_text_is_refused(void **state)
{
	(void)state;
	struct vmcoreinfo info;
	struct sonde_error err;

	assert_int_equal(vmcoreinfo_parse("NAME=Debian\nOSRELEASE=6.1.0-50\n", 31, &info, &err),
			 SONDE_E_BAD_FORMAT);
	assert_string_equal(err.text, "vmcoreinfo: does not begin with a line OSRELEASE=");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_each_kind_of_line),
		cmocka_unit_test(absent_or_of_another_kind_is_no),
		cmocka_unit_test(values_that_are_no_numbers_are_no),
		cmocka_unit_test(page_of_zeroes_or_garbage_ends_the_text),
		cmocka_unit_test(never_more_than_a_page),
		cmocka_unit_test(every_truncation_keeps_whole_lines_only),
		cmocka_unit_test(looks_like_wants_the_key_and_a_digit),
		cmocka_unit_test(another_text_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
