/* SPDX-License-Identifier: MIT */
/* A connection to an export, by the arguments that name it. */
#ifndef NBD_DIAL_H
#define NBD_DIAL_H

#include <libnbd.h>
#include <sonde/plugin.h>

/*
 * Connect and negotiate. where: the server, for messages.
 *
 * Returns   0; SONDE_E_BAD_ARG, _NOT_FOUND (no such host or socket), _GONE (nobody listens), _TIMED_OUT, _NO_ACCESS (TLS),
 *           _IO (the server refused; err has its words), _NO_MEMORY.
 * Owns      *ret: nbd_close.
 */
int dial(const struct sonde_host *host, const struct sonde_args *args, int secure,
	 uint64_t timeout_ns, char *where, size_t cap, struct nbd_handle **ret,
	 struct sonde_error *err);

#endif
