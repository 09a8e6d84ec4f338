/* SPDX-License-Identifier: MIT */
/* The doors: every way to ask for the pieces of a case. */
#include "door.h"

#include <sonde/batch.h>
#include <sonde/cursor.h>
#include <sonde/error.h>
#include <sonde/fragments.h>
#include <sonde/task.h>
#include <sonde/write.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int32_t by_blocking(struct subject *subject, struct run *run)
{
	return run->op == SONDE_IO_READ ? sonde_space_read(subject->space, run->xfers, run->n)
					: sonde_space_write(subject->space, run->xfers, run->n);
}

struct counted {
	struct sonde_io io;
	struct run *run;
	int done;
};

static void count_done(struct sonde_io *io)
{
	((struct counted *)(void *)io)->done++;
}

static int32_t submit(struct subject *subject, struct run *run, sonde_fragment_fn *fragment)
{
	struct counted counted = { .io = { .xfers = run->xfers,
					   .n = run->n,
					   .op = run->op,
					   .done = count_done,
					   .fragment = fragment,
					   .user = run } };
	int r = sonde_io_submit(subject->space, &counted.io);

	if (r < 0)
		return r;
	if (counted.done)
		return -1000; /* called back inside submit */
	while (!counted.done && r >= 0)
		r = sonde_loop_wait(sonde_target_loop(subject->opened), UINT64_C(10000000000));
	return counted.done == 1 ? counted.io.result : -1000 - counted.done;
}

static int32_t by_completion(struct subject *subject, struct run *run)
{
	return submit(subject, run, NULL);
}

static int32_t by_fragments(struct subject *subject, struct run *run)
{
	return submit(subject, run, run_fragment);
}

struct in_task {
	struct subject *subject;
	struct run *run;
};

static int task_main(struct sonde_task *task, void *arg)
{
	struct in_task *in = arg;

	if (in->run->op == SONDE_IO_READ)
		return sonde_task_read(task, in->subject->space, in->run->xfers, in->run->n);
	return sonde_task_write(task, in->subject->space, in->run->xfers, in->run->n);
}

static int32_t by_task(struct subject *subject, struct run *run)
{
	struct in_task in = { subject, run };
	struct sonde_task *task;
	int r = sonde_task_spawn(sonde_target_loop(subject->opened), task_main, &in, &task);

	return r < 0 ? r : sonde_task_join(NULL, task);
}

/* ---- a stream of fragments, in a task ------------------------------------------------------------ */

static int stream_main(struct sonde_task *task, void *arg)
{
	struct in_task *in = arg;
	struct run *run = in->run;
	struct sonde_io io = { .xfers = run->xfers, .n = run->n, .user = run };
	struct sonde_fragments stream;
	struct sonde_fragment f;
	int r = sonde_fragments_start(task, in->subject->space, &stream, run->xfers, run->n,
				      run->op);

	while (r >= 0 && (r = sonde_fragments_next(task, &stream, &f)) > 0)
		run_fragment(&io, &f);
	return r < 0 ? r : stream.result;
}

static int32_t by_stream(struct subject *subject, struct run *run)
{
	struct in_task in = { subject, run };
	struct sonde_task *task;
	int r = sonde_task_spawn(sonde_target_loop(subject->opened), stream_main, &in, &task);

	return r < 0 ? r : sonde_task_join(NULL, task);
}

/* ---- a batch --------------------------------------------------------------------------------------- */

/* It tells of each read only the error; where that is right, so may the rest be. */
static void outcome_of(struct run *run, uint32_t i, int32_t err)
{
	struct sonde_xfer *x = &run->xfers[i];

	x->err = err;
	x->done = err == run->want[i].err ? run->want[i].done : 0;
	x->err_off = err == run->want[i].err ? run->want[i].err_off : 0;
}

static int32_t run_batch(struct subject *subject, struct run *run, struct sonde_batch *batch,
			 int32_t *errs)
{
	int r = 0;

	for (uint32_t i = 0; i < run->n && r == 0; i++)
		r = sonde_batch_add(batch, subject->space, run->xfers[i].addr, run->xfers[i].buf,
				    run->xfers[i].len, &errs[i]);
	if (r == 0)
		r = sonde_batch_run(batch);
	for (uint32_t i = 0; i < run->n && r >= 0; i++)
		outcome_of(run, i, errs[i]);
	return r;
}

/* Batches only read. */
static int32_t by_batch(struct subject *subject, struct run *run)
{
	if (run->op != SONDE_IO_READ)
		return by_blocking(subject, run);
	struct sonde_batch *batch = sonde_batch_create(sonde_target_loop(subject->opened));
	int32_t *errs = calloc(run->n + 1, sizeof(*errs));
	int32_t r = batch && errs ? run_batch(subject, run, batch, errs) : SONDE_E_NO_MEMORY;

	sonde_batch_destroy(batch);
	free(errs);
	return r;
}

/* ---- a cursor ---------------------------------------------------------------------------------------- */

#define SKIP 512u /* no hole of a subject begins or ends elsewhere */

/* As a file is read: what it gives, over each hole in steps, to the end. */
static void by_cursor_piece(struct sonde_cursor *c, uint32_t op, struct sonde_xfer *x)
{
	uint8_t *buf = x->buf;

	x->done = 0;
	x->err = 0;
	x->err_off = x->len;
	while (c->pos < x->len) {
		uint32_t off = (uint32_t)c->pos, left = x->len - off;
		uint32_t step = SKIP - (uint32_t)((x->addr + off) % SKIP);
		int64_t n = op == SONDE_IO_READ ? sonde_cursor_read(c, buf + off, left)
						: sonde_cursor_write(c, buf + off, left);
		if (n > 0) {
			x->done += (uint32_t)n;
			continue;
		}
		if (n == 0) { /* 2^64: what lies behind it is a hole */
			memset(buf + off, 0, left);
			step = left;
		}
		if (!x->err) {
			x->err = n == 0 ? SONDE_E_NOT_MAPPED : (int32_t)n;
			x->err_off = off;
		}
		c->pos += step < left ? step : left;
	}
}

static int32_t by_cursor(struct subject *subject, struct run *run)
{
	int32_t full = 0;

	for (uint32_t i = 0; i < run->n; i++) {
		struct sonde_xfer *x = &run->xfers[i];
		struct sonde_cursor c = { .space = subject->space,
					  .base = x->addr,
					  .size = x->len };
		by_cursor_piece(&c, run->op, x);
		full += x->err == 0;
	}
	return full;
}

/* ---- read again ------------------------------------------------------------------------------------ */

/* Each byte is told once, and none is otherwise than it was written. */
static void hear_written(void *user, const struct sonde_written *w)
{
	struct run *run = user;
	struct sonde_io io = { .xfers = run->xfers, .n = run->n, .user = run };
	const struct sonde_fragment f = { w->piece, w->off, w->len, w->err };

	run_fragment(&io, &f);
	if (w->result != SONDE_WRITE_DONE && w->result != SONDE_WRITE_REFUSED)
		snprintf(run->fault, sizeof(run->fault),
			 "got other bytes than were written, piece %u, %u at %u", w->piece, w->len,
			 w->off);
}

/* It only writes. */
static int32_t by_verified_write(struct subject *subject, struct run *run)
{
	if (run->op == SONDE_IO_READ)
		return by_fragments(subject, run);
	return sonde_space_write_verified(subject->space, run->xfers, run->n, 0, hear_written, run);
}

const struct door doors[] = {
	{ "blocking", by_blocking, 0, 0 },
	{ "completion", by_completion, 0, 0 },
	{ "fragments", by_fragments, 1, 0 },
	{ "task", by_task, 0, 0 },
	{ "stream of fragments", by_stream, 1, 0 },
	{ "batch", by_batch, 0, 0 },
	{ "cursor", by_cursor, 0, 1 },
	{ "verified write", by_verified_write, 1, 0 },
};
const unsigned n_doors = sizeof(doors) / sizeof(doors[0]);
