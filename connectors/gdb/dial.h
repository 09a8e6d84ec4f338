/* SPDX-License-Identifier: MIT */
/* A connected socket to where a stub listens. */
#ifndef GDB_DIAL_H
#define GDB_DIAL_H

#include <sonde/plugin.h>

/*
 * to: "HOST:PORT", ":PORT" (this machine), "[IPV6]:PORT", "unix:PATH". Names are looked up by the system, which takes
 * the time it takes; then timeout_ms holds, for all addresses of a name together.
 *
 * Returns   0; SONDE_E_BAD_ARG, _NOT_FOUND (no such host or socket), _GONE (nobody listens), _TIMED_OUT, _NO_ACCESS.
 * Owns      *ret_fd, non-blocking: close.
 */
int dial(const struct sonde_host *host, const char *to, uint64_t timeout_ms, int *ret_fd,
	 struct sonde_error *err);

#endif
