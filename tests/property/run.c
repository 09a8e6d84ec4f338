/* SPDX-License-Identifier: MIT */
/* Taking the steps of a plan, waiting for the end of everything, and looking whether anything is left. */
#include "run.h"

#include <poll.h>
#include <string.h>

#include "io/loop.h"
#include "space/space.h"

enum { FOREIGN_MS = 10000 }; /* a foreign loop that sleeps so long has been forgotten */

static bool anything_flies(const struct run *run)
{
	for (unsigned i = 0; i < run->plan->n_requests; i++) {
		if (run->lives[i].life == LIFE_FLIES)
			return true;
	}
	return false;
}

/* As a foreign loop does: it knows the descriptor and nothing else. */
static void turn_by_descriptor(struct run *run)
{
	struct pollfd fd = { .fd = sonde_loop_fd(run->world.loop), .events = POLLIN };

	while (anything_flies(run)) {
		if (poll(&fd, 1, FOREIGN_MS) == 0)
			fail_now("the loop's descriptor is not readable, and nothing ends");
		sonde_loop_turn(run->world.loop);
	}
}

static void join_tasks(struct run *run)
{
	for (unsigned i = 0; i < run->plan->n_requests; i++) {
		struct live *live = &run->lives[i];
		if (!live->task)
			continue;
		int r = sonde_task_join(NULL, live->task);
		if (r != (int)i)
			fail_now("request %u: join returns %d", i, r);
		live->task = NULL;
	}
}

void run_barrier(struct run *run)
{
	if (run->world.kind->embedded)
		turn_by_descriptor(run);
	int r = sonde_loop_run(run->world.loop);
	if (r != 0)
		fail_now("sonde_loop_run returns %d", r);
	for (unsigned i = 0; i < run->plan->n_requests; i++) {
		if (run->lives[i].life == LIFE_FLIES)
			fail_now(
				"request %u: the loop has nothing left to do, but it has not ended",
				i);
	}
	join_tasks(run);
	for (unsigned i = 0; i < run->plan->n_nodes; i++) {
		if (run->world.bases[i])
			store_settle(&run->world.bases[i]->store);
		if (run->alone && run->world.layers[i].kept)
			kept_settle(run->world.layers[i].kept);
	}
	/* What was written past a cache it does not know of. */
	for (unsigned i = 0; i < run->plan->n_nodes; i++) {
		if (run->stale & 1u << i)
			sonde_space_invalidate(run->world.spaces[i]);
	}
	run->alone = false;
	run->stale = 0;
}

/* ---- steps --------------------------------------------------------------------------------- */

static void cut(struct run *run, const struct plan_step *step)
{
	struct base *base = step->arg < run->plan->n_nodes ? run->world.bases[step->arg] : NULL;

	if (!base || base->store.bytes || step->value < TABLES_END)
		return;
	if (run->n_writing)
		run_barrier(run);
	if (!store_cut(&base->store, step->value))
		fail_now("the file of node %u cannot be cut", step->arg);
}

/* What is lent is what would be read. */
static void borrow(struct run *run, const struct plan_step *step)
{
	const struct plan_request *request = &run->plan->requests[step->arg];
	uint64_t addr = request->pieces[0].addr;
	struct spot spot;

	if (step->arg >= run->plan->n_requests || !request->n_pieces || !step->value ||
	    world_is_cut(&run->world) || run->n_writing)
		return;
	const uint8_t *lent =
		sonde_space_borrow(run->world.spaces[request->node], addr, step->value);
	for (uint32_t off = 0; lent && off < step->value; off += spot.len) {
		oracle_piece(&run->world, request->node, addr, step->value, off, false, &spot);
		if (spot.sure == ANYTHING)
			continue; /* as where a write of it was cancelled */
		if (spot.err || spot.sure != SURE)
			fail_now("node %u lends 0x%llx+%u: byte %u cannot be read: %d",
				 request->node, (unsigned long long)addr, step->value, off,
				 spot.err);
		if (spot.right && memcmp(lent + off, spot.right, spot.len) != 0)
			fail_now("node %u lends 0x%llx+%u: other bytes, from %u on", request->node,
				 (unsigned long long)addr, step->value, off);
	}
}

static void take_step(struct run *run, const struct plan_step *step)
{
	bool is_request = step->arg < run->plan->n_requests,
	     is_node = step->arg < run->plan->n_nodes;

	switch (step->kind) {
	case STEP_SUBMIT:
		if (is_request)
			live_submit(&run->lives[step->arg]);
		break;
	case STEP_CANCEL:
		if (is_request)
			live_cancel(&run->lives[step->arg]);
		break;
	case STEP_TURN:
		sonde_loop_turn(run->world.loop);
		break;
	case STEP_BARRIER:
		run_barrier(run);
		break;
	case STEP_CUT:
		cut(run, step);
		break;
	case STEP_BORROW:
		borrow(run, step);
		break;
	case STEP_TRIM:
		if (is_node)
			sonde_space_trim(run->world.spaces[step->arg]);
		break;
	default:
		if (is_node)
			sonde_space_invalidate(run->world.spaces[step->arg]);
		break;
	}
}

/* ---- the end -------------------------------------------------------------------------------- */

static void check_idle(const struct run *run)
{
	const struct sonde_loop *loop = run->world.loop;

	if (loop->n_inflight || loop->n_tasks || loop->n_timers || loop->n_moves ||
	    loop->op_waiters || loop->flush_head || loop->done_head || loop->ready_head)
		fail_now("the loop is over but not idle: %zu requests, %zu tasks, %zu timers, "
			 "%u operations",
			 loop->n_inflight, loop->n_tasks, loop->n_timers, loop->n_moves);
	if (layers_timers())
		fail_now("%u timers of layers are left", layers_timers());
	for (unsigned i = 0; i < run->plan->n_nodes; i++) {
		if (run->world.bases[i] && run->world.bases[i]->n_held)
			fail_now("node %u still holds a request", i);
	}
}

static void check_stores(const struct run *run)
{
	for (unsigned i = 0; i < run->plan->n_nodes; i++) {
		struct base *base = run->world.bases[i];
		uint64_t off = 0;
		if (!base)
			continue;
		if (!store_verify(&base->store, &off))
			fail_now("node %u: its byte 0x%llx is not what was written there, or was "
				 "not to be touched",
				 i, (unsigned long long)off);
		if (!store_restore(&base->store))
			fail_now("node %u: its file cannot be written back", i);
	}
}

static bool run_once(struct pool *pool, const struct plan *plan, bool compares,
		     uint64_t *ret_digest)
{
	struct run run = { .plan = plan, .compares = compares };

	if (!world_open(&run.world, pool, plan))
		return false;
	for (unsigned i = 0; i < plan->n_requests; i++)
		run.lives[i] = (struct live){ .run = &run, .plan = &plan->requests[i], .index = i };
	for (unsigned i = 0; i < plan->n_steps; i++)
		take_step(&run, &plan->steps[i]);
	run.closing = true;
	run_barrier(&run);
	check_idle(&run);
	check_stores(&run);
	world_close(&run.world);
	*ret_digest = run.digest;
	return true;
}

/* Does every request come out the same however long anything takes? */
static bool is_timeless(const struct plan *plan)
{
	for (unsigned i = 0; i < plan->n_requests; i++) {
		const struct plan_request *r = &plan->requests[i];
		if (r->deadline != LIMIT_NONE || r->cancels != NOBODY || r->submits != NOBODY ||
		    r->stop_early || r->child)
			return false;
	}
	for (unsigned i = 0; i < plan->n_nodes; i++) {
		const struct layer_kind *layer = layer_kind_of(&plan->nodes[i]);
		if (layer && layer->effect == EFFECT_MAY)
			return false;
		/* How much goes with what is dropped depends on who shared a trip with it. */
		if (plan_lies(plan) && !node_is_base(&plan->nodes[i]))
			return false;
	}
	for (unsigned i = 0; i < plan->n_steps; i++) {
		if (plan->steps[i].kind == STEP_CANCEL || plan->steps[i].kind == STEP_CUT)
			return false;
	}
	return true;
}

bool plan_run(struct pool *pool, const struct plan *plan)
{
	bool compares = loop_kinds[plan->loop].engine != SONDE_ENGINE_SYNC && is_timeless(plan);
	uint64_t digest = 0, reference = 0;

	if (!run_once(pool, plan, compares, &digest))
		return false;
	if (!compares)
		return true;
	struct plan same = *plan;
	same.loop = 0;
	if (run_once(pool, &same, true, &reference) && digest != reference)
		fail_now("the outcome is another one than that of the sync engine");
	return true;
}
