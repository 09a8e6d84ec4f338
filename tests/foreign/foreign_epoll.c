/* SPDX-License-Identifier: MIT */
/* Nothing but epoll. */
#include "foreign.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

struct by_epoll {
	struct watched *watched;
	int fd, timer; /* timer: -1: none */
	bool quits;
};

static void watch(struct by_epoll *by, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	epoll_ctl(by->fd, EPOLL_CTL_ADD, fd, &event);
}

static void *open_epoll(struct watched *watched)
{
	struct by_epoll *by = calloc(1, sizeof(*by));
	struct itimerspec each = { { 0, 1000000 }, { 0, 1000000 } };

	if (!by)
		return NULL;
	by->watched = watched;
	by->fd = epoll_create1(EPOLL_CLOEXEC);
	by->timer =
		watched->tick ? timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC) : -1;
	watch(by, watched->fd);
	if (by->timer >= 0) {
		timerfd_settime(by->timer, 0, &each, NULL);
		watch(by, by->timer);
	}
	return by;
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void run_epoll(void *state, unsigned limit_ms)
{
	struct by_epoll *by = state;
	long end = now_ms() + limit_ms;
	struct epoll_event events[2];

	by->quits = false;
	for (long left = limit_ms; left > 0 && !by->quits; left = end - now_ms()) {
		int n = epoll_wait(by->fd, events, 2, (int)left);
		for (int i = 0; i < n; i++) {
			uint64_t count;
			if (events[i].data.fd == by->watched->fd)
				by->watched->ready(by->watched);
			else if (read(by->timer, &count, sizeof(count)) == sizeof(count))
				by->watched->tick(by->watched);
		}
	}
}

static void quit_epoll(void *state)
{
	((struct by_epoll *)state)->quits = true;
}

static void close_epoll(void *state)
{
	struct by_epoll *by = state;

	close(by->fd);
	if (by->timer >= 0)
		close(by->timer);
	free(by);
}

const struct foreign foreign_epoll = { "epoll", open_epoll, run_epoll, quit_epoll, close_epoll };
