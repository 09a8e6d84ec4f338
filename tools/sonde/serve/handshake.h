/* SPDX-License-Identifier: MIT */
/*
 * The server's half of the fixed newstyle negotiation, as a machine over bytes: it says how many it needs next, is given
 * exactly those, and says what to answer. It knows no sockets.
 *
 *	FLAGS ──▶ HEAD ◀──▶ DATA ──▶ the step says what follows
 */
#ifndef SONDE_SERVE_HANDSHAKE_H
#define SONDE_SERVE_HANDSHAKE_H

#include "export.h"

enum {
	HANDSHAKE_OPTION_MAX = 16 << 10, /* bytes of one option's data: more ends the session */
	HANDSHAKE_OPTIONS_MAX = 128,     /* options of one session: likewise                  */
	HANDSHAKE_ANSWER_MAX = 4 << 10,  /* bytes that one call answers at most               */
};

enum handshake_tls {
	HANDSHAKE_TLS_NONE, /* this server has none                     */
	HANDSHAKE_TLS_MUST, /* nothing but STARTTLS is answered before  */
	HANDSHAKE_TLS_ON,
};

enum handshake_step {
	HANDSHAKE_MORE,   /* send the answer, go on                                */
	HANDSHAKE_SECURE, /* send the answer, then make the connection a TLS one   */
	HANDSHAKE_GO,     /* send the answer: the client's requests follow         */
	HANDSHAKE_BYE,    /* send the answer: that is all                          */
	HANDSHAKE_BROKEN, /* what came is no NBD, or more than is taken: no answer */
};

struct handshake {
	const struct export *export;
	enum handshake_tls tls;
	bool is_full; /* no more sessions are let through */

	bool no_zeroes, structured;
	uint32_t contexts; /* enum export_context, that the client chose */

	enum { HANDSHAKE_FLAGS, HANDSHAKE_HEAD, HANDSHAKE_DATA } state;
	uint32_t option, len, n_options;
	uint8_t answer[HANDSHAKE_ANSWER_MAX]; /* [n_answer] */
	size_t n_answer;
};

/* Begin: *ret's first three fields are set. The greeting is in its answer. */
void handshake_begin(struct handshake *ret);
/* How many bytes the next handshake_take is to be given, HANDSHAKE_OPTION_MAX at most; may be 0. */
size_t handshake_need(const struct handshake *handshake);
/* Take them; the answer before is gone. */
enum handshake_step handshake_take(struct handshake *handshake, const uint8_t *bytes);
/* The connection is a TLS one now: all that was agreed on before is forgotten. */
void handshake_secured(struct handshake *handshake);

#endif
