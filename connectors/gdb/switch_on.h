/* SPDX-License-Identifier: MIT */
/*
 * gdb:qemu:NAME: a running guest's stub, switched on through its QMP socket and off again. It listens on a socket in a
 * folder that only its owner may enter, because a stub lets everybody do everything.
 */
#ifndef GDB_SWITCH_ON_H
#define GDB_SWITCH_ON_H

#include <limits.h>
#include <sonde/plugin.h>

struct switch_on {
	const struct sonde_host *host;
	int timeout_ms;
	int is_on;
	int was_running;    /* the guest, before the stub stopped it; kept in the socket's name */
	char qmp[PATH_MAX]; /* the monitor that answered                   */
	char folder[64];    /* "" none                                     */
	char to[80];        /* "unix:PATH", for dial                       */
};

/*
 * A stub that was switched on like this and whose user has gone without a word is taken over.
 *
 * Returns   0; SONDE_E_NOT_FOUND, _AMBIGUOUS (no such guest, several); SONDE_E_BUSY (it has a stub already); as qmp_open;
 *           SONDE_E_UNSUPPORTED (no monitor, no QMP in this build, or QEMU's refusal).
 * Owns      *ret, zero but for host and timeout_ms: switch_off, also after an error.
 */
int switch_on(struct switch_on *ret, const char *name, struct sonde_error *err);
void switch_off(struct switch_on *on);

#endif
