/* SPDX-License-Identifier: MIT */
/* A descriptor with neither table. */
#include "plugin_v1.h"

extern V1_EXPORT const struct v1_plugin sonde_plugin;
V1_EXPORT const struct v1_plugin sonde_plugin = { .abi = 1,
						  .size = sizeof(sonde_plugin),
						  .name = "neither" };
