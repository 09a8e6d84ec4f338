/* SPDX-License-Identifier: MIT */
/*
 * What happens to a domain while it is read: it stops, starts again, reboots. libvirt tells it on a
 * thread that runs its event loop; there is one such loop in a process, so it is shared by all
 * targets and runs while there is one.
 */
#ifndef LIBVIRT_EVENTS_H
#define LIBVIRT_EVENTS_H

#include "hypervisor.h"

/* Run the loop, where the program does not have one of its own. Before the connection is opened. */
int events_begin(const struct sonde_host *host, const struct api *api, struct sonde_error *err);
void events_end(const struct api *api);

/* The life of one domain, as far as it was seen. */
struct life;

/* Watch dom from now on. Returns NULL without memory; where events are not to be had, none come. */
struct life *life_watch(struct hypervisor *hv, virDomainPtr dom);
void life_forget(struct life *life, struct hypervisor *hv); /* NULL is allowed */

/* How often its memory became another: by stopping, by a reboot. */
unsigned life_breaks(const struct life *life);

/* "was shut off (destroyed)", the latest that was seen, into buf; "" nothing. Any thread. */
void life_words(struct life *life, char *buf, size_t cap);

/* The words for a domain that is seen to be off, whose stop was not told: of virDomainGetState. */
const char *life_words_of_state(int state, int reason);

#endif
