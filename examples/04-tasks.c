/* SPDX-License-Identifier: MIT */
/*
 * Tasks: code that reads like blocking code. Each of 1000 tasks follows a chain of four
 * pointers; nobody batches anything, yet all reads of one depth leave as one batch.
 */
#include <sonde/sonde.h>

#include <stdio.h>

enum { N_TASKS = 1000, DEPTH = 4, MASK = 0xfff8 };

struct walk {
	struct sonde_space *memory;
	uint64_t at;
};

/* May suspend, so it takes the task first. */
static int follow(struct sonde_task *task, void *arg)
{
	struct walk *walk = arg;

	for (int i = 0; i < DEPTH; i++) {
		uint64_t next = 0;
		struct sonde_xfer x = { .addr = walk->at, .buf = &next, .len = sizeof(next) };

		if (sonde_task_read(task, walk->memory, &x, 1) != 1)
			return x.err;
		walk->at = next & MASK;
	}
	return 0;
}

static int run(struct sonde_loop *loop, struct sonde_space *memory)
{
	static struct walk walks[N_TASKS];
	struct sonde_task *tasks[N_TASKS];
	struct sonde_space_stats stats;
	int n_failed = 0;

	for (int i = 0; i < N_TASKS; i++) {
		walks[i] = (struct walk){ memory, (uint64_t)i * 64 & MASK };
		if (sonde_task_spawn(loop, follow, &walks[i], &tasks[i]) < 0)
			return 1;
	}
	for (int i = 0; i < N_TASKS; i++)
		n_failed += sonde_task_join(NULL, tasks[i]) < 0;
	sonde_space_stats(memory, &stats);
	printf("%d tasks, %d reads each: %llu pieces in %llu round trips\n", N_TASKS, DEPTH,
	       (unsigned long long)stats.pieces, (unsigned long long)stats.trips);
	return n_failed == 0 && stats.pieces == N_TASKS * DEPTH && stats.trips == DEPTH ? 0 : 1;
}

int main(void)
{
	struct sonde_loop *loop = NULL;
	struct sonde_target *target = NULL;
	struct sonde_error err = { 0 };
	int failed = 1;

	/* mode=transfer: the connector is asked for every batch; mapped memory would just be
	 * copied. */
	if (sonde_loop_create(NULL, &loop, &err) < 0 ||
	    sonde_target_open(loop, "ram:64k,mode=transfer", NULL, &target, &err) < 0)
		fprintf(stderr, "%s\n", err.text);
	else
		failed = run(loop, sonde_target_memory(target));
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	return failed;
}
