/* SPDX-License-Identifier: MIT */
/* Waiting for a request of the completion door, from a task or plain code. */
#include <sonde/error.h>
#include <sonde/task.h>

#include "space/space.h"
#include "task/task.h"

struct await {
	struct task_wait wait;
	struct loop_watch watch;
	struct sonde_io *io;
};

static void io_over(struct loop_watch *watch, int result)
{
	struct await *await = (struct await *)((char *)watch - offsetof(struct await, watch));

	(void)result;
	task_wake(&await->wait, await->io->result);
}

static void stop_await(struct task_wait *wait, int code)
{
	space_stop(((struct await *)(void *)wait)->io, code);
}

int sonde_task_await(struct sonde_task *self, struct sonde_io *io)
{
	struct await await = { .wait.stop = stop_await, .watch.fire = io_over, .io = io };

	if (io->state == SONDE_IO_IDLE)
		return io->result;
	struct sonde_loop *loop = io_core(io)->space->loop;
	int r = task_may_begin(loop, self);
	if (r == SONDE_E_BUSY || r == SONDE_E_BAD_ARG)
		return r;
	if (r < 0)
		space_stop(io, r);
	io_watch(io, &await.watch);
	return task_wait(loop, &await.wait);
}
