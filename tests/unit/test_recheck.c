/* SPDX-License-Identifier: MIT */
/* A task that becomes another one between the first look at it and the last. */
#include "kmem.h"

#include "linux/recheck.h"

#define N 3
#define FIELDS (SONDE_PROCESS_IDENTITY | SONDE_PROCESS_CRED)

static const struct layout layout = {
	.task_state = { 0, 4 },
	.task_pid = { 4, 4 },
	.task_tgid = { 8, 4 },
	.task_real_parent = { 16, 8 },
	.task_mm = { 24, 8 },
	.task_comm = { 32, 16 },
	.task_start_boottime = { 48, 8 },
	.task_real_cred = { 56, 8 },
	.task_signal = { 64, 8 },
	.task_thread_pid = { 72, 8 },
	.task_pid_links = { 80, 64 },
	.pid_tasks = { 16, 32 },
};

/* Three tasks, read once. */
struct world {
	struct kmem *k; /* first: kmem_teardown frees it */
	struct plan plan;
	struct rows rows;
	struct sonde_process items[N];
	uint64_t pids[N];
};

static void put_task(struct world *w, size_t i)
{
	uint64_t task = w->items[i].addr;

	kmem_put32(w->k, task + 4, (uint32_t)i + 1);
	kmem_put(w->k, task + 32, "sleep", 6);
	kmem_put64(w->k, task + 72, w->pids[i]);
	kmem_put64(w->k, w->pids[i] + 16, task + 80);
}

static void read_rows(struct world *w)
{
	const struct layout *l = &layout;
	const struct field fields[] = { l->task_state, l->task_pid,  l->task_tgid,
					l->task_mm,    l->task_comm, l->task_thread_pid };
	struct sonde_batch *batch = sonde_batch_create(w->k->loop);

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		plan_add(&w->plan, fields[i]);
	assert_int_equal(rows_init(&w->rows, &w->plan, N), 0);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(
			rows_want(&w->rows, i, w->items[i].addr, w->k->lx.os.kernel_memory, batch),
			0);
	assert_true(sonde_batch_run(batch) >= 0);
	sonde_batch_destroy(batch);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	kmem_setup((void **)&w->k);
	w->k->lx.layout = layout;
	for (size_t i = 0; i < N; i++) {
		w->items[i].addr = kmem_new(w->k, SONDE_PAGE_SIZE);
		w->pids[i] = kmem_new(w->k, 64);
		put_task(w, i);
	}
	read_rows(w);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	rows_finish(&w->rows);
	kmem_teardown((void **)&w->k);
	free(w);
	return 0;
}

/* The middle one is marked, or none is. */
static void expect(struct world *w, int32_t err)
{
	assert_int_equal(linux_recheck(&w->k->lx, &w->rows, w->items, N, FIELDS), 0);
	for (size_t i = 0; i < N; i++) {
		assert_int_equal(w->items[i].err, i == 1 ? err : 0);
		assert_int_equal(w->items[i].missing, i == 1 && err ? FIELDS : 0);
	}
}

static void tasks_that_stay_as_they_are_are_left_alone(void **state)
{
	expect(*state, 0);
}

static void a_state_may_change(void **state)
{
	struct world *w = *state;

	kmem_put32(w->k, w->items[1].addr, 1);
	expect(w, 0);
}

static void another_name_marks_the_item(void **state)
{
	struct world *w = *state;

	kmem_put(w->k, w->items[1].addr + 32, "shell", 6);
	expect(w, SONDE_E_CHANGED);
}

static void another_memory_marks_the_item(void **state)
{
	struct world *w = *state;

	kmem_put64(w->k, w->items[1].addr + 24, KMEM_BASE);
	expect(w, SONDE_E_CHANGED);
}

static void a_task_that_has_left_its_struct_pid_is_marked(void **state)
{
	struct world *w = *state;

	kmem_put64(w->k, w->pids[1] + 16, 0);
	expect(w, SONDE_E_CHANGED);
}

/* As fork makes it: a copy of its parent, whose struct pid has the parent only. */
static void a_task_that_is_being_made_is_marked(void **state)
{
	struct world *w = *state;

	kmem_put(w->k, w->items[1].addr, w->k->bytes + (w->items[0].addr - KMEM_BASE), 80);
	rows_finish(&w->rows);
	w->plan = (struct plan){ 0 };
	read_rows(w);
	expect(w, SONDE_E_CHANGED);
}

static void a_task_whose_memory_goes_away_is_marked(void **state)
{
	struct world *w = *state;

	w->k->missing = w->items[1].addr;
	expect(w, SONDE_E_CHANGED);
}

static void an_error_that_came_first_stays(void **state)
{
	struct world *w = *state;

	w->items[1].err = SONDE_E_PAGED_OUT;
	kmem_put32(w->k, w->items[1].addr + 4, 77);
	expect(w, SONDE_E_PAGED_OUT);
}

static void a_kernel_that_does_not_tell_the_struct_pid_is_taken_at_its_word(void **state)
{
	struct world *w = *state;

	w->k->lx.layout.task_thread_pid = (struct field){ 0 };
	kmem_put64(w->k, w->pids[1] + 16, 0);
	expect(w, 0);
}

static void rows_of_more_than_any_kernel_holds_are_refused(void **state)
{
	struct plan plan = { 0 };
	struct rows rows;

	(void)state;
	plan_add(&plan, (struct field){ 0, 1 << 20 });
	assert_int_equal(rows_init(&rows, &plan, (ROWS_BYTES_MAX >> 20) + 1), SONDE_E_LIMIT);
	assert_null(rows.bytes);
	assert_int_equal(rows_init(&rows, &plan, 4), SONDE_OK);
	rows_finish(&rows);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(tasks_that_stay_as_they_are_are_left_alone),
		T(a_state_may_change),
		T(another_name_marks_the_item),
		T(another_memory_marks_the_item),
		T(a_task_that_has_left_its_struct_pid_is_marked),
		T(a_task_that_is_being_made_is_marked),
		T(a_task_whose_memory_goes_away_is_marked),
		T(an_error_that_came_first_stays),
		T(rows_of_more_than_any_kernel_holds_are_refused),
		T(a_kernel_that_does_not_tell_the_struct_pid_is_taken_at_its_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
