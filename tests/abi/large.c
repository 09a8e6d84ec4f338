/* SPDX-License-Identifier: MIT */
/* From the future: descriptor and table have fields that this library does not know. */
#include "sane.h"

static const struct {
	struct v1_connector_ops ops;
	void (*later[8])(void);
} future = { .ops = { .size = sizeof(future), SANE_OPS } };

/* One object, so that the size of the symbol is that of the descriptor. */
struct later_plugin {
	struct v1_plugin plugin;
	const char *later[8];
};
_Static_assert(sizeof(struct later_plugin) == sizeof(struct v1_plugin) + 64, "whole 8-byte fields");

extern V1_EXPORT const struct later_plugin later __asm__("sonde_plugin");
V1_EXPORT const struct later_plugin later = {
	.plugin = { .abi = 1,
		    .size = sizeof(later),
		    .name = "large",
		    .summary = "from the future",
		    .connector = &future.ops },
	.later = { "x" },
};
