/* SPDX-License-Identifier: MIT */
/*
 * A space in front of a space: hands each batch to a layer plugin, which forwards or ends it, or sends
 * requests of its own below. One that only says how its addresses map is a remap.c with the plugin's
 * other slots.
 */
#include "space/layer.h"

#include <sonde/error.h>

#include "base/mem.h"
#include "space/backed.h"
#include "space/io_list.h"
#include "space/remap.h"
#include "space/space.h"

struct layer {
	struct remap
		remap; /* first: it begins with the space. Of the rest only those with a map make use */
	struct sonde_layer_ops ops;
	const struct sonde_host *host; /* as given to open */
	const struct sonde_args *args;
	void *conn;
	struct sonde_space *below;
	uint32_t traits; /* enum sonde_layer_trait */
};

static struct layer *of_space(struct sonde_space *space)
{
	return (struct layer *)(void *)space;
}

static void hand_over(void *arg, struct sonde_io *const *ios, size_t n)
{
	struct layer *layer = arg;

	layer->ops.submit(layer->conn, ios, n);
}

static void layer_submit(struct sonde_space *space, struct sonde_io *list)
{
	for (struct sonde_io *io = list; io; io = io_core(io)->next)
		io_lend(io);
	io_list_whole(list, hand_over, space);
}

void layer_forward(void *below, struct sonde_io *const *ios, size_t n)
{
	struct sonde_space *space = below;
	struct sonde_io *list = NULL;

	for (size_t i = n; i-- > 0;) {
		io_core(ios[i])->space = space;
		io_recall(ios[i]);
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
	space->n_leaving = (uint32_t)n;
	space->stats.trips++;
	space->ops->submit(space, list);
}

struct sonde_loop *layer_loop(void *below)
{
	return ((struct sonde_space *)below)->loop;
}

/* Their complete functions are a stack: the last to follow hears first. */
static void complete_followed(struct sonde_io *io)
{
	struct io_core *core = io_core(io);
	struct sonde_follow *follow = core->follow;

	core->complete = (void (*)(struct sonde_io *))(uintptr_t)follow->core[0];
	core->follow = (void *)(uintptr_t)follow->core[1];
	follow->back(follow, io);
	core->complete(io);
}

void layer_follow(struct sonde_io *io, struct sonde_follow *follow)
{
	struct io_core *core = io_core(io);

	follow->core[0] = (uintptr_t)core->complete;
	follow->core[1] = (uintptr_t)core->follow;
	core->complete = complete_followed;
	core->follow = follow;
}

/* ---- requests of the layer's own ------------------------------------------------------------- */

static void complete_issued(struct sonde_io *io)
{
	space_leave(io);
	io_set_state(io, SONDE_IO_IDLE);
	io->done(io);
}

int layer_issue(void *below, struct sonde_io *io)
{
	return io->done ? space_issue(below, io, complete_issued) : SONDE_E_BAD_ARG;
}

int layer_below_resident(void *below)
{
	return *((struct sonde_space *)below)->resident;
}

int layer_below_regions(void *below, sonde_region_fn *fn, void *user)
{
	return sonde_space_regions(below, fn, user);
}

const void *layer_below_borrow(void *below, uint64_t addr, size_t len)
{
	return sonde_space_borrow(below, addr, len);
}

const void *layer_below_borrow_run(void *below, uint64_t addr, size_t cap, size_t *ret_len)
{
	return sonde_space_borrow_run(below, addr, cap, ret_len);
}

int layer_below_cpu(void *below, uint32_t index, struct sonde_cpu *ret)
{
	return space_cpu(below, index, ret);
}

int64_t layer_below_note(void *below, const char *name, void *buf, size_t cap)
{
	return space_note(below, name, buf, cap);
}

/* ---- the table --------------------------------------------------------------------------------- */

static void layer_cancel(struct sonde_space *space, struct sonde_io *io)
{
	struct layer *layer = of_space(space);

	if (layer->ops.cancel)
		layer->ops.cancel(layer->conn, io, io_stop_code(io));
}

static int layer_regions(struct sonde_space *space, sonde_region_fn *fn, void *user)
{
	struct layer *layer = of_space(space);

	if (layer->ops.regions)
		return layer->ops.regions(layer->conn, fn, user);
	return layer->ops.map ? remap_regions(space, fn, user)
			      : sonde_space_regions(layer->below, fn, user);
}

/* All of it, or what is left of its page: a plugin that knows no runs is not asked byte by byte. */
static const void *borrow_whole(const struct layer *layer, uint64_t addr, size_t *len)
{
	const void *at = layer->ops.borrow(layer->conn, addr, *len);
	size_t rest = (size_t)(SONDE_PAGE_SIZE - (addr & (SONDE_PAGE_SIZE - 1)));

	if (at || *len <= rest)
		return at;
	*len = rest;
	return layer->ops.borrow(layer->conn, addr, rest);
}

static const void *layer_borrow(struct sonde_space *space, uint64_t addr, size_t *len)
{
	struct layer *layer = of_space(space);

	if (layer->ops.borrow_run)
		return layer->ops.borrow_run(layer->conn, addr, *len, len);
	if (layer->ops.borrow)
		return borrow_whole(layer, addr, len);
	if (layer->ops.map)
		return remap_borrow(space, addr, len);
	return layer->traits & SONDE_LAYER_SAME_BYTES
		       ? sonde_space_borrow_run(layer->below, addr, *len, len)
		       : NULL;
}

static void layer_trim(struct sonde_space *space)
{
	struct layer *layer = of_space(space);

	if (layer->ops.trim)
		layer->ops.trim(layer->conn);
	sonde_space_trim(layer->below);
}

static void layer_invalidate(struct sonde_space *space)
{
	struct layer *layer = of_space(space);

	if (layer->ops.invalidate)
		layer->ops.invalidate(layer->conn);
	sonde_space_invalidate(layer->below);
}

static int layer_cpu(struct sonde_space *space, uint32_t index, struct sonde_cpu *ret)
{
	struct layer *layer = of_space(space);

	return layer->ops.cpu ? layer->ops.cpu(layer->conn, index, ret)
			      : space_cpu(layer->below, index, ret);
}

static int64_t layer_note(struct sonde_space *space, const char *name, void *buf, size_t cap)
{
	struct layer *layer = of_space(space);

	return layer->ops.note ? layer->ops.note(layer->conn, name, buf, cap)
			       : space_note(layer->below, name, buf, cap);
}

static void layer_destroy(struct sonde_space *space)
{
	struct layer *layer = of_space(space);

	layer->ops.close(layer->conn);
	if (layer->ops.map)
		remap_finish(&layer->remap);
	mem_release(layer);
}

static size_t layer_how(const struct sonde_space *space, char *text, size_t cap)
{
	return sonde_space_how(((const struct layer *)(const void *)space)->below, text, cap);
}

static int layer_clone(struct sonde_space *space, struct sonde_loop *loop, struct sonde_space **ret,
		       struct sonde_error *err);

#define LAYER_SPACE_OPS(way, how_cancel)                                                           \
	{                                                                                          \
		.submit = way, .cancel = how_cancel, .regions = layer_regions, .how = layer_how,   \
		.borrow = layer_borrow, .trim = layer_trim, .invalidate = layer_invalidate,        \
		.cpu = layer_cpu, .note = layer_note, .clone = layer_clone,                        \
		.destroy = layer_destroy                                                           \
	}
static const struct space_ops layer_ops = LAYER_SPACE_OPS(layer_submit, layer_cancel);
static const struct space_ops mapped_ops = LAYER_SPACE_OPS(remap_submit, remap_cancel);

int space_layer_stats(struct sonde_space *space, sonde_stat_fn *fn, void *user)
{
	struct layer *layer = of_space(space);

	return layer->ops.stats ? layer->ops.stats(layer->conn, fn, user) : 0;
}

void space_layer_info(struct sonde_space *space, struct sonde_target_info *info)
{
	struct layer *layer = of_space(space);

	if (layer->ops.info)
		layer->ops.info(layer->conn, info);
}

/* ---- opening ------------------------------------------------------------------------------------- */

struct map_telling {
	struct sonde_stretch *stretches; /* [n], room for cap */
	size_t n, cap;
	struct sonde_space *below;
};

static int told(void *user, const struct sonde_stretch *stretch)
{
	struct map_telling *telling = user;

	if (telling->n == telling->cap) {
		size_t cap = telling->cap ? 2 * telling->cap : 16;
		void *grown = mem_resize(telling->stretches, cap, sizeof(*stretch));
		if (!grown)
			return SONDE_E_NO_MEMORY;
		telling->stretches = grown;
		telling->cap = cap;
	}
	telling->stretches[telling->n] = *stretch;
	telling->stretches[telling->n++].space = telling->below;
	return 0;
}

static int open_mapped(struct layer *layer, struct sonde_loop *loop, struct sonde_error *err)
{
	struct map_telling telling = { .below = layer->below };
	int r = layer->ops.map(layer->conn, told, &telling, err);

	if (r >= 0) {
		r = remap_init(&layer->remap, &mapped_ops, loop, telling.stretches, telling.n);
		if (r < 0)
			sonde_error_set(err, r,
					r == SONDE_E_NO_MEMORY
						? "out of memory"
						: "its stretches are empty, wrap, overlap or are "
						  "too many");
	}
	mem_release(telling.stretches);
	return r;
}

static const bool *residency(const struct layer *layer)
{
	return layer->traits & SONDE_LAYER_INLINE ? layer->below->resident : &space_never;
}

static int open_layer(struct layer *layer, struct sonde_loop *loop, struct sonde_error *err)
{
	layer->traits = layer->ops.traits ? layer->ops.traits(layer->conn) : 0;
	if (layer->ops.map)
		return open_mapped(layer, loop, err);
	space_init(&layer->remap.space, &layer_ops, loop, residency(layer));
	return SONDE_OK;
}

/* A layer over below, of the plugin and the arguments of like; from is one to be cloned, or NULL: it is opened. */
static int make_layer(struct sonde_loop *loop, const struct layer *like, const struct layer *from,
		      struct sonde_space *below, struct sonde_space **ret, struct sonde_error *err)
{
	const struct sonde_layer_ops *ops = &like->ops;
	struct layer *layer = mem_alloc(1, sizeof(*layer));
	int r;

	if (!layer)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "layer: out of memory");
	layer->ops = *ops;
	layer->host = like->host;
	layer->args = like->args;
	layer->below = below;
	if (from)
		r = ops->clone(from->conn, like->host, like->args, below, &layer->conn, err);
	else
		r = ops->open(like->host, like->args, below, &layer->conn, err);
	if (r < 0)
		goto out;
	r = open_layer(layer, loop, err);
	if (r < 0) {
		ops->close(layer->conn);
		goto out;
	}
	*ret = &layer->remap.space;
	return SONDE_OK;
out:
	mem_release(layer);
	return r;
}

int space_from_layer(struct sonde_loop *loop, const struct sonde_layer_ops *ops,
		     const struct sonde_host *host, const struct sonde_args *args,
		     struct sonde_space *below, struct sonde_space **ret, struct sonde_error *err)
{
	struct layer like = { .ops = *ops, .host = host, .args = args };

	return make_layer(loop, &like, NULL, below, ret, err);
}

static int layer_clone(struct sonde_space *space, struct sonde_loop *loop, struct sonde_space **ret,
		       struct sonde_error *err)
{
	struct layer *layer = of_space(space);
	struct sonde_space *below = NULL;

	if (!layer->ops.clone)
		return space_refuse_clone(err);
	int r = sonde_space_clone(layer->below, loop, &below, err);
	if (r < 0)
		return r;
	r = make_layer(loop, layer, layer, below, ret, err);
	if (r < 0)
		sonde_space_close(below);
	else
		space_own(*ret, below);
	return r;
}
