/* SPDX-License-Identifier: MIT */
/*
 * Events of a live target: a processor has come to a breakpoint, has touched memory that is watched, has done one
 * instruction.
 *
 *	sonde_breakpoint_set(target, &(struct sonde_breakpoint){ .addr = va }, &err);
 *	while (sonde_event_wait(target, SONDE_EVENT_NEXT, 0, &event, sizeof(event)) == 0)
 *		look(&event);                    the target stands still meanwhile
 *	sonde_target_close(target);              breakpoints are gone, and it goes on
 *
 * A target stands still from an event to the next wait, which lets it go on, past the breakpoint that it
 * stands at. A wait that ends early, by a deadline or cancelled, leaves it running: what happens then is the
 * next wait's. Nothing is lost: while one processor has its event looked at, the others stand still, too.
 */
#ifndef SONDE_EVENTS_H
#define SONDE_EVENTS_H

#include <sonde/error.h>
#include <sonde/target.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sonde_break_kind {
	SONDE_BREAK_SOFTWARE = 0, /* before the instruction at addr is run             */
	SONDE_BREAK_HARDWARE = 1, /* the same, by a register of the processor          */
	SONDE_BREAK_WRITE = 2,    /* len bytes from addr on have been written          */
	SONDE_BREAK_READ = 3,     /* ... read                                          */
	SONDE_BREAK_ACCESS = 4,   /* ... written or read                               */
};

struct sonde_breakpoint {
	uint64_t addr; /* virtual, in whatever address space a processor is       */
	uint32_t kind; /* enum sonde_break_kind                                   */
	uint32_t len;  /* WRITE, READ, ACCESS: bytes, 1..8; else 0                */
};

/*
 * Have the target stop where a breakpoint is; the same one twice is one. A target that runs stops for a moment.
 *
 * Returns   0; SONDE_E_UNSUPPORTED (the connector or its peer has no such), SONDE_E_BAD_ARG (kind or len),
 *           SONDE_E_LIMIT (too many; err says how many there may be), _GONE, _TIMED_OUT, _IO.
 * Context   may block. Plain code or a task, on the thread of the target's loop.
 */
int sonde_breakpoint_set(struct sonde_target *target, const struct sonde_breakpoint *breakpoint,
			 struct sonde_error *err);
/* Undo it. Returns 0; SONDE_E_NOT_FOUND (there is none); as sonde_breakpoint_set. */
int sonde_breakpoint_remove(struct sonde_target *target, const struct sonde_breakpoint *breakpoint,
			    struct sonde_error *err);

enum sonde_event_kind {
	SONDE_EVENT_BREAK = 1, /* a processor is about to run what a breakpoint is at      */
	SONDE_EVENT_WATCH = 2, /* memory that is watched was touched: addr                 */
	SONDE_EVENT_STEP = 3,  /* a processor has done the instruction that was asked for  */
	SONDE_EVENT_STOP = 4,  /* somebody or something else has stopped the target: signal */
};

struct sonde_event {
	uint32_t kind;    /* enum sonde_event_kind                                    */
	uint32_t cpu;     /* index, as for sonde_target_cpu                           */
	uint64_t addr;    /* WATCH: the address touched; else registers.pc            */
	uint64_t time_ns; /* sonde_now_ns() when it was told                          */
	uint64_t task;    /* what the system keeps at hand for its running task: sp_el0 of
				 aarch64, tp of riscv64; 0: not told, registers lead to it */
	uint32_t signal;  /* of the connector's protocol: 5 trap, 2 interrupt, 0 not told */
	uint32_t pad;
	struct sonde_cpu registers; /* of that processor; valid 0: could not be had       */
};

/* What a wait lets the target do. */
#define SONDE_EVENT_NEXT UINT64_C(0)                   /* go on */
#define SONDE_EVENT_STEP_OF(cpu) (UINT64_C(1) + (cpu)) /* one instruction of one processor, alone */

/*
 * Let the target go on, and wait for its next event. deadline_ns: 0, or a time of sonde_now_ns(). size:
 * sizeof(*ret); a longer one than the library's is filled with zeros.
 *
 * Returns   0; SONDE_E_UNSUPPORTED (the connector tells no events), SONDE_E_TIMED_OUT (the deadline),
 *           SONDE_E_CANCELLED (the end of the task was asked for), SONDE_E_BUSY (from a callback), SONDE_E_CORRUPT (what
 *           was told is no event; the target stands still), SONDE_E_NOT_FOUND (no such processor), SONDE_E_GONE,
 *           SONDE_E_IO, SONDE_E_NO_MEMORY. On an error *ret is zero.
 * Context   plain code: blocks the thread. A task: parks it.
 */
int sonde_event_wait(struct sonde_target *target, uint64_t what, uint64_t deadline_ns,
		     struct sonde_event *ret, size_t size);

/*
 * The same as a space, for every other door (io.h, select.h): reading sizeof(struct sonde_event) bytes at the
 * address SONDE_EVENT_NEXT or SONDE_EVENT_STEP_OF(cpu), one piece a request, is the wait, and what it brings the event.
 * Of several requests the first gets the first event.
 *
 * Returns   0; SONDE_E_UNSUPPORTED, SONDE_E_NO_MEMORY. *ret is borrowed until the target is closed.
 */
int sonde_target_events(struct sonde_target *target, struct sonde_space **ret,
			struct sonde_error *err);

#ifdef __cplusplus
}
#endif
#endif
