/* SPDX-License-Identifier: MIT */
/* nbd: an export of a server, in plain; through TLS where a URI says so. */
#include "nbd.h"

static int open_plain(const struct sonde_host *host, const struct sonde_args *args, void **ret_conn,
		      struct sonde_error *err)
{
	return export_open(host, args, 0, ret_conn, err);
}

static const struct sonde_connector_ops plain_ops = NBD_OPS(open_plain);

SONDE_PLUGIN(.name = "nbd", .summary = "an export of an NBD server: 'sonde serve' and others",
	     .main_arg = "server", .args_help = NBD_HELP, .connector = &plain_ops);
