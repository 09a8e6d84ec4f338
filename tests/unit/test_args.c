/* SPDX-License-Identifier: MIT */
/* Arguments of plugins: numbers, keys that are known, and the main one. */
#include "plug/args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct sonde_plugin plugin = {
	.name = "demo",
	.main_arg = "path",
	.args_help = "path=FILE  what to read\n"
		     "           (a second line about it, with k=v in it)\n"
		     "offset=N  where to begin\n"
		     "a-b=X  odd but allowed",
};

/* Bind "demo:..." as written; *ret is valid until the arena is finished. */
static int bind(struct arena *arena, const struct sonde_plugin *to, const char *text,
		struct sonde_args *ret, struct sonde_error *err)
{
	struct target_name name;
	int r = name_parse(arena, text, &name, err);

	return r < 0 ? r : args_bind(arena, to, &name.parts[0], 1, ret, err);
}

static void keys_and_the_main_argument_are_found(void **state)
{
	(void)state;
	struct arena arena = { 0 };
	struct sonde_args args;
	uint64_t offset = 7;

	assert_int_equal(bind(&arena, &plugin, "demo:/x y,offset=2k", &args, NULL), 0);
	assert_string_equal(args_get(&args, "path"), "/x y");
	assert_string_equal(args_get(&args, "offset"), "2k");
	assert_null(args_get(&args, "a-b"));
	assert_int_equal(args_get_u64(&args, "offset", &offset, NULL), 1);
	assert_int_equal(offset, 2048);
	assert_int_equal(args_get_u64(&args, "a-b", &offset, NULL), 0);
	assert_int_equal(offset, 2048);
	assert_int_equal(args_get_write(&args), 1);

	assert_int_equal(bind(&arena, &plugin, "demo:", &args, NULL), 0);
	assert_null(args_get(&args, "path"));
	/* The first part may be written with a key of its own; any other '=' is part of the name.
	 */
	assert_int_equal(bind(&arena, &plugin, "demo:offset=1,path=z", &args, NULL), 0);
	assert_string_equal(args_get(&args, "offset"), "1");
	assert_string_equal(args_get(&args, "path"), "z");
	assert_int_equal(bind(&arena, &plugin, "demo:other=1", &args, NULL), 0);
	assert_string_equal(args_get(&args, "path"), "other=1");
	arena_finish(&arena);
}

static void expect_refusal(const struct sonde_plugin *to, const char *text, const char *why)
{
	struct arena arena = { 0 };
	struct sonde_args args;
	struct sonde_error err = { 0 };
	int r = bind(&arena, to, text, &args, &err);

	if (r != SONDE_E_BAD_ARG || !strstr(err.text, why))
		fail_msg("'%s': got %d '%s', want '%s'", text, r, err.text, why);
	arena_finish(&arena);
}

static void what_the_plugin_does_not_list_is_refused_by_name(void **state)
{
	(void)state;
	struct sonde_plugin bare = { .name = "bare", .args_help = "" };

	expect_refusal(&plugin, "demo:x,offst=1",
		       "demo: unknown argument 'offst': it takes path=FILE, offset=N, a-b=X");
	expect_refusal(&plugin, "demo:x,k=1", "unknown argument 'k'");
	expect_refusal(&plugin, "demo:x,pat=1", "unknown argument 'pat'");
	expect_refusal(&plugin, "demo:x,pathx=1", "unknown argument 'pathx'");
	expect_refusal(&plugin, "demo:x,offset=1,offset=2", "'offset' is given twice");
	expect_refusal(&plugin, "demo:x,path=y", "'path' is given twice");
	expect_refusal(&bare, "bare:x", "takes nothing but key=value");
	expect_refusal(&bare, "bare:,x=1", "it takes none");
}

static const struct {
	const char *text;
	int want; /* 0 refused */
	uint64_t value;
} numbers[] = {
	{ "0", 1, 0 },
	{ "10", 1, 10 },
	{ "010", 1, 10 },
	{ "0x10", 1, 16 },
	{ "0XfF", 1, 255 },
	{ "4k", 1, 4096 },
	{ "4K", 1, 4096 },
	{ "1M", 1, 1 << 20 },
	{ "3G", 1, UINT64_C(3) << 30 },
	{ "2T", 1, UINT64_C(2) << 40 },
	{ "0x10k", 1, 16384 },
	{ "18446744073709551615", 1, UINT64_MAX },
	{ "0xffffffffffffffff", 1, UINT64_MAX },
	{ "16777215T", 1, UINT64_C(16777215) << 40 },
	{ "18446744073709551616", 0, 0 },
	{ "0x10000000000000000", 0, 0 },
	{ "16777216T", 0, 0 },
	{ "", 0, 0 },
	{ "0x", 0, 0 },
	{ "k", 0, 0 },
	{ "4kk", 0, 0 },
	{ "4P", 0, 0 },
	{ "-1", 0, 0 },
	{ "+1", 0, 0 },
	{ " 1", 0, 0 },
	{ "1 ", 0, 0 },
	{ "1.5k", 0, 0 },
	{ "ff", 0, 0 },
};

static void numbers_are_read_whole_or_not_at_all(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		uint64_t value = 99;
		int r = args_parse_u64(numbers[i].text, &value);
		uint64_t want = numbers[i].want ? numbers[i].value : 99;
		if (r != numbers[i].want || value != want)
			fail_msg("'%s': got %d %llu, want %d %llu", numbers[i].text, r,
				 (unsigned long long)value, numbers[i].want,
				 (unsigned long long)want);
	}
}

static void a_malformed_number_names_plugin_key_and_value(void **state)
{
	(void)state;
	struct arena arena = { 0 };
	struct sonde_args args;
	struct sonde_error err;
	uint64_t value;

	assert_int_equal(bind(&arena, &plugin, "demo:x,offset=12q", &args, &err), 0);
	assert_int_equal(args_get_u64(&args, "offset", &value, &err), SONDE_E_BAD_ARG);
	assert_non_null(strstr(err.text, "demo: 'offset=12q': not a number"));
	arena_finish(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_and_the_main_argument_are_found),
		cmocka_unit_test(what_the_plugin_does_not_list_is_refused_by_name),
		cmocka_unit_test(numbers_are_read_whole_or_not_at_all),
		cmocka_unit_test(a_malformed_number_names_plugin_key_and_value),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
