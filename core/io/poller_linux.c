/* SPDX-License-Identifier: MIT */
/*
 * The poller by epoll. One-shot, so that nothing is told twice or to nobody; a descriptor stays in the set
 * until it is closed, so waiting again is one call.
 */
#include "io/poller.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <unistd.h>

#define READY_MAX 64 /* told of in one call; more come in the next */

int poller_open(void)
{
	int poller = epoll_create1(EPOLL_CLOEXEC);

	return poller < 0 ? -errno : poller;
}

void poller_close(int poller)
{
	if (poller >= 0)
		close(poller);
}

/* Whether it is in the set is the kernel's to know: a number may have been closed and opened again. */
int poller_arm(int poller, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events | EPOLLONESHOT, .data.fd = fd };

	if (epoll_ctl(poller, EPOLL_CTL_MOD, fd, &event) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	return epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

int poller_reap(int poller, void (*ready)(void *user, int fd, uint32_t events), void *user)
{
	struct epoll_event events[READY_MAX];
	int n = epoll_wait(poller, events, READY_MAX, 0);

	for (int i = 0; i < n; i++)
		ready(user, events[i].data.fd, events[i].events);
	return n < 0 ? 0 : n;
}
