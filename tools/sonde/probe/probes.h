/* SPDX-License-Identifier: MIT */
/*
 * `trace --write`: probes in a guest's kernel. Each traced function calls code that notes the call in the guest's memory
 * (code.h), and the guest goes on: it stands still only while the probes are put in and taken out, through its stub.
 *
 * Where things lie is proven before anything is written (find.c): the code in kernel_init() or rest_init(), of which nothing is
 * run any more once the first process is (linux v6.6 init/main.c) and in which no thread is; the ring in pages that the kernel has
 * marked as given to nobody; and there is room for each call.
 */
#ifndef SONDE_TOOL_PROBES_H
#define SONDE_TOOL_PROBES_H

#include "code.h"

#include <sonde/sonde.h>
#include <stdint.h>

enum { PROBES_MAX = 64 };

/* What was written into the guest, and what had been there. Shared with who takes it out, should the tool vanish. */
struct probes_state {
	uint32_t is_set; /* not 0: what follows may have been written */
	uint32_t n;
	uint32_t khz; /* of the processors' clock; 0: the ring tells, or nobody */
	uint32_t pad0;
	const struct probe_arch *arch;
	struct {
		uint64_t function, returns_to, pa; /* virtual, virtual, physical */
		uint8_t was[PROBE_CALL_MAX], is[PROBE_CALL_MAX];
	} calls[PROBES_MAX];    /* [n] */
	uint64_t code, code_pa; /* virtual, physical */
	uint32_t code_len, pad;
	uint8_t doors[PROBE_DOORS];
	uint8_t code_was[PROBE_CODE_MAX], code_is[PROBE_CODE_MAX];
	uint64_t ring, ring_pa;
	uint8_t ring_was[PROBE_RING_LEN];
};

/* Memory that a child process shares. NULL: there is none. */
struct probes_state *probes_state_create(void);
void probes_state_destroy(struct probes_state *state); /* NULL is allowed */

struct probes_function {
	const char *name;
	uint64_t addr; /* virtual */
	int text; /* which argument is text of the caller's, to be noted with the call; -1 none */
};

/*
 * Find the places for n functions, in the guest whose physical memory it is (find.c). Nothing is written. Returns 0;
 * SONDE_E_UNSUPPORTED: err says which function or what of the kernel does not allow it; SONDE_E_BUSY: there are probes in it
 * already; as sonde_frames_read.
 */
int probes_find(struct probes_state *state, struct sonde_os *os, struct sonde_space *memory,
		const struct probes_function *functions, uint32_t n, struct sonde_error *err);
/* The error of who finds another's: their code would go in the same place. SONDE_E_BUSY. */
int probes_are_there(struct sonde_error *err);
/* Put them in through the stub called name, which is opened and closed. On an error nothing is left in the guest. */
int probes_set(struct probes_state *state, struct sonde_loop *loop, struct sonde_os *os,
	       const char *stub, struct sonde_error *err);
/*
 * Take them out: the calls first; the code and the ring when no processor and no thread of os is in the code. Where that does not come
 * about within seconds they stay, which does no harm: SONDE_E_BUSY. Nothing to do where is_set is 0.
 */
int probes_undo(struct probes_state *state, struct sonde_loop *loop, struct sonde_os *os,
		const char *stub, struct sonde_error *err);
/* The same by who has nothing but the name of the stub, "gdb:qemu:NAME". Returns as probes_undo. */
int probes_rescue(struct probes_state *state, const char *stub);

/* Reading what they note. Zero it but for the first two. */
struct probes_reader {
	const struct probes_state *state;
	struct sonde_space *memory; /* the guest's physical */
	uint32_t next, seen;        /* calls handed out; calls seen */
	uint64_t n_lost;            /* overwritten before they were read */
	uint64_t clock, clock_ns;   /* the processor's clock at a time of ours; 0: no call yet */
	uint64_t last_ns;           /* the last time that was told */
	uint8_t ring[PROBE_RING_LEN];
};

struct probes_call {
	struct sonde_event
		event; /* that a breakpoint there would have been, with the registers that hold arguments */
	int32_t text_len; /* of the argument that is text, its NUL included; <= 0: it could not be noted     */
	char text[PROBE_TEXT_MAX]; /* not terminated where text_len is PROBE_TEXT_MAX */
};

/*
 * The next call. Returns 1 and *ret; 0: there is none yet; an error of reading; SONDE_E_CORRUPT: what was noted is no call of a
 * probe.
 */
int probes_next(struct probes_reader *reader, struct probes_call *ret);

#endif
