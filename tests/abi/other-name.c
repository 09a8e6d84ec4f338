/* SPDX-License-Identifier: MIT */
/* Calls itself something else than its file. */
#include "sane.h"

static const struct v1_connector_ops ops = { .size = sizeof(ops), SANE_OPS };

V1_EXPORT const struct v1_plugin sonde_plugin = {
	.abi = 1, .size = sizeof(sonde_plugin), .name = "flat", .connector = &ops
};
