/* SPDX-License-Identifier: MIT */
/* Making a loop: options, the host's part, the engine. */
#include <sonde/error.h>

#include "base/mem.h"
#include "io/engine.h"
#include "io/loop.h"

#define DEPTH_DEFAULT 256u
#define DEPTH_MAX 4096u
#define MERGE_GAP_DEFAULT 1024u /* bytes that cost less than one more operation */

static uint32_t clamp_depth(uint32_t depth)
{
	if (depth == 0)
		return DEPTH_DEFAULT;
	return depth > DEPTH_MAX ? DEPTH_MAX : depth;
}

static void take_options(struct sonde_loop_options *own, const struct sonde_loop_options *given)
{
	if (given)
		memcpy(own, given, given->size < sizeof(*own) ? given->size : sizeof(*own));
	own->size = sizeof(*own);
	own->depth = clamp_depth(own->depth);
	own->merge_gap = own->merge_gap ? own->merge_gap : MERGE_GAP_DEFAULT;
}

int sonde_loop_create(const struct sonde_loop_options *options, struct sonde_loop **ret,
		      struct sonde_error *err)
{
	struct sonde_loop_options own = { 0 };
	struct sonde_loop *loop = mem_alloc(1, sizeof(*loop));
	int r;

	take_options(&own, options);
	if (!loop)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "loop: out of memory");
	r = loop_init(loop, own.depth);
	if (r < 0) {
		sonde_error_set(err, r, "loop: out of memory");
		goto out;
	}
	loop->kind = own.engine;
	loop->merge_gap = own.merge_gap;
	loop->past_cache = own.past_cache;
	r = host_open(loop, err);
	if (r < 0)
		goto out;
	r = engine_open(loop, &own, &loop->engine_ops, &loop->engine, loop->why, sizeof(loop->why),
			err);
	if (r < 0)
		goto out;
	*ret = loop;
	return SONDE_OK;
out:
	sonde_loop_destroy(loop);
	return r;
}

void sonde_loop_destroy(struct sonde_loop *loop)
{
	if (!loop)
		return;
	if (loop->source)
		loop->source->close(loop->source);
	if (loop->engine)
		loop->engine_ops->close(loop->engine);
	host_close(loop);
	loop_finish(loop);
	mem_release(loop);
}

int sonde_loop_register(struct sonde_loop *loop, void *base, size_t len)
{
	if (!base || !len)
		return SONDE_E_BAD_ARG;
	if (!loop->engine_ops || !loop->engine_ops->add_memory)
		return SONDE_E_UNSUPPORTED;
	return loop->engine_ops->add_memory(loop->engine, base, len);
}

void sonde_loop_unregister(struct sonde_loop *loop, void *base)
{
	if (base && loop->engine_ops && loop->engine_ops->remove_memory)
		loop->engine_ops->remove_memory(loop->engine, base);
}

const char *sonde_loop_engine(const struct sonde_loop *loop, const char **ret_why)
{
	if (ret_why)
		*ret_why = loop->why;
	if (loop->engine_ops)
		return loop->engine_ops->name;
	return engine_name(loop->kind);
}
