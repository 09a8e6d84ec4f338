/* SPDX-License-Identifier: MIT */
/*
 * Breakpoints, and what is told of them: waits for events as requests of the connector.
 *
 *	        wait                            it stops              answers
 *	STANDS ──────▶ PASSES ─ stop ▶ LANDS ─▶ RUNS ─────▶ ASKS ──────────────▶ HAS ─ taken ▶ STANDS
 *	    │ step        ▲  it is where it was │              ▲
 *	    │             └─────────────────────┘              │
 *	    └────────▶ STEPS ──────────────────────────────────┘
 *
 * A stub that is continued at a breakpoint stops there again at once (qemu 7.2 accel/tcg/cpu-exec.c,
 * check_for_breakpoints); a single step passes it, and as the other processors stand still meanwhile, they pass none.
 * One step in a hundred is told to be over and has moved nothing (seen of qemu 7.2): where it landed is asked for,
 * in one more trip, or the same call would be told twice.
 */
#ifndef GDB_EVENTS_H
#define GDB_EVENTS_H

#include "stop.h"
#include "stub.h"

enum {
	EVENTS_BREAKPOINTS = 256, /* set at once                */
	EVENTS_QUESTIONS = 3,     /* asked of a stop: Hg, g, p  */
	EVENTS_PASSES_MAX = 64,   /* steps that move nothing */
};

enum events_state {
	EVENTS_STANDS,
	EVENTS_PASSES,
	EVENTS_LANDS,
	EVENTS_RUNS,
	EVENTS_STEPS,
	EVENTS_ASKS,
	EVENTS_HAS,
};

struct events;

struct question {
	struct exchange exchange; /* first */
	struct events *events;
	char text[24];
};

/* All but stub and breakpoints is under the link's lock. */
struct events {
	struct stub *stub;
	struct sonde_breakpoint breakpoints[EVENTS_BREAKPOINTS]; /* [n_breakpoints] */
	uint32_t n_breakpoints;
	int knows_steps; /* the stub was asked, and can */

	enum events_state state;
	uint64_t thread;   /* PASSES, STEPS: the one that steps; HAS, STANDS: of the last event  */
	int at_breakpoint; /* STANDS, HAS: that thread has to pass one                           */
	uint64_t breakpoint; /* ... the one at this address                    */
	uint32_t n_passes;   /* PASSES, LANDS: steps that moved nothing        */
	int is_step;  /* ASKS: it was a step that was asked for                             */
	int by_other; /* it stands still because somebody else has stopped it               */
	struct stop_reply
		stop; /* ASKS                                                               */
	struct sonde_event
		event; /* ASKS, HAS                                                     */
	int32_t err;   /* ... enum sonde_err: what is told instead                      */
	struct question questions[EVENTS_QUESTIONS];
	uint32_t n_asked;               /* not answered yet */
	struct sonde_io *waiter, *over; /* NULL: none; over: io_done is about to be called */
};

/* Zero it; stub is met. The link tells it of stops from now on. */
void events_init(struct events *events, struct stub *stub);
/* The target has stopped for good: no breakpoint is left. */
void events_finish(struct events *events);

/* As the slots of a connector. */
int events_breakpoint(struct events *events, int on, const struct sonde_breakpoint *breakpoint,
		      struct sonde_error *err);
size_t events_submit(struct events *events, struct sonde_io *const *ios, size_t n);
void events_cancel(struct events *events, struct sonde_io *io, int32_t why);

/* The target is to run, nobody waiting. Returns 1; 0: there are no breakpoints, and it is the link's business alone. */
int events_resume(struct events *events);

#endif
