/* SPDX-License-Identifier: MIT */
/*
 * Time: a timer, a layer that delays every batch, a deadline, and a request that is called
 * off. Each ends with exactly one callback: with TIMED_OUT, with CANCELLED, or with its
 * result, when that came first or could no longer be stopped.
 */
#include <sonde/sonde.h>

#include <stdio.h>

#define MS UINT64_C(1000000)

static void fire(struct sonde_timer *timer)
{
	*(int *)timer->user = 1;
}

static void done(struct sonde_io *io)
{
	*(int *)io->user = 1;
}

/* Submit one read, call it off if asked to, and wait for its end. */
static int read_once(struct sonde_loop *loop, struct sonde_space *memory, uint64_t deadline_ns,
		     int cancel)
{
	unsigned char byte;
	struct sonde_xfer x = { .addr = 0, .buf = &byte, .len = 1 };
	int ended = 0;
	struct sonde_io io = {
		.xfers = &x, .n = 1, .done = done, .user = &ended, .deadline_ns = deadline_ns
	};

	if (sonde_io_submit(memory, &io) < 0)
		return SONDE_E_BAD_ARG;
	if (cancel)
		sonde_io_cancel(&io);
	while (!ended)
		sonde_loop_wait(loop, UINT64_MAX);
	return io.result;
}

static int run(struct sonde_loop *loop, struct sonde_space *memory)
{
	int fired = 0;
	uint64_t began = sonde_now_ns();
	struct sonde_timer timer = { .at_ns = began + 10 * MS, .fire = fire, .user = &fired };

	sonde_timer_start(loop, &timer);
	while (!fired)
		sonde_loop_wait(loop, UINT64_MAX);
	uint64_t waited = sonde_now_ns() - began;
	int in_time = read_once(loop, memory, 0, 0);
	int too_late = read_once(loop, memory, sonde_now_ns() + 5 * MS, 0);
	int called_off = read_once(loop, memory, 0, 1);
	printf("the timer fired after %llu ms\n", (unsigned long long)(waited / MS));
	printf("without a deadline: %d piece\n", in_time);
	printf("with one of 5 ms:   %s\n", too_late < 0 ? sonde_strerror(too_late) : "it came");
	printf("called off:         %s\n", sonde_strerror(called_off));
	return waited < 10 * MS || in_time != 1 || too_late != SONDE_E_TIMED_OUT ||
	       called_off != SONDE_E_CANCELLED;
}

int main(void)
{
	struct sonde_loop *loop = NULL;
	struct sonde_target *target = NULL;
	struct sonde_error err = { 0 };
	int failed = 1;

	if (sonde_loop_create(NULL, &loop, &err) < 0 ||
	    sonde_target_open(loop, "ram:4k|delay,ms=50", NULL, &target, &err) < 0)
		fprintf(stderr, "%s\n", err.text);
	else
		failed = run(loop, sonde_target_memory(target));
	sonde_target_close(target);
	sonde_loop_destroy(loop);
	return failed;
}
