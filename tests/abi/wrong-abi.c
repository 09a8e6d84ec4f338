/* SPDX-License-Identifier: MIT */
/* Built for an interface that never was. */
#include "sane.h"

static const struct v1_connector_ops ops = { .size = sizeof(ops), SANE_OPS };

V1_EXPORT const struct v1_plugin sonde_plugin = {
	.abi = 4242, .size = sizeof(sonde_plugin), .name = "wrong-abi", .connector = &ops
};
