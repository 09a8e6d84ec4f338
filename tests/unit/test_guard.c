/* SPDX-License-Identifier: MIT */
/* Guards: a fault in one becomes a value; outside one it still kills, and so does a sent SIGBUS. */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/guard.h"
#include "fake.h"

/* A page behind the end of its file. */
static char *lost_page(void)
{
	int fd = memfd_create("lost", 0);
	char *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

	assert_true(p != MAP_FAILED);
	close(fd);
	return p;
}

static int faults(const char *p)
{
	struct guard guard;
	volatile int faulted = 1;
	char copy[8];

	if (!GUARD_ENTER(&guard)) {
		memcpy(copy, p, sizeof(copy));
		__asm__ volatile("" : : "r"(copy) : "memory");
		faulted = 0;
	}
	guard_leave(&guard);
	return faulted;
}

static void a_fault_is_a_value_again_and_again(void **state)
{
	char *p = lost_page(), fine[8] = { 0 };

	(void)state;
	assert_int_equal(guard_install(), 0);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(faults(p), 1);
		assert_int_equal(faults(fine), 0);
	}
	munmap(p, 4096);
}

static void guards_nest(void **state)
{
	char *p = lost_page();
	struct guard outer;
	volatile int outer_faults = 0;

	(void)state;
	guard_install();
	if (!GUARD_ENTER(&outer)) {
		assert_int_equal(faults(p), 1);
		(void)*(volatile char *)p;
	} else {
		outer_faults = 1;
	}
	guard_leave(&outer);
	assert_int_equal(outer_faults, 1);
	munmap(p, 4096);
}

/* What a child that does act dies of; 0: it does not. */
static int dies_of(void (*act)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		signal(SIGBUS, SIG_DFL); /* the test library has one of its own */
		act();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

/* Sanitizers report a deadly signal and exit instead of dying of it. */
static void fault_outside(void)
{
	char *p = lost_page();

	guard_install();
	faults(p);
	(void)*(volatile char *)p;
}

static void sent_signal(void)
{
	guard_install();
	raise(SIGBUS);
}

static void a_fault_outside_a_guard_still_kills(void **state)
{
	(void)state;
	assert_int_not_equal(dies_of(fault_outside), 0);
}

static void a_sent_signal_still_kills(void **state)
{
	(void)state;
	assert_int_not_equal(dies_of(sent_signal), 0);
}

static void own_handler(int signo)
{
	(void)signo;
	_exit(42);
}

static void fault_with_an_older_handler(void)
{
	signal(SIGBUS, own_handler);
	guard_install();
	(void)*(volatile char *)lost_page();
}

static void an_older_handler_gets_what_is_not_ours(void **state)
{
	(void)state;
	assert_int_equal(dies_of(fault_with_an_older_handler), 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_older_handler_gets_what_is_not_ours),
		cmocka_unit_test(a_fault_outside_a_guard_still_kills),
		cmocka_unit_test(a_sent_signal_still_kills),
		cmocka_unit_test(a_fault_is_a_value_again_and_again),
		cmocka_unit_test(guards_nest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
