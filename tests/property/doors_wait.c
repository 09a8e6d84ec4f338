/* SPDX-License-Identifier: MIT */
/* The doors that wait, in plain code and in a task: a batch of pieces, a gathered one, a stream, one piece. */
#include "run.h"

#include <sonde/fragments.h>
#include <stdlib.h>
#include <string.h>

static struct sonde_space *space_of(const struct live *live)
{
	return live->run->world.spaces[live->plan->node];
}

static int transfer(struct live *live, struct sonde_task *task, struct sonde_xfer *xfers)
{
	struct sonde_space *space = space_of(live);

	if (task)
		return live->plan->write ? sonde_task_write(task, space, xfers, live->n)
					 : sonde_task_read(task, space, xfers, live->n);
	return live->plan->write ? sonde_space_write(space, xfers, live->n)
				 : sonde_space_read(space, xfers, live->n);
}

static int gather(struct live *live, struct sonde_xfer *xfers)
{
	struct sonde_batch *batch = sonde_batch_create(live->run->world.loop);
	int32_t *errs = calloc(live->n + 1, sizeof(*errs));

	if (!batch || !errs)
		abort();
	for (uint32_t i = 0; i < live->n; i++) {
		struct sonde_space *space = live->run->world.spaces[live->parts[i].node];
		int r = sonde_batch_add(batch, space, xfers[i].addr, xfers[i].buf, xfers[i].len,
					&errs[i]);
		if (r != 0)
			fail_now("request %u: batch_add returns %d", live->index, r);
	}
	int r = sonde_batch_run(batch);
	for (uint32_t i = 0; i < live->n; i++)
		xfers[i].err = errs[i];
	sonde_batch_destroy(batch);
	free(errs);
	return r;
}

/* ---- streams --------------------------------------------------------------------------------- */

/* Those of one piece come lowest first. */
static void check_turn(const struct live *live, const struct sonde_fragment *f)
{
	const uint8_t *told =
		live->told + ((uint8_t *)live->parts[f->piece].x.buf - live->bytes) + f->off;

	if (f->off && !told[-1] && !plan_lies(live->run->plan))
		fail_now("request %u: piece %u: byte %u is told before the one in front of it",
			 live->index, f->piece, f->off);
}

/* Nothing was sent off, so nothing is told of the pieces: it is as if each had been refused. */
static void refuse(struct live *live, struct sonde_xfer *xfers, int code)
{
	for (uint32_t i = 0; i < live->n; i++) {
		xfers[i].err = code;
		xfers[i].done = xfers[i].err_off = 0;
		if (!live->plan->write)
			memset(xfers[i].buf, 0, xfers[i].len);
	}
}

/* Up to the end, or the first of them where it is to stop early. */
static int hear_all(struct live *live, struct sonde_task *task, struct sonde_fragments *stream)
{
	struct sonde_fragment f;
	int r;

	while ((r = sonde_fragments_next(task, stream, &f)) > 0) {
		live_hear(live, &f);
		check_turn(live, &f);
		if (!live->plan->stop_early)
			continue;
		live->asked = live->stopped = true;
		sonde_fragments_end(task, stream);
	}
	return r;
}

static int run_stream(struct live *live, struct sonde_task *task, struct sonde_xfer *xfers)
{
	struct sonde_fragments *stream = malloc(sizeof(*stream));

	if (!stream)
		abort();
	live_listen(live);
	int r = sonde_fragments_start(task, space_of(live), stream, xfers, live->n,
				      live->plan->write);
	if (r < 0) {
		refuse(live, xfers, r);
	} else {
		r = hear_all(live, task, stream);
		r = r < 0 ? r : stream->result;
	}
	/* Who has had enough is not told the rest. */
	if (r < 0 || live->stopped) {
		free(live->told);
		live->told = NULL;
	}
	free(stream);
	return r;
}

/* ---- all of them -------------------------------------------------------------------------------- */

int wait_move(struct live *live, struct sonde_task *task)
{
	struct sonde_xfer *xfers = live_xfers(live);
	int r = door_is_batch(live->plan->door)    ? gather(live, xfers)
		: door_is_stream(live->plan->door) ? run_stream(live, task, xfers)
						   : transfer(live, task, xfers);

	live_take(live, xfers);
	free(xfers);
	return r;
}

int wait_get(struct live *live)
{
	struct sonde_xfer *x = &live->parts[0].x;

	live->n = live->n ? 1 : 0;
	if (live->n && live->plan->write)
		x->err = sonde_space_put(space_of(live), x->addr, x->buf, x->len);
	else if (live->n)
		x->err = sonde_space_get(space_of(live), x->addr, x->buf, x->len);
	return live->n && x->err == 0;
}
