/* SPDX-License-Identifier: MIT */
/* Peer: libuv, whose file reads go to its pool of threads, four as it comes. */
#include <errno.h>
#include <stdlib.h>
#include <uv.h>

#include "contenders.h"

struct uv_op;

struct uv_run {
	uv_loop_t loop;
	struct work *work;
	struct walk walk;
	uint64_t n_left;
	int error;
	struct uv_op *ops; /* [depth] */
};

struct uv_op {
	uv_fs_t request;
	struct uv_run *run;
	struct slot *slot;
};

static int open_uv(const struct contender *contender, struct work *work, void **ret)
{
	struct uv_run *run = calloc(1, sizeof(*run));

	(void)contender;
	if (!run)
		return -ENOMEM;
	run->ops = calloc(work->shape.depth, sizeof(*run->ops));
	int r = run->ops ? uv_loop_init(&run->loop) : -ENOMEM;
	if (r < 0) {
		free(run->ops);
		free(run);
		return r;
	}
	run->work = work;
	*ret = run;
	return 0;
}

static void close_uv(void *state)
{
	struct uv_run *run = state;

	uv_loop_close(&run->loop);
	free(run->ops);
	free(run);
}

static void completed(uv_fs_t *request);

static void issue(struct uv_op *op)
{
	struct uv_run *run = op->run;
	uv_buf_t buf = uv_buf_init((char *)op->slot->buf, run->work->shape.size);

	run->n_left--;
	op->slot->off = walk_next(&run->walk);
	int r = uv_fs_read(&run->loop, &op->request, run->work->file->fd, &buf, 1,
			   (int64_t)op->slot->off, completed);
	if (r < 0)
		run->error = r;
}

static void completed(uv_fs_t *request)
{
	struct uv_op *op = (struct uv_op *)(void *)request;
	struct uv_run *run = op->run;

	if (request->result != (ssize_t)run->work->shape.size)
		run->error = request->result < 0 ? (int)request->result : -EIO;
	uv_fs_req_cleanup(request);
	if (run->n_left && !run->error)
		issue(op);
}

static int run_uv(void *state, struct work *work)
{
	struct uv_run *run = state;

	run->walk = walk_start(work);
	run->n_left = work->n_ops;
	run->error = 0;
	for (uint32_t i = 0; i < work->shape.depth && run->n_left && !run->error; i++) {
		run->ops[i].run = run;
		run->ops[i].slot = &work->slots[i];
		issue(&run->ops[i]);
	}
	uv_run(&run->loop, UV_RUN_DEFAULT);
	return run->error;
}

const struct contender contenders_libuv[] = {
	{ .name = "libuv", .open = open_uv, .run = run_uv, .close = close_uv },
	{ 0 },
};
