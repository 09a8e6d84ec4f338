/* SPDX-License-Identifier: MIT */
/* Connector and layer at once. */
#include "sane.h"

static const struct v1_connector_ops ops = { .size = sizeof(ops), SANE_OPS };

static const struct v1_layer_ops layer = { .size = sizeof(layer) };

V1_EXPORT const struct v1_plugin sonde_plugin = {
	.abi = 1, .size = sizeof(sonde_plugin), .name = "both", .connector = &ops, .layer = &layer
};
