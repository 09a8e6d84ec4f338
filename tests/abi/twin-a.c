/* SPDX-License-Identifier: MIT */
/* One of two that are equally sure of the same files. */
#include "sane.h"

#include <string.h>

static int probe(const uint8_t *head, size_t head_len, uint64_t file_size)
{
	(void)file_size;
	return head_len >= 4 && memcmp(head, "TWIN", 4) == 0 ? 60 : 0;
}

static const struct v1_connector_ops ops = { .size = sizeof(ops), SANE_OPS, .probe = probe };

V1_EXPORT const struct v1_plugin sonde_plugin = {
	.abi = 1,
	.size = sizeof(sonde_plugin),
	.name = "twin-a",
	.main_arg = "path",
	.args_help = "path=FILE  anything\n",
	.connector = &ops,
};
