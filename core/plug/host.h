/* SPDX-License-Identifier: MIT */
/* The host table a plugin is given: the core's slots and the arguments'. */
#ifndef SONDE_PLUG_HOST_H
#define SONDE_PLUG_HOST_H

#include <sonde/plugin.h>

void host_init(struct sonde_host *ret);

#endif
