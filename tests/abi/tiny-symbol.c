/* SPDX-License-Identifier: MIT */
/* The right symbol, but four bytes of it. */
#include "plugin_v1.h"

extern V1_EXPORT const uint32_t sonde_plugin;
V1_EXPORT const uint32_t sonde_plugin = 1;
