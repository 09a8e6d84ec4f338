/* SPDX-License-Identifier: MIT */
/*
 * Does one thing with descriptors, between two marks on standard error, for run.py to count the
 * system calls of: calls ENGINE WHAT N. Exits with 77 where the engine is refused.
 */
#include <sonde/sonde.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct sonde_loop *loop;
static int n;

static void mark(void)
{
	if (write(2, "mark\n", 5) != 5)
		exit(1);
}

static void count(struct sonde_fd_io *io)
{
	*(int *)io->user += io->result > 0;
}

/* Reads of pipes that have a byte each, all submitted before the loop runs. */
static int ready(void)
{
	struct sonde_fd_io *ios = calloc((size_t)n, sizeof(*ios));
	static char byte;
	int ends[2] = { -1, -1 }, n_done = 0;

	for (int i = 0; ios && i < n; i++) {
		if (pipe(ends) || write(ends[1], "x", 1) != 1)
			return 1;
		ios[i] = (struct sonde_fd_io){ .fd = ends[0], .op = SONDE_FD_READ, .buf = &byte };
		ios[i].len = 1;
		ios[i].done = count;
		ios[i].user = &n_done;
	}
	sonde_fd_poll(NULL, loop, ends[1],
		      SONDE_FD_WRITABLE); /* what a first request opens is open */
	mark();
	for (int i = 0; ios && i < n; i++)
		sonde_fd_submit(loop, &ios[i]);
	sonde_loop_run(loop);
	mark();
	free(ios);
	return n_done != n;
}

/* One blocking read after the other, of a pipe that holds enough. */
static int one_by_one(void)
{
	int ends[2];
	char byte;

	if (pipe(ends))
		return 1;
	for (int i = 0; i < n; i++) {
		if (write(ends[1], "x", 1) != 1)
			return 1;
	}
	mark();
	for (int i = 0; i < n; i++) {
		if (sonde_fd_read(NULL, loop, ends[0], &byte, 1) != 1)
			return 1;
	}
	mark();
	return 0;
}

static int answer(struct sonde_task *task, void *arg)
{
	int *ends = arg;
	char byte;

	for (int i = 0; i < n; i++) {
		if (sonde_fd_read_all(task, loop, ends[0], &byte, 1) != 1 ||
		    sonde_fd_write_all(task, loop, ends[1], &byte, 1) != 1)
			return 1;
	}
	return 0;
}

/* A byte to and fro: each of both waits n times. */
static int ping_pong(void)
{
	int there[2], back[2];
	struct sonde_task *one, *other;

	if (pipe(there) || pipe(back) || write(there[1], "x", 1) != 1)
		return 1;
	int ends_one[2] = { there[0], back[1] }, ends_other[2] = { back[0], there[1] };
	mark();
	sonde_task_spawn(loop, answer, ends_one, &one);
	sonde_task_spawn(loop, answer, ends_other, &other);
	int r = sonde_task_join(NULL, one) | sonde_task_join(NULL, other);
	mark();
	return r;
}

/* A read that nothing comes for, and a loop that looks after it n times. */
static int idle(void)
{
	struct sonde_fd_io io = { .op = SONDE_FD_READ, .len = 1, .done = count };
	char byte;
	int ends[2], n_done = 0;

	if (pipe(ends))
		return 1;
	io.fd = ends[0];
	io.buf = &byte;
	io.user = &n_done;
	sonde_fd_submit(loop, &io);
	sonde_loop_wait(loop, 1000000);
	mark();
	for (int i = 0; i < n; i++)
		sonde_loop_wait(loop, 1000000);
	mark();
	sonde_fd_cancel(&io);
	sonde_loop_run(loop);
	return n_done;
}

static const struct {
	const char *name;
	int (*run)(void);
} whats[] = {
	{ "ready", ready },
	{ "one-by-one", one_by_one },
	{ "ping-pong", ping_pong },
	{ "idle", idle },
};

int main(int argc, char **argv)
{
	struct sonde_loop_options options = { .size = sizeof(options) };
	int r = 2;

	if (argc != 4 || sonde_engine_parse(argv[1], &options.engine) < 0)
		return 2;
	n = atoi(argv[3]);
	if (sonde_loop_create(&options, &loop, NULL) < 0)
		return 77;
	for (size_t i = 0; i < sizeof(whats) / sizeof(whats[0]); i++) {
		if (strcmp(whats[i].name, argv[2]) == 0)
			r = whats[i].run();
	}
	sonde_loop_destroy(loop);
	return r;
}
