/* SPDX-License-Identifier: MIT */
/* Target names: what each is taken apart into, and why each bad one is refused. */
#include "plug/name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A parsed name as one line: word(first)[key=value]... per part, parts between " | ". */
static void show(const struct target_name *name, char *buf, size_t cap)
{
	size_t used = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < name->n_parts; i++) {
		const struct name_part *part = &name->parts[i];
		used += (size_t)snprintf(buf + used, cap - used, "%s%s(%s)",
					 part->is_step ? " > "
					 : i           ? " | "
						       : "",
					 part->word, part->first);
		for (size_t k = 0; k < part->n_args; k++)
			used += (size_t)snprintf(buf + used, cap - used, "[%s=%s]",
						 part->args[k].key, part->args[k].value);
	}
}

static const struct {
	const char *name, *want;
} good[] = {
	{ "memory.dump", "(memory.dump)" },
	{ "./a b.elf", "(./a b.elf)" },
	{ "flat:disk.raw", "flat(disk.raw)" },
	{ "flat:disk.raw,offset=1M,base=0x10", "flat(disk.raw)[offset=1M][base=0x10]" },
	{ "process:1234", "process(1234)" },
	{ "qemu:guest|delay,ms=2", "qemu(guest) | delay()[ms=2]" },
	{ "a.elf|cache|delay,ms=2,us=3|x-1", "(a.elf) | cache() | delay()[ms=2][us=3] | x-1()" },
	{ "a.elf|process:12", "(a.elf) > process(12)" },
	{ "qemu:a|qemu:b|process:c\\|d|delay,ms=1",
	  "qemu(a) > qemu(b) > process(c|d) | delay()[ms=1]" },
	{ "a.elf|qemu:", "(a.elf) > qemu()" },
	{ "a.elf|x:y,k=1", "(a.elf) > x(y)[k=1]" },
	{ "a.elf,cpu=3", "(a.elf)[cpu=3]" },
	{ "ram:", "ram()" },
	{ "ram:,size=4k", "ram()[size=4k]" },
	{ "ram:size=4k", "ram(size=4k)" },
	{ "flat:a\\,b\\|c\\\\d", "flat(a,b|c\\d)" },
	{ "flat:a\\b\\:c", "flat(a\\b\\:c)" },
	{ "flat:a\\", "flat(a\\)" },
	{ "flat:x,key=a\\,b=c|l,k=\\|", "flat(x)[key=a,b=c] | l()[k=|]" },
	{ "flat:x,key=", "flat(x)[key=]" },
	{ "flat:x,key==", "flat(x)[key==]" },
	{ "flat:http://host:80/x", "flat(http://host:80/x)" },
	{ "C:\\dump", "(C:\\dump)" },
	{ "/a/b:c", "(/a/b:c)" },
	{ "9p:x", "(9p:x)" },
	{ "a\\,b:c", "(a,b:c)" },
	{ "an-exceedingly-long-connector-na:x", "(an-exceedingly-long-connector-na:x)" },
};

static void good_names_are_taken_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct arena arena = { 0 };
		struct target_name name;
		struct sonde_error err;
		char got[512];
		int r = name_parse(&arena, good[i].name, &name, &err);
		if (r < 0)
			fail_msg("%s: %s", good[i].name, err.text);
		show(&name, got, sizeof(got));
		if (strcmp(got, good[i].want) != 0)
			fail_msg("%s: got %s, want %s", good[i].name, got, good[i].want);
		arena_finish(&arena);
	}
}

static const struct {
	const char *name;
	int want;
	const char *text; /* in the message */
} bad[] = {
	{ "", SONDE_E_BAD_ARG, "names no file" },
	{ ",a=b", SONDE_E_BAD_ARG, "names no file" },
	{ "|delay", SONDE_E_BAD_ARG, "names no file" },
	{ "a.elf|", SONDE_E_BAD_ARG, "'' behind '|'" },
	{ "a.elf||delay", SONDE_E_BAD_ARG, "'' behind '|'" },
	{ "a.elf|Delay", SONDE_E_BAD_ARG, "'Delay' behind '|'" },
	{ "a.elf|Delay:3", SONDE_E_BAD_ARG, "'Delay:3'" },
	{ "a.elf|:3", SONDE_E_BAD_ARG, "':3' behind" },
	{ "a.elf|delay,3", SONDE_E_BAD_ARG, "'3' is not key=value" },
	{ "a,b.elf", SONDE_E_BAD_ARG, "write \\, for a comma" },
	{ "a.elf,", SONDE_E_BAD_ARG, "'' is not key=value" },
	{ "a.elf,=x", SONDE_E_BAD_ARG, "'=x'" },
	{ "a.elf,Key=x", SONDE_E_BAD_ARG, "'Key=x'" },
	{ "a.elf,k y=x", SONDE_E_BAD_ARG, "'k y=x'" },
};

static void bad_names_are_refused_with_the_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct arena arena = { 0 };
		struct target_name name;
		struct sonde_error err;
		int r = name_parse(&arena, bad[i].name, &name, &err);
		if (r != bad[i].want || !strstr(err.text, bad[i].text))
			fail_msg("'%s': got %d '%s', want %d '%s'", bad[i].name, r,
				 r < 0 ? err.text : "", bad[i].want, bad[i].text);
		arena_finish(&arena);
	}
}

/* head, then unit n times. */
static char *repeat(const char *head, const char *unit, size_t n)
{
	size_t len = strlen(head), step = strlen(unit);
	char *text = malloc(len + n * step + 1);

	assert_non_null(text);
	memcpy(text, head, len);
	for (size_t i = 0; i < n; i++)
		memcpy(text + len + i * step, unit, step);
	text[len + n * step] = '\0';
	return text;
}

static int parse_repeated(const char *head, const char *unit, size_t n)
{
	struct arena arena = { 0 };
	struct target_name name;
	char *text = repeat(head, unit, n);
	int r = name_parse(&arena, text, &name, NULL);

	arena_finish(&arena);
	free(text);
	return r;
}

static void a_step_says_where_in_the_name_it_stands(void **state)
{
	(void)state;
	static const char text[] = "flat:a\\|b,base=1|l|qemu:x|process:1";
	struct arena arena = { 0 };
	struct target_name name;
	struct sonde_error err;

	assert_int_equal(name_parse(&arena, text, &name, &err), 0);
	assert_int_equal(name.n_parts, 4);
	assert_false(name.parts[1].is_step);
	assert_string_equal(text + name.parts[2].at, "|qemu:x|process:1");
	assert_string_equal(text + name.parts[3].at, "|process:1");
	arena_finish(&arena);
}

static void every_bound_holds_exactly(void **state)
{
	(void)state;
	assert_int_equal(parse_repeated("a", "|l", NAME_PARTS_MAX - 1), 0);
	assert_int_equal(parse_repeated("a", "|l", NAME_PARTS_MAX), SONDE_E_LIMIT);
	assert_int_equal(parse_repeated("a", ",k=v", NAME_ARGS_MAX), 0);
	assert_int_equal(parse_repeated("a", ",k=v", NAME_ARGS_MAX + 1), SONDE_E_LIMIT);
	assert_int_equal(parse_repeated("", "x", NAME_LEN_MAX), 0);
	assert_int_equal(parse_repeated("", "x", NAME_LEN_MAX + 1), SONDE_E_LIMIT);
	assert_int_equal(parse_repeated("", "\\,", NAME_LEN_MAX / 2), 0);
}

static void words_are_what_plugins_may_be_called(void **state)
{
	(void)state;
	assert_true(name_word_valid("a", 1));
	assert_true(name_word_valid("x-9", 3));
	assert_true(name_word_valid("abcdefghijklmnopqrstuvwxyz12345", 31));
	assert_false(name_word_valid("abcdefghijklmnopqrstuvwxyz123456", 32));
	assert_false(name_word_valid("", 0));
	assert_false(name_word_valid("-a", 2));
	assert_false(name_word_valid("9a", 2));
	assert_false(name_word_valid("a_b", 3));
	assert_false(name_word_valid("a/b", 3));
	assert_false(name_word_valid("aB", 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_names_are_taken_apart),
		cmocka_unit_test(bad_names_are_refused_with_the_reason),
		cmocka_unit_test(a_step_says_where_in_the_name_it_stands),
		cmocka_unit_test(every_bound_holds_exactly),
		cmocka_unit_test(words_are_what_plugins_may_be_called),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
