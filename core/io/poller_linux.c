/* SPDX-License-Identifier: MIT */
/*
 * The poller by epoll. One-shot, so that nothing is told twice or to nobody; a descriptor stays in
 * the set until it is closed, so waiting again is one call.
 */
#include "io/poller.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WAKE UINT64_MAX /* no descriptor's number */

int poller_open(struct poller *poller, int wake_fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = WAKE };

	poller->fd = epoll_create1(EPOLL_CLOEXEC);
	poller->wake_fd = wake_fd;
	if (poller->fd < 0)
		return -errno;
	if (epoll_ctl(poller->fd, EPOLL_CTL_ADD, wake_fd, &event) == 0)
		return 0;
	int r = -errno;
	poller_close(poller);
	return r;
}

void poller_close(struct poller *poller)
{
	if (poller->fd >= 0)
		close(poller->fd);
	poller->fd = -1;
}

/*
 * Whether it is in the set is the kernel's to know: a number may have been closed and opened again.
 */
int poller_arm(struct poller *poller, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events | EPOLLONESHOT, .data.u64 = (uint32_t)fd };

	if (epoll_ctl(poller->fd, EPOLL_CTL_MOD, fd, &event) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	return epoll_ctl(poller->fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

int poller_reap(struct poller *poller, void (*ready)(void *user, int fd, uint32_t events),
		void *user)
{
	int n = poller->n, n_told = 0;

	poller->n = 0;
	if (n == 0)
		n = epoll_wait(poller->fd, poller->events, POLLER_EVENTS, 0);
	for (int i = 0; i < n; i++) {
		if (poller->events[i].data.u64 == WAKE)
			continue;
		ready(user, (int)poller->events[i].data.u64, poller->events[i].events);
		n_told++;
	}
	return n_told;
}

/* As the kernel has it on every architecture. Source: linux v5.11 fs/eventpoll.c. */
struct timespec64 {
	int64_t tv_sec, tv_nsec;
};

static int wait_ns(struct poller *poller, uint64_t timeout_ns)
{
#ifdef SYS_epoll_pwait2
	struct timespec64 ts = { (int64_t)(timeout_ns / 1000000000u),
				 (int64_t)(timeout_ns % 1000000000u) };

	return (int)syscall(SYS_epoll_pwait2, poller->fd, poller->events, POLLER_EVENTS,
			    timeout_ns == UINT64_MAX ? NULL : &ts, NULL, (size_t)0);
#else
	(void)poller, (void)timeout_ns;
	errno = ENOSYS;
	return -1;
#endif
}

bool poller_sleep(struct poller *poller, uint64_t timeout_ns, bool *ret_woken)
{
	if (poller->no_sleep)
		return false;
	int n = wait_ns(poller, timeout_ns);
	if (n < 0 && errno != EINTR) {
		poller->no_sleep = true;
		return false;
	}
	poller->n = n > 0 ? n : 0;
	for (int i = 0; i < poller->n; i++)
		*ret_woken |= poller->events[i].data.u64 == WAKE;
	return true;
}
