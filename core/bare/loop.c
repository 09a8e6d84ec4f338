/* SPDX-License-Identifier: MIT */
/* A loop without an engine: there are no files whose bytes it would move. */
#include <sonde/error.h>

#include "base/mem.h"
#include "io/loop.h"

int sonde_loop_create(const struct sonde_loop_options *options, struct sonde_loop **ret,
		      struct sonde_error *err)
{
	if (options && options->size >= offsetof(struct sonde_loop_options, depth) &&
	    options->engine != SONDE_ENGINE_AUTO)
		return sonde_error_set(err, SONDE_E_UNSUPPORTED,
				       "loop: there are no engines here: ask for none");
	struct sonde_loop *loop = mem_alloc(1, sizeof(*loop));
	int r = loop ? loop_init(loop, 1) : SONDE_E_NO_MEMORY;

	if (r < 0) {
		sonde_loop_destroy(loop);
		return sonde_error_set(err, r, "loop: out of memory");
	}
	*ret = loop;
	return SONDE_OK;
}

void sonde_loop_destroy(struct sonde_loop *loop)
{
	if (!loop)
		return;
	loop_finish(loop);
	mem_release(loop);
}
