/* SPDX-License-Identifier: MIT */
/* What the plugins nbd and nbds share: all but whether the connection is secret. */
#ifndef NBD_NBD_H
#define NBD_NBD_H

#include <sonde/plugin.h>

int export_open(const struct sonde_host *host, const struct sonde_args *args, int secure,
		void **ret_conn, struct sonde_error *err);
void export_close(void *conn);
void export_info(void *conn, struct sonde_target_info *ret);
size_t export_submit(void *conn, struct sonde_io *const *ios, size_t n);
void export_cancel(void *conn, struct sonde_io *io, int32_t why);
int export_regions(void *conn, sonde_region_fn *fn, void *user);
int export_gone(void *conn, struct sonde_error *err);

#define NBD_OPS(opens)                                                                             \
	{                                                                                          \
		.size = sizeof(struct sonde_connector_ops), .open = opens, .close = export_close,  \
		.info = export_info, .submit = export_submit, .cancel = export_cancel,             \
		.regions = export_regions, .gone = export_gone                                     \
	}

#define NBD_HELP                                                                                   \
	"server=WHERE  HOST:PORT[/EXPORT], unix:PATH, or what stands behind the scheme of a URI\n" \
	"uri=URI  of NBD, whole: nbd+unix:///name?socket=/path\n"                                  \
	"export=NAME  which of the server's exports (its default one)\n"                           \
	"depth=N  commands in flight, 1 to 4096 (256)\n"                                           \
	"timeout=MS  without a word from the server that owes one (10000)\n"                       \
	"memory=KIND  physical or other: what an export of no Sonde's holds (physical)\n"

#endif
