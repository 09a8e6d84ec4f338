/* SPDX-License-Identifier: MIT */
/* A required slot is NULL. */
#include "sane.h"

static const struct v1_connector_ops ops = {
	.size = sizeof(ops), .open = sane_open, .info = sane_info, .extents = sane_extents
};

V1_EXPORT const struct v1_plugin sonde_plugin = {
	.abi = 1, .size = sizeof(sonde_plugin), .name = "lacks-close", .connector = &ops
};
