/* SPDX-License-Identifier: MIT */
/*
 * Clients of one export, on one loop. Memory is bounded by how many there are: of those that negotiate the one that has
 * done so longest makes room for the next; of those that have, the next one is told to come back later.
 */
#ifndef SONDE_SERVE_SERVER_H
#define SONDE_SERVE_SERVER_H

#include "export.h"
#include "tls.h"

#include <sonde/loop.h>

enum {
	SERVER_NEGOTIATING_MAX = 64,
	SERVER_SERVING_MAX = 32, /* each with EXPORT_PAYLOAD_MAX of requests at most */
};

struct server; /* handle */

struct server_figures {
	uint64_t accepted; /* connections                          */
	uint64_t served;   /* those that went on to requests       */
	uint32_t now;      /* connections at this moment           */
};

/*
 * Begin to serve who connects to listener. export, tls (NULL: none) and listener stay until server_stop.
 *
 * Returns 0; SONDE_E_NO_MEMORY; as sonde_acceptor_open. Owns *ret: server_stop.
 */
int server_start(struct sonde_loop *loop, int listener, const struct export *export,
		 struct tls_server *tls, struct server **ret);
void server_figures(const struct server *server, struct server_figures *ret);
/* Cut all clients off, and wait for the end of what they asked for. Plain code. NULL is allowed. */
void server_stop(struct server *server);

#endif
