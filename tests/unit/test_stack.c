/* SPDX-License-Identifier: MIT */
/*
 * Stacks: a hundred thousand, what they take up, how deep they were used, and what becomes of whoever
 * runs past the end. Linked with --wrap, so that the host's part can say no.
 */
#include <signal.h>
#include <sonde/task.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake.h"
#include "io/loop.h"
#include "task/inside.h"

/* ---- the host between us and the real one ------------------------------------------------- */

enum guards { GUARDS_REAL, GUARDS_PROTECT, GUARDS_NONE, GUARDS_HALF };

static enum guards guards;
static size_t map_limit; /* longer maps are refused */

bool __real_stack_guard(void *page, size_t n);
bool __wrap_stack_guard(void *page, size_t n);
bool __wrap_stack_guard(void *page, size_t n)
{
	switch (guards) {
	case GUARDS_REAL:
		return __real_stack_guard(page, n);
	case GUARDS_PROTECT: /* a kernel before 6.13: stack_posix.c */
		return n < 4096 && mprotect(page, stack_page(), PROT_NONE) == 0;
	case GUARDS_HALF:
		return n % 2 && __real_stack_guard(page, n);
	default:
		return false;
	}
}

void *__real_stack_map(size_t len);
void *__wrap_stack_map(size_t len);
void *__wrap_stack_map(size_t len)
{
	return len > map_limit ? NULL : __real_stack_map(len);
}

static struct sonde_loop *loop;

static int setup(void **state)
{
	(void)state;
	guards = GUARDS_REAL;
	map_limit = SIZE_MAX;
	loop = loop_new(SONDE_ENGINE_SYNC, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	int left = loop->n_tasks != 0;

	sonde_loop_destroy(loop);
	return left;
}

static struct sonde_task_stats stats(void)
{
	struct sonde_task_stats s;

	sonde_task_stats(loop, &s);
	return s;
}

/* ---- many --------------------------------------------------------------------------------- */

/* The sanitizers have memory of their own for each stack, TSan maps as well. */
#if defined(TASK_TSAN)
enum { MANY = 1000 };
#elif defined(TASK_ASAN)
enum { MANY = 10000 };
#else
enum { MANY = 100000 };
#endif

static size_t resident(void)
{
	unsigned long all = 0, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu %lu", &all, &pages), 2);
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static int sleeps(struct sonde_task *self, void *arg)
{
	int r = sonde_task_sleep(self, UINT64_MAX);

	++*(int *)arg;
	return r;
}

static size_t most_unguarded;

static int parks_many(struct sonde_task *self, void *arg)
{
	size_t *ret = arg, before = resident();
	int ended = 0;

	for (int i = 0; i < MANY; i++)
		assert_int_equal(sonde_task_spawn_child(self, sleeps, &ended, NULL), 0);
	sonde_task_yield(self);
	assert_int_equal(stats().tasks, MANY + 1);
	most_unguarded = loop->tasks->pool.n_unguarded;
	*ret = (resident() - before) / MANY;
	sonde_task_cancel(self);
	while (ended < MANY)
		sonde_task_yield(self);
	return 0;
}

static size_t park_many(void)
{
	struct sonde_task *task;
	size_t each = 0, before = resident();

	sonde_task_spawn(loop, parks_many, &each, &task);
	assert_int_equal(sonde_task_join(NULL, task), 0);
	assert_true(stats().stacks < MANY / 4 || stats().stacks < 3000);
#if !defined(TASK_ASAN) && !defined(TASK_TSAN)
	/* What is kept: a thousand stacks, and what malloc does not give back. */
	assert_true(resident() < before + each * MANY / 3);
#else
	(void)before;
#endif
	return each;
}

static void a_hundred_thousand_are_parked_at_once(void **state)
{
	(void)state;
	size_t each = park_many();

#if !defined(TASK_ASAN) && !defined(TASK_TSAN)
	assert_true(each <= 9 * 1024 || stack_page() > 4096);
#endif
	/* And again, from what the pool kept and what it gave back. */
	assert_true(park_many() <= each + 1024);
	sonde_loop_destroy(loop);
	loop = loop_new(SONDE_ENGINE_SYNC, 0);
}

/* Then most have no guard but canaries, which take a page more. */
static void a_hundred_thousand_need_no_map_each(void **state)
{
	(void)state;
	guards = GUARDS_PROTECT;
	size_t each = park_many();

	assert_int_equal(most_unguarded > 0, MANY > 4096);
#if !defined(TASK_ASAN) && !defined(TASK_TSAN)
	assert_true(each <= 9 * 1024 || stack_page() > 4096);
#endif
	(void)each;
}

/* ---- refused memory ------------------------------------------------------------------------- */

static void a_task_without_a_stack_is_not_begun(void **state)
{
	struct sonde_task *task = NULL;
	int ended = 0;

	(void)state;
	map_limit = 0;
	assert_int_equal(sonde_task_spawn(loop, sleeps, &ended, &task), SONDE_E_NO_MEMORY);
	assert_null(task);
	assert_int_equal(sonde_loop_run(loop), 0);
	assert_int_equal(ended, 0);
	/* Where there is room for one only, one it is. */
	map_limit = 2 * stack_page() + STACK_SIZE;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(sonde_task_spawn(loop, sleeps, &ended, &task), 0);
		sonde_task_cancel(task);
		sonde_task_detach(task);
	}
	assert_int_equal(stats().stacks, 3);
	map_limit = 0;
	assert_int_equal(sonde_task_spawn(loop, sleeps, &ended, NULL), SONDE_E_NO_MEMORY);
	sonde_loop_run(loop);
	assert_int_equal(ended, 3);
	assert_int_equal(sonde_task_spawn(loop, sleeps, &ended, &task), 0); /* pooled */
	sonde_task_cancel(task);
	assert_int_equal(sonde_task_join(NULL, task), SONDE_E_CANCELLED);
}

static int spawns_until_refused(struct sonde_task *self, void *arg)
{
	int n = 0, ended = 0, r;

	(void)arg;
	map_limit = 0;
	while ((r = sonde_task_spawn_child(self, sleeps, &ended, NULL)) == 0)
		n++;
	assert_int_equal(r, SONDE_E_NO_MEMORY);
	sonde_task_cancel(self);
	while (ended < n)
		sonde_task_yield(self);
	return n;
}

static void a_parent_survives_a_child_that_cannot_be(void **state)
{
	struct sonde_task *task;

	(void)state;
	sonde_task_spawn(loop, spawns_until_refused, NULL, &task);
	assert_true(sonde_task_join(NULL, task) > 0);
	assert_int_equal(stats().tasks, 0);
}

/* ---- the end of a stack ----------------------------------------------------------------------- */

/* The compiler shall not see that this has no end, nor make a loop of it. */
static __attribute__((noinline)) int use(size_t frames, struct sonde_task *self, bool yields)
{
	volatile char frame[1024];

	for (size_t i = 0; i < sizeof(frame); i++)
		frame[i] = (char)(1 + i % 100);
	if (frames > 1)
		return use(frames - 1, self, yields) + frame[7];
	if (yields)
		sonde_task_yield(self);
	return frame[9];
}

struct dive {
	size_t frames;
	bool yields;
};

static int dives(struct sonde_task *self, void *arg)
{
	const struct dive *dive = arg;

	return use(dive->frames, self, dive->yields) > 0;
}

/* Its status, as wait tells it; what it says goes to where nobody reads. */
static int death_of(struct dive dive)
{
	fflush(NULL);
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		signal(SIGSEGV, SIG_DFL);
		signal(SIGABRT, SIG_DFL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		/* Its neighbours on both sides, so that only a guard stops it. */
		for (int i = 0; i < 3; i++)
			sonde_task_spawn(loop, dives, &dive, NULL);
		sonde_loop_run(loop);
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static bool died(int status)
{
	/* The sanitizers catch the signal, say so and exit. */
	return WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) > 0);
}

static void whoever_runs_past_the_end_dies(void **state)
{
	(void)state;
	for (enum guards g = GUARDS_REAL; g <= GUARDS_PROTECT; g++) {
		guards = g;
		assert_int_equal(death_of((struct dive){ 30, true }), 0);
		assert_true(died(death_of((struct dive){ 100, true })));
		assert_true(died(death_of((struct dive){ 100, false })));
		sonde_loop_destroy(loop);
		loop = loop_new(SONDE_ENGINE_SYNC, 0);
	}
}

/* Where there are no guards, the next switch finds out, or the end of the task. */
static void without_guards_the_next_switch_finds_out(void **state)
{
	(void)state;
	guards = GUARDS_NONE;
	assert_int_equal(death_of((struct dive){ 30, true }), 0);
	/* Only just past the end: it has harmed nobody yet. */
	for (int yields = 0; yields < 2; yields++) {
		int status = death_of((struct dive){ 63, yields });
#if defined(TASK_ASAN) || defined(TASK_TSAN)
		assert_true(died(status)); /* frames are larger */
#else
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
#endif
	}
}

static void guards_that_are_missing_are_counted(void **state)
{
	int ended = 0;

	(void)state;
	guards = GUARDS_HALF;
	for (int i = 0; i < 16; i++)
		sonde_task_spawn(loop, sleeps, &ended, NULL);
	assert_int_equal(loop->tasks->pool.n_unguarded, stats().stacks / 2);
	for (struct loop_ready *r = loop->ready_head; r; r = r->next)
		sonde_task_cancel((struct sonde_task *)(void *)r);
	sonde_loop_run(loop);
	assert_int_equal(ended, 16);
}

/* ---- how deep --------------------------------------------------------------------------------- */

static void the_deepest_use_is_known_to_the_page(void **state)
{
	struct dive shallow = { 4, false }, deep = { 30, true };
	struct sonde_task *task;

	(void)state;
	assert_int_equal(stats().stack_used, 0);
	assert_int_equal(stats().stack_size, 65536);
	sonde_task_spawn(loop, dives, &shallow, &task);
	sonde_task_join(NULL, task);
#if !defined(TASK_ASAN) && !defined(TASK_TSAN)
	assert_in_range(stats().stack_used, 4 * 1024, 8 * 1024);
#endif
	sonde_task_spawn(loop, dives, &deep, &task);
	sonde_task_join(NULL, task);
	sonde_task_spawn(loop, dives, &shallow, &task);
	sonde_task_join(NULL, task);
#if !defined(TASK_ASAN) && !defined(TASK_TSAN)
	/* A frame is its kilobyte and what the compiler adds for saved registers. */
	assert_in_range(stats().stack_used, 30 * 1024, 30 * 1024 + 30 * 96 + 1024);
#endif
}

static int counts(struct sonde_task *self, void *arg)
{
	uint64_t before = stats().stack_used;

	(void)arg;
	assert_int_equal(use(30, self, true) > 0, 1);
	uint64_t after = stats().stack_used;
	(void)before, (void)after;
#if !defined(TASK_ASAN) && !defined(TASK_TSAN)
	assert_true(before < 8192);
	assert_true(after >= 30 * 1024);
#endif
	return 0;
}

static void it_is_known_while_they_run(void **state)
{
	struct sonde_task *task;

	(void)state;
	sonde_task_spawn(loop, counts, NULL, &task);
	assert_int_equal(sonde_task_join(NULL, task), 0);
}

/* Looking touches nothing that was not touched before. */
static void asking_takes_no_memory(void **state)
{
	int ended = 0;
	struct sonde_task *tasks[200];

	(void)state;
	for (int i = 0; i < 200; i++)
		sonde_task_spawn(loop, sleeps, &ended, &tasks[i]);
	sonde_loop_turn(loop);
	stats();
	size_t before = resident();
	for (int i = 0; i < 10; i++)
		assert_int_equal(stats().tasks, 200);
	assert_true(resident() < before + 200 * 2048);
	for (int i = 0; i < 200; i++) {
		sonde_task_cancel(tasks[i]);
		assert_int_equal(sonde_task_join(NULL, tasks[i]), SONDE_E_CANCELLED);
	}
}

static int dives_and_sleeps(struct sonde_task *self, void *arg)
{
	assert_true(use(30, self, false) > 0);
	return sleeps(self, arg);
}

/* The deepest one ends last, so its stack goes back to the system, but not the memory of it. */
static void it_outlives_the_stack(void **state)
{
	int ended = 0;
	enum { N = 1500 };
	static struct sonde_task *tasks[N];

	(void)state;
	for (int i = 0; i < N; i++) {
		sonde_task_fn *fn = i == N - 1 ? dives_and_sleeps : sleeps;
		assert_int_equal(sonde_task_spawn(loop, fn, &ended, &tasks[i]), 0);
	}
	sonde_loop_turn(loop);
	uint64_t used = stats().stack_used, stacks = stats().stacks;
	for (int i = 0; i < N; i++) {
		sonde_task_cancel(tasks[i]);
		sonde_task_join(NULL, tasks[i]);
	}
	assert_true(stats().stacks < stacks);
	assert_int_equal(stats().stack_used, used);
}

/* One in forty lives on, so hardly any mapping can go; the memory of the others does. */
static void give_back(void)
{
	int ended = 0;
	enum { N = MANY < 10000 ? MANY : 10000 };
	static struct sonde_task *tasks[N];
	size_t before = resident();

	for (int i = 0; i < N; i++)
		assert_int_equal(sonde_task_spawn(loop, sleeps, &ended, &tasks[i]), 0);
	sonde_loop_turn(loop);
	size_t peak = resident();
	for (int i = 0; i < N; i++) {
		if (i % 40 == 0)
			continue;
		sonde_task_cancel(tasks[i]);
		sonde_task_join(NULL, tasks[i]);
	}
	size_t after = resident();
#if !defined(TASK_ASAN) && !defined(TASK_TSAN)
	assert_true(stats().stacks > N / 2);
	assert_true(after - before < (peak - before) / 3);
#endif
	(void)before, (void)peak, (void)after;
	for (int i = 0; i < N; i += 40) {
		sonde_task_cancel(tasks[i]);
		sonde_task_join(NULL, tasks[i]);
	}
	assert_int_equal(ended, N);
	/* What is left is used again before anything new is mapped. */
	uint64_t stacks = stats().stacks < N ? stats().stacks : N;
	map_limit = 0;
	for (uint64_t i = 0; i < stacks; i++)
		assert_int_equal(sonde_task_spawn(loop, sleeps, &ended, &tasks[i]), 0);
	for (uint64_t i = 0; i < stacks; i++) {
		sonde_task_cancel(tasks[i]);
		sonde_task_join(NULL, tasks[i]);
	}
}

static void idle_stacks_give_back_their_memory(void **state)
{
	(void)state;
	give_back();
	sonde_loop_destroy(loop);
	setup(NULL);
	guards = GUARDS_NONE; /* canaries take memory, too */
	give_back();
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_hundred_thousand_are_parked_at_once),
		TEST(a_hundred_thousand_need_no_map_each),
		TEST(a_task_without_a_stack_is_not_begun),
		TEST(a_parent_survives_a_child_that_cannot_be),
		TEST(whoever_runs_past_the_end_dies),
		TEST(without_guards_the_next_switch_finds_out),
		TEST(guards_that_are_missing_are_counted),
		TEST(the_deepest_use_is_known_to_the_page),
		TEST(it_is_known_while_they_run),
		TEST(asking_takes_no_memory),
		TEST(it_outlives_the_stack),
		TEST(idle_stacks_give_back_their_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
