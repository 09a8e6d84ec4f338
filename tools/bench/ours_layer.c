/* SPDX-License-Identifier: MIT */
/*
 * What a layer adds to a read of memory: the same pieces with it and without, one right after the other.
 * Both are contenders of their own, of ours_ram.c.
 */
#include <errno.h>
#include <sonde/loop.h>
#include <stdlib.h>

#include "contenders.h"

#define PIECES_LONG (UINT64_C(64) * 20000)
#define PIECES_QUICK (UINT64_C(64) * 200)

struct layer {
	const struct contender *with, *without;
	void *with_state, *without_state;
};

static void close_layer(void *state)
{
	struct layer *layer = state;

	if (layer->with_state)
		layer->with->close(layer->with_state);
	if (layer->without_state)
		layer->without->close(layer->without_state);
	free(layer);
}

static int open_layer(const struct contender *contender, struct work *work, void **ret)
{
	struct layer *layer = calloc(1, sizeof(*layer));

	if (!layer)
		return -ENOMEM;
	layer->with = contender_find(contender->arg);
	layer->without = contender_find("ram.blocking");
	int r = layer->with->open(layer->with, work, &layer->with_state);
	if (r == 0)
		r = layer->without->open(layer->without, work, &layer->without_state);
	if (r != 0)
		close_layer(layer);
	else
		*ret = layer;
	return r;
}

static int timed(const struct contender *contender, void *state, struct work *work, double *ret_ns)
{
	uint64_t start = sonde_now_ns();
	int r = contender->run(state, work);

	*ret_ns = (double)(sonde_now_ns() - start) / (double)work->n_ops;
	return r;
}

/* Never below nothing: noise may be more than the layer. */
static int measure(void *state, struct work *work, struct sample *ret)
{
	struct layer *layer = state;
	double with, without;

	work->n_ops = work->quick ? PIECES_QUICK : PIECES_LONG;
	int r = timed(layer->without, layer->without_state, work, &without);
	if (r == 0)
		r = timed(layer->with, layer->with_state, work, &with);
	if (r == 0)
		ret->wall_ns = with > without ? with - without : 0;
	return r;
}

const struct contender contenders_layer[] = {
	{ .name = "layer.remap",
	  .arg = "ram.remap",
	  .open = open_layer,
	  .measure = measure,
	  .close = close_layer },
	{ 0 },
};
