/* SPDX-License-Identifier: MIT */
/* Tasks: what a switch costs, and what one takes up while it waits. */
#include <errno.h>
#include <sonde/error.h>
#include <sonde/task.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contenders.h"
#include "ours.h"

#define PARKED 100000u

static int open_loop(const struct contender *contender, struct work *work, void **ret)
{
	struct sonde_loop *loop;
	int r = sonde_loop_create(NULL, &loop, NULL);

	(void)contender, (void)work;
	if (r == 0)
		*ret = loop;
	return ours_errno(r);
}

static void close_loop(void *state)
{
	sonde_loop_destroy(state);
}

/* ---- switching -------------------------------------------------------------------------------------- */

static int yielder(struct sonde_task *task, void *arg)
{
	const struct work *work = arg;

	/* Two of these, and each yield is one switch: out of one and into the other. */
	for (uint64_t i = 0; i < work->n_ops / 2; i++)
		sonde_task_yield(task);
	return 0;
}

static int run_switch(void *state, struct work *work)
{
	int r = 0;

	for (int i = 0; i < 2 && r == 0; i++)
		r = sonde_task_spawn(state, yielder, work, NULL);
	int ran = sonde_loop_run(state);
	return ours_errno(r < 0 ? r : ran);
}

/* ---- waiting ---------------------------------------------------------------------------------------- */

static int sleeper(struct sonde_task *task, void *arg)
{
	const uint64_t *until = arg;

	return sonde_task_sleep_until(task, *until);
}

/* Bytes of memory this process has, by /proc/self/statm (proc(5)). */
static double resident(void)
{
	unsigned long long all, pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f && fscanf(f, "%llu %llu", &all, &pages) != 2)
		pages = 0;
	if (f)
		fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* In a process of its own, which ends instead of waking them all. */
static double park(struct sonde_loop *loop, uint32_t n)
{
	uint64_t until = sonde_now_ns() + UINT64_C(3600000000000);
	double before = resident();
	uint32_t i = 0;

	while (i < n && sonde_task_spawn(loop, sleeper, &until, NULL) == 0)
		i++;
	sonde_loop_turn(loop);
	if (i < n)
		fprintf(stderr, "bench: only %u of %u tasks could be started\n", i, n);
	return i ? (resident() - before) / i : -1;
}

static int measure_parked(void *state, struct work *work, struct sample *ret)
{
	double bytes = -1;
	int ends[2];

	if (pipe(ends) < 0)
		return -errno;
	pid_t child = fork();
	if (child == 0) {
		bytes = park(state, work->quick ? PARKED / 100 : PARKED);
		_exit(write(ends[1], &bytes, sizeof(bytes)) != sizeof(bytes));
	}
	close(ends[1]);
	if (child > 0 && read(ends[0], &bytes, sizeof(bytes)) != sizeof(bytes))
		bytes = -1;
	close(ends[0]);
	if (child > 0)
		waitpid(child, NULL, 0);
	ret->wall_ns = bytes;
	return bytes > 0 ? 0 : -ENOMEM;
}

const struct contender contenders_task[] = {
	{ .name = "task.switch", .open = open_loop, .run = run_switch, .close = close_loop },
	{ .name = "task.parked",
	  .n_rounds = 1,
	  .open = open_loop,
	  .measure = measure_parked,
	  .close = close_loop },
	{ 0 },
};
