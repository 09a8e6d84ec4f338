/* SPDX-License-Identifier: MIT */
/*
 * Inside libuv's loop: a uv_poll_t over the loop's descriptor, whose callback is one turn. A libuv
 * timer writes into a pipe that a task of Sonde's reads.
 */
#include <sonde/sonde.h>

#include <stdio.h>
#include <unistd.h>
#include <uv.h>

enum { N_BYTES = 5 };

static struct sonde_loop *loop;
static int ends[2], n_read;

static void turn(uv_poll_t *poll, int status, int events)
{
	(void)poll, (void)status, (void)events;
	sonde_loop_turn(loop);
	if (n_read == N_BYTES)
		uv_stop(poll->loop);
}

static void tick(uv_timer_t *timer)
{
	if (write(ends[1], "x", 1) != 1)
		uv_stop(timer->loop);
}

static void too_late(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

static int reads(struct sonde_task *task, void *arg)
{
	char byte;

	(void)arg;
	while (n_read < N_BYTES && sonde_fd_read(task, loop, ends[0], &byte, 1) == 1)
		n_read++;
	return n_read != N_BYTES;
}

static void run_libuv(void)
{
	uv_timer_t timer, limit;
	uv_poll_t poll;
	uv_loop_t uv;

	uv_loop_init(&uv);
	uv_poll_init(&uv, &poll, sonde_loop_fd(loop));
	uv_timer_init(&uv, &timer);
	uv_timer_init(&uv, &limit);
	uv_poll_start(&poll, UV_READABLE, turn);
	uv_timer_start(&timer, tick, 1, 1);
	uv_timer_start(&limit, too_late, 60000, 0);
	uv_run(&uv, UV_RUN_DEFAULT);
	uv_close((uv_handle_t *)&poll, NULL);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_close((uv_handle_t *)&limit, NULL);
	uv_run(&uv, UV_RUN_DEFAULT);
	uv_loop_close(&uv);
}

int main(void)
{
	struct sonde_task *task;

	if (pipe(ends) < 0 || sonde_loop_create(NULL, &loop, NULL) < 0 || sonde_loop_fd(loop) < 0 ||
	    sonde_task_spawn(loop, reads, NULL, &task) < 0)
		return 1;
	run_libuv();
	close(ends[1]);
	int failed = sonde_task_join(NULL, task);
	printf("libuv wrote, the task read %d bytes\n", n_read);
	sonde_loop_destroy(loop);
	close(ends[0]);
	return failed;
}
