/* SPDX-License-Identifier: MIT */
/* The guests that could be opened. */
#ifndef QEMU_LIST_H
#define QEMU_LIST_H

#include <sonde/plugin.h>

/* The slot list of a connector: each QEMU of this machine, by its name, or by its process where that names several. */
int qemu_list(const struct sonde_host *host, sonde_listed_fn *fn, void *user,
	      struct sonde_error *err);

#endif
