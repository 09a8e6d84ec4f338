/* SPDX-License-Identifier: MIT */
/* Where a server listens: a text taken apart, and a socket made of it. */
#ifndef SONDE_SERVE_ADDRESS_H
#define SONDE_SERVE_ADDRESS_H

#include <sonde/net.h>
#include <stdbool.h>

struct address {
	int fd;                    /* it listens                                                  */
	bool is_local;             /* nobody but this machine reaches it                          */
	char text[SONDE_NET_TEXT]; /* where: "127.0.0.1:10809", "unix:PATH"                       */
	char path[SONDE_NET_TEXT]; /* of a Unix socket, "" none                                   */
};

struct address_rule {
	uint16_t port;    /* where the text has none                                        */
	const char *only; /* NULL, or: nothing is made that is not local, for this reason   */
};

/*
 * text: as sonde/net.h, and names of hosts: "HOST:PORT"; "HOST" (the port is the protocol's), ":PORT" (of loopback);
 * port 0 is any that is free.
 *
 * Returns   0; SONDE_E_BAD_ARG (no such form), SONDE_E_NOT_FOUND (no such host), SONDE_E_NO_ACCESS: it is not
 *           local; as sonde_net_listen.
 * Owns      *ret: address_close.
 */
int address_listen(const char *text, const struct address_rule *rule, struct address *ret,
		   struct sonde_error *err);
void address_close(struct address *address);

#endif
