/* SPDX-License-Identifier: MIT */
/* kcore: this machine's physical memory through /proc/kcore. */
#include "own.h"

static int kcore_open(const struct sonde_host *host, const struct sonde_args *args, void **ret_conn,
		      struct sonde_error *err)
{
	const struct own_paths paths = { .file = host->arg(args, "path") };

	return own_open(host, args, "kcore", OWN_KCORE, &paths, ret_conn, err);
}

static const struct sonde_connector_ops kcore_ops = { .open = kcore_open, OWN_SLOTS };

SONDE_PLUGIN(.name = "kcore", .summary = "this machine's kernel, through /proc/kcore",
	     .main_arg = "path", .args_help = "path=FILE  the file (/proc/kcore)\n",
	     .connector = &kcore_ops);
