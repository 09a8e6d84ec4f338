/* SPDX-License-Identifier: MIT */
/* Where OpenSSL is not: no server is made, and so no session either. */
#include "tls.h"

int tls_server_create(const struct tls_options *options, struct tls_server **ret,
		      struct sonde_error *err)
{
	(void)options;
	(void)ret;
	return sonde_error_set(err, SONDE_E_UNSUPPORTED,
			       "TLS: this build has none: build it with OpenSSL (-Dtls=enabled)");
}

void tls_server_destroy(struct tls_server *server)
{
	(void)server;
}

struct tls *tls_create(struct tls_server *server)
{
	(void)server;
	return NULL;
}

void tls_destroy(struct tls *tls)
{
	(void)tls;
}

int tls_handshake(struct tls *tls)
{
	(void)tls;
	return TLS_FAILED;
}

int tls_read(struct tls *tls, void *buf, int len)
{
	(void)tls;
	(void)buf;
	(void)len;
	return TLS_FAILED;
}

int tls_write(struct tls *tls, const void *buf, int len)
{
	(void)tls;
	(void)buf;
	(void)len;
	return TLS_FAILED;
}

int tls_put_in(struct tls *tls, const void *bytes, int len)
{
	(void)tls;
	(void)bytes;
	(void)len;
	return TLS_FAILED;
}

int tls_take_out(struct tls *tls, void *bytes, int cap)
{
	(void)tls;
	(void)bytes;
	(void)cap;
	return 0;
}
