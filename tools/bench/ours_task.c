/* SPDX-License-Identifier: MIT */
/* Tasks: what a switch costs, and what one takes up while it waits. */
#include <errno.h>
#include <sonde/error.h>
#include <sonde/task.h>
#include <stdio.h>

#include "child.h"
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

struct parking {
	struct sonde_loop *loop;
	uint32_t n;
};

/* In a process of its own, which ends instead of waking them all. */
static double park(void *arg)
{
	const struct parking *parking = arg;
	uint64_t until = sonde_now_ns() + UINT64_C(3600000000000);
	double before = child_resident();
	uint32_t i = 0;

	while (i < parking->n && sonde_task_spawn(parking->loop, sleeper, &until, NULL) == 0)
		i++;
	sonde_loop_turn(parking->loop);
	if (i < parking->n)
		fprintf(stderr, "bench: only %u of %u tasks could be started\n", i, parking->n);
	return i ? (child_resident() - before) / i : -1;
}

static int measure_parked(void *state, struct work *work, struct sample *ret)
{
	struct parking parking = { state, work->quick ? PARKED / 100 : PARKED };

	return child_number(park, &parking, &ret->wall_ns);
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
