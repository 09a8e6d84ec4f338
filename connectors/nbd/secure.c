/* SPDX-License-Identifier: MIT */
/* nbds: as nbd, and nothing is said but through TLS. */
#include "nbd.h"

static int open_secure(const struct sonde_host *host, const struct sonde_args *args,
		       void **ret_conn, struct sonde_error *err)
{
	return export_open(host, args, 1, ret_conn, err);
}

static const struct sonde_connector_ops secure_ops = NBD_OPS(open_secure);

SONDE_PLUGIN(.name = "nbds", .summary = "an export of an NBD server, through TLS",
	     .main_arg = "server",
	     .args_help = NBD_HELP
	     "tls-certificates=DIR  with ca-cert.pem, and client-cert.pem and client-key.pem\n"
	     "tls-psk=FILE  keys known beforehand, lines NAME:HEX\n"
	     "tls-username=NAME  which of them (the user's name)\n",
	     .connector = &secure_ops);
