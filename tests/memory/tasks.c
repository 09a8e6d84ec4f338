/* SPDX-License-Identifier: MIT */
/* Tasks of every kind, channels, select, and descriptors. */
#include <sonde/channel.h>
#include <sonde/error.h>
#include <sonde/fd.h>
#include <sonde/task.h>
#include <string.h>
#include <unistd.h>

#include "refuse.h"
#include "world.h"

/* ---- tasks -------------------------------------------------------------------------------------- */

struct job {
	struct sonde_space *space;
	int depth;
	unsigned n_read;
};

/* Reads, and so do its children: as many as it can have. */
static int read_in_task(struct sonde_task *task, void *arg)
{
	struct job *job = arg, below = { .space = job->space, .depth = job->depth - 1 };
	uint8_t bytes[16];
	struct sonde_xfer x = { .addr = 0x40, .buf = bytes, .len = 16 };
	int r = 0;

	for (int i = 0; job->depth && r == 0 && i < 2; i++) {
		struct sonde_task *child;
		r = sonde_task_spawn_child(task, read_in_task, &below, &child);
		if (r == 0)
			r = sonde_task_join(task, child);
	}
	if (r == 0 && sonde_task_read(task, job->space, &x, 1) < 1)
		r = x.err;
	if (r == 0)
		r = world_check(&x, 1);
	job->n_read++;
	return r;
}

static int run_tasks(struct sonde_loop *loop, struct sonde_space *space)
{
	enum { N = 5 };
	struct sonde_task *tasks[N];
	struct job job = { .space = space, .depth = 2 };
	unsigned n = 0;
	int r = 0;

	for (; r == 0 && n < N; n++)
		r = sonde_task_spawn(loop, read_in_task, &job, &tasks[n]);
	n -= r < 0;
	for (unsigned i = 0; i < n; i++) {
		int one = sonde_task_join(NULL, tasks[i]);
		r = r < 0 ? r : one;
	}
	assert_int_equal(job.n_read, n);
	return r;
}

static int with_space(uint32_t way, int (*fn)(struct sonde_loop *loop, struct sonde_space *space))
{
	struct sonde_loop *loop = NULL;
	struct sonde_space *space = NULL;
	int r = world_loop(SONDE_ENGINE_SYNC, &loop);

	if (r == 0)
		r = world_open(loop, way, &space);
	if (r == 0)
		r = fn(loop, space);
	sonde_space_close(space);
	sonde_loop_destroy(loop);
	return r;
}

static int tasks(uint32_t way)
{
	return with_space(way, run_tasks);
}

/* ---- channels -------------------------------------------------------------------------------------- */

static int send_all(struct sonde_task *task, void *arg)
{
	for (int i = 0; i < 20; i++) {
		int r = sonde_channel_send(task, arg, &i);
		if (r < 0)
			return r;
	}
	return 0;
}

static int run_channel(struct sonde_loop *loop, struct sonde_space *space)
{
	struct sonde_channel *channel = NULL;
	struct sonde_task *sender = NULL;
	int r = sonde_channel_create(loop, 4, sizeof(int), &channel), got;

	(void)space;
	if (r == 0)
		r = sonde_task_spawn(loop, send_all, channel, &sender);
	for (int i = 0; r == 0 && i < 20; i++) {
		r = sonde_channel_recv(NULL, channel, &got);
		if (r == 0)
			assert_int_equal(got, i);
	}
	if (sender)
		assert_int_equal(sonde_task_join(NULL, sender), 0);
	sonde_channel_destroy(channel);
	return r;
}

static int channel(uint32_t way)
{
	return with_space(way, run_channel);
}

/* ---- descriptors ------------------------------------------------------------------------------------- */

static int talk(struct sonde_loop *loop, int from, int to)
{
	char bytes[5] = "";
	int r = sonde_fd_write_all(NULL, loop, to, "hello", 5);

	if (r == 5)
		r = sonde_fd_read_all(NULL, loop, from, bytes, 5);
	if (r == 5)
		assert_memory_equal(bytes, "hello", 5);
	return r < 0 ? r : 0;
}

static int pipes(uint32_t engine)
{
	struct sonde_loop *loop = NULL;
	int ends[2], r = world_loop(engine, &loop);

	if (r < 0)
		return r;
	assert_int_equal(pipe(ends), 0);
	r = sonde_loop_fd(loop);
	r = r < 0 ? r : talk(loop, ends[0], ends[1]);
	close(ends[0]);
	close(ends[1]);
	sonde_loop_destroy(loop);
	return r;
}

const struct scenario task_scenarios[] = {
	{ "tasks over memory", tasks, SONDE_WAY_EXTENTS },
	{ "tasks over a connector", tasks, SONDE_WAY_SUBMIT },
	{ "a channel", channel, SONDE_WAY_EXTENTS },
	{ "a pipe, auto", pipes, SONDE_ENGINE_AUTO },
	{ "a pipe, sync", pipes, SONDE_ENGINE_SYNC },
	{ "a pipe, io_uring", pipes, SONDE_ENGINE_URING },
	{ "a pipe, threads", pipes, SONDE_ENGINE_THREADS },
	{ "a pipe, epoll", pipes, SONDE_ENGINE_EPOLL },
};
const size_t n_task_scenarios = sizeof(task_scenarios) / sizeof(task_scenarios[0]);
