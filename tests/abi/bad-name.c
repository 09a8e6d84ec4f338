/* SPDX-License-Identifier: MIT */
/* A name that no target could spell. */
#include "sane.h"

static const struct v1_connector_ops ops = { .size = sizeof(ops), SANE_OPS };

V1_EXPORT const struct v1_plugin sonde_plugin = {
	.abi = 1, .size = sizeof(sonde_plugin), .name = "Bad Name", .connector = &ops
};
