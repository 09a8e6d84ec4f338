/* SPDX-License-Identifier: MIT */
/* The domains that could be opened. */
#ifndef LIBVIRT_LIST_H
#define LIBVIRT_LIST_H

#include <sonde/plugin.h>

/* The slot list of a connector: the domains of the default hypervisor, those that are off too. */
int libvirt_list(const struct sonde_host *host, sonde_listed_fn *fn, void *user,
		 struct sonde_error *err);

#endif
