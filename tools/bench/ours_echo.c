/* SPDX-License-Identifier: MIT */
/* An echo server of Sonde's: by the completion door, and by a task a connection. */
#include <errno.h>
#include <sonde/sonde.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "echo.h"

struct connection {
	struct sonde_fd_io io;
	struct sonde_loop *loop;
	uint8_t bytes[ECHO_BYTES];
};

static struct sonde_loop *open_loop(void)
{
	struct sonde_loop_options options = { .size = sizeof(options),
					      .engine = SONDE_ENGINE_URING,
					      .depth = 4096 };
	struct sonde_loop *loop = NULL;

	sonde_loop_create(&options, &loop, NULL);
	return loop;
}

/* ---- callbacks ------------------------------------------------------------------------------- */

/* What was read is written, what was written makes room to read. */
static void done(struct sonde_fd_io *io)
{
	struct connection *c = (struct connection *)(void *)io;

	if (io->result <= 0) {
		close(io->fd);
		free(c);
		return;
	}
	bool was_read = io->op == SONDE_FD_READ;
	io->op = was_read ? SONDE_FD_WRITE_ALL : SONDE_FD_READ;
	io->len = was_read ? (uint32_t)io->result : ECHO_BYTES;
	sonde_fd_submit(c->loop, io);
}

static void accepted(struct sonde_fd_io *io, int fd)
{
	struct connection *c = fd < 0 ? NULL : calloc(1, sizeof(*c));

	if (!c) {
		close(fd);
		return;
	}
	c->loop = io->user;
	c->io = (struct sonde_fd_io){
		.fd = fd, .op = SONDE_FD_READ, .buf = c->bytes, .len = ECHO_BYTES, .done = done
	};
	sonde_fd_submit(c->loop, &c->io);
}

static void ended(struct sonde_fd_io *io)
{
	(void)io;
}

int echo_by_callbacks(int listener)
{
	struct sonde_loop *loop = open_loop();
	struct sonde_fd_io accept = { .fd = listener,
				      .op = SONDE_FD_ACCEPT,
				      .accepted = accepted,
				      .done = ended,
				      .user = loop };

	if (!loop || sonde_fd_submit(loop, &accept) < 0)
		return -EIO;
	sonde_loop_run(loop);
	return -EIO;
}

/* ---- tasks ----------------------------------------------------------------------------------- */

static struct sonde_loop *tasks_loop;

static int echo(struct sonde_task *task, void *arg)
{
	uint8_t bytes[ECHO_BYTES];
	int fd = (int)(intptr_t)arg, n;

	while ((n = sonde_fd_read(task, tasks_loop, fd, bytes, sizeof(bytes))) > 0)
		sonde_fd_write_all(task, tasks_loop, fd, bytes, (size_t)n);
	return close(fd);
}

static int serve(struct sonde_task *task, void *arg)
{
	int fd;

	while ((fd = sonde_acceptor_next(task, arg)) >= 0)
		sonde_task_spawn(tasks_loop, echo, (void *)(intptr_t)fd, NULL);
	return fd;
}

int echo_by_tasks(int listener)
{
	struct sonde_acceptor *acceptor;

	tasks_loop = open_loop();
	if (!tasks_loop || sonde_acceptor_open(tasks_loop, listener, &acceptor) < 0 ||
	    sonde_task_spawn(tasks_loop, serve, acceptor, NULL) < 0)
		return -EIO;
	sonde_loop_run(tasks_loop);
	return -EIO;
}
