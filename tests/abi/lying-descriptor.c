/* SPDX-License-Identifier: MIT */
/* Claims a descriptor larger than what is in the file. */
#include "sane.h"

static const struct v1_connector_ops ops = { .size = sizeof(ops), SANE_OPS };

V1_EXPORT const struct v1_plugin sonde_plugin = {
	.abi = 1, .size = 4096, .name = "lying-descriptor", .connector = &ops
};
