/* SPDX-License-Identifier: MIT */
#include "dial.h"

#include "api.h"
#include "link.h"
#include "regions.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct dialling {
	const struct sonde_host *host;
	const struct sonde_args *args;
	int secure;
	const char *where;
	struct nbd_handle *nbd;
	struct sonde_error *err;
};

static int refuse(const struct dialling *d)
{
	int os_code = api.nbd_get_errno();
	int code = os_code == ENOENT         ? SONDE_E_NOT_FOUND
		   : os_code == ECONNREFUSED ? SONDE_E_GONE
		   : os_code                 ? link_code(os_code)
					     : SONDE_E_IO;
	const char *hint = os_code == ECONNREFUSED || os_code == ENOENT
				   ? "; nobody serves there: 'sonde serve' would"
				   : "";

	return d->host->error_set(d->err, code, "nbd: '%s': %.300s%s", d->where,
				  api.nbd_get_error(), hint);
}

/* "HOST:PORT" apart, brackets off; without a port the protocol's. Returns 0, -1: it is not of that form. */
static int split(const char *text, size_t len, char name[256], char port[8])
{
	const char *end = text + len;
	const char *bracket = text[0] == '[' ? memchr(text, ']', len) : NULL;
	const char *colon =
		memrchr(bracket ? bracket : text, ':', (size_t)(end - (bracket ? bracket : text)));
	size_t n = colon ? (size_t)(colon - text) : len,
	       n_port = colon ? (size_t)(end - colon - 1) : 0;

	snprintf(port, 8, "10809");
	if (colon && (n_port < 1 || n_port > 5 || strspn(colon + 1, "0123456789") < n_port))
		return -1;
	if (colon)
		snprintf(port, 8, "%.*s", (int)n_port, colon + 1);
	if (bracket) {
		n = (size_t)(bracket - text) - 1;
		text++;
	}
	if (n >= 256)
		return -1;
	snprintf(name, 256, "%.*s", (int)n, text);
	return 0;
}

/* Each of these begins to connect. Returns 0, or an error having told it. */
static int begin_uri(const struct dialling *d, const char *uri)
{
	api.nbd_set_uri_allow_local_file(d->nbd, true); /* what names it may name files */
	return api.nbd_aio_connect_uri(d->nbd, uri) < 0 ? refuse(d) : 0;
}

static int begin_scheme(const struct dialling *d, const char *behind)
{
	char uri[1024];

	if ((size_t)snprintf(uri, sizeof(uri), "nbd%s:%s", d->secure ? "s" : "", behind) >=
	    sizeof(uri))
		return d->host->error_set(d->err, SONDE_E_BAD_ARG, "nbd: '%s': is too long",
					  d->where);
	return begin_uri(d, uri);
}

static int begin_tcp(const struct dialling *d, const char *to)
{
	const char *slash = strchr(to, '/');
	char name[256], port[8];

	if (split(to, slash ? (size_t)(slash - to) : strlen(to), name, port) < 0)
		return d->host->error_set(
			d->err, SONDE_E_BAD_ARG,
			"nbd: '%s': write nbd:HOST:PORT[/EXPORT], nbd:unix:PATH or nbd:uri=URI",
			d->where);
	if (slash && api.nbd_set_export_name(d->nbd, slash + 1) < 0)
		return refuse(d);
	return api.nbd_aio_connect_tcp(d->nbd, name[0] ? name : "127.0.0.1", port) < 0 ? refuse(d)
										       : 0;
}

static int begin(const struct dialling *d, const char *to, const char *uri)
{
	if (uri)
		return begin_uri(d, uri);
	if (strncmp(to, "//", 2) == 0)
		return begin_scheme(d, to);
	if (strncmp(to, "unix:", 5) == 0)
		return api.nbd_aio_connect_unix(d->nbd, to + 5) < 0 ? refuse(d) : 0;
	return begin_tcp(d, to);
}

static int set_tls(const struct dialling *d)
{
	const char *certificates = d->host->arg(d->args, "tls-certificates");
	const char *psk = d->host->arg(d->args, "tls-psk");
	const char *name = d->host->arg(d->args, "tls-username");

	if (api.nbd_set_tls(d->nbd, LIBNBD_TLS_REQUIRE) < 0 ||
	    (certificates && api.nbd_set_tls_certificates(d->nbd, certificates) < 0) ||
	    (psk && api.nbd_set_tls_psk_file(d->nbd, psk) < 0) ||
	    (name && api.nbd_set_tls_username(d->nbd, name) < 0))
		return refuse(d);
	return 0;
}

static int configure(const struct dialling *d)
{
	const char *export = d->host->arg(d->args, "export");

	api.nbd_set_full_info(d->nbd, true);
	api.nbd_set_pread_initialize(d->nbd,
				     false); /* what does not come is told, and zeroed then */
	if (api.nbd_add_meta_context(d->nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) < 0 ||
	    api.nbd_add_meta_context(d->nbd, REGIONS_OF_SONDE) < 0 ||
	    (export && api.nbd_set_export_name(d->nbd, export) < 0))
		return refuse(d);
	return d->secure ? set_tls(d) : 0;
}

static int await(const struct dialling *d, uint64_t timeout_ns)
{
	uint64_t by_ns = d->host->now_ns() + timeout_ns;
	int r = 0;

	while (r >= 0 && !api.nbd_aio_is_ready(d->nbd)) {
		if (api.nbd_aio_is_dead(d->nbd) || api.nbd_aio_is_closed(d->nbd))
			return refuse(d);
		if (d->host->now_ns() >= by_ns)
			return d->host->error_set(d->err, SONDE_E_TIMED_OUT,
						  "nbd: '%s': no answer: is it a server of NBD?",
						  d->where);
		r = link_pump(d->nbd, d->host, -1, by_ns);
	}
	return r < 0 ? refuse(d) : 0;
}

int dial(const struct sonde_host *host, const struct sonde_args *args, int secure,
	 uint64_t timeout_ns, char *where, size_t cap, struct nbd_handle **ret,
	 struct sonde_error *err)
{
	const char *to = host->arg(args, "server"), *uri = host->arg(args, "uri");
	struct dialling d = { host, args, secure, where, NULL, err };

	if (!to == !uri)
		return host->error_set(
			err, SONDE_E_BAD_ARG,
			"nbd: which server? Write nbd:HOST:PORT[/EXPORT], nbd:unix:PATH "
			"or nbd:uri=URI");
	snprintf(where, cap, "%s", to ? to : uri);
	int r = api_load(host, err);
	if (r < 0)
		return r;
	*ret = d.nbd = api.nbd_create();
	if (!d.nbd)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	r = configure(&d);
	if (r == 0)
		r = begin(&d, to, uri);
	return r == 0 ? await(&d, timeout_ns) : r;
}
