/* SPDX-License-Identifier: MIT */
/*
 * A client: it negotiates, then a task reads its requests and starts them, and another writes answers in the order in
 * which they are done. A client that does not read what it asked for holds up nobody but itself: no more requests of it
 * are read than its share of memory takes.
 */
#ifndef SONDE_SERVE_CLIENT_H
#define SONDE_SERVE_CLIENT_H

#include "handshake.h"
#include "request.h"
#include "wire.h"

enum {
	CLIENT_DEPTH = 256,      /* requests of one client that are worked on at once          */
	CLIENT_HANDSHAKE_S = 10, /* seconds in which a client has to have negotiated           */
	CLIENT_STALL_S = 60,     /* ... the rest of a request comes, or one write is taken     */
};

struct client;

/* Who has clients. */
struct client_host {
	struct sonde_loop *loop;
	const struct export *export;
	struct tls_server *tls; /* NULL: plain */
	void *user;
	/* May one more go on to requests? 1, or 0: there are too many already. */
	int (*may_go)(void *user);
	/* This one does. */
	void (*goes)(void *user, struct client *session);
	/* It has ended, and its memory is gone behind this call. */
	void (*ended)(void *user, struct client *session);
};

enum client_phase { CLIENT_NEGOTIATES, CLIENT_SERVES, CLIENT_LEAVES };

struct client {
	const struct client_host *host;
	struct client *prev, *next; /* the host's, as is phase */
	enum client_phase phase;
	bool is_cut; /* what it has sent and nobody has read yet is not worked on */
	struct wire wire;
	struct handshake handshake;
	struct request_terms terms;
	struct job *jobs;               /* [CLIENT_DEPTH] from when it serves on                */
	struct job *idle[CLIENT_DEPTH]; /* [n_idle] of them                                      */
	uint32_t n_idle;
	uint32_t n_bytes; /* memory of those that are worked on                    */
	struct sonde_channel *done,
		*home; /* jobs to be answered; jobs that were                    */
};

/* fd is taken, also where it fails. Returns 0; SONDE_E_NO_MEMORY. Owns nothing: it frees itself behind ended. */
int client_start(const struct client_host *host, int fd, struct client **ret);
/* Have it end soon. */
void client_cut(struct client *session);

#endif
