/* SPDX-License-Identifier: MIT */
/* libuv's loop. */
#include "foreign.h"

#include <stdlib.h>
#include <uv.h>

struct by_libuv {
	struct watched *watched;
	uv_loop_t loop;
	uv_poll_t poll;
	uv_timer_t tick, limit;
};

static void is_ready(uv_poll_t *poll, int status, int events)
{
	struct by_libuv *by = poll->data;

	(void)status, (void)events;
	by->watched->ready(by->watched);
}

static void ticks(uv_timer_t *timer)
{
	struct by_libuv *by = timer->data;

	by->watched->tick(by->watched);
}

static void is_over(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

static void *open_libuv(struct watched *watched)
{
	struct by_libuv *by = calloc(1, sizeof(*by));

	if (!by)
		return NULL;
	by->watched = watched;
	uv_loop_init(&by->loop);
	uv_poll_init(&by->loop, &by->poll, watched->fd);
	uv_timer_init(&by->loop, &by->tick);
	uv_timer_init(&by->loop, &by->limit);
	by->poll.data = by->tick.data = by;
	uv_poll_start(&by->poll, UV_READABLE, is_ready);
	if (watched->tick)
		uv_timer_start(&by->tick, ticks, 1, 1);
	return by;
}

static void run_libuv(void *state, unsigned limit_ms)
{
	struct by_libuv *by = state;

	uv_update_time(&by->loop);
	uv_timer_start(&by->limit, is_over, limit_ms, 0);
	uv_run(&by->loop, UV_RUN_DEFAULT);
	uv_timer_stop(&by->limit);
}

static void quit_libuv(void *state)
{
	uv_stop(&((struct by_libuv *)state)->loop);
}

static void close_libuv(void *state)
{
	struct by_libuv *by = state;

	uv_close((uv_handle_t *)&by->poll, NULL);
	uv_close((uv_handle_t *)&by->tick, NULL);
	uv_close((uv_handle_t *)&by->limit, NULL);
	uv_run(&by->loop, UV_RUN_DEFAULT);
	uv_loop_close(&by->loop);
	free(by);
}

const struct foreign foreign_libuv = { "libuv", open_libuv, run_libuv, quit_libuv, close_libuv };
