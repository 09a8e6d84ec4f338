/* SPDX-License-Identifier: MIT */
/* A space of the test's own bytes, at an address. */
#ifndef TESTS_SYNTH_ARRAY_SPACE_H
#define TESTS_SYNTH_ARRAY_SPACE_H

#include <sonde/plugin.h>

#include "space/backed.h"

struct array_space {
	uint64_t base, len;
	uint8_t *bytes; /* [len] */
	uint32_t flags; /* enum sonde_region_flag, besides READ */
};

static inline int array_space_tell(void *conn, sonde_extent_fn *fn, void *user,
				   struct sonde_error *err)
{
	const struct array_space *array = conn;

	(void)err;
	return fn(user, &(struct sonde_extent){ .addr = array->base,
						.len = array->len,
						.kind = SONDE_EXTENT_MEMORY,
						.flags = SONDE_REGION_READ | array->flags,
						.ptr = array->bytes });
}

static inline void array_space_close(void *conn)
{
	(void)conn;
}

/* array and its bytes outlive the space. Returns as space_from_connector. */
static inline int array_space_open(struct array_space *array, struct sonde_loop *loop,
				   struct sonde_space **ret)
{
	static const struct sonde_connector_ops ops = { .size = sizeof(ops),
							.close = array_space_close,
							.extents = array_space_tell };

	return space_from_connector(loop, &ops, array, ret, NULL);
}

#endif
