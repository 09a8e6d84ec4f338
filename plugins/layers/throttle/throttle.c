/* SPDX-License-Identifier: MIT */
/*
 * throttle: a rate in front of memory: so many bytes, so many batches a second. Batches go in their
 * order, each as a whole, as soon as those before it are paid for.
 *
 * A limit is a time up to which the line is taken ("generic cell rate algorithm", ITU-T I.371): a batch goes
 * when that time is no further off than the burst, and then takes the line for its own share.
 */
#include <sonde/plugin.h>

#include <stdlib.h>
#include <string.h>

#include "../common/stats.h"

#define WAITING_MAX 65536u /* requests; what comes then goes on without waiting */
#define SECOND UINT64_C(1000000000)

struct batch {
	struct batch *next;
	uint64_t bytes, since_ns;
	size_t n;
	struct sonde_io *ios[]; /* [n] */
};

/* One of: bytes, batches. */
struct limit {
	uint64_t rate;     /* a second; 0: none */
	uint64_t taken_ns; /* the line is taken up to here */
};

struct throttle {
	const struct sonde_host *host;
	void *below;
	struct limit bytes, batches;
	uint64_t burst_ns;
	struct batch *head, **tail; /* who waits */
	size_t n_waiting;           /* requests  */
	struct sonde_timer timer;
	int timer_runs, releasing;
	uint64_t n_batches, n_bytes, n_held, held_ns, n_not_held;
};

static uint64_t cost_ns(uint64_t amount, uint64_t rate)
{
	unsigned __int128 ns = (unsigned __int128)amount * SECOND / rate;

	return ns < UINT64_MAX / 4 ? (uint64_t)ns : UINT64_MAX / 4;
}

/* When a limit lets the next one go: at once, or at this time. */
static uint64_t ready_at(const struct throttle *throttle, const struct limit *limit)
{
	return limit->rate && limit->taken_ns > throttle->burst_ns
		       ? limit->taken_ns - throttle->burst_ns
		       : 0;
}

static void take(struct limit *limit, uint64_t now, uint64_t amount)
{
	if (!limit->rate)
		return;
	limit->taken_ns =
		(limit->taken_ns > now ? limit->taken_ns : now) + cost_ns(amount, limit->rate);
}

static uint64_t next_at(const struct throttle *throttle)
{
	uint64_t a = ready_at(throttle, &throttle->bytes);
	uint64_t b = ready_at(throttle, &throttle->batches);

	return a > b ? a : b;
}

static uint64_t bytes_of(struct sonde_io *const *ios, size_t n)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < ios[i]->n; k++)
			bytes += ios[i]->xfers[k].len;
	}
	return bytes;
}

static void let_go(struct throttle *throttle, struct sonde_io *const *ios, size_t n, uint64_t bytes,
		   uint64_t now)
{
	take(&throttle->bytes, now, bytes);
	take(&throttle->batches, now, 1);
	throttle->host->forward(throttle->below, ios, n);
}

static struct batch *take_first(struct throttle *throttle)
{
	struct batch *batch = throttle->head;

	throttle->head = batch->next;
	if (!throttle->head)
		throttle->tail = &throttle->head;
	throttle->n_waiting -= batch->n;
	return batch;
}

/* Who may go does; for the next the clock is set. What is submitted meanwhile waits behind them. */
static void release(struct throttle *throttle)
{
	const struct sonde_host *host = throttle->host;
	uint64_t now = host->now_ns();

	throttle->releasing = 1;
	while (throttle->head && next_at(throttle) <= now) {
		struct batch *batch = take_first(throttle);
		throttle->held_ns += now - batch->since_ns;
		let_go(throttle, batch->ios, batch->n, batch->bytes, now);
		free(batch);
	}
	throttle->releasing = 0;
	if (!throttle->head || throttle->timer_runs)
		return;
	throttle->timer.at_ns = next_at(throttle);
	throttle->timer_runs = 1;
	host->timer_start(host->loop(throttle->below), &throttle->timer);
}

static void time_has_come(struct sonde_timer *timer)
{
	struct throttle *throttle = timer->user;

	throttle->timer_runs = 0;
	release(throttle);
}

static int hold(struct throttle *throttle, struct sonde_io *const *ios, size_t n, uint64_t bytes)
{
	struct batch *batch = NULL;

	if (n <= WAITING_MAX - throttle->n_waiting)
		batch = malloc(sizeof(*batch) + n * sizeof(struct sonde_io *));
	if (!batch)
		return 0;
	memcpy(batch->ios, ios, n * sizeof(struct sonde_io *));
	batch->n = n;
	batch->bytes = bytes;
	batch->since_ns = throttle->host->now_ns();
	batch->next = NULL;
	*throttle->tail = batch;
	throttle->tail = &batch->next;
	throttle->n_waiting += n;
	throttle->n_held++;
	return 1;
}

static void throttle_submit(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct throttle *throttle = conn;
	uint64_t bytes = bytes_of(ios, n), now = throttle->host->now_ns();

	throttle->n_batches++;
	throttle->n_bytes += bytes;
	if (!throttle->head && !throttle->releasing && next_at(throttle) <= now) {
		let_go(throttle, ios, n, bytes, now);
		return;
	}
	if (hold(throttle, ios, n, bytes)) {
		if (!throttle->releasing)
			release(throttle);
		return;
	}
	/* No request is failed for want of a place to wait in. */
	throttle->n_not_held++;
	let_go(throttle, ios, n, bytes, now);
}

static void drop_batch(struct throttle *throttle, struct batch **link)
{
	struct batch *batch = *link;

	*link = batch->next;
	if (throttle->tail == &batch->next)
		throttle->tail = link;
	free(batch);
	if (throttle->head || !throttle->timer_runs)
		return;
	throttle->host->timer_stop(throttle->host->loop(throttle->below), &throttle->timer);
	throttle->timer_runs = 0;
}

/* Below, what was asked to end ends: nobody waits for the clock, or pays. */
static void give_up(struct throttle *throttle, struct batch **link, size_t i)
{
	struct batch *batch = *link;
	struct sonde_io *io = batch->ios[i];
	struct sonde_io *const *gone = &io;

	batch->bytes -= bytes_of(gone, 1);
	batch->n--;
	throttle->n_waiting--;
	memmove(&batch->ios[i], &batch->ios[i + 1], (batch->n - i) * sizeof(struct sonde_io *));
	if (batch->n == 0)
		drop_batch(throttle, link);
	throttle->host->forward(throttle->below, gone, 1);
}

static void throttle_cancel(void *conn, struct sonde_io *io, int32_t why)
{
	struct throttle *throttle = conn;

	(void)why; /* forward asks the request itself */
	for (struct batch **link = &throttle->head; *link; link = &(*link)->next) {
		for (size_t i = 0; i < (*link)->n; i++) {
			if ((*link)->ios[i] == io) {
				give_up(throttle, link, i);
				return;
			}
		}
	}
}

static int throttle_stats(void *conn, sonde_stat_fn *fn, void *user)
{
	const struct throttle *throttle = conn;
	const struct sonde_stat stats[] = {
		{ .name = "batches", .value = throttle->n_batches },
		{ .name = "bytes", .value = throttle->n_bytes },
		{ .name = "held", .value = throttle->n_held },
		{ .name = "ms of waiting", .value = throttle->held_ns / 1000000 },
		{ .name = "not held", .value = throttle->n_not_held },
	};

	return STATS_TELL(stats, fn, user);
}

static void throttle_close(void *conn)
{
	free(conn);
}

static int read_rates(struct throttle *throttle, const struct sonde_args *args,
		      struct sonde_error *err)
{
	const struct sonde_host *host = throttle->host;
	uint64_t burst_ms = 100;
	int has_bytes = host->arg_u64(args, "bytes", &throttle->bytes.rate, err);
	int has_batches =
		has_bytes < 0 ? -1 : host->arg_u64(args, "batches", &throttle->batches.rate, err);
	int has_burst = has_batches < 0 ? -1 : host->arg_u64(args, "burst_ms", &burst_ms, err);

	if (has_burst < 0)
		return SONDE_E_BAD_ARG;
	if (!has_bytes && !has_batches)
		return host->error_set(err, SONDE_E_BAD_ARG,
				       "throttle: to what? Write throttle,bytes=N or batches=N");
	if ((has_bytes && !throttle->bytes.rate) || (has_batches && !throttle->batches.rate))
		return host->error_set(err, SONDE_E_BAD_ARG,
				       "throttle: a rate of 0 would let nothing pass");
	if (burst_ms > 60000)
		return host->error_set(err, SONDE_E_BAD_ARG, "throttle: burst_ms: above a minute");
	throttle->burst_ns = burst_ms * 1000000;
	return 0;
}

static int throttle_open(const struct sonde_host *host, const struct sonde_args *args, void *below,
			 void **ret_conn, struct sonde_error *err)
{
	struct throttle *throttle = calloc(1, sizeof(*throttle));

	if (!throttle)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	throttle->host = host;
	throttle->below = below;
	throttle->tail = &throttle->head;
	throttle->timer.fire = time_has_come;
	throttle->timer.user = throttle;
	int r = read_rates(throttle, args, err);
	if (r < 0) {
		throttle_close(throttle);
		return r;
	}
	*ret_conn = throttle;
	return 0;
}

static const struct sonde_layer_ops throttle_ops = {
	.size = sizeof(throttle_ops),
	.open = throttle_open,
	.close = throttle_close,
	.submit = throttle_submit,
	.cancel = throttle_cancel,
	.stats = throttle_stats,
};

SONDE_PLUGIN(.name = "throttle", .summary = "so many bytes and batches a second",
	     .args_help =
		     "bytes=N  bytes a second\n"
		     "batches=N  batches a second\n"
		     "burst_ms=N  what may go at once after a pause, in time of the rate (100)\n",
	     .layer = &throttle_ops);
