/* SPDX-License-Identifier: MIT */
/*
 * How many commands to have in flight. libnbd looks each answer up in a list of all of them, the oldest last: with 256 that is
 * a third of what an answer of a server nearby costs. Where the thread is busy, fewer are tried, and kept when an
 * answer costs no more than before. Where answers are long on their way it waits, and has all of them in flight.
 */
#ifndef NBD_PACE_H
#define NBD_PACE_H

#include <stdint.h>

enum {
	PACE_LEAST = 64,        /* commands: so many keep a server nearby at work           */
	PACE_WINDOWS = 4,       /* a measure goes over the answers of so many windows       */
	PACE_PAUSE = 4,         /* measures until fewer are tried again when that cost more */
	PACE_PAUSE_MOST = 1024, /* ... each time that it does                               */
};

struct pace {
	uint32_t window;            /* commands in flight at present, 1..most         */
	uint32_t most;              /* what was asked for                             */
	uint32_t before;            /* fewer are on trial; the window before; 0: none */
	uint32_t pause, pause_next; /* measures                                      */
	/* Of the measure that runs: */
	uint32_t n_answers;
	uint64_t since_ns,
		worked_ns; /* the time, and the thread's own, when it began; 0: it has not */
	uint64_t cost_ns;  /* of an answer, in the measure before */
};

void pace_init(struct pace *pace, uint32_t most);

/* Nothing is in flight: what was measured says nothing of the server. */
static inline void pace_rest(struct pace *pace)
{
	pace->n_answers = 0;
	pace->since_ns = 0;
}

/* So many answers came. Returns whether to look at the clocks, and pace_weigh: of few in a row they are not worth it. */
static inline int pace_count(struct pace *pace, uint32_t n_answers)
{
	pace->n_answers += n_answers;
	return pace->n_answers >= (pace->since_ns ? PACE_WINDOWS : 1) * pace->window;
}

/* now_ns, and what the thread has worked in all, in nanoseconds of its processor. */
void pace_weigh(struct pace *pace, uint64_t now_ns, uint64_t worked_ns);

#endif
