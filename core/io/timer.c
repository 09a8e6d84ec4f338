/* SPDX-License-Identifier: MIT */
/*
 * Timers: a pairing heap whose nodes are the callers' own structs, so starting one
 * allocates nothing. core[]: first child, next sibling, previous (sibling or parent), running mark.
 */
#include "io/loop.h"

#include <sonde/error.h>

enum { CHILD, SIBLING, PREV, RUNNING };

static struct sonde_timer *meld(struct sonde_timer *a, struct sonde_timer *b)
{
	if (!a || !b)
		return a ? a : b;
	if (b->at_ns < a->at_ns) {
		struct sonde_timer *t = a;
		a = b;
		b = t;
	}
	struct sonde_timer *child = a->core[CHILD];
	b->core[SIBLING] = child;
	if (child)
		child->core[PREV] = b;
	b->core[PREV] = a;
	a->core[CHILD] = b;
	return a;
}

/* Meld a list of siblings pairwise, left to right, then the pairs right to left. */
static struct sonde_timer *meld_children(struct sonde_timer *first)
{
	struct sonde_timer *pairs = NULL, *root = NULL;

	while (first) {
		struct sonde_timer *a = first, *b = a->core[SIBLING];
		first = b ? b->core[SIBLING] : NULL;
		a->core[SIBLING] = a->core[PREV] = NULL;
		if (b)
			b->core[SIBLING] = b->core[PREV] = NULL;
		a = meld(a, b);
		a->core[SIBLING] = pairs;
		pairs = a;
	}
	while (pairs) {
		struct sonde_timer *next = pairs->core[SIBLING];
		pairs->core[SIBLING] = NULL;
		root = meld(root, pairs);
		pairs = next;
	}
	return root;
}

static void detach(struct sonde_loop *loop, struct sonde_timer *timer)
{
	struct sonde_timer *prev = timer->core[PREV], *sibling = timer->core[SIBLING];
	struct sonde_timer *children = meld_children(timer->core[CHILD]);

	if (timer == loop->timers) {
		loop->timers = children;
	} else if (timer == loop->new_timers) {
		loop->new_timers = children;
	} else {
		/* The children are no earlier than their parent's parent, so they take its place. */
		struct sonde_timer *next = children ? children : sibling;
		if (children) {
			children->core[SIBLING] = sibling;
			if (sibling)
				sibling->core[PREV] = children;
		}
		if (prev->core[CHILD] == timer)
			prev->core[CHILD] = next;
		else
			prev->core[SIBLING] = next;
		if (next)
			next->core[PREV] = prev;
	}
	timer->core[CHILD] = timer->core[SIBLING] = timer->core[PREV] = timer->core[RUNNING] = NULL;
	loop->n_timers--;
}

int sonde_timer_start(struct sonde_loop *loop, struct sonde_timer *timer)
{
	if (timer->core[RUNNING] || !timer->fire)
		return SONDE_E_BAD_ARG;
	timer->core[CHILD] = timer->core[SIBLING] = timer->core[PREV] = NULL;
	timer->core[RUNNING] = loop;
	/* Those started by a timer wait for the next turn, however early they are. */
	struct sonde_timer **heap = loop->firing ? &loop->new_timers : &loop->timers;
	*heap = meld(*heap, timer);
	loop->n_timers++;
	loop_changed(loop);
	return SONDE_OK;
}

int sonde_timer_stop(struct sonde_loop *loop, struct sonde_timer *timer)
{
	if (!timer->core[RUNNING])
		return 0;
	detach(loop, timer);
	return 1;
}

uint64_t timers_next(const struct sonde_loop *loop)
{
	return loop->timers ? loop->timers->at_ns : UINT64_MAX;
}

int timers_fire(struct sonde_loop *loop)
{
	int fired = 0;

	if (!loop->timers)
		return 0;
	uint64_t now = sonde_now_ns();
	loop->firing = true;
	while (loop->timers && loop->timers->at_ns <= now) {
		struct sonde_timer *timer = loop->timers;
		detach(loop, timer);
		timer->fire(timer);
		fired++;
	}
	loop->firing = false;
	loop->timers = meld(loop->timers, loop->new_timers);
	loop->new_timers = NULL;
	return fired;
}
