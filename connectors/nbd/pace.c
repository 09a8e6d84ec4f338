/* SPDX-License-Identifier: MIT */
#include "pace.h"

void pace_init(struct pace *pace, uint32_t most)
{
	*pace = (struct pace){ .window = most, .most = most, .pause_next = PACE_PAUSE };
}

/* Fewer were in flight: was an answer as cheap? An eighth is what one measure differs from the next. */
static void judge(struct pace *pace, uint64_t cost_ns)
{
	if (cost_ns <= pace->cost_ns + pace->cost_ns / 8) {
		pace->pause_next = PACE_PAUSE;
	} else {
		pace->window = pace->before;
		pace->pause = pace->pause_next;
		if (pace->pause_next < PACE_PAUSE_MOST)
			pace->pause_next *= 4;
	}
	pace->before = 0;
}

static void try_fewer(struct pace *pace)
{
	pace->before = pace->window;
	pace->window = pace->window / 2 > PACE_LEAST ? pace->window / 2 : PACE_LEAST;
}

static void weigh(struct pace *pace, uint64_t all_ns, uint64_t worked_ns)
{
	uint64_t cost_ns = all_ns / pace->n_answers;

	if (pace->before)
		judge(pace, cost_ns);
	else if (worked_ns < all_ns / 2)
		pace->window = pace->window < pace->most / 2 ? 2 * pace->window : pace->most;
	else if (pace->pause)
		pace->pause--;
	else if (pace->window > PACE_LEAST)
		try_fewer(pace);
	pace->cost_ns = cost_ns;
}

void pace_weigh(struct pace *pace, uint64_t now_ns, uint64_t worked_ns)
{
	if (pace->since_ns)
		weigh(pace, now_ns - pace->since_ns, worked_ns - pace->worked_ns);
	pace->n_answers = 0;
	pace->since_ns = now_ns;
	pace->worked_ns = worked_ns;
}
