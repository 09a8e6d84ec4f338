/* SPDX-License-Identifier: MIT */
/*
 * Random trees of spaces, batches, faults and cancellations: every request ends exactly once, with the bytes and
 * the outcome that a byte-by-byte oracle and the sync engine give. The cases run in a child, so that one
 * that crashes or hangs can be made smaller like any other.
 *
 *	SONDE_PROPERTY_CASES   how many (20000)
 *	SONDE_PROPERTY_SEED    which (1)
 *	SONDE_PROPERTY_FIRST   from which on (0)
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"

enum {
	EXIT_FAILED = 3,
	STEP_MS = 1000,   /* between two looks at how far the child is               */
	HANGS_MS = 60000, /* no case takes so long, under a sanitizer and on a busy machine */
	SHRINK_MS = 2000, /* ... but one that is run alone and is to hang takes less */
	SHRINK_TRIES = 4000,
	AGAIN = 30, /* a case that depends on threads is tried so often */
};

/* What the child leaves behind. */
static struct {
	_Atomic uint64_t at; /* the case that runs                    */
	_Atomic uint64_t senseless;
	char why[1024];
} * shared;

void fail_now(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(shared->why, sizeof(shared->why), fmt, args);
	va_end(args);
	_exit(EXIT_FAILED);
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

static uint64_t seed_of(uint64_t seed, uint64_t i)
{
	struct numbers numbers = { seed * UINT64_C(0x9e3779b97f4a7c15) + i };

	return numbers_next(&numbers);
}

/* ---- children -------------------------------------------------------------------------------- */

/* In the child. Everything is closed before the end, so that a sanitizer finds what leaks. */
static void run_cases(uint64_t seed, uint64_t first, uint64_t n)
{
	struct pool *pool = pool_create();
	struct plan plan;

	for (uint64_t i = first; i < first + n; i++) {
		atomic_store_explicit(&shared->at, i, memory_order_relaxed);
		plan_generate(&plan, seed_of(seed, i));
		if (!plan_run(pool, &plan))
			atomic_fetch_add_explicit(&shared->senseless, 1, memory_order_relaxed);
	}
	atomic_store(&shared->at, first + n);
	pool_destroy(pool);
	base_thread_stop();
	layers_unload();
	exit(0);
}

static void run_alone(const struct plan *plan)
{
	struct pool *pool = pool_create();
	int quiet = open("/dev/null", O_WRONLY);

	dup2(quiet, STDERR_FILENO);
	close(quiet);
	plan_run(pool, plan);
	pool_destroy(pool);
	base_thread_stop();
	layers_unload();
	exit(0);
}

/* Wait for a child as long as it gets on. Its status as of waitpid; -1: it hung and was killed. */
static int wait_for(pid_t pid, int limit_ms)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0), status, idle_ms = 0;
	struct pollfd ended = { .fd = fd, .events = POLLIN };
	uint64_t at = atomic_load(&shared->at);

	while (poll(&ended, 1, STEP_MS) == 0 && idle_ms < limit_ms) {
		uint64_t now = atomic_load(&shared->at);
		idle_ms = now == at ? idle_ms + STEP_MS : 0;
		at = now;
	}
	close(fd);
	if (waitpid(pid, &status, WNOHANG) == pid)
		return status;
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}

static void describe(int status)
{
	if (status == -1)
		snprintf(shared->why, sizeof(shared->why), "it hangs");
	else if (WIFSIGNALED(status))
		snprintf(shared->why, sizeof(shared->why), "it dies of signal %d (%s)",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != EXIT_FAILED)
		snprintf(shared->why, sizeof(shared->why),
			 "it ends with status %d: a sanitizer has found something",
			 WEXITSTATUS(status));
}

/* ---- making it smaller ------------------------------------------------------------------------- */

struct shrinking {
	unsigned tries; /* of one plan */
	unsigned total;
};

static bool fails_alone(const struct plan *plan)
{
	pid_t pid = fork();

	if (pid == 0)
		run_alone(plan);
	int status = wait_for(pid, SHRINK_MS);
	if (status == 0)
		return false;
	describe(status);
	return true;
}

static bool fails(void *user, const struct plan *plan)
{
	struct shrinking *shrinking = user;

	for (unsigned i = 0; i < shrinking->tries && shrinking->total < SHRINK_TRIES; i++) {
		shrinking->total++;
		if (fails_alone(plan))
			return true;
	}
	return false;
}

static void report_smallest(struct plan *plan, unsigned tries)
{
	struct shrinking shrinking = { .tries = tries };
	char why[sizeof(shared->why)];

	printf("making it smaller ...\n");
	fflush(stdout);
	plan_shrink(plan, fails, &shrinking);
	memcpy(why, shared->why, sizeof(why));
	for (unsigned i = 0; i < AGAIN && !fails_alone(plan); i++)
		;
	printf("the smallest case found in %u tries:\n", shrinking.total);
	plan_print(plan, stdout);
	printf("  why: %s\n", shared->why[0] ? shared->why : why);
}

static void report(uint64_t seed, uint64_t i, int status)
{
	struct plan plan;
	unsigned tries = 1;

	describe(status);
	plan_generate(&plan, seed_of(seed, i));
	printf("case %llu fails: %s\n", (unsigned long long)i, shared->why);
	plan_print(&plan, stdout);
	printf("to repeat it: SONDE_PROPERTY_SEED=%llu SONDE_PROPERTY_FIRST=%llu "
	       "SONDE_PROPERTY_CASES=1\n",
	       (unsigned long long)seed, (unsigned long long)i);
	fflush(stdout);
	while (tries <= AGAIN && !fails_alone(&plan))
		tries++;
	if (tries <= AGAIN)
		report_smallest(&plan, tries == 1 ? 1 : AGAIN);
	else
		printf("alone it passes: it needs what ran before it (begin with an earlier "
		       "SONDE_PROPERTY_FIRST), or the luck of threads\n");
}

/* ---- all of it -------------------------------------------------------------------------------------- */

int main(void)
{
	uint64_t seed = number_from("SONDE_PROPERTY_SEED", 1);
	uint64_t first = number_from("SONDE_PROPERTY_FIRST", 0);
	uint64_t n = number_from("SONDE_PROPERTY_CASES", 20000);
	const char *why = "";

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED || !layers_load(&why)) {
		printf("cannot begin: %s\n", why);
		return 1;
	}
	pid_t pid = fork();
	if (pid == 0)
		run_cases(seed, first, n);
	int status = wait_for(pid, HANGS_MS);
	uint64_t at = atomic_load(&shared->at);
	if (status != 0 && at < first + n)
		report(seed, at, status);
	else if (status != 0)
		printf("all cases pass, but the program ends with status %d\n", status);
	printf("%llu cases, seed %llu; %llu of them make no sense, or their engine is refused "
	       "here\n",
	       (unsigned long long)(at - first), (unsigned long long)seed,
	       (unsigned long long)atomic_load(&shared->senseless));
	layers_unload();
	return status != 0;
}
