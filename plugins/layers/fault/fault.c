/* SPDX-License-Identifier: MIT */
/*
 * fault: makes go wrong what a rule says, and nothing else. The same seed and the same requests go wrong
 * alike. Several rules are several layers.
 */
#include <sonde/plugin.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "../common/detour.h"
#include "../common/stats.h"
#include "rule.h"

struct fault {
	const struct sonde_host *host;
	void *below;
	struct detour_pool pool;
	struct fault_rule rule;
	uint64_t n_bytes, n_bits; /* made to fail or dropped; turned over */
};

/* A bit of a piece that is turned over as soon as its byte has come. */
struct flip {
	uint32_t piece, off, bit;
};

/* Behind a request that was hit: detour.user. */
struct hit {
	struct fault *fault;
	struct detour *detour;
	struct sonde_timer timer;
	int waiting;
	size_t n_flips, cap;
	struct flip *flips; /* [n_flips] */
};

/* ---- the end of a request ------------------------------------------------------------------------ */

static void end(struct detour *d)
{
	struct hit *hit = d->user;

	free(hit->flips);
	free(hit);
	d->user = NULL;
	detour_end(d);
}

static void time_is_up(struct sonde_timer *timer)
{
	end(((struct hit *)timer->user)->detour);
}

static void over(struct detour *d)
{
	struct hit *hit = d->user;
	struct fault *fault = hit->fault;

	if (!(fault->rule.kinds & FAULT_DELAY)) {
		end(d);
		return;
	}
	hit->timer = (struct sonde_timer){
		.at_ns = fault->host->now_ns() + fault->rule.delay_ns,
		.fire = time_is_up,
		.user = hit,
	};
	hit->waiting = 1;
	fault->host->timer_start(fault->host->loop(fault->below), &hit->timer);
}

static void turn_over(const struct hit *hit, const struct sonde_io *io, uint32_t piece,
		      uint32_t off, uint32_t len)
{
	for (size_t i = 0; i < hit->n_flips; i++) {
		const struct flip *flip = &hit->flips[i];
		if (flip->piece != piece || flip->off < off || flip->off - off >= len)
			continue;
		((uint8_t *)io->xfers[piece].buf)[flip->off] ^= (uint8_t)(1u << flip->bit);
		hit->fault->n_bits++;
	}
}

static void landed(struct detour *d, uint32_t i, uint32_t off, uint32_t len, int32_t err)
{
	const struct detour_part *part = &d->parts[i];

	if (err == 0)
		turn_over(d->user, d->upper, part->piece, part->off + off, len);
	sonde_progress(d->pool->host, d->upper, part->piece, part->off + off, len, err);
}

/* ---- what is hit ----------------------------------------------------------------------------------- */

static bool is_chosen(const struct hit *hit, size_t first, uint32_t off, uint32_t bit)
{
	for (size_t i = first; i < hit->n_flips; i++) {
		if (hit->flips[i].off == off && hit->flips[i].bit == bit)
			return true;
	}
	return false;
}

/*
 * As many different ones as were asked for, or all there are (Floyd's way of drawing without putting back). Without memory
 * for them bits stay as they are.
 */
static void choose_flips(struct fault *fault, struct hit *hit, uint32_t piece, uint32_t off,
			 uint32_t len)
{
	if (hit->cap - hit->n_flips < fault->rule.n_flips) {
		size_t cap = 2 * hit->cap + fault->rule.n_flips;
		struct flip *grown = realloc(hit->flips, cap * sizeof(*grown));
		if (!grown)
			return;
		hit->flips = grown;
		hit->cap = cap;
	}
	uint64_t n_bits = 8 * (uint64_t)len, n = fault->rule.n_flips;
	size_t first = hit->n_flips;
	for (uint64_t last = n < n_bits ? n_bits - n : 0; last < n_bits; last++) {
		uint64_t at = (rule_random(&fault->rule) >> 8) % (last + 1);
		if (is_chosen(hit, first, off + (uint32_t)(at / 8), at % 8))
			at = last;
		hit->flips[hit->n_flips++] = (struct flip){ .piece = piece,
							    .off = off + (uint32_t)(at / 8),
							    .bit = at % 8 };
	}
}

/* Bytes of a piece that was hit fail. */
static void fail_bytes(struct fault *fault, struct detour *d, uint32_t piece, uint32_t off,
		       uint32_t len)
{
	int32_t code = rule_code(&fault->rule, fault->host, d->upper->op);

	sonde_progress(fault->host, d->upper, piece, off, len, code);
	fault->n_bytes += len;
}

/* [off, off + len) of a piece that was hit lies in a range of the rule. */
static void spoil(struct fault *fault, struct detour *d, uint32_t piece, uint32_t off, uint32_t len)
{
	const struct fault_rule *rule = &fault->rule;
	uint32_t good = 0;

	if (rule->kinds & FAULT_SHORT) {
		if (off < rule->short_len)
			good = rule->short_len - off < len ? rule->short_len - off : len;
		if (good)
			detour_part(d, piece, off, good);
		if (good < len)
			fail_bytes(fault, d, piece, off + good, len - good);
	} else if (rule->kinds & FAULT_ERROR) {
		fail_bytes(fault, d, piece, off, len);
	} else if (rule->kinds & FAULT_DROP) {
		fault->n_bytes += len;
	} else {
		if (rule->kinds & FAULT_FLIP)
			choose_flips(fault, d->user, piece, off, len);
		detour_part(d, piece, off, len);
	}
}

static void hit_piece(struct fault *fault, struct detour *d, uint32_t piece)
{
	const struct sonde_xfer *x = &d->upper->xfers[piece];

	for (uint32_t off = 0, len; off < x->len; off += len) {
		uint64_t addr = x->addr + off;
		int inside = 0;
		len = x->len - off;
		if (!detour_wraps(x, off))
			len = rule_run(&fault->rule, x, off, len, &inside);
		/* What lies past 2^64 is a hole whatever the rule says. */
		if (inside && len - 1 > UINT64_MAX - addr)
			len = (uint32_t)(UINT64_MAX - addr) + 1;
		if (inside)
			spoil(fault, d, piece, off, len);
		else
			detour_part(d, piece, off, len);
	}
}

/* For a request of which this is the first piece that is hit; those before go below whole. */
static struct detour *begin(struct fault *fault, struct sonde_io *io, uint32_t first)
{
	struct hit *hit = calloc(1, sizeof(*hit));
	struct detour *d = hit ? detour_begin(&fault->pool, io) : NULL;

	if (!d) {
		free(hit);
		return NULL;
	}
	hit->fault = fault;
	hit->detour = d;
	d->user = hit;
	d->over = over;
	for (uint32_t i = 0; i < first; i++)
		detour_part(d, i, 0, io->xfers[i].len);
	return d;
}

/* Returns 0 where the rule is not about it: it is still to be forwarded. */
static int treat(struct fault *fault, struct sonde_io *io)
{
	struct detour *d = NULL;

	for (uint32_t i = 0; i < io->n; i++) {
		int hit = rule_hits(&fault->rule, &io->xfers[i], io->op);
		if (hit && !d && !(d = begin(fault, io, i))) {
			detour_refuse(fault->host, io, SONDE_E_NO_MEMORY);
			return 1;
		}
		if (hit)
			hit_piece(fault, d, i);
		else if (d)
			detour_part(d, i, 0, io->xfers[i].len);
	}
	if (!d)
		return 0;
	detour_send(d);
	return 1;
}

static void fault_submit(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct fault *fault = conn;
	size_t from = 0;

	/* Neighbours that are left alone go on together. */
	for (size_t i = 0; i < n; i++) {
		if (!treat(fault, ios[i]))
			continue;
		if (i > from)
			fault->host->forward(fault->below, &ios[from], i - from);
		from = i + 1;
	}
	if (n > from)
		fault->host->forward(fault->below, &ios[from], n - from);
}

static void fault_cancel(void *conn, struct sonde_io *io, int32_t why)
{
	struct fault *fault = conn;
	struct detour *d = detour_cancel(&fault->pool, io, why);
	struct hit *hit = d ? d->user : NULL;

	if (!hit || !hit->waiting)
		return;
	fault->host->timer_stop(fault->host->loop(fault->below), &hit->timer);
	end(d);
}

static uint32_t fault_traits(void *conn)
{
	return ((struct fault *)conn)->rule.kinds & FAULT_DELAY ? 0 : SONDE_LAYER_INLINE;
}

static int fault_stats(void *conn, sonde_stat_fn *fn, void *user)
{
	const struct fault *fault = conn;
	const struct sonde_stat stats[] = {
		{ .name = "on purpose", .text = fault->rule.what },
		{ .name = "pieces seen", .value = fault->rule.n_seen },
		{ .name = "hit", .value = fault->rule.n_hit },
		{ .name = "bytes", .value = fault->n_bytes },
		{ .name = "bits", .value = fault->n_bits },
	};

	return STATS_TELL(stats, fn, user);
}

static void fault_close(void *conn)
{
	struct fault *fault = conn;

	detour_pool_finish(&fault->pool);
	rule_finish(&fault->rule);
	free(fault);
}

static int fault_open(const struct sonde_host *host, const struct sonde_args *args, void *below,
		      void **ret_conn, struct sonde_error *err)
{
	struct fault *fault = calloc(1, sizeof(*fault));

	if (!fault)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	fault->host = host;
	fault->below = below;
	fault->pool = (struct detour_pool){ .host = host, .below = below, .landed = landed };
	int r = rule_read(&fault->rule, host, args, err);
	if (r < 0) {
		fault_close(fault);
		return r;
	}
	*ret_conn = fault;
	return 0;
}

static const struct sonde_layer_ops fault_ops = {
	.size = sizeof(fault_ops),
	.open = fault_open,
	.close = fault_close,
	.submit = fault_submit,
	.traits = fault_traits,
	.cancel = fault_cancel,
	.stats = fault_stats,
};

SONDE_PLUGIN(.name = "fault", .summary = "makes go wrong what a rule says, to see what follows",
	     .args_help = "error=NAME  bytes fail with this code: IO, GONE, NOT_MAPPED ...\n"
			  "errno=NAME  bytes fail as a file operation with this errno: EIO, 5 ...\n"
			  "short=N  only the first N bytes of a piece come; the rest is TRUNCATED, "
			  "or error=\n"
			  "drop=yes  nothing is told of the bytes\n"
			  "flip=N  N bits of what was read are wrong (with op=read)\n"
			  "delay_us=N  the request ends so much later\n"
			  "open=NAME  opening fails, with a code or an errno\n"
			  "at=ADDR+LEN;...  only there (everywhere)\n"
			  "op=WHAT  read, write or both (both)\n"
			  "every=N  each Nth piece only\n"
			  "random=N  one piece in N, by chance\n"
			  "seed=N  of chance (1)\n"
			  "after=N  not the first N pieces\n"
			  "times=N  at most N pieces\n",
	     .layer = &fault_ops);
