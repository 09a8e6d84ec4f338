/* SPDX-License-Identifier: MIT */
/* Its table ends before submit. */
#include "sane.h"

static const struct v1_connector_ops ops = { .size = 32, SANE_OPS };

V1_EXPORT const struct v1_plugin sonde_plugin = {
	.abi = 1, .size = sizeof(sonde_plugin), .name = "small-table", .connector = &ops
};
