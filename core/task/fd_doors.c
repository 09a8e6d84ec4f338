/* SPDX-License-Identifier: MIT */
/* Descriptors by the task and blocking doors: a request on the stack of whoever waits. */
#include <sonde/error.h>
#include <sonde/fd.h>
#include <stddef.h>

#include "io/fd.h"
#include "task/task.h"

struct waiter {
	struct task_wait wait;
	struct sonde_fd_io *io;
};

static void wake(struct sonde_fd_io *io)
{
	struct waiter *waiter = io->user;

	task_wake(&waiter->wait, io->result);
}

/* The buffer is the waiter's: the end of what is in flight is waited for. */
static void stop_waiter(struct task_wait *wait, int code)
{
	fd_stop(((struct waiter *)(void *)wait)->io, code);
}

int sonde_fd_run(struct sonde_task *self, struct sonde_loop *loop, struct sonde_fd_io *io)
{
	struct waiter waiter = { .wait.stop = stop_waiter, .io = io };
	int r = task_may_wait(loop);

	if ((self && self != loop->current) || io->state != SONDE_IO_IDLE)
		return SONDE_E_BAD_ARG;
	if (r == SONDE_OK && io->op != SONDE_FD_CLOSE)
		r = task_stop_here(loop);
	if (r < 0)
		return r;
	io->done = wake;
	io->user = &waiter;
	r = sonde_fd_submit(loop, io);
	return r < 0 ? r : task_wait(loop, &waiter.wait);
}

/* Only what the library reads: the rest of the request is its own to fill. */
static int run(struct sonde_task *self, struct sonde_loop *loop, int fd, uint32_t op, void *buf,
	       size_t len, uint32_t events)
{
	struct sonde_fd_io io;

	if (len > INT32_MAX)
		return SONDE_E_BAD_ARG;
	io.fd = fd;
	io.op = op;
	io.buf = buf;
	io.len = (uint32_t)len;
	io.events = events;
	io.accepted = NULL;
	io.deadline_ns = 0;
	io.state = SONDE_IO_IDLE;
	return sonde_fd_run(self, loop, &io);
}

int sonde_fd_read(struct sonde_task *self, struct sonde_loop *loop, int fd, void *buf, size_t len)
{
	return run(self, loop, fd, SONDE_FD_READ, buf, len, 0);
}

int sonde_fd_write(struct sonde_task *self, struct sonde_loop *loop, int fd, const void *buf,
		   size_t len)
{
	return run(self, loop, fd, SONDE_FD_WRITE, (void *)(uintptr_t)buf, len, 0);
}

int sonde_fd_read_all(struct sonde_task *self, struct sonde_loop *loop, int fd, void *buf,
		      size_t len)
{
	return run(self, loop, fd, SONDE_FD_READ_ALL, buf, len, 0);
}

int sonde_fd_write_all(struct sonde_task *self, struct sonde_loop *loop, int fd, const void *buf,
		       size_t len)
{
	return run(self, loop, fd, SONDE_FD_WRITE_ALL, (void *)(uintptr_t)buf, len, 0);
}

int sonde_fd_accept(struct sonde_task *self, struct sonde_loop *loop, int fd)
{
	return run(self, loop, fd, SONDE_FD_ACCEPT, NULL, 0, 0);
}

int sonde_fd_connected(struct sonde_task *self, struct sonde_loop *loop, int fd)
{
	return run(self, loop, fd, SONDE_FD_CONNECT, NULL, 0, 0);
}

int sonde_fd_poll(struct sonde_task *self, struct sonde_loop *loop, int fd, uint32_t events)
{
	return run(self, loop, fd, SONDE_FD_POLL, NULL, 0, events);
}

int sonde_fd_close(struct sonde_task *self, struct sonde_loop *loop, int fd)
{
	return run(self, loop, fd, SONDE_FD_CLOSE, NULL, 0, 0);
}

int sonde_fd_shutdown(struct sonde_task *self, struct sonde_loop *loop, int fd)
{
	return run(self, loop, fd, SONDE_FD_SHUTDOWN, NULL, 0, 0);
}
