/* SPDX-License-Identifier: MIT */
/*
 * Inside someone else's event loop: one descriptor says when there is something to do, one
 * call does it without waiting. Here epoll watches it together with a pipe; 24-glib.c and
 * 25-libuv.c are the same in the loops of others.
 */
#include <sonde/sonde.h>

#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

static void done(struct sonde_io *io)
{
	printf("the read is done: %d of %u\n", io->result, io->n);
	io->user = NULL;
}

static int watch(int epoll, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

/* Any loop will do that can wait for descriptors: asyncio, libevent, a game's ... */
static int foreign_loop(struct sonde_loop *loop, const struct sonde_io *io, int other)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC), other_ready = 0, failed = 0;
	struct epoll_event event;

	if (epoll < 0 || watch(epoll, sonde_loop_fd(loop)) || watch(epoll, other))
		return 1;
	while (!failed && (io->user || !other_ready)) {
		char byte;

		if (epoll_wait(epoll, &event, 1, 10000) != 1) {
			failed = 1; /* nothing for ten seconds: this example has failed */
		} else if (event.data.fd != other) {
			sonde_loop_turn(loop);
		} else if (read(other, &byte, 1) == 1) {
			printf("the pipe has a byte\n");
			other_ready = 1;
		}
	}
	close(epoll);
	return failed;
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
