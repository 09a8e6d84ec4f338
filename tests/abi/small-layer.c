/* SPDX-License-Identifier: MIT */
/* A layer whose table ends before submit. */
#include "plugin_v1.h"

static const struct v1_layer_ops layer = { .size = 24 };

extern V1_EXPORT const struct v1_plugin sonde_plugin;
V1_EXPORT const struct v1_plugin sonde_plugin = {
	.abi = 1, .size = sizeof(sonde_plugin), .name = "small-layer", .layer = &layer
};
