/* SPDX-License-Identifier: MIT */
/*
 * Waiting for descriptors on the loop's thread, where no ring does it. It keeps no list of its own:
 * whoever waits arms a descriptor, once for each time, and looks up who that was when it is ready.
 */
#ifndef SONDE_IO_POLLER_H
#define SONDE_IO_POLLER_H

#include <stdint.h>

/* A descriptor that polls readable while poller_reap has something; -errno. */
int poller_open(void);
void poller_close(int poller);

/*
 * Tell of fd once, when one of events (of poll(2)) is there, or an error or hang-up; in place of what was armed for it before.
 * Returns 0; -EPERM: it is of a kind that is always ready; -EBADF, another -errno.
 */
int poller_arm(int poller, int fd, uint32_t events);

/* Call ready for what is there now, without waiting. Returns for how many. */
int poller_reap(int poller, void (*ready)(void *user, int fd, uint32_t events), void *user);

#endif
