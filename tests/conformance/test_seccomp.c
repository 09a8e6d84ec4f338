/* SPDX-License-Identifier: MIT */
/*
 * io_uring refused, all of it or what a ring keeps for later: auto goes on with threads and says why; by name it
 * is an error that helps. What a ring can do without is done without.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sonde/loop.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"

enum { AUTO_WRONG = 1, NAME_WRONG = 2, NOT_REFUSED = 4, CANNOT = 77 };

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
static int in_child(int (*run)(const void *arg), const void *arg)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(run(arg));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == CANNOT)
		skip();
	return WEXITSTATUS(status);
}

struct refusal {
	int os_code, code;
	const char *words;
};

static int both_are_told(const struct refusal *refusal)
{
	return (auto_is_threads(refusal->words) ? 0 : AUTO_WRONG) |
	       (by_name_is(refusal->code, refusal->words) ? 0 : NAME_WRONG);
}

static int without_rings(const void *arg)
{
	const struct refusal *refusal = arg;

	return confine_uring(refusal->os_code) < 0 ? CANNOT : both_are_told(refusal);
}

static void refused_by_permission_names_the_setting(void **state)
{
	struct refusal refusal = { EPERM, SONDE_E_NO_ACCESS, "kernel.io_uring_disabled" };

	(void)state;
	assert_int_equal(in_child(without_rings, &refusal), 0);
}

static void refused_as_unknown_says_so(void **state)
{
	struct refusal refusal = { ENOSYS, SONDE_E_UNSUPPORTED, "no io_uring" };

	(void)state;
	assert_int_equal(in_child(without_rings, &refusal), 0);
}

static void refused_for_want_of_memory_names_the_limit(void **state)
{
	struct refusal refusal = { ENOMEM, SONDE_E_NO_MEMORY, "ulimit -l" };

	(void)state;
	assert_int_equal(in_child(without_rings, &refusal), 0);
}

static void refused_for_want_of_descriptors_names_the_limit(void **state)
{
	struct refusal refusal = { EMFILE, SONDE_E_EXHAUSTED, "ulimit -n" };

	(void)state;
	assert_int_equal(in_child(without_rings, &refusal), 0);
}

/* Really: one descriptor for the loop's own, none for a ring. */
static int without_descriptors(const void *arg)
{
	int fd = dup(STDOUT_FILENO);
	struct rlimit limit;

	close(fd);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = (rlim_t)fd + 1;
	return setrlimit(RLIMIT_NOFILE, &limit) < 0 ? CANNOT : both_are_told(arg);
}

static void without_a_descriptor_for_a_ring_there_are_threads(void **state)
{
	struct refusal refusal = { 0, SONDE_E_EXHAUSTED, "Too many open files" };

	(void)state;
	assert_int_equal(in_child(without_descriptors, &refusal), 0);
}

static int without_questions(const void *arg)
{
	return confine_tables(EPERM, 1) < 0 ? CANNOT : both_are_told(arg);
}

static void a_ring_that_cannot_be_asked_is_refused(void **state)
{
	struct refusal refusal = { 0, SONDE_E_UNSUPPORTED, "io_uring_register" };

	(void)state;
	assert_int_equal(in_child(without_questions, &refusal), 0);
}

/* A ring is made, and memory cannot be registered with it. */
static int ring_refuses_memory(int code)
{
	struct sonde_loop_options options = { .size = sizeof(options),
					      .engine = SONDE_ENGINE_URING };
	static char memory[1 << 16];
	struct sonde_loop *loop = NULL;
	struct sonde_error err = { 0 };

	if (sonde_loop_create(&options, &loop, &err) < 0) {
		print_message("%s\n", err.text);
		return NAME_WRONG;
	}
	int r = sonde_loop_register(loop, memory, sizeof(memory));
	if (r != code)
		print_message("register: got %d\n", r);
	sonde_loop_destroy(loop);
	return r == code ? 0 : NOT_REFUSED;
}

static int without_tables(const void *arg)
{
	(void)arg;
	return confine_tables(EPERM, 0) < 0 ? CANNOT : ring_refuses_memory(SONDE_E_UNSUPPORTED);
}

static void a_ring_without_tables_is_one_all_the_same(void **state)
{
	(void)state;
	assert_int_equal(in_child(without_tables, NULL), 0);
}

/*
 * Root may lock as much as it likes, so it is somebody else who may not. Kernels count the ring itself, or only
 * what is registered with it.
 */
static int without_locked_memory(const void *arg)
{
	struct sonde_loop_options options = { .size = sizeof(options),
					      .engine = SONDE_ENGINE_URING };
	struct rlimit none = { 0, 0 };
	struct sonde_loop *loop;

	if (setrlimit(RLIMIT_MEMLOCK, &none) < 0 || (geteuid() == 0 && setuid(65534) < 0))
		return CANNOT;
	if (sonde_loop_create(&options, &loop, NULL) < 0)
		return both_are_told(arg);
	sonde_loop_destroy(loop);
	return ring_refuses_memory(SONDE_E_LIMIT);
}

static void without_locked_memory_nothing_is_kept_by_a_ring(void **state)
{
	struct refusal refusal = { 0, SONDE_E_NO_MEMORY, "ulimit -l" };

	(void)state;
	assert_int_equal(in_child(without_locked_memory, &refusal), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_by_permission_names_the_setting),
		cmocka_unit_test(refused_as_unknown_says_so),
		cmocka_unit_test(refused_for_want_of_memory_names_the_limit),
		cmocka_unit_test(refused_for_want_of_descriptors_names_the_limit),
		cmocka_unit_test(without_a_descriptor_for_a_ring_there_are_threads),
		cmocka_unit_test(a_ring_that_cannot_be_asked_is_refused),
		cmocka_unit_test(a_ring_without_tables_is_one_all_the_same),
		cmocka_unit_test(without_locked_memory_nothing_is_kept_by_a_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
