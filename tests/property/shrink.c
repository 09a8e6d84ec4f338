/* SPDX-License-Identifier: MIT */
/*
 * Making a failing plan smaller: each pass tries simpler plans, one change at a time, and keeps those that still
 * fail; passes are repeated until none finds anything. No change leads back to what an earlier one left.
 */
#include <string.h>

#include "world.h"

struct shrinker {
	struct plan best;
	plan_fails_fn *fails;
	void *user;
	bool found; /* in this round */
};

static bool try_plan(struct shrinker *s, const struct plan *plan)
{
	if (memcmp(plan, &s->best, sizeof(*plan)) == 0 || !s->fails(s->user, plan))
		return false;
	s->best = *plan;
	s->found = true;
	return true;
}

/* Take items [at, at + n) out of an array of *count. */
#define CUT_OUT(array, count, at, n)                                                               \
	do {                                                                                       \
		memmove(&(array)[at], &(array)[(at) + (n)],                                        \
			((count) - (at) - (n)) * sizeof((array)[0]));                              \
		(count) = (uint8_t)((count) - (n));                                                \
		memset(&(array)[count], 0, (n) * sizeof((array)[0]));                              \
	} while (0)

/* ---- less of everything ---------------------------------------------------------------------- */

static void drop_steps(struct shrinker *s)
{
	for (unsigned n = s->best.n_steps; n > 0; n /= 2) {
		for (unsigned at = 0; at + n <= s->best.n_steps;) {
			struct plan plan = s->best;
			CUT_OUT(plan.steps, plan.n_steps, at, n);
			if (!try_plan(s, &plan))
				at += n;
		}
	}
}

static uint8_t behind(uint8_t index, unsigned gone)
{
	return index == NOBODY || index < gone ? index
	       : index == gone                 ? NOBODY
					       : (uint8_t)(index - 1);
}

static void drop_requests(struct shrinker *s)
{
	for (unsigned at = s->best.n_requests; at-- > 0;) {
		struct plan plan = s->best;
		CUT_OUT(plan.requests, plan.n_requests, at, 1);
		for (unsigned i = 0; i < plan.n_requests; i++) {
			plan.requests[i].cancels = behind(plan.requests[i].cancels, at);
			plan.requests[i].submits = behind(plan.requests[i].submits, at);
		}
		for (unsigned i = 0; i < plan.n_steps;) {
			struct plan_step *step = &plan.steps[i];
			bool is_its = step->kind <= STEP_CANCEL || step->kind == STEP_BORROW;
			if (is_its && step->arg == at) {
				CUT_OUT(plan.steps, plan.n_steps, i, 1);
				continue;
			}
			step->arg = is_its ? behind(step->arg, at) : step->arg;
			i++;
		}
		try_plan(s, &plan);
	}
}

/* Whoever goes to node `from` goes to `to`. */
static void redirect(struct plan *plan, unsigned from, unsigned to, bool gone)
{
	for (unsigned i = 0; i < plan->n_nodes; i++) {
		struct plan_node *node = &plan->nodes[i];
		node->below = node->below == from ? (uint8_t)to : node->below;
		for (unsigned k = 0; k < node->n_stretches; k++) {
			uint8_t *at = &node->stretches[k].node;
			*at = *at == from ? (uint8_t)to : *at;
			*at = (uint8_t)(*at - (gone && *at > from));
		}
		node->below = (uint8_t)(node->below - (gone && node->below > from));
	}
	for (unsigned i = 0; i < plan->n_requests; i++) {
		struct plan_request *r = &plan->requests[i];
		r->node = r->node == from ? (uint8_t)to : r->node;
		r->node = (uint8_t)(r->node - (gone && r->node > from));
		for (unsigned k = 0; k < r->n_pieces; k++) {
			uint8_t *at = &r->pieces[k].node;
			*at = *at == from ? (uint8_t)to : *at;
			*at = (uint8_t)(*at - (gone && *at > from));
		}
	}
	for (unsigned i = 0; i < plan->n_steps; i++) {
		struct plan_step *step = &plan->steps[i];
		if (step->kind == STEP_CUT || step->kind == STEP_TRIM ||
		    step->kind == STEP_INVALIDATE)
			step->arg = (uint8_t)(step->arg - (gone && step->arg > from));
	}
}

/* Without a node: what went there goes to the one below, or to any other base. */
static void drop_nodes(struct shrinker *s)
{
	for (unsigned at = s->best.n_nodes; at-- > 0 && s->best.n_nodes > 1;) {
		for (unsigned to = 0; to < s->best.n_nodes && at < s->best.n_nodes; to++) {
			struct plan plan = s->best;
			if (to == at)
				continue;
			redirect(&plan, at, to, true);
			CUT_OUT(plan.nodes, plan.n_nodes, at, 1);
			if (try_plan(s, &plan))
				break;
		}
	}
}

static void drop_parts_of_nodes(struct shrinker *s)
{
	for (unsigned i = 0; i < s->best.n_nodes; i++) {
		for (unsigned k = s->best.nodes[i].n_bad; k-- > 0;) {
			struct plan plan = s->best;
			CUT_OUT(plan.nodes[i].bad, plan.nodes[i].n_bad, k, 1);
			try_plan(s, &plan);
		}
		for (unsigned k = s->best.nodes[i].n_stretches; k-- > 0;) {
			struct plan plan = s->best;
			CUT_OUT(plan.nodes[i].stretches, plan.nodes[i].n_stretches, k, 1);
			try_plan(s, &plan);
		}
	}
}

static void drop_pieces(struct shrinker *s)
{
	for (unsigned i = 0; i < s->best.n_requests; i++) {
		for (unsigned k = s->best.requests[i].n_pieces; k-- > 0;) {
			struct plan plan = s->best;
			CUT_OUT(plan.requests[i].pieces, plan.requests[i].n_pieces, k, 1);
			try_plan(s, &plan);
		}
	}
}

/* ---- simpler ------------------------------------------------------------------------------------ */

#define TRY(s, field, value)                                                                       \
	do {                                                                                       \
		struct plan plan_ = (s)->best;                                                     \
		plan_.field = value;                                                               \
		try_plan(s, &plan_);                                                               \
	} while (0)

static void simplify_nodes(struct shrinker *s)
{
	TRY(s, loop, 0);
	if (s->best.loop > 5)
		TRY(s, loop, 5);
	TRY(s, fresh, 0);
	for (unsigned i = 0; i < s->best.n_nodes; i++) {
		TRY(s, nodes[i].variant, 0);
		if (node_is_base(&s->best.nodes[i]))
			TRY(s, nodes[i].kind, NODE_MEMORY);
		for (unsigned k = 0; k < s->best.nodes[i].n_bad; k++) {
			TRY(s, nodes[i].bad[k].kind, BAD_ERROR);
			TRY(s, nodes[i].bad[k].len, 1);
			TRY(s, nodes[i].bad[k].addr, s->best.nodes[i].bad[k].addr / PAGE * PAGE);
		}
		for (unsigned k = 0; k < s->best.nodes[i].n_stretches; k++) {
			const struct plan_stretch *was = &s->best.nodes[i].stretches[k];
			if (was->len > PAGE)
				TRY(s, nodes[i].stretches[k].len, PAGE);
			TRY(s, nodes[i].stretches[k].at, was->at / PAGE * PAGE);
			TRY(s, nodes[i].stretches[k].addr, was->addr / PAGE * PAGE);
		}
	}
}

static void simplify_requests(struct shrinker *s)
{
	for (unsigned i = 0; i < s->best.n_requests; i++) {
		TRY(s, requests[i].door, DOOR_CALLBACK);
		if (s->best.requests[i].door > DOOR_BLOCKING)
			TRY(s, requests[i].door, DOOR_BLOCKING);
		TRY(s, requests[i].write, 0);
		TRY(s, requests[i].deadline, 0);
		TRY(s, requests[i].cancels, NOBODY);
		TRY(s, requests[i].submits, NOBODY);
		TRY(s, requests[i].stop_early, 0);
		TRY(s, requests[i].yields, 0);
		TRY(s, requests[i].child, 0);
	}
}

/* Towards 0 by halves: the smallest that still fails, where that is one run of values. */
static void simplify_piece(struct shrinker *s, unsigned i, unsigned k)
{
	const struct plan_piece *piece = &s->best.requests[i].pieces[k];

	TRY(s, requests[i].pieces[k].repeat, 1);
	for (unsigned n = piece->repeat / 2; n > 0; n /= 2) {
		while (piece->repeat > n) {
			uint16_t was = piece->repeat;
			TRY(s, requests[i].pieces[k].repeat, (uint16_t)(was - n));
			if (piece->repeat == was)
				break;
		}
	}
	TRY(s, requests[i].pieces[k].len, 1);
	for (uint32_t n = piece->len / 2; n > 0; n /= 2) {
		while (piece->len > n) {
			uint32_t was = piece->len;
			TRY(s, requests[i].pieces[k].len, was - n);
			if (piece->len == was)
				break;
		}
	}
	if (piece->addr > STORE_FIRST / 2)
		TRY(s, requests[i].pieces[k].addr, STORE_FIRST / 2);
	for (unsigned bit = 0; bit < 16; bit++)
		TRY(s, requests[i].pieces[k].addr, piece->addr & ~(UINT64_C(1) << bit));
	TRY(s, requests[i].pieces[k].stride, 0);
	if (piece->stride)
		TRY(s, requests[i].pieces[k].stride, (int32_t)piece->len);
}

static void simplify_pieces(struct shrinker *s)
{
	for (unsigned i = 0; i < s->best.n_requests; i++) {
		for (unsigned k = 0; k < s->best.requests[i].n_pieces; k++)
			simplify_piece(s, i, k);
	}
}

static void simplify_steps(struct shrinker *s)
{
	for (unsigned i = 0; i < s->best.n_steps; i++)
		TRY(s, steps[i].value, s->best.steps[i].value / PAGE * PAGE);
}

void plan_shrink(struct plan *plan, plan_fails_fn *fails, void *user)
{
	struct shrinker s = { .best = *plan, .fails = fails, .user = user, .found = true };

	while (s.found) {
		s.found = false;
		drop_steps(&s);
		drop_requests(&s);
		drop_nodes(&s);
		drop_pieces(&s);
		drop_parts_of_nodes(&s);
		simplify_nodes(&s);
		simplify_requests(&s);
		simplify_pieces(&s);
		simplify_steps(&s);
	}
	*plan = s.best;
}
