/* SPDX-License-Identifier: MIT */
/*
 * Inside someone else's event loop: one descriptor says when there is something to do, one
 * call does it without waiting. Here poll() watches it together with a pipe.
 */
#include <sonde/sonde.h>

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

static void done(struct sonde_io *io)
{
	printf("the read is done: %d of %u\n", io->result, io->n);
	io->user = NULL;
}

/* Any loop will do that can wait for descriptors: epoll, libuv, GLib, asyncio ... */
static int foreign_loop(struct sonde_loop *loop, const struct sonde_io *io, int other)
{
	struct pollfd fds[] = { { .fd = sonde_loop_fd(loop), .events = POLLIN },
				{ .fd = other, .events = POLLIN } };
	int other_ready = 0;

	while (io->user || !other_ready) {
		char byte;

		if (poll(fds, 2, 10000) <= 0)
			return 1; /* nothing for ten seconds: this example has failed */
		if (fds[0].revents)
			sonde_loop_turn(loop);
		if (fds[1].revents && read(other, &byte, 1) == 1) {
			printf("the pipe has a byte\n");
			other_ready = 1;
			fds[1].fd = -1;
		}
	}
	return 0;
}

static int run(struct sonde_loop *loop, struct sonde_space *memory)
{
	unsigned char bytes[32];
	struct sonde_xfer x = { .addr = 0x100, .buf = bytes, .len = sizeof(bytes) };
	struct sonde_io io = { .xfers = &x, .n = 1, .done = done, .user = &x };
	int ends[2];

	if (pipe(ends) < 0 || write(ends[1], "x", 1) != 1 || sonde_io_submit(memory, &io) < 0)
		return 1;
	int failed = foreign_loop(loop, &io, ends[0]);
	close(ends[0]);
	close(ends[1]);
	return failed || io.result != 1 || bytes[0] != 0x10;
}

int main(void)
{
	struct sonde_loop *loop = NULL;
	struct sonde_target *target = NULL;
	struct sonde_error err = { 0 };
	int failed = 1;

	/* mode=submit: completions come from another thread. */
	if (sonde_loop_create(NULL, &loop, &err) < 0 ||
	    sonde_target_open(loop, "ram:4k,mode=submit", NULL, &target, &err) < 0)
		fprintf(stderr, "%s\n", err.text);
	else
		failed = run(loop, sonde_target_memory(target));
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	return failed;
}
