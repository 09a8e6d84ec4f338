/* SPDX-License-Identifier: MIT */
/*
 * The escaping of the tool, held against its promises with every short byte string and many
 * random ones: what is printed is well-formed, safe on a terminal, and can be turned back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "opts.h"
#include "text.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

static int hex(char c)
{
	return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* Undo \xNN, the one escape of text and CSV and the last step for JSON. */
static size_t undo_bytes(char *s, size_t len)
{
	size_t to = 0;

	for (size_t i = 0; i < len; to++) {
		if (len - i >= 4 && s[i] == '\\' && s[i + 1] == 'x') {
			s[to] = (char)(hex(s[i + 2]) << 4 | hex(s[i + 3]));
			i += 4;
		} else {
			s[to] = s[i++];
		}
	}
	return to;
}

static size_t put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	to[0] = (char)(0xe0 | c >> 12);
	to[1] = (char)(0x80 | (c >> 6 & 0x3f));
	to[2] = (char)(0x80 | (c & 0x3f));
	return 3;
}

/* A JSON string back to bytes, by RFC 8259; fails the test where it is none. */
static size_t undo_json(char *s, size_t len)
{
	size_t to = 0;

	assert_true(len >= 2 && s[0] == '"' && s[len - 1] == '"');
	for (size_t i = 1; i < len - 1;) {
		static const char letters[] = "\"\"\\\\//b\bf\fn\nr\rt\t";

		assert_true((unsigned char)s[i] >= 0x20 && s[i] != '"');
		if (s[i] != '\\') {
			s[to++] = s[i++];
		} else if (s[i + 1] == 'u') {
			uint32_t c = 0;
			for (int k = 2; k < 6; k++)
				c = c << 4 | (uint32_t)hex(s[i + (size_t)k]);
			to += put_utf8(s + to, c);
			i += 6;
		} else {
			const char *at = letters;
			while (*at && *at != s[i + 1])
				at += 2;
			assert_true(*at != '\0');
			s[to++] = at[1];
			i += 2;
		}
	}
	return undo_bytes(s, to);
}

static void assert_utf8_without_controls(const char *s, size_t len, const char *allowed)
{
	for (size_t i = 0, n; i < len; i += n) {
		uint32_t c = 0;
		n = text_utf8(s + i, len - i, &c);
		assert_true(n > 0);
		if (c < 0x20)
			assert_non_null(strchr(allowed, (int)c));
		assert_false(c >= 0x7f && c < 0xa0);
		assert_false((c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069));
	}
}

static void check(const char *bytes, size_t len)
{
	struct buf buf = { 0 };

	size_t width = text_put(&buf, TEXT_TERMINAL, bytes, len);
	assert_utf8_without_controls(buf.bytes, buf.len, "");
	size_t fits, head = text_fit(buf.bytes, buf.len, SIZE_MAX, &fits);
	assert_int_equal(head, buf.len);
	assert_int_equal(fits, width);
	assert_int_equal(undo_bytes(buf.bytes, buf.len), len);
	assert_memory_equal(buf.bytes, bytes, len);

	buf.len = 0;
	text_put(&buf, TEXT_JSON, bytes, len);
	assert_utf8_without_controls(buf.bytes, buf.len, "");
	assert_int_equal(undo_json(buf.bytes, buf.len), len);
	assert_memory_equal(buf.bytes, bytes, len);

	buf.len = 0;
	text_put(&buf, TEXT_CSV, bytes, len);
	assert_utf8_without_controls(buf.bytes, buf.len, "\t\n");
	buf_finish(&buf);
}

static void every_string_of_one_and_two_bytes_comes_back(void **state)
{
	(void)state;
	for (int a = 0; a < 256; a++) {
		for (int b = 0; b < 256; b++) {
			const char bytes[2] = { (char)a, (char)b };
			check(bytes, 2);
		}
		const char byte = (char)a;
		check(&byte, 1);
	}
}

static void random_strings_of_awkward_parts_come_back(void **state)
{
	static const char *const parts[] = {
		"\\",           "x",  "\\x41", "\xe2\x80\xae", "\xc3",
		"\xc3\xa9",     "\"", ",",     "\r\n",         "\xff",
		"\xf0\x9f\x98", "u",  "0",     "\xed\xa0\x80", "\x1b["
	};
	char bytes[64];

	(void)state;
	srand(1);
	for (int round = 0; round < 20000; round++) {
		size_t len = 0;
		for (int i = rand() % 12; i > 0; i--) {
			const char *part = parts[(size_t)rand() % (sizeof(parts) / sizeof(*parts))];
			memcpy(bytes + len, part, strlen(part));
			len += strlen(part);
		}
		if (len > 0)
			check(bytes, len);
	}
}

static void only_well_formed_utf8_is_taken(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		uint32_t code;
	} cases[] = {
		{ "A", 1, 'A' },
		{ "\xc2\x80", 2, 0x80 },
		{ "\xdf\xbf", 2, 0x7ff },
		{ "\xe0\xa0\x80", 3, 0x800 },
		{ "\xef\xbf\xbf", 3, 0xffff },
		{ "\xf0\x90\x80\x80", 4, 0x10000 },
		{ "\xf4\x8f\xbf\xbf", 4, 0x10ffff },
		{ "\x80", 0, 0 },             /* begins with a continuation */
		{ "\xc0\x80", 0, 0 },         /* overlong NUL               */
		{ "\xc1\xbf", 0, 0 },         /* overlong                   */
		{ "\xe0\x9f\xbf", 0, 0 },     /* overlong                   */
		{ "\xed\xa0\x80", 0, 0 },     /* a surrogate                */
		{ "\xf0\x8f\xbf\xbf", 0, 0 }, /* overlong                   */
		{ "\xf4\x90\x80\x80", 0, 0 }, /* above U+10FFFF             */
		{ "\xf5\x80\x80\x80", 0, 0 },
		{ "\xc3", 0, 0 }, /* cut short */
		{ "\xe2\x82", 0, 0 },
		{ "\xc3(", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint32_t code = 0;
		size_t n = text_utf8(cases[i].bytes, strlen(cases[i].bytes), &code);
		assert_int_equal(n, cases[i].n);
		if (n > 0)
			assert_int_equal(code, cases[i].code);
	}
}

static void csv_quotes_only_where_it_must(void **state)
{
	static const char *const cases[][2] = {
		{ "plain", "plain" },
		{ "a,b", "\"a,b\"" },
		{ "\"", "\"\"\"\"" },
		{ "say \"x\"", "\"say \"\"x\"\"\"" },
		{ "two\nlines", "\"two\nlines\"" },
		{ "cr\r", "cr\\x0d" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct buf buf = { 0 };
		text_put(&buf, TEXT_CSV, cases[i][0], strlen(cases[i][0]));
		assert_int_equal(buf.len, strlen(cases[i][1]));
		if (buf.len > 0)
			assert_memory_equal(buf.bytes, cases[i][1], buf.len);
		buf_finish(&buf);
	}
}

static void wide_characters_are_cut_whole(void **state)
{
	size_t width;

	(void)state;
	if (!setlocale(LC_CTYPE, "C.UTF-8"))
		skip();
	assert_int_equal(text_fit("a\xe4\xb8\xad"
				  "b",
				  5, 2, &width),
			 1); /* U+4E2D takes two columns: one is left */
	assert_int_equal(width, 1);
	assert_int_equal(text_fit("a\xe4\xb8\xad"
				  "b",
				  5, 3, &width),
			 4);
	assert_int_equal(width, 3);
}

static void numbers_are_written_as_they_are(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	buf_u64(&buf, 0);
	buf_char(&buf, ' ');
	buf_u64(&buf, UINT64_MAX);
	buf_char(&buf, ' ');
	buf_hex(&buf, 0, 1);
	buf_char(&buf, ' ');
	buf_hex(&buf, 0xabc, 2);
	buf_char(&buf, ' ');
	buf_hex(&buf, UINT64_MAX, 1);
	buf_char(&buf, '\0');
	assert_string_equal(buf.bytes, "0 18446744073709551615 0 abc ffffffffffffffff");
	buf_finish(&buf);
}

static void sizes_keep_two_digits_or_more(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{ 0, "0B" },           { 1023, "1023B" },       { 1024, "1.0K" },
		{ 1536, "1.5K" },      { 1048575, "1023K" },    { 10485760, "10.0M" },
		{ 104857600, "100M" }, { UINT64_MAX, "15.9E" },
	};
	char text[24];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		size_text(text, cases[i].bytes);
		assert_string_equal(text, cases[i].text);
	}
}

static void numbers_of_the_command_line_are_checked(void **state)
{
	static const struct {
		const char *text;
		int ok;
		uint64_t value;
	} cases[] = {
		{ "0", 1, 0 },
		{ "4096", 1, 4096 },
		{ "0xfF", 1, 255 },
		{ "010", 1, 10 },
		{ "64k", 1, 65536 },
		{ "64K", 1, 65536 },
		{ "2M", 1, 2 << 20 },
		{ "0x10k", 1, 16384 },
		{ "18446744073709551615", 1, UINT64_MAX },
		{ "", 0, 0 },
		{ "-1", 0, 0 },
		{ "+1", 0, 0 },
		{ " 1", 0, 0 },
		{ "0x", 0, 0 },
		{ "0xg", 0, 0 },
		{ "1kk", 0, 0 },
		{ "1q", 0, 0 },
		{ "18446744073709551616", 0, 0 },
		{ "k", 0, 0 },
		{ "16777216T", 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t value = 0;
		assert_int_equal(parse_u64(cases[i].text, &value), cases[i].ok);
		assert_int_equal(value, cases[i].value);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_string_of_one_and_two_bytes_comes_back),
		cmocka_unit_test(random_strings_of_awkward_parts_come_back),
		cmocka_unit_test(only_well_formed_utf8_is_taken),
		cmocka_unit_test(csv_quotes_only_where_it_must),
		cmocka_unit_test(wide_characters_are_cut_whole),
		cmocka_unit_test(numbers_are_written_as_they_are),
		cmocka_unit_test(sizes_keep_two_digits_or_more),
		cmocka_unit_test(numbers_of_the_command_line_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
