/* SPDX-License-Identifier: MIT */
/*
 * The little of cmocka's interface that the core's unit tests use, for architectures whose cmocka is
 * not at hand. A failed check ends the program with 1: there is no next test to run.
 */
#ifndef TESTS_CROSS_CMOCKA_H
#define TESTS_CROSS_CMOCKA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
	const char *name;
	void (*run)(void **state);
	int (*setup)(void **state);
	int (*teardown)(void **state);
};
#define cmocka_unit_test(f)                                                                        \
	{                                                                                          \
#f, f, NULL, NULL                                                                  \
	}
#define cmocka_unit_test_setup_teardown(f, setup, teardown)                                        \
	{                                                                                          \
#f, f, setup, teardown                                                             \
	}

#define print_message printf
#define fail_msg(...)                                                                              \
	do {                                                                                       \
		fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                    \
		fprintf(stderr, __VA_ARGS__);                                                      \
		fputc('\n', stderr);                                                               \
		exit(1);                                                                           \
	} while (0)

#define plain_check(holds, text)                                                                   \
	do {                                                                                       \
		if (!(holds))                                                                      \
			fail_msg("%s", text);                                                      \
	} while (0)

#define assert_true(c) plain_check(c, #c)
#define assert_false(c) plain_check(!(c), "not: " #c)
#define assert_null(p) plain_check((p) == NULL, #p " is NULL")
#define assert_non_null(p) plain_check((p) != NULL, #p " is not NULL")
#define assert_ptr_equal(a, b) plain_check((a) == (b), #a " is " #b)
#define assert_string_equal(a, b) plain_check(strcmp(a, b) == 0, #a " is " #b)
#define assert_memory_equal(a, b, n) plain_check(memcmp(a, b, n) == 0, #a " holds " #b)
#define assert_int_not_equal(a, b) plain_check((int64_t)(a) != (int64_t)(b), #a " is not " #b)
#define assert_in_range(v, low, high) plain_check((v) >= (low) && (v) <= (high), #v " is in range")
#define assert_int_equal(a, b)                                                                     \
	do {                                                                                       \
		long long got_ = (long long)(a), want_ = (long long)(b);                           \
		if (got_ != want_)                                                                 \
			fail_msg("%s: got %lld, want %lld", #a, got_, want_);                      \
	} while (0)

static inline int plain_run(const struct CMUnitTest *tests, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		void *state = NULL;
		if (tests[i].setup && tests[i].setup(&state))
			fail_msg("%s: setup failed", tests[i].name);
		tests[i].run(&state);
		if (tests[i].teardown && tests[i].teardown(&state))
			fail_msg("%s: teardown failed", tests[i].name);
		printf("ok %s\n", tests[i].name);
	}
	printf("%zu tests passed\n", n);
	return n == 0;
}
#define cmocka_run_group_tests(tests, setup, teardown)                                             \
	plain_run(tests, sizeof(tests) / sizeof((tests)[0]))

#endif
