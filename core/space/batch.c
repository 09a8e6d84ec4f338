/* SPDX-License-Identifier: MIT */
/* Gather, run, use: reads of many spaces sorted by space, one request a space, all at once. */
#include <sonde/batch.h>
#include <sonde/error.h>
#include <stdbool.h>

#include "base/mem.h"
#include "base/sort.h"
#include "space/space.h"
#include "task/task.h"

struct entry {
	struct sonde_space *space;
	struct sonde_xfer xfer;
	int32_t *ret_err;
	size_t order;
};

struct batch_io {
	struct sonde_io io;
	struct sonde_batch *batch;
};

struct sonde_batch {
	struct sonde_loop *loop;
	struct entry *entries; /* [n], room for cap */
	size_t n, cap;
	struct sonde_xfer *xfers; /* [cap], as the requests see them */
	struct batch_io *ios;     /* [cap_ios] */
	size_t n_ios, cap_ios;
	size_t pending; /* requests not yet complete */
	bool running;   /* some task is inside run   */
	struct task_wait wait;
};

struct sonde_batch *sonde_batch_create(struct sonde_loop *loop)
{
	struct sonde_batch *batch = mem_alloc(1, sizeof(*batch));

	if (batch)
		batch->loop = loop;
	return batch;
}

void sonde_batch_destroy(struct sonde_batch *batch)
{
	if (!batch)
		return;
	mem_release(batch->entries);
	mem_release(batch->xfers);
	mem_release(batch->ios);
	mem_release(batch);
}

static int grow(struct sonde_batch *batch)
{
	size_t cap = batch->cap ? 2 * batch->cap : 64;
	struct entry *entries = mem_resize(batch->entries, cap, sizeof(*entries));

	if (!entries)
		return SONDE_E_NO_MEMORY;
	batch->entries = entries;
	struct sonde_xfer *xfers = mem_resize(batch->xfers, cap, sizeof(*xfers));
	if (!xfers)
		return SONDE_E_NO_MEMORY;
	batch->xfers = xfers;
	batch->cap = cap;
	return SONDE_OK;
}

int sonde_batch_add(struct sonde_batch *batch, struct sonde_space *space, uint64_t addr, void *buf,
		    size_t len, int32_t *ret_err)
{
	if (!space || space->loop != batch->loop || !buf || len == 0 || len > 0x7fffffff ||
	    batch->n >= 0x7fffffff)
		return SONDE_E_BAD_ARG;
	if (batch->running)
		return SONDE_E_BUSY;
	if (batch->n == batch->cap && grow(batch) < 0)
		return SONDE_E_NO_MEMORY;
	batch->entries[batch->n] = (struct entry){
		.space = space,
		.xfer = { .addr = addr, .buf = buf, .len = (uint32_t)len },
		.ret_err = ret_err,
		.order = batch->n,
	};
	batch->n++;
	return SONDE_OK;
}

static int by_space(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->space != y->space)
		return (uintptr_t)x->space < (uintptr_t)y->space ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static bool is_sorted(const struct sonde_batch *batch)
{
	for (size_t i = 1; i < batch->n; i++) {
		if (batch->entries[i].space != batch->entries[0].space)
			return false;
	}
	return true;
}

static size_t count_groups(const struct sonde_batch *batch)
{
	size_t groups = 1;

	for (size_t i = 1; i < batch->n; i++)
		groups += batch->entries[i].space != batch->entries[i - 1].space;
	return groups;
}

static void one_less(struct sonde_batch *batch)
{
	if (--batch->pending == 0)
		task_wake(&batch->wait, SONDE_OK);
}

static void request_over(struct sonde_io *io)
{
	space_leave(io);
	one_less(((struct batch_io *)(void *)io)->batch);
}

static int make_requests(struct sonde_batch *batch)
{
	if (!is_sorted(batch))
		sort_items(batch->entries, batch->n, sizeof(*batch->entries), by_space);
	size_t groups = count_groups(batch);
	if (groups > batch->cap_ios) {
		struct batch_io *ios = mem_resize(batch->ios, groups, sizeof(*ios));
		if (!ios)
			return SONDE_E_NO_MEMORY;
		batch->ios = ios;
		batch->cap_ios = groups;
	}
	struct batch_io *at = NULL;
	for (size_t i = 0; i < batch->n; i++) {
		batch->xfers[i] = batch->entries[i].xfer;
		if (i == 0 || batch->entries[i].space != batch->entries[i - 1].space) {
			at = at ? at + 1 : batch->ios;
			*at = (struct batch_io){ .batch = batch };
			at->io.xfers = &batch->xfers[i];
		}
		at->io.n++;
	}
	batch->n_ios = groups;
	return SONDE_OK;
}

static void stop_batch(struct task_wait *wait, int code)
{
	struct sonde_batch *batch =
		(struct sonde_batch *)((char *)wait - offsetof(struct sonde_batch, wait));

	for (size_t i = 0; i < batch->n_ios; i++)
		space_stop(&batch->ios[i].io, code);
}

/* The task that runs it was asked to end: every read gets why. */
static void refuse_all(struct sonde_batch *batch, int why)
{
	for (size_t i = 0; i < batch->n_ios; i++) {
		if (io_prepare(&batch->ios[i].io) == SONDE_OK)
			io_refuse(&batch->ios[i].io, why);
	}
}

static void issue_all(struct sonde_batch *batch)
{
	size_t first = 0;

	/* One more than there are, so that none of them ends the batch while others are not sent. */
	batch->pending = batch->n_ios + 1;
	batch->wait = (struct task_wait){ .stop = stop_batch };
	for (size_t i = 0; i < batch->n_ios; i++) {
		struct sonde_space *space = batch->entries[first].space;
		first += batch->ios[i].io.n;
		if (space_issue(space, &batch->ios[i].io, request_over) < 0)
			one_less(batch); /* cannot be: add checked every piece */
	}
	one_less(batch);
}

static int collect(struct sonde_batch *batch)
{
	int full = 0;

	for (size_t i = 0; i < batch->n; i++) {
		const struct sonde_xfer *x = &batch->xfers[i];
		full += x->err == 0;
		if (batch->entries[i].ret_err)
			*batch->entries[i].ret_err = x->err;
	}
	batch->n = 0;
	return full;
}

/* 0, or why some request was not carried out to its end. */
static int cut_short(const struct sonde_batch *batch)
{
	for (size_t i = 0; i < batch->n_ios; i++) {
		if (batch->ios[i].io.result < 0)
			return batch->ios[i].io.result;
	}
	return SONDE_OK;
}

int sonde_batch_run(struct sonde_batch *batch)
{
	struct sonde_loop *loop = batch->loop;

	if (batch->n == 0)
		return 0;
	if (batch->running || task_may_wait(loop) < 0)
		return SONDE_E_BUSY;
	int r = make_requests(batch), why = task_stop_here(loop);
	if (r < 0)
		return r;
	batch->running = true;
	if (why < 0) {
		refuse_all(batch, why);
	} else {
		issue_all(batch);
		task_wait(loop, &batch->wait);
	}
	batch->running = false;
	int full = collect(batch);
	why = cut_short(batch);
	return why < 0 ? why : full;
}
