/* SPDX-License-Identifier: MIT */
/* No way to move a byte. */
#include "sane.h"

static const struct v1_connector_ops ops = {
	.size = sizeof(ops), .open = sane_open, .close = sane_close, .info = sane_info
};

V1_EXPORT const struct v1_plugin sonde_plugin = {
	.abi = 1, .size = sizeof(sonde_plugin), .name = "no-way", .connector = &ops
};
