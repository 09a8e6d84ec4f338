/* SPDX-License-Identifier: MIT */
/* The freestanding part's allocator on the C library, and its assertions. */
#include "base/mem.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/ensure.h"

static void new_memory_is_zeroed_and_keeps_its_bytes_when_it_grows(void **state)
{
	(void)state;
	/* Dirty first, so that zeroes are nobody's luck. */
	char *p = mem_resize(NULL, 1000, 1);
	memset(p, 0xa5, 1000);
	mem_release(p);

	p = mem_alloc(100, 10);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(p[i], 0);
	memset(p, 0x5a, 1000);
	p = mem_resize(p, 10000, 10);
	assert_non_null(p);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(p[i], 0x5a);
	mem_release(p);
	mem_release(NULL);
}

static void products_that_overflow_are_refused(void **state)
{
	(void)state;
	volatile size_t half = SIZE_MAX / 2 + 1;
	char *p = mem_alloc(1, 1);

	*p = 7;
	assert_null(mem_alloc(half, 2));
	assert_null(mem_resize(NULL, half, 2));
	assert_null(mem_resize(p, half, 4));
	assert_int_equal(*p, 7);
	mem_release(p);
}

static void a_byte_is_found_where_it_stands_first(void **state)
{
	(void)state;
	char text[] = "abcabc\xff";

	assert_ptr_equal(mem_find(text, 'b', 6), text + 1);
	assert_null(mem_find(text, 'b', 1));
	assert_null(mem_find(text, 'a', 0));
	assert_ptr_equal(mem_find(text, 0xff, sizeof(text)), text + 6);
	assert_ptr_equal(mem_find(text, 0, sizeof(text)), text + 7);
}

/* Returns the signal that ended it, 0 for none. */
static int signal_of(int value)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		close(STDERR_FILENO);
		signal(SIGABRT, SIG_DFL);
		ENSURE(value == 1);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void a_broken_assertion_ends_the_program_and_a_true_one_does_not(void **state)
{
	(void)state;
	assert_int_equal(signal_of(1), 0);
#ifdef NDEBUG
	assert_int_equal(signal_of(2), 0);
#else
	assert_int_equal(signal_of(2), SIGABRT);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_memory_is_zeroed_and_keeps_its_bytes_when_it_grows),
		cmocka_unit_test(products_that_overflow_are_refused),
		cmocka_unit_test(a_byte_is_found_where_it_stands_first),
		cmocka_unit_test(a_broken_assertion_ends_the_program_and_a_true_one_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
