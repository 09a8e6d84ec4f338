/* SPDX-License-Identifier: MIT */
/* Judging what a request brought. */
#include "run.h"

#include <stdlib.h>
#include <string.h>

/* What a door tells of each piece beside its error. */
static bool tells_all(const struct live *live)
{
	return !door_is_batch(live->plan->door) && live->plan->door != DOOR_GET;
}

static bool may_stop(const struct live *live)
{
	return live->asked || live->limited;
}

static bool is_stop_code(const struct live *live, int32_t err)
{
	bool child = live->plan->child;

	return (err == SONDE_E_CANCELLED && live->asked) ||
	       (err == SONDE_E_TIMED_OUT && (live->limited || child));
}

/* A piece, as far as it has been looked at. */
struct verdict {
	const struct live *live;
	const struct part *part;
	uint32_t index;
	uint32_t right;     /* bytes that should have come                          */
	uint32_t maybe;     /* ... or not                                           */
	uint32_t told;      /* bytes that were told as transferred                  */
	int32_t err;        /* the lowest failing byte that is sure to fail         */
	uint32_t err_off;   /* ... and where                                        */
	uint32_t first_bad; /* told: the lowest byte that was told with an error    */
	int32_t told_err;   /* ... and which                                        */
	struct spot there;  /* where byte x.err_off is                              */
	bool sure, lied, may, any;
	bool dropped; /* what was told of it before does not count any more */
};

static void wrong(const struct verdict *v, uint32_t off, const char *what, long long got,
		  long long want)
{
	const struct sonde_xfer *x = &v->part->x;

	fail_now("request %u, piece %u (node %u, 0x%llx+%u): byte %u: %s: got %lld, want %lld; "
		 "done %u, err %d at %u",
		 v->live->index, v->index, v->part->node, (unsigned long long)x->addr, x->len, off,
		 what, got, want, x->done, x->err, x->err_off);
}

static void check_read(const struct verdict *v, uint32_t off, const struct spot *spot)
{
	const uint8_t *got = (const uint8_t *)v->part->x.buf + off;
	const uint8_t *told = v->live->told ? v->live->told + (got - v->live->bytes) : NULL;
	bool may_be_zero = may_stop(v->live) || v->lied || spot->sure != SURE;

	if (spot->sure == ANYTHING)
		return;
	if (spot->err || !spot->right ? bytes_are(got, spot->len, 0)
				      : memcmp(got, spot->right, spot->len) == 0)
		return;
	for (uint32_t i = 0; i < spot->len; i++) {
		uint8_t want = spot->err || !spot->right ? 0 : spot->right[i];
		if (got[i] == want)
			continue;
		/* Behind the lowest error of a piece that was stopped nobody says what has come. */
		if (got[i] || !may_be_zero)
			wrong(v, off + i, "value", got[i], want);
		if (spot->sure <= MAY_FAIL && !v->lied && !v->dropped && told &&
		    told[i] == TOLD_RIGHT)
			wrong(v, off + i, "told as read, value", got[i], want);
		if (spot->sure <= MAY_FAIL && tells_all(v->live) && !v->lied &&
		    (v->part->x.err == 0 || off + i < v->part->x.err_off))
			wrong(v, off + i, "in front of the error, value", got[i], want);
	}
}

static void check_told(struct verdict *v, uint32_t off, const struct spot *spot)
{
	const struct live *live = v->live;
	const uint8_t *told = live->told + ((uint8_t *)v->part->x.buf - live->bytes) + off;

	if (!spot->err && bytes_are(told, spot->len, TOLD_RIGHT)) {
		v->told += spot->len;
		return;
	}
	for (uint32_t i = 0; i < spot->len; i++) {
		int32_t err = told[i] == TOLD_RIGHT ? 0 : -(int32_t)told[i];
		v->told += told[i] == TOLD_RIGHT;
		if (err && off + i < v->first_bad) {
			v->first_bad = off + i;
			v->told_err = err;
		}
		if (v->lied || v->dropped || spot->sure == ANYTHING)
			continue;
		if (!told[i])
			wrong(v, off + i, "never told", 0, 1);
		if (!is_stop_code(live, err) && !spot_allows(spot, err))
			wrong(v, off + i, "told with error", err, spot->err);
	}
}

/* A connector that gives a request up in the middle of a piece leaves nothing of that piece. */
static bool is_dropped(const struct live *live, const struct sonde_xfer *x)
{
	const struct plan *plan = live->run->plan;
	bool polite = false;

	for (unsigned i = 0; i < plan->n_nodes; i++)
		polite |= plan->nodes[i].kind == NODE_SUBMIT &&
			  plan->nodes[i].variant % MANNERS == MANNER_POLITE;
	return polite && may_stop(live) && x->err && x->done == 0 && x->err_off == 0;
}

static void look_at(struct verdict *v)
{
	const struct live *live = v->live;
	const struct sonde_xfer *x = &v->part->x;
	bool looks_dropped = x->err == SONDE_E_IO && x->done == 0 && x->err_off == 0 &&
			     plan_lies(live->run->plan);
	struct spot spot;

	for (uint32_t off = 0; off < x->len; off += spot.len) {
		oracle_piece(&live->run->world, v->part->node, x->addr, x->len, off,
			     live->plan->write, &spot);
		/* In a trip with a dropped piece, one that failed as a whole looks like it. */
		v->lied |= spot.lied || (looks_dropped && spot.err == SONDE_E_IO);
		v->may |= spot.sure != SURE;
		v->any |= spot.sure == ANYTHING;
		if (x->err_off - off < spot.len)
			v->there = spot;
		if (spot.err && !v->err && spot.sure <= MAY_FAIL) {
			v->err = spot.err;
			v->err_off = off;
		}
		if (spot.sure == SURE)
			v->right += spot.err ? 0 : spot.len;
		else
			v->maybe += spot.len;
	}
	v->sure = !v->lied && !v->may && !may_stop(live);
	for (uint32_t off = 0; off < x->len; off += spot.len) {
		oracle_piece(&live->run->world, v->part->node, x->addr, x->len, off,
			     live->plan->write, &spot);
		if (!live->plan->write)
			check_read(v, off, &spot);
		if (live->told)
			check_told(v, off, &spot);
	}
}

/* Who takes a piece apart may save more of one that is lied about. */
static bool takes_apart(const struct plan *plan)
{
	for (unsigned i = 0; i < plan->n_nodes; i++) {
		if (plan->nodes[i].kind == NODE_REMAP)
			return true;
		const struct layer_kind *layer = layer_kind_of(&plan->nodes[i]);
		if (layer && layer->effect != EFFECT_NONE)
			return true;
	}
	return false;
}

static void check_lied(const struct verdict *v)
{
	const struct sonde_xfer *x = &v->part->x;

	if (x->err == 0)
		wrong(v, 0, "success where the connector lied", 0, SONDE_E_IO);
	if (v->live->plan->write || !tells_all(v->live) || may_stop(v->live) ||
	    takes_apart(v->live->run->plan) || v->may)
		return;
	if (x->done || x->err_off || x->err != SONDE_E_IO)
		wrong(v, x->err_off, "outcome of a piece that was dropped", x->err, SONDE_E_IO);
	for (uint32_t i = 0; i < x->len; i++) {
		if (((const uint8_t *)x->buf)[i])
			wrong(v, i, "value of a piece that was dropped",
			      ((const uint8_t *)x->buf)[i], 0);
	}
}

static void check_sure(const struct verdict *v)
{
	const struct sonde_xfer *x = &v->part->x;

	if (x->err != v->err)
		wrong(v, v->err_off, "error", x->err, v->err);
	if (!tells_all(v->live))
		return;
	if (x->err_off != v->err_off)
		wrong(v, v->err_off, "offset of the error", x->err_off, v->err_off);
	if (x->done != v->right)
		wrong(v, 0, "bytes done", x->done, v->right);
}

static void check_unsure(const struct verdict *v)
{
	const struct sonde_xfer *x = &v->part->x;

	if (v->any || !tells_all(v->live))
		return;
	if (x->err == 0 && (x->done != x->len || x->err_off != x->len || v->err))
		wrong(v, v->err_off, "success", x->done, x->len);
	if (x->err && !is_stop_code(v->live, x->err) && !spot_allows(&v->there, x->err))
		wrong(v, x->err_off, "error", x->err, v->there.err);
	if (v->err && x->err && x->err_off > v->err_off)
		wrong(v, v->err_off, "offset of the error", x->err_off, v->err_off);
	if (x->done > v->right + v->maybe || (x->err && x->done < x->err_off))
		wrong(v, x->err_off, "bytes done", x->done, v->right);
}

static void check_part(struct live *live, uint32_t i)
{
	const struct part *part = &live->parts[i];
	struct verdict v = { .live = live,
			     .part = part,
			     .index = i,
			     .err_off = part->x.len,
			     .dropped = is_dropped(live, &part->x),
			     .first_bad = part->x.len };

	look_at(&v);
	if (live->unsent && (part->x.done || part->x.err_off || !is_stop_code(live, part->x.err)))
		wrong(&v, part->x.err_off, "cancelled before it left, error", part->x.err,
		      SONDE_E_CANCELLED);
	if (v.lied && !v.any)
		check_lied(&v);
	else if (v.sure)
		check_sure(&v);
	else
		check_unsure(&v);
	if (!live->told || v.lied || v.dropped || v.any)
		return;
	/* What a stream could not keep it asks for again, and fortune is fickle. */
	if (v.may && door_is_stream(live->plan->door))
		return;
	if (v.told != part->x.done || v.first_bad != part->x.err_off || v.told_err != part->x.err)
		wrong(&v, v.first_bad, "fragments told another outcome", v.told_err, part->x.err);
}

/* ---- buffers --------------------------------------------------------------------------------- */

/* Buffers of writes are as they were. */
static void check_written(const struct live *live, uint32_t i)
{
	const struct sonde_xfer *x = &live->parts[i].x;

	for (uint32_t off = 0, n; off < x->len; off += n) {
		n = x->len - off;
		const uint8_t *bytes = live_pattern(live, i, off, &n);
		if (memcmp((const uint8_t *)x->buf + off, bytes, n) != 0)
			fail_now("request %u: piece %u: what is written has changed", live->index,
				 i);
	}
}

static void check_edges(const struct live *live)
{
	const uint8_t *at = live->bytes;

	for (uint32_t i = 0; i <= live->n; i++) {
		if (!bytes_are(at, EDGE, EDGE_BYTE))
			fail_now("request %u: the bytes behind piece %d have changed", live->index,
				 (int)i - 1);
		if (i < live->n && live->plan->write)
			check_written(live, i);
		at += EDGE + (i < live->n ? live->parts[i].x.len : 0);
	}
}

/* ---- what was written ------------------------------------------------------------------------------ */

/* Old or new, byte by byte; from now on that is how it is. */
static void adopt(const struct live *live, uint32_t i, uint32_t off, const struct spot *spot)
{
	uint8_t is[512];

	for (uint32_t at = 0, n; at < spot->len; at += n) {
		n = spot->len - at < sizeof(is) ? spot->len - at : sizeof(is);
		store_peek(spot->store, spot->off + at, is, n);
		for (uint32_t k = 0; k < n; k++) {
			uint8_t *model = &spot->store->model[spot->off + at + k];
			uint32_t one = 1;
			uint8_t new = *live_pattern(live, i, off + at + k, &one);
			if (is[k] != *model && is[k] != new)
				fail_now("request %u, piece %u: byte %u is neither as before (%u) "
					 "nor as written (%u) but %u",
					 live->index, i, off + at + k, *model, new, is[k]);
			*model = is[k];
		}
	}
}

static void note_spot(struct live *live, uint32_t i, uint32_t off, const struct spot *spot,
		      bool sure)
{
	uint8_t *data = (uint8_t *)live->parts[i].x.buf + off;

	if (spot->kept && (!spot->err || !sure))
		kept_write(spot->kept, spot->kept_addr, sure ? data : NULL, spot->len);
	if (spot->kept || !spot->store || spot->err)
		return;
	if (sure)
		memcpy(spot->store->model + spot->off, data, spot->len);
	else
		adopt(live, i, off, spot);
}

static void note_write(struct live *live, uint32_t i)
{
	const struct part *part = &live->parts[i];
	bool unsure = may_stop(live);
	struct spot spot;

	for (uint32_t off = 0; off < part->x.len; off += spot.len) {
		oracle_piece(&live->run->world, part->node, part->x.addr, part->x.len, off, true,
			     &spot);
		unsure |= spot.lied || spot.sure != SURE || plan_lies(live->run->plan);
	}
	for (uint32_t off = 0; off < part->x.len; off += spot.len) {
		oracle_piece(&live->run->world, part->node, part->x.addr, part->x.len, off, true,
			     &spot);
		note_spot(live, i, off, &spot, part->x.err == 0 || !unsure);
	}
}

/* ---- all of it ------------------------------------------------------------------------------------- */

static void check_result(const struct live *live)
{
	int32_t full = 0;

	for (uint32_t i = 0; i < live->n; i++)
		full += live->parts[i].x.err == 0;
	if (live->result == full)
		return;
	if (is_stop_code(live, live->result) && (full < (int32_t)live->n || live->n == 0))
		return;
	/* What a stream called off may have come all the same. */
	if (is_stop_code(live, live->result) && door_is_stream(live->plan->door))
		return;
	fail_now("request %u: its result is %d, %d of %u pieces are there", live->index,
		 live->result, full, live->n);
}

static void mix(uint64_t *digest, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	uint64_t word = len;

	for (; len; len -= len < 8 ? len : 8, at += 8) {
		*digest = (*digest ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		*digest ^= *digest >> 29;
		word = 0;
		memcpy(&word, at, len < 8 ? len : 8);
	}
	*digest = (*digest ^ word) * UINT64_C(0x9e3779b97f4a7c15);
}

static void add_to_digest(struct live *live)
{
	for (uint32_t i = 0; i < live->n; i++) {
		const struct sonde_xfer *x = &live->parts[i].x;
		uint32_t outcome[3] = { (uint32_t)x->err, 0, 0 };
		uint64_t digest = live->index * 8191u + i;
		if (tells_all(live)) {
			outcome[1] = x->done;
			outcome[2] = x->err_off;
		}
		mix(&digest, outcome, sizeof(outcome));
		mix(&digest, x->buf, x->len);
		live->run->digest += digest; /* in whatever order they end */
	}
}

void live_check(struct live *live)
{
	check_edges(live);
	for (uint32_t i = 0; i < live->n; i++)
		check_part(live, i);
	check_result(live);
	if (live->run->compares)
		add_to_digest(live);
	for (uint32_t i = 0; live->plan->write && i < live->n; i++)
		note_write(live, i);
	free(live->parts);
	if (!live->lent)
		free(live->bytes);
	free(live->told);
	live->parts = NULL;
	live->bytes = live->told = NULL;
}
