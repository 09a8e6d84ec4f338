/* SPDX-License-Identifier: MIT */
/* Errors: the table, the story and how it grows; one line whatever it is made of. */
#include <sonde/error.h>
#include <sonde/types.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* The numbers are ABI: this list is copied, not generated, and only ever grows. */
static void codes_keep_their_numbers(void **state)
{
	(void)state;
	static const struct {
		int code, number;
		const char *name;
	} codes[] = {
		{ SONDE_E_NOT_MAPPED, -1, "NOT_MAPPED" },
		{ SONDE_E_PAGED_OUT, -2, "PAGED_OUT" },
		{ SONDE_E_IO, -3, "IO" },
		{ SONDE_E_NO_MEMORY, -4, "NO_MEMORY" },
		{ SONDE_E_BAD_ARG, -5, "BAD_ARG" },
		{ SONDE_E_BAD_FORMAT, -6, "BAD_FORMAT" },
		{ SONDE_E_NOT_FOUND, -7, "NOT_FOUND" },
		{ SONDE_E_NO_ACCESS, -8, "NO_ACCESS" },
		{ SONDE_E_UNSUPPORTED, -9, "UNSUPPORTED" },
		{ SONDE_E_CANCELLED, -10, "CANCELLED" },
		{ SONDE_E_TIMED_OUT, -11, "TIMED_OUT" },
		{ SONDE_E_GONE, -12, "GONE" },
		{ SONDE_E_BUSY, -13, "BUSY" },
		{ SONDE_E_ABI, -14, "ABI" },
		{ SONDE_E_NO_TYPES, -15, "NO_TYPES" },
		{ SONDE_E_TRUNCATED, -16, "TRUNCATED" },
		{ SONDE_E_READ_ONLY, -17, "READ_ONLY" },
		{ SONDE_E_LIMIT, -18, "LIMIT" },
		{ SONDE_E_CORRUPT, -19, "CORRUPT" },
		{ SONDE_E_AMBIGUOUS, -20, "AMBIGUOUS" },
		{ SONDE_E_NOT_SAVED, -21, "NOT_SAVED" },
		{ SONDE_E_EXHAUSTED, -22, "EXHAUSTED" },
		{ SONDE_E_CLOSED, -23, "CLOSED" },
		{ SONDE_E_CHANGED, -24, "CHANGED" },
		{ SONDE_E_REFUSED, -25, "REFUSED" },
		{ SONDE_E_UNREACHABLE, -26, "UNREACHABLE" },
		{ SONDE_E_IN_USE, -27, "IN_USE" },
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		assert_int_equal(codes[i].code, codes[i].number);
		assert_string_equal(sonde_error_name(codes[i].code), codes[i].name);
		assert_true(strlen(sonde_strerror(codes[i].code)) > 5);
		assert_string_not_equal(sonde_strerror(codes[i].code), "unknown error");
	}
	assert_string_equal(sonde_error_name(-9999), "UNKNOWN");
	assert_string_equal(sonde_strerror(-9999), "unknown error");
	assert_string_equal(sonde_error_name(0), "OK");
	assert_string_equal(sonde_strerror(17), "success");
}

static void set_fills_and_returns_the_code(void **state)
{
	(void)state;
	struct sonde_error err = { .os_code = 5 };

	assert_int_equal(sonde_error_set(&err, SONDE_E_CORRUPT, "page %d: %s", 3, "bad"),
			 SONDE_E_CORRUPT);
	assert_int_equal(err.code, SONDE_E_CORRUPT);
	assert_int_equal(err.os_code, 0);
	assert_string_equal(err.text, "page 3: bad");
	/* Through a pointer: compilers warn of a NULL format, which is allowed here. */
	int (*set)(struct sonde_error *, int, const char *, ...) = sonde_error_set;
	assert_int_equal(set(&err, SONDE_E_IO, NULL), SONDE_E_IO);
	assert_string_equal(err.text, sonde_strerror(SONDE_E_IO));
}

static void null_is_allowed_everywhere(void **state)
{
	(void)state;
	assert_int_equal(sonde_error_set(NULL, SONDE_E_GONE, "x"), SONDE_E_GONE);
	assert_int_equal(sonde_error_os(NULL, ENOENT, "x"), SONDE_E_NOT_FOUND);
	assert_int_equal(sonde_error_prefix(NULL, "x"), 0);
}

static void errno_becomes_a_code_and_text(void **state)
{
	(void)state;
	static const struct {
		int os_code, want;
	} cases[] = {
		{ ENOENT, SONDE_E_NOT_FOUND }, { EACCES, SONDE_E_NO_ACCESS },
		{ EPERM, SONDE_E_NO_ACCESS },  { ENOMEM, SONDE_E_NO_MEMORY },
		{ ESRCH, SONDE_E_GONE },       { EFAULT, SONDE_E_NOT_MAPPED },
		{ EIO, SONDE_E_IO },           { ENOSYS, SONDE_E_UNSUPPORTED },
	};
	struct sonde_error err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(sonde_error_os(&err, cases[i].os_code, "'%s'", "file"),
				 cases[i].want);
		assert_int_equal(err.os_code, cases[i].os_code);
	}
	sonde_error_os(&err, ENOENT, "'%s'", "file");
	assert_string_equal(err.text, "'file': No such file or directory");
}

static void prefixes_grow_outwards(void **state)
{
	(void)state;
	struct sonde_error err;

	sonde_error_set(&err, SONDE_E_BAD_FORMAT, "bad zlib stream");
	assert_int_equal(sonde_error_prefix(&err, "page %d", 7), SONDE_E_BAD_FORMAT);
	sonde_error_prefix(&err, "kdump: '%s'", "vm.core");
	assert_string_equal(err.text, "kdump: 'vm.core': page 7: bad zlib stream");
}

static void long_stories_are_cut_and_terminated(void **state)
{
	(void)state;
	struct sonde_error err;
	char big[2000];

	memset(big, 'b', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	sonde_error_set(&err, SONDE_E_IO, "%s", big);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	sonde_error_prefix(&err, "%s", "outer");
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	assert_memory_equal(err.text, "outer: bbb", 10);
	sonde_error_prefix(&err, "%s", big);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
	sonde_error_os(&err, EIO, "%s", big);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static void control_bytes_do_not_reach_the_terminal(void **state)
{
	(void)state;
	struct sonde_error err;

	sonde_error_set(&err, SONDE_E_IO, "'%s'", "a\nb\033[2Jc\x7f");
	assert_string_equal(err.text, "'a?b?[2Jc?'");
}

static void architectures_have_names(void **state)
{
	(void)state;
	assert_string_equal(sonde_arch_name(SONDE_ARCH_X86_64), "x86_64");
	assert_string_equal(sonde_arch_name(SONDE_ARCH_AARCH64), "aarch64");
	assert_string_equal(sonde_arch_name(SONDE_ARCH_I386), "i386");
	assert_string_equal(sonde_arch_name(SONDE_ARCH_RISCV64), "riscv64");
	assert_string_equal(sonde_arch_name(SONDE_ARCH_ARM), "arm");
	assert_string_equal(sonde_arch_name(999), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codes_keep_their_numbers),
		cmocka_unit_test(set_fills_and_returns_the_code),
		cmocka_unit_test(null_is_allowed_everywhere),
		cmocka_unit_test(errno_becomes_a_code_and_text),
		cmocka_unit_test(prefixes_grow_outwards),
		cmocka_unit_test(long_stories_are_cut_and_terminated),
		cmocka_unit_test(control_bytes_do_not_reach_the_terminal),
		cmocka_unit_test(architectures_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
