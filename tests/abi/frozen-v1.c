/* SPDX-License-Identifier: MIT */
/* A connector as it was built when interface 1 came out: it must go on working. */
#include "plugin_v1.h"

#include <string.h>

static uint8_t memory[64];

static int v1_open(const struct v1_host *host, const struct v1_args *args, void **ret_conn,
		   struct v1_error *err)
{
	uint64_t fill = 0;

	if (host->abi != 1)
		return host->error_set(err, -14, "frozen-v1: host has interface %u", host->abi);
	if (host->arg_u64(args, "fill", &fill, err) < 0)
		return -5;
	memset(memory, (int)fill, sizeof(memory));
	*ret_conn = memory;
	return 0;
}

static void v1_close(void *conn)
{
	memset(conn, 0, sizeof(memory));
}

static void v1_info(void *conn, struct v1_info *ret)
{
	(void)conn;
	ret->detail = "from the past";
}

static int v1_extents(void *conn, v1_extent_fn *fn, void *user, struct v1_error *err)
{
	struct v1_extent extent = { .addr = 0x1000, .len = sizeof(memory), .kind = 2, .ptr = conn };

	(void)err;
	return fn(user, &extent);
}

static const struct v1_connector_ops ops = {
	.size = sizeof(ops),
	.open = v1_open,
	.close = v1_close,
	.info = v1_info,
	.extents = v1_extents,
};

extern V1_EXPORT const struct v1_plugin sonde_plugin;
V1_EXPORT const struct v1_plugin sonde_plugin = {
	.abi = 1,
	.size = sizeof(sonde_plugin),
	.name = "frozen-v1",
	.summary = "built on interface 1",
	.args_help = "fill=N  what every byte is\n",
	.connector = &ops,
};
