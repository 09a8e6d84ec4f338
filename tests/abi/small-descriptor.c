/* SPDX-License-Identifier: MIT */
/* Its descriptor ends before the connector. */
#include "sane.h"

static const struct v1_connector_ops ops = { .size = sizeof(ops), SANE_OPS };

V1_EXPORT const struct v1_plugin sonde_plugin = {
	.abi = 1, .size = 24, .name = "small-descriptor", .connector = &ops
};
