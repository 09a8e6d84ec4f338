/* SPDX-License-Identifier: MIT */
/*
 * Whichever comes first: the same page is asked of three targets of different speed, the fastest wins
 * and the others are called off. Then the slowest alone, under a timeout that is too short for it.
 */
#include <sonde/sonde.h>

#include <stdio.h>

#define MS UINT64_C(1000000)
enum { N = 3 };

static const char *const names[N] = { "ram:4k|delay,ms=300", "ram:4k|delay,ms=5",
				      "ram:4k|delay,ms=200" };

static int read_page(struct sonde_task *task, void *arg)
{
	unsigned char page[4096];
	struct sonde_xfer x = { .buf = page, .len = sizeof(page) };

	return sonde_task_read(task, arg, &x, 1);
}

static int race(struct sonde_task *task, void *arg)
{
	struct sonde_space **memories = arg;
	struct sonde_select first[N + 1] = { 0 };
	int results[N];

	for (int i = 0; i < N; i++) {
		first[i].kind = SONDE_SELECT_TASK;
		if (sonde_task_spawn_child(task, read_page, memories[i], &first[i].task) < 0)
			return -1; /* those that run already end with us */
	}
	first[N] = (struct sonde_select){ .kind = SONDE_SELECT_TIME,
					  .at_ns = sonde_now_ns() + 10000 * MS };
	int winner = sonde_task_select(task, first, N + 1);
	for (int i = 0; i < N; i++) {
		if (i != winner)
			sonde_task_cancel(first[i].task);
		results[i] = sonde_task_join(task, first[i].task);
		printf("%s: %s\n", names[i],
		       results[i] < 0 ? sonde_strerror(results[i]) : "came first");
	}
	int slow = sonde_task_timeout(task, sonde_now_ns() + 20 * MS, read_page, memories[0]);
	printf("%s in 20 ms: %s\n", names[0], sonde_strerror(slow));
	return winner == 1 && results[1] == 1 && slow == SONDE_E_TIMED_OUT ? 0 : 1;
}

int main(void)
{
	struct sonde_loop *loop = NULL;
	struct sonde_target *targets[N] = { NULL };
	struct sonde_space *memories[N];
	struct sonde_task *task;
	struct sonde_error err = { 0 };
	int failed = sonde_loop_create(NULL, &loop, &err) < 0;

	for (int i = 0; i < N && !failed; i++) {
		failed = sonde_target_open(loop, names[i], NULL, &targets[i], &err) < 0;
		memories[i] = failed ? NULL : sonde_target_memory(targets[i]);
	}
	if (failed)
		fprintf(stderr, "%s\n", err.text);
	else if (sonde_task_spawn(loop, race, memories, &task) == 0)
		failed = sonde_task_join(NULL, task);
	for (int i = 0; i < N; i++)
		sonde_target_close(targets[i]);
	sonde_loop_destroy(loop);
	return failed;
}
