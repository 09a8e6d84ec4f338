/* SPDX-License-Identifier: MIT */
/* Addresses of sockets: text to what the kernel takes, and back. No name is ever looked up. */
#ifndef SONDE_IO_NET_ADDRESS_H
#define SONDE_IO_NET_ADDRESS_H

#include <sonde/net.h>
#include <stdbool.h>
#include <sys/socket.h>

struct net_address {
	struct sockaddr_storage at;
	socklen_t len;
};

/* Returns 0; SONDE_E_BAD_ARG. */
int net_address_parse(const char *text, struct net_address *ret, struct sonde_error *err);

/*
 * As sonde_net_own. A peer chose the address, and the kernel its length: both are believed as
 * little as they may lie.
 */
int net_address_text(const struct net_address *address, char *text, size_t cap);

#endif
