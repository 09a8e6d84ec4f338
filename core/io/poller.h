/* SPDX-License-Identifier: MIT */
/*
 * Waiting for descriptors on the loop's thread, where no ring does it. It keeps no list of its own:
 * whoever waits arms a descriptor, once for each time, and looks up who that was when it is ready.
 */
#ifndef SONDE_IO_POLLER_H
#define SONDE_IO_POLLER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#define POLLER_EVENTS 64 /* told of in one call; more come in the next */

struct poller {
	int fd;        /* polls readable while poller_reap has something; -1: not open */
	int wake_fd;   /* also in the set: ends poller_sleep                           */
	bool no_sleep; /* this kernel's cannot wait with a limit in ns (linux 5.11)    */
	int n;         /* events that poller_sleep found                               */
	struct epoll_event events[POLLER_EVENTS];
};

/* Returns 0; -errno. */
int poller_open(struct poller *poller, int wake_fd);
void poller_close(struct poller *poller);

/*
 * Tell of fd once, when one of events (of poll(2)) is there, or an error or hang-up; in place of
 * what was armed for it before. Returns 0; -EPERM: it is of a kind that is always ready; -EBADF,
 * another -errno.
 */
int poller_arm(struct poller *poller, int fd, uint32_t events);

/* Call ready for what is there now, without waiting. Returns for how many. */
int poller_reap(struct poller *poller, void (*ready)(void *user, int fd, uint32_t events),
		void *user);

/*
 * Wait until poller_reap has something or wake_fd is readable (*ret_woken), at most timeout_ns
 * (UINT64_MAX: no limit). false: it cannot; poll fd.
 */
bool poller_sleep(struct poller *poller, uint64_t timeout_ns, bool *ret_woken);

#endif
