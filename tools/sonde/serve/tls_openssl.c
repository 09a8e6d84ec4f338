/* SPDX-License-Identifier: MIT */
/*
 * OpenSSL over two buffers of memory. A session has a certificate, a key that both sides know beforehand, or the choice
 * of either; TLS 1.2 is the oldest that is spoken.
 */
#include "tls.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PSK_LINE_MAX = 1024 };

struct tls_server {
	SSL_CTX *ctx;
	char *psk; /* path, NULL none */
};

struct tls; /* an SSL */

static SSL *ssl_of(struct tls *tls)
{
	return (SSL *)(void *)tls;
}

/* ---- keys that both sides know ------------------------------------------------------------------- */

/* "NAME:HEX" of a line, for this name: returns the key's length, 0 where the line is not that. */
static unsigned parse_key(char *line, const char *name, unsigned char *key, unsigned cap)
{
	char *hex = strrchr(line, ':');
	unsigned n = 0;

	if (!hex)
		return 0;
	*hex++ = '\0';
	if (strcmp(line, name) != 0)
		return 0;
	for (; isxdigit((unsigned char)hex[0]) && isxdigit((unsigned char)hex[1]); hex += 2, n++) {
		char digits[3] = { hex[0], hex[1], '\0' };
		if (n == cap)
			return 0;
		key[n] = (unsigned char)strtoul(digits, NULL, 16);
	}
	return *hex == '\0' || *hex == '\n' || *hex == '\r' ? n : 0;
}

/* Read anew for each client, so that keys can be added and taken away. */
static unsigned find_key(SSL *ssl, const char *identity, unsigned char *key, unsigned cap)
{
	const struct tls_server *server = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
	FILE *file = identity && identity[0] ? fopen(server->psk, "re") : NULL;
	char line[PSK_LINE_MAX];
	unsigned n = 0;

	while (file && n == 0 && fgets(line, sizeof(line), file))
		n = line[0] == '#' ? 0 : parse_key(line, identity, key, cap);
	OPENSSL_cleanse(line, sizeof(line));
	if (file)
		fclose(file);
	return n;
}

/* ---- the server ------------------------------------------------------------------------------------ */

static int refuse(struct sonde_error *err, const char *what, const char *path)
{
	unsigned long code = ERR_peek_error();
	char why[200] = "no such key or certificate in it";

	if (code)
		ERR_error_string_n(code, why, sizeof(why));
	ERR_clear_error();
	return sonde_error_set(err, SONDE_E_BAD_FORMAT, "TLS: %s '%s': %s", what, path, why);
}

static int look_at(const char *what, const char *path, struct sonde_error *err)
{
	FILE *file = fopen(path, "re");

	if (!file)
		return sonde_error_os(err, errno, "TLS: %s '%s'", what, path);
	fclose(file);
	return 0;
}

static int use_certificate(SSL_CTX *ctx, const struct tls_options *options, struct sonde_error *err)
{
	int r = look_at("certificate", options->cert, err);

	if (r == 0)
		r = look_at("key", options->key, err);
	if (r < 0)
		return r;
	if (SSL_CTX_use_certificate_chain_file(ctx, options->cert) != 1)
		return refuse(err, "certificate", options->cert);
	if (SSL_CTX_use_PrivateKey_file(ctx, options->key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1)
		return refuse(err, "key", options->key);
	return 0;
}

static int use_ca(SSL_CTX *ctx, const char *path, struct sonde_error *err)
{
	int r = look_at("CA", path, err);

	if (r < 0)
		return r;
	if (SSL_CTX_load_verify_locations(ctx, path, NULL) != 1)
		return refuse(err, "CA", path);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return 0;
}

static int use_psk(struct tls_server *server, const char *path, struct sonde_error *err)
{
	int r = look_at("keys", path, err);

	if (r < 0)
		return r;
	server->psk = strdup(path);
	if (!server->psk)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	SSL_CTX_set_psk_server_callback(server->ctx, find_key);
	return 0;
}

/* No tickets: a session is not gone on with, and nothing has to be sent when none is asked for. */
static void configure(struct tls_server *server)
{
	SSL_CTX_set_app_data(server->ctx, server);
	SSL_CTX_set_min_proto_version(server->ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(server->ctx,
			    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(server->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(server->ctx, 0);
	SSL_CTX_set_mode(server->ctx,
			 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
}

int tls_server_create(const struct tls_options *options, struct tls_server **ret,
		      struct sonde_error *err)
{
	struct tls_server *server = calloc(1, sizeof(*server));
	int r = 0;

	if (server)
		server->ctx = SSL_CTX_new(TLS_server_method());
	if (!server || !server->ctx) {
		tls_server_destroy(server);
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	}
	configure(server);
	if (options->cert)
		r = use_certificate(server->ctx, options, err);
	if (r == 0 && options->ca)
		r = use_ca(server->ctx, options->ca, err);
	if (r == 0 && options->psk)
		r = use_psk(server, options->psk, err);
	if (r < 0) {
		tls_server_destroy(server);
		return r;
	}
	*ret = server;
	return 0;
}

void tls_server_destroy(struct tls_server *server)
{
	if (!server)
		return;
	SSL_CTX_free(server->ctx);
	free(server->psk);
	free(server);
}

/* ---- a session --------------------------------------------------------------------------------------- */

struct tls *tls_create(struct tls_server *server)
{
	SSL *ssl = SSL_new(server->ctx);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

	if (!ssl || !in || !out) {
		SSL_free(ssl);
		BIO_free(in);
		BIO_free(out);
		return NULL;
	}
	SSL_set_bio(ssl, in, out);
	SSL_set_accept_state(ssl);
	return (struct tls *)(void *)ssl;
}

void tls_destroy(struct tls *tls)
{
	SSL_free(ssl_of(tls));
}

static int outcome(struct tls *tls, int r)
{
	int code = SSL_get_error(ssl_of(tls), r);

	ERR_clear_error();
	return code == SSL_ERROR_WANT_READ     ? TLS_WANTS
	       : code == SSL_ERROR_ZERO_RETURN ? TLS_END
					       : TLS_FAILED;
}

int tls_handshake(struct tls *tls)
{
	int r = SSL_do_handshake(ssl_of(tls));

	return r == 1 ? 1 : outcome(tls, r) == TLS_WANTS ? TLS_WANTS : TLS_FAILED;
}

int tls_read(struct tls *tls, void *buf, int len)
{
	int r = SSL_read(ssl_of(tls), buf, len);

	return r > 0 ? r : outcome(tls, r);
}

int tls_write(struct tls *tls, const void *buf, int len)
{
	int r = SSL_write(ssl_of(tls), buf, len);

	return r == len ? 0 : (outcome(tls, r), TLS_FAILED);
}

int tls_put_in(struct tls *tls, const void *bytes, int len)
{
	return BIO_write(SSL_get_rbio(ssl_of(tls)), bytes, len) == len ? 0 : TLS_FAILED;
}

int tls_take_out(struct tls *tls, void *bytes, int cap)
{
	int n = BIO_read(SSL_get_wbio(ssl_of(tls)), bytes, cap);

	return n > 0 ? n : 0;
}
