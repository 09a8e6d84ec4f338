/* SPDX-License-Identifier: MIT */
/* A space in front of a space: hands each batch to a layer plugin, which forwards or ends it. */
#include "space/layer.h"

#include <sonde/error.h>

#include "base/mem.h"
#include "space/backed.h"
#include "space/io_list.h"
#include "space/space.h"

struct layer {
	struct sonde_space space;
	struct sonde_layer_ops ops;
	void *conn;
	struct sonde_space *below;
};

static void hand_over(void *arg, struct sonde_io *const *ios, size_t n)
{
	struct layer *layer = arg;

	layer->ops.submit(layer->conn, ios, n);
}

static void layer_submit(struct sonde_space *space, struct sonde_io *list)
{
	io_list_whole(list, hand_over, space);
}

void layer_forward(void *below, struct sonde_io *const *ios, size_t n)
{
	struct sonde_space *space = below;
	struct sonde_io *list = NULL;

	for (size_t i = n; i-- > 0;) {
		io_core(ios[i])->space = space;
		if (io_core(ios[i])->flags & IO_ASKED_CANCEL) {
			/* Its time ran out, or its owner changed his mind, while a layer held it. */
			io_finish_unsent(ios[i]);
			continue;
		}
		io_core(ios[i])->next = list;
		list = ios[i];
		space_count(space, ios[i]);
	}
	if (!list)
		return;
	space->stats.trips++;
	space->ops->submit(space, list);
}

struct sonde_loop *layer_loop(void *below)
{
	return ((struct sonde_space *)below)->loop;
}

static int layer_regions(struct sonde_space *space, sonde_region_fn *fn, void *user)
{
	return sonde_space_regions(((struct layer *)space)->below, fn, user);
}

static void layer_trim(struct sonde_space *space)
{
	sonde_space_trim(((struct layer *)space)->below);
}

static void layer_destroy(struct sonde_space *space)
{
	struct layer *layer = (struct layer *)space;

	layer->ops.close(layer->conn);
	mem_release(layer);
}

static const struct space_ops layer_ops = {
	.submit = layer_submit,
	.regions = layer_regions,
	.trim = layer_trim,
	.destroy = layer_destroy,
};

int space_from_layer(struct sonde_loop *loop, const struct sonde_layer_ops *ops,
		     const struct sonde_host *host, const struct sonde_args *args,
		     struct sonde_space *below, struct sonde_space **ret, struct sonde_error *err)
{
	struct layer *layer = mem_alloc(1, sizeof(*layer));

	if (!layer)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "layer: out of memory");
	space_init(&layer->space, &layer_ops, loop, &space_never);
	layer->ops = *ops;
	layer->below = below;
	int r = ops->open(host, args, below, &layer->conn, err);
	if (r < 0) {
		mem_release(layer);
		return r;
	}
	*ret = &layer->space;
	return SONDE_OK;
}
