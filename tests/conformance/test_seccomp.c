/* SPDX-License-Identifier: MIT */
/* io_uring refused by a sandbox: auto goes on with threads and says why; by name it is an error that helps. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sonde/loop.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"

enum { AUTO_WRONG = 1, NAME_WRONG = 2, NO_SECCOMP = 77 };

static int auto_is_threads(const char *reason)
{
	struct sonde_loop *loop;
	const char *why = "";

	if (sonde_loop_create(NULL, &loop, NULL) < 0)
		return 0;
	int right = strcmp(sonde_loop_engine(loop, &why), "threads") == 0 &&
		    strstr(why, "io_uring refused") && strstr(why, reason);
	if (!right)
		print_message("auto: got %s, %s\n", sonde_loop_engine(loop, NULL), why);
	sonde_loop_destroy(loop);
	return right;
}

static int by_name_is(int code, const char *reason)
{
	struct sonde_loop_options options = { .size = sizeof(options),
					      .engine = SONDE_ENGINE_URING };
	struct sonde_loop *loop = NULL;
	struct sonde_error err = { 0 };
	int r = sonde_loop_create(&options, &loop, &err);

	if (r == code && err.code == code && !loop && strstr(err.text, reason))
		return 1;
	print_message("io_uring: got %d, %s\n", r, err.text);
	return 0;
}

/* In a child: a filter is for ever. */
static int confined(int os_code, int code, const char *reason)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (confine_uring(os_code) < 0)
			_exit(NO_SECCOMP);
		_exit((auto_is_threads(reason) ? 0 : AUTO_WRONG) |
		      (by_name_is(code, reason) ? 0 : NAME_WRONG));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == NO_SECCOMP)
		skip();
	return WEXITSTATUS(status);
}

static void refused_by_permission_names_the_setting(void **state)
{
	(void)state;
	assert_int_equal(confined(EPERM, SONDE_E_NO_ACCESS, "kernel.io_uring_disabled"), 0);
}

static void refused_as_unknown_says_so(void **state)
{
	(void)state;
	assert_int_equal(confined(ENOSYS, SONDE_E_UNSUPPORTED, "no io_uring"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_by_permission_names_the_setting),
		cmocka_unit_test(refused_as_unknown_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
