/* SPDX-License-Identifier: MIT */
/*
 * delay: a latency in front of memory, per batch: every batch waits its time and then goes on
 * as it is, whatever its size. It makes round trips visible: code that asks one thing
 * after another becomes slow, code that gathers does not.
 */
#include <sonde/plugin.h>

#include <stdlib.h>

/* A batch on its way. At most so many wait at once; what comes then goes on without waiting. */
#define DELAY_BATCHES_MAX 4096

struct delay;

struct batch {
	struct sonde_timer timer;
	struct delay *delay;
	struct batch *next_free;
	size_t n, cap;
	struct sonde_io **ios; /* [n] */
};

struct delay {
	const struct sonde_host *host;
	void *below;
	uint64_t ns;
	uint64_t n_batches, n_requests, n_not_held;
	struct batch *free;
	struct batch *all[DELAY_BATCHES_MAX]; /* [n_all] */
	size_t n_all;
};

static void put_batch(struct batch *batch)
{
	batch->n = 0;
	batch->next_free = batch->delay->free;
	batch->delay->free = batch;
}

static void forward_batch(struct sonde_timer *timer)
{
	struct batch *batch = timer->user;
	struct delay *delay = batch->delay;

	size_t n = batch->n;

	/* Off the free list until forward is back: it may complete requests that submit new ones. */
	batch->n = 0;
	delay->host->forward(delay->below, batch->ios, n);
	put_batch(batch);
}

/* A batch that has room for n requests; NULL when out of memory or all are on their way. */
static struct batch *take_batch(struct delay *delay, size_t n)
{
	struct batch *batch = delay->free;

	if (batch) {
		delay->free = batch->next_free;
	} else {
		if (delay->n_all == DELAY_BATCHES_MAX || !(batch = calloc(1, sizeof(*batch))))
			return NULL;
		batch->delay = delay;
		delay->all[delay->n_all++] = batch;
	}
	if (batch->cap >= n)
		return batch;

	struct sonde_io **ios = realloc(batch->ios, n * sizeof(struct sonde_io *));
	if (!ios) {
		put_batch(batch);
		return NULL;
	}
	batch->ios = ios;
	batch->cap = n;
	return batch;
}

static void delay_submit(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct delay *delay = conn;
	struct batch *batch = delay->ns ? take_batch(delay, n) : NULL;

	delay->n_batches++;
	delay->n_requests += n;
	/* No request is failed for want of a place to wait in. */
	if (!batch) {
		delay->n_not_held++;
		delay->host->forward(delay->below, ios, n);
		return;
	}
	memcpy(batch->ios, ios, n * sizeof(struct sonde_io *));
	batch->n = n;
	batch->timer = (struct sonde_timer){ .at_ns = delay->host->now_ns() + delay->ns,
					     .fire = forward_batch,
					     .user = batch };
	if (delay->host->timer_start(delay->host->loop(delay->below), &batch->timer) < 0)
		forward_batch(&batch->timer);
}

/* Below, what was asked to end ends: nobody waits for the clock. */
static void give_up(struct batch *batch, size_t i)
{
	struct delay *delay = batch->delay;
	struct sonde_io *io = batch->ios[i];

	batch->n--;
	memmove(&batch->ios[i], &batch->ios[i + 1], (batch->n - i) * sizeof(struct sonde_io *));
	if (batch->n == 0) {
		delay->host->timer_stop(delay->host->loop(delay->below), &batch->timer);
		put_batch(batch);
	}
	delay->host->forward(delay->below, &io, 1);
}

static void delay_cancel(void *conn, struct sonde_io *io, int32_t why)
{
	struct delay *delay = conn;

	(void)why; /* forward asks the request itself */
	for (size_t k = 0; k < delay->n_all; k++) {
		struct batch *batch = delay->all[k];
		for (size_t i = 0; i < batch->n; i++) {
			if (batch->ios[i] == io) {
				give_up(batch, i);
				return;
			}
		}
	}
}

static int delay_stats(void *conn, sonde_stat_fn *fn, void *user)
{
	const struct delay *delay = conn;
	const struct sonde_stat stats[] = {
		{ .name = "batches", .value = delay->n_batches },
		{ .name = "requests", .value = delay->n_requests },
		{ .name = "not held", .value = delay->n_not_held },
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(stats) / sizeof(stats[0]); i++)
		r = fn(user, &stats[i]);
	return r;
}

static void delay_close(void *conn)
{
	struct delay *delay = conn;

	for (size_t i = 0; i < delay->n_all; i++) {
		free(delay->all[i]->ios);
		free(delay->all[i]);
	}
	free(delay);
}

static int delay_time(const struct sonde_host *host, const struct sonde_args *args, uint64_t *ret,
		      struct sonde_error *err)
{
	uint64_t ms = 0, us = 0;
	int has_ms = host->arg_u64(args, "ms", &ms, err);
	int has_us = has_ms < 0 ? 0 : host->arg_u64(args, "us", &us, err);

	if (has_ms < 0 || has_us < 0)
		return SONDE_E_BAD_ARG;
	if (!has_ms && !has_us)
		return host->error_set(err, SONDE_E_BAD_ARG,
				       "delay: how long? Write delay,ms=N or delay,us=N");
	if (ms > 60000 || us > 60000000)
		return host->error_set(err, SONDE_E_BAD_ARG, "delay: more than a minute");
	*ret = ms * 1000000 + us * 1000;
	return 0;
}

static int delay_open(const struct sonde_host *host, const struct sonde_args *args, void *below,
		      void **ret_conn, struct sonde_error *err)
{
	uint64_t ns = 0;
	int r = delay_time(host, args, &ns, err);
	if (r < 0)
		return r;

	struct delay *delay = calloc(1, sizeof(*delay));
	if (!delay)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	delay->host = host;
	delay->below = below;
	delay->ns = ns;
	*ret_conn = delay;
	return 0;
}

static int delay_clone(void *conn, const struct sonde_host *host, const struct sonde_args *args,
		       void *below, void **ret_conn, struct sonde_error *err)
{
	(void)conn;
	return delay_open(host, args, below, ret_conn, err);
}

static const struct sonde_layer_ops delay_ops = {
	.size = sizeof(delay_ops),
	.open = delay_open,
	.close = delay_close,
	.submit = delay_submit,
	.cancel = delay_cancel,
	.stats = delay_stats,
	.clone = delay_clone,
};

SONDE_PLUGIN(.name = "delay", .summary = "a latency per batch, to count round trips by the clock",
	     .args_help = "ms=N  milliseconds each batch waits\n"
			  "us=N  microseconds, added to them\n",
	     .layer = &delay_ops);
