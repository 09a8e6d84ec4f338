/* SPDX-License-Identifier: MIT */
/*
 * A space whose bytes come from a connector, in one of three ways:
 *
 *   extents   the connector said where the bytes live: by_extents.c, by_engine.c, by_image.c
 *   transfer  the connector moves a batch in one blocking call, here or on a worker thread
 *   submit    the connector starts requests and they come home by host->io_done
 */
#include "space/backed.h"

#include <sonde/error.h>
#include <stdlib.h>

#include "base/guard.h"
#include "space/connector_space.h"
#include "space/io_list.h"

/* ---- transfer: one blocking call a batch ---------------------------------------------------- */

static void call_transfer(void *arg, struct sonde_io *const *ios, size_t n)
{
	struct connector_space *cs = arg;

	turn_begin(turns_move(cs->turns));
	cs->ops.transfer(cs->conn, ios, n);
	turn_end(turns_move(cs->turns));
}

static void finish_list(struct sonde_io *list)
{
	while (list) {
		struct sonde_io *next = io_core(list)->next;
		io_finish(list);
		list = next;
	}
}

static void submit_transfer(struct sonde_space *space, struct sonde_io *list)
{
	for (struct sonde_io *io = list; io; io = io_core(io)->next)
		io_lend(io);
	io_list_whole(list, call_transfer, space);
	finish_list(list);
}

/* On a worker thread. */
static void transfer_work(struct file_op *work)
{
	struct connector_space *cs = work->owner;

	io_list_whole(cs->working, call_transfer, cs);
}

static void start_transfer(struct connector_space *cs);

static void transfer_done(struct file_op *work)
{
	struct connector_space *cs = work->owner;
	struct sonde_io *list = cs->working;

	cs->working = NULL;
	start_transfer(cs);
	finish_list(list);
}

static void start_transfer(struct connector_space *cs)
{
	struct sonde_loop *loop = cs->space.loop;

	if (cs->working || !cs->backlog)
		return;
	cs->working = cs->backlog;
	cs->backlog = NULL;
	cs->backlog_tail = &cs->backlog;
	cs->work = (struct file_op){
		.work = transfer_work, .works = true, .done = transfer_done, .owner = cs
	};
	loop->engine_ops->submit(loop->engine, &cs->work);
}

static void submit_transfer_threads(struct sonde_space *space, struct sonde_io *list)
{
	struct connector_space *cs = of_space(space);

	while (list) {
		struct sonde_io *io = list;
		list = io_core(io)->next;
		io_lend(io);
		backlog_add(cs, io);
	}
	start_transfer(cs);
}

/* ---- submit: the connector's own queue -------------------------------------------------------- */

static void offer(void *arg, struct sonde_io *const *ios, size_t n)
{
	struct connector_space *cs = arg;
	size_t taken;

	/* Counted first: a request may come home inside the call. */
	cs->n_taken += n;
	for (size_t i = 0; i < n; i++)
		io_core(ios[i])->flags |= IO_TAKEN;
	taken = cs->backlog ? 0 : cs->ops.submit(cs->conn, ios, n);
	if (taken > n)
		taken = n;
	cs->n_taken -= n - taken;
	cs->took += taken;
	for (size_t i = taken; i < n; i++) {
		io_core(ios[i])->flags &= ~(uint32_t)IO_TAKEN;
		backlog_add(cs, ios[i]);
	}
}

static struct sonde_io *take_backlog(struct connector_space *cs)
{
	struct sonde_io *list = cs->backlog;

	cs->backlog = NULL;
	cs->backlog_tail = &cs->backlog;
	return list;
}

/* What was cancelled while it waited is not offered any more. */
static void drop_cancelled(struct connector_space *cs)
{
	struct sonde_io *list = take_backlog(cs);

	while (list) {
		struct sonde_io *io = list;
		list = io_core(io)->next;
		if (io_stop_code(io))
			io_finish_unsent(io);
		else
			backlog_add(cs, io);
	}
}

/*
 * Offer what waits, again for as long as the connector takes some and ends it at once. When nothing is
 * with it and it still takes nothing, fail the rest.
 */
static void offer_backlog(struct connector_space *cs)
{
	if (cs->submitting || !cs->backlog)
		return;
	cs->submitting = true;
	do {
		drop_cancelled(cs);
		cs->took = 0;
		if (cs->backlog)
			io_list_whole(take_backlog(cs), offer, cs);
	} while (cs->backlog && cs->n_taken == 0 && cs->took);
	cs->submitting = false;
	if (cs->n_taken == 0)
		finish_list(take_backlog(cs));
}

static void submit_async(struct sonde_space *space, struct sonde_io *list)
{
	struct connector_space *cs = of_space(space);

	while (list) {
		struct sonde_io *io = list;
		list = io_core(io)->next;
		io_lend(io);
		backlog_add(cs, io);
	}
	offer_backlog(cs);
}

static void cancel_async(struct sonde_space *space, struct sonde_io *io)
{
	struct connector_space *cs = of_space(space);

	if (!(io_core(io)->flags & IO_TAKEN))
		offer_backlog(cs);
	else if (cs->ops.cancel)
		cs->ops.cancel(cs->conn, io, io_stop_code(io));
}

/* ---- the rest -------------------------------------------------------------------------------- */

struct region_visit {
	sonde_region_fn *fn;
	void *user;
	struct sonde_region open; /* grows while extents go on alike */
};

static int visit_extent(struct region_visit *visit, const struct extent *e)
{
	struct sonde_region *open = &visit->open;
	uint64_t len = e->last - e->addr + 1;
	int r = 0;

	if (len == 0)
		len = UINT64_MAX; /* all 2^64 bytes: the last one does not fit the field */
	if (open->len && open->addr + open->len == e->addr && open->flags == e->flags) {
		if (__builtin_add_overflow(open->len, len, &open->len))
			open->len = UINT64_MAX; /* all 2^64 bytes, of several */
		return 0;
	}
	if (open->len)
		r = visit->fn(visit->user, open);
	*open = (struct sonde_region){ .addr = e->addr, .len = len, .flags = e->flags, .name = "" };
	return r;
}

static int visit_extents(struct connector_space *cs, sonde_region_fn *fn, void *user)
{
	struct region_visit visit = { .fn = fn, .user = user };
	int r = 0;

	if (!cs->extents.n)
		return SONDE_E_UNSUPPORTED;
	for (size_t i = 0; i < cs->extents.n && r == 0; i++) {
		if (cs->extents.at[i].kind != SONDE_EXTENT_ABSENT)
			r = visit_extent(&visit, &cs->extents.at[i]);
	}
	return r == 0 && visit.open.len ? fn(user, &visit.open) : r;
}

static int connector_regions(struct sonde_space *space, sonde_region_fn *fn, void *user)
{
	struct connector_space *cs = of_space(space);

	if (!cs->ops.regions)
		return visit_extents(cs, fn, user);
	turn_begin(turns_ask(cs->turns));
	int r = cs->ops.regions(cs->conn, fn, user);
	turn_end(turns_ask(cs->turns));
	return r;
}

static const void *connector_borrow(struct sonde_space *space, uint64_t addr, size_t *len)
{
	struct connector_space *cs = of_space(space);
	uint64_t gap;
	const struct extent *e = extents_find(&cs->extents, addr, &cs->hint, &gap);

	if (!e || !e->ptr)
		return NULL;
	if (*len - 1 > e->last - addr)
		*len = (size_t)(e->last - addr) + 1;
	return e->ptr + (addr - e->addr);
}

static bool connector_guarded(struct sonde_space *space, void (*fn)(void *arg), void *arg)
{
	struct guard guard;
	volatile bool whole = false;

	if (!of_space(space)->guarded) {
		fn(arg);
		return true;
	}
	if (!GUARD_ENTER(&guard)) {
		fn(arg);
		whole = true;
	}
	guard_leave(&guard);
	return whole;
}

static void connector_trim(struct sonde_space *space)
{
	file_maps_trim(&of_space(space)->maps);
}

static int connector_cpu(struct sonde_space *space, uint32_t index, struct sonde_cpu *ret)
{
	struct connector_space *cs = of_space(space);

	if (!cs->ops.cpu)
		return SONDE_E_UNSUPPORTED;
	turn_begin(turns_ask(cs->turns));
	int r = cs->ops.cpu(cs->conn, index, ret);
	turn_end(turns_ask(cs->turns));
	return r;
}

static int64_t connector_note(struct sonde_space *space, const char *name, void *buf, size_t cap)
{
	struct connector_space *cs = of_space(space);

	if (!cs->ops.note)
		return SONDE_E_NOT_FOUND;
	turn_begin(turns_ask(cs->turns));
	int64_t r = cs->ops.note(cs->conn, name, buf, cap);
	turn_end(turns_ask(cs->turns));
	return r;
}

/* What the space has of its own. Before the connection is closed: the engine knows its descriptors. */
static void release(struct connector_space *cs)
{
	by_engine_close(cs);
	by_extents_close(cs);
	file_maps_close(&cs->maps);
	extents_finish(&cs->extents);
	free(cs->images);
}

static void connector_destroy(struct sonde_space *space)
{
	struct connector_space *cs = of_space(space);

	release(cs);
	if (!cs->is_clone) {
		turns_destroy(cs->turns);
		cs->ops.close(cs->conn);
	}
	free(cs);
}

static int connector_clone(struct sonde_space *space, struct sonde_loop *loop,
			   struct sonde_space **ret, struct sonde_error *err);

static size_t auto_how(const struct sonde_space *space, char *text, size_t cap)
{
	return by_auto_how((const struct connector_space *)(const void *)space, text, cap);
}

static void async_io_done(struct sonde_io *io)
{
	struct connector_space *cs = of_space(io_core(io)->space);

	cs->n_taken--;
	io_finish(io);
	offer_backlog(cs);
}

#define CONNECTOR_SPACE_OPS(way, how_clone, ...)                                                   \
	{                                                                                          \
		.submit = way, .regions = connector_regions, .borrow = connector_borrow,           \
		.guarded = connector_guarded, .trim = connector_trim, .cpu = connector_cpu,        \
		.note = connector_note, .clone = how_clone, .destroy = connector_destroy,          \
		__VA_ARGS__                                                                        \
	}
static const struct space_ops auto_ops = CONNECTOR_SPACE_OPS(
	by_auto_submit, connector_clone, .how = auto_how, .submit_at_once = by_auto_submit_at_once,
	.submit_kept = by_auto_submit_kept);
static const struct space_ops inline_ops = CONNECTOR_SPACE_OPS(
	by_extents_inline, connector_clone, .submit_at_once = by_extents_submit_at_once,
	.submit_kept = by_extents_submit_kept);
static const struct space_ops engine_space_ops =
	CONNECTOR_SPACE_OPS(by_engine_submit, connector_clone, .takes_queued = true,
			    .submit_at_once = by_engine_submit_at_once);
static const struct space_ops image_ops = CONNECTOR_SPACE_OPS(by_image_submit, connector_clone);
static const struct space_ops transfer_ops = CONNECTOR_SPACE_OPS(submit_transfer, connector_clone);
static const struct space_ops transfer_threads_ops =
	CONNECTOR_SPACE_OPS(submit_transfer_threads, connector_clone);
static const struct space_ops async_ops =
	CONNECTOR_SPACE_OPS(submit_async, NULL, .io_done = async_io_done, .cancel = cancel_async);

/* ---- opening ------------------------------------------------------------------------------------ */

struct telling {
	struct connector_space *cs;
	struct sonde_error *err;
	int32_t good_fd; /* the last one that was asked about */
};

/* Pipes and the like have no offsets: one engine would fail on them, another wait for ever. */
static bool has_offsets(struct telling *telling, const struct sonde_extent *extent)
{
	if (extent->kind != SONDE_EXTENT_FILE)
		return true;
	if (extent->fd >= 0 && extent->fd == telling->good_fd)
		return true;
	if (!file_has_offsets(extent->fd))
		return false;
	telling->good_fd = extent->fd;
	return true;
}

static int told(void *user, const struct sonde_extent *extent)
{
	struct telling *telling = user;
	int r = extents_add(&telling->cs->extents, extent);

	if (r == 0 && !has_offsets(telling, extent))
		return sonde_error_set(telling->err, SONDE_E_BAD_ARG,
				       "descriptor %d cannot be read at an offset", extent->fd);
	if (r < 0)
		sonde_error_set(telling->err, r, "extent at 0x%llx, 0x%llx bytes: %s",
				(unsigned long long)extent->addr, (unsigned long long)extent->len,
				sonde_strerror(r));
	return r;
}

static size_t count_kind(const struct extents *extents, uint32_t kind)
{
	size_t n = 0;

	for (size_t i = 0; i < extents->n; i++)
		n += extents->at[i].kind == kind;
	return n;
}

static int open_images(struct connector_space *cs, struct sonde_error *err)
{
	if (by_image_open(cs) < 0)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "out of memory");
	space_init(&cs->space, &image_ops, cs->space.loop, &space_never);
	return SONDE_OK;
}

/* Maps serve the direct engine, and auto, which is direct wherever it can be. original: NULL, or cs is its clone. */
static int open_files(struct connector_space *cs, const struct connector_space *original,
		      struct sonde_error *err)
{
	struct sonde_loop *loop = cs->space.loop;
	size_t n_files = count_kind(&cs->extents, SONDE_EXTENT_FILE);
	int left = (int)n_files;

	if (loop->kind == SONDE_ENGINE_AUTO || loop->kind == SONDE_ENGINE_DIRECT) {
		left = file_maps_open(&cs->maps, &cs->extents);
		if (left < 0)
			return sonde_error_set(err, left, "out of memory");
		cs->guarded = cs->maps.n > 0;
	}
	if (count_kind(&cs->extents, SONDE_EXTENT_IMAGE))
		return open_images(cs, err);
	if (left == 0 && n_files && loop->kind == SONDE_ENGINE_AUTO && loop->engine_ops) {
		space_init(&cs->space, &auto_ops, loop, &cs->choice.copies);
		if (original && original->space.ops == &auto_ops)
			by_auto_open_like(cs, original);
		else
			by_auto_open(cs);
		by_extents_open(cs); /* behind the choice: while it is to send, none is kept */
		return SONDE_OK;
	}
	if (left == 0 || !loop->engine_ops) {
		space_init(&cs->space, &inline_ops, loop, &space_always);
		by_extents_open(cs);
		return SONDE_OK;
	}
	if (by_engine_open(cs) < 0)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "out of memory");
	space_init(&cs->space, &engine_space_ops, loop, &space_never);
	return SONDE_OK;
}

static int open_extents(struct connector_space *cs, struct sonde_error *err)
{
	struct telling telling = { .cs = cs, .err = err, .good_fd = -1 };
	int r = cs->ops.extents(cs->conn, told, &telling, err);

	if (r < 0)
		return r;
	r = extents_seal(&cs->extents);
	if (r < 0)
		return sonde_error_set(err, r, "out of memory");
	return open_files(cs, NULL, err);
}

static int open_calls(struct connector_space *cs, struct sonde_error *err)
{
	struct sonde_loop *loop = cs->space.loop;

	if (!cs->ops.transfer && !cs->ops.submit)
		return sonde_error_set(err, SONDE_E_UNSUPPORTED,
				       "the connector has no way to move bytes");
	if (!cs->ops.transfer)
		space_init(&cs->space, &async_ops, loop, &space_never);
	else if (loop->engine_ops == &engine_threads && loop->kind == SONDE_ENGINE_THREADS)
		space_init(&cs->space, &transfer_threads_ops, loop, &space_never);
	else
		space_init(&cs->space, &transfer_ops, loop, &space_never);
	return SONDE_OK;
}

static struct connector_space *connector_new(struct sonde_loop *loop,
					     const struct sonde_connector_ops *ops, void *conn)
{
	struct connector_space *cs = calloc(1, sizeof(*cs));

	if (!cs)
		return NULL;
	cs->space.loop = loop;
	cs->ops = *ops;
	cs->conn = conn;
	cs->choice.copies = true;
	cs->backlog_tail = &cs->backlog;
	return cs;
}

/* One that was not opened: the connection stays whose it is. */
static int drop(struct connector_space *cs, int r)
{
	release(cs);
	free(cs);
	return r;
}

int space_from_connector(struct sonde_loop *loop, const struct sonde_connector_ops *ops, void *conn,
			 struct sonde_space **ret, struct sonde_error *err)
{
	struct connector_space *cs = connector_new(loop, ops, conn);
	int r = SONDE_E_UNSUPPORTED;

	if (!cs)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "out of memory");
	if (ops->extents)
		r = open_extents(cs, err);
	if (r == SONDE_E_UNSUPPORTED) {
		extents_finish(&cs->extents);
		r = open_calls(cs, err);
	}
	if (r < 0)
		return drop(cs, r);
	*ret = &cs->space;
	return SONDE_OK;
}

/* ---- cloning ------------------------------------------------------------------------------------- */

static int clone_extents(struct connector_space *cs, const struct connector_space *from,
			 struct sonde_error *err)
{
	if (extents_copy(&cs->extents, &from->extents) < 0 ||
	    file_maps_share(&cs->maps, &from->maps) < 0)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "out of memory");
	return open_files(cs, from, err);
}

static int connector_clone(struct sonde_space *space, struct sonde_loop *loop,
			   struct sonde_space **ret, struct sonde_error *err)
{
	struct connector_space *from = of_space(space);
	struct connector_space *cs = connector_new(loop, &from->ops, from->conn);
	bool moves = space->ops == &transfer_ops || space->ops == &transfer_threads_ops;

	if (!from->turns)
		from->turns = turns_create();
	if (!cs || !from->turns) {
		free(cs);
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "out of memory");
	}
	cs->is_clone = true;
	cs->turns = from->turns;
	int r = moves ? open_calls(cs, err) : clone_extents(cs, from, err);
	if (r < 0)
		return drop(cs, r);
	*ret = &cs->space;
	return SONDE_OK;
}
