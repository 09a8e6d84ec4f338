/* SPDX-License-Identifier: MIT */
/* TLS as a machine over bytes: what came from the peer goes in, what is to be sent to it comes out. It knows no sockets. */
#ifndef SONDE_SERVE_TLS_H
#define SONDE_SERVE_TLS_H

#include <sonde/error.h>
#include <stddef.h>

struct tls_options {
	const char *cert,
		*key; /* files in PEM: the server's certificate (with its chain) and its key     */
	const char
		*ca; /* NULL, or whose certificates a client has to have one of                  */
	const char
		*psk; /* NULL, or a file of lines NAME:HEX, as psktool makes them                 */
};

struct tls_server; /* what all sessions share */
struct tls;        /* one of them             */

/* What tls_read and tls_handshake answer but for bytes. */
enum { TLS_END = 0, TLS_WANTS = -1, TLS_FAILED = -2 };

/*
 * Returns   0; SONDE_E_UNSUPPORTED: this build has no TLS; SONDE_E_BAD_ARG, _NOT_FOUND, _NO_ACCESS, _BAD_FORMAT: a file,
 *           and err says which.
 */
int tls_server_create(const struct tls_options *options, struct tls_server **ret,
		      struct sonde_error *err);
void tls_server_destroy(struct tls_server *server); /* NULL is allowed */

/* NULL: there is no memory for it. */
struct tls *tls_create(struct tls_server *server);
void tls_destroy(struct tls *tls); /* NULL is allowed */

/* Each may leave something to be taken out. Returns 1: it is over; TLS_WANTS: more has to come in first; TLS_FAILED. */
int tls_handshake(struct tls *tls);
/* Returns how many bytes of 1..len; TLS_END, TLS_WANTS, TLS_FAILED. */
int tls_read(struct tls *tls, void *buf, int len);
/* All of them, len of 1..2^14. Returns 0; TLS_FAILED. */
int tls_write(struct tls *tls, const void *buf, int len);

/* Returns 0; TLS_FAILED: there is no memory. */
int tls_put_in(struct tls *tls, const void *bytes, int len);
/* Returns how many bytes of 0..cap were to be sent. */
int tls_take_out(struct tls *tls, void *bytes, int cap);

#endif
