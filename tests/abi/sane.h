/* SPDX-License-Identifier: MIT */
/* A connector table that would do; each case beside breaks one thing. */
#ifndef ABI_SANE_H
#define ABI_SANE_H

#include "plugin_v1.h"

static inline int sane_open(const struct v1_host *host, const struct v1_args *args, void **ret_conn,
			    struct v1_error *err)
{
	(void)args;
	(void)err;
	*ret_conn = (void *)(uintptr_t)host;
	return 0;
}

static inline void sane_close(void *conn)
{
	(void)conn;
}

static inline void sane_info(void *conn, struct v1_info *ret)
{
	(void)conn;
	(void)ret;
}

static inline int sane_extents(void *conn, v1_extent_fn *fn, void *user, struct v1_error *err)
{
	struct v1_extent extent = { .addr = 0, .len = 4096, .kind = 3 };

	(void)conn;
	(void)err;
	return fn(user, &extent);
}

/* clang-format off */
#define SANE_OPS                                                                                   \
	.open = sane_open, .close = sane_close, .info = sane_info, .extents = sane_extents
/* clang-format on */

extern V1_EXPORT const struct v1_plugin sonde_plugin;

#endif
