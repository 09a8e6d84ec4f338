/* SPDX-License-Identifier: MIT */
/*
 * A client's connection: exact reads, gathered writes, plain or through TLS. One task reads and one writes, which may be
 * the same. Each call parks its task; by_ns is a time of sonde_now_ns() at which it ends with TIMED_OUT, 0 never.
 */
#ifndef SONDE_SERVE_WIRE_H
#define SONDE_SERVE_WIRE_H

#include "tls.h"

#include <sonde/fd.h>

enum {
	WIRE_IN = 16 << 10,   /* bytes read ahead                               */
	WIRE_OUT = 256 << 10, /* bytes gathered; also the most of one write     */
	WIRE_TLS = 32 << 10,  /* bytes of records that are on their way         */
};

struct wire {
	struct sonde_loop *loop;
	int fd;
	uint8_t *in;  /* [WIRE_IN], of which in_at .. in_len are still to be taken */
	uint8_t *out; /* [WIRE_OUT], n_out gathered                                */
	size_t in_at, in_len, n_out;
	struct tls *tls;           /* NULL: plain                                        */
	uint8_t *tls_in, *tls_out; /* [WIRE_TLS] each: of the reader's and the writer's  */
};

/* fd is taken. Returns 0; SONDE_E_NO_MEMORY. Owns what it holds, also then: wire_finish. */
int wire_open(struct wire *ret, struct sonde_loop *loop, int fd);
/* Parks the task until nothing of it is in flight. */
void wire_finish(struct sonde_task *self, struct wire *wire);
/* Whoever reads or writes it is told of its end. From anywhere on the loop's thread. */
void wire_cut(struct wire *wire);

/* Make a TLS connection of it, with nothing read ahead. Returns 0; an error: the client is lost. */
int wire_secure(struct sonde_task *self, struct wire *wire, struct tls_server *server,
		uint64_t by_ns);

/* Have something to take: returns 0 at once where there is, else waits. SONDE_E_TRUNCATED: it ended. */
int wire_await(struct sonde_task *self, struct wire *wire, uint64_t by_ns);
/* len bytes. Returns 0; SONDE_E_TRUNCATED: it ended before. */
int wire_take(struct sonde_task *self, struct wire *wire, void *buf, size_t len, uint64_t by_ns);

/* Gather; what does not fit is sent. sends_ns: for how long one write of WIRE_OUT may take. */
int wire_put(struct sonde_task *self, struct wire *wire, const void *bytes, size_t len,
	     uint64_t sends_ns);
int wire_flush(struct sonde_task *self, struct wire *wire, uint64_t sends_ns);

#endif
