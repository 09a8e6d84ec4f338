/* SPDX-License-Identifier: MIT */
/* The doors: every way to ask for the pieces of a case. */
#include "door.h"

#include <sonde/error.h>
#include <sonde/task.h>

static int32_t by_blocking(struct subject *subject, struct run *run)
{
	return run->op == SONDE_IO_READ ? sonde_space_read(subject->space, run->xfers, run->n)
					: sonde_space_write(subject->space, run->xfers, run->n);
}

struct counted {
	struct sonde_io io;
	struct run *run;
	int done;
};

static void count_done(struct sonde_io *io)
{
	((struct counted *)(void *)io)->done++;
}

static int32_t submit(struct subject *subject, struct run *run, sonde_fragment_fn *fragment)
{
	struct counted counted = { .io = { .xfers = run->xfers,
					   .n = run->n,
					   .op = run->op,
					   .done = count_done,
					   .fragment = fragment,
					   .user = run } };
	int r = sonde_io_submit(subject->space, &counted.io);

	if (r < 0)
		return r;
	if (counted.done)
		return -1000; /* called back inside submit */
	while (!counted.done && r >= 0)
		r = sonde_loop_wait(sonde_target_loop(subject->opened), UINT64_C(10000000000));
	return counted.done == 1 ? counted.io.result : -1000 - counted.done;
}

static int32_t by_completion(struct subject *subject, struct run *run)
{
	return submit(subject, run, NULL);
}

static int32_t by_fragments(struct subject *subject, struct run *run)
{
	return submit(subject, run, run_fragment);
}

struct in_task {
	struct subject *subject;
	struct run *run;
};

static int task_main(struct sonde_task *task, void *arg)
{
	struct in_task *in = arg;

	if (in->run->op == SONDE_IO_READ)
		return sonde_task_read(task, in->subject->space, in->run->xfers, in->run->n);
	return sonde_task_write(task, in->subject->space, in->run->xfers, in->run->n);
}

static int32_t by_task(struct subject *subject, struct run *run)
{
	struct in_task in = { subject, run };
	struct sonde_task *task;
	int r = sonde_task_spawn(sonde_target_loop(subject->opened), task_main, &in, &task);

	return r < 0 ? r : sonde_task_join(NULL, task);
}

const struct door doors[] = {
	{ "blocking", by_blocking, 0 },
	{ "completion", by_completion, 0 },
	{ "fragments", by_fragments, 1 },
	{ "task", by_task, 0 },
};
const unsigned n_doors = sizeof(doors) / sizeof(doors[0]);
