/* SPDX-License-Identifier: MIT */
/*
 * What a probe puts into a guest's kernel: code that a function's entry calls, and that notes the call in a ring of records in the
 * guest's own memory, and goes back. x86-64 (x86_64.c) and aarch64 (arm64.c).
 *
 * Functions of a kernel that can trace itself have room for a call where they begin. All that the function may rely on is as
 * before when the code returns; interrupts are off in between, so a record is written in one go. The copying of a text may
 * call traced functions in its turn: those calls are noted without theirs.
 */
#ifndef SONDE_TOOL_PROBE_CODE_H
#define SONDE_TOOL_PROBE_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PROBE_CALL_MAX = 5,
	PROBE_CODE_MAX = 320,
	PROBE_ARGUMENTS = 6, /* those in registers */
	PROBE_DOORS =
		PROBE_ARGUMENTS +
		1, /* where calls come in: one for each argument that may be text, one for none */
	PROBE_CPUS_MAX = 256,
	/* Of the ring: how many calls there were, a u32; ticks of their clock a second, a u32, 0: not told. */
	PROBE_HZ_AT = 4,
	PROBE_MARK_AT = 8,  /* says that this is a ring */
	PROBE_BUSY_AT = 64, /* a byte for each processor, not 0 while it copies a text */
	PROBE_HEAD_LEN = PROBE_BUSY_AT + PROBE_CPUS_MAX,
	PROBE_RECORD_LEN = 192,
	PROBE_RECORDS = 256, /* a power of two */
	PROBE_TEXT_MAX = 104,
	PROBE_RING_LEN = PROBE_HEAD_LEN + PROBE_RECORDS * PROBE_RECORD_LEN,
};

/* Where a record has what. */
enum {
	RECORD_NUMBER = 0,
	RECORD_CPU = 4,
	RECORD_ARGUMENTS = 8,
	RECORD_RETURN = 56,
	RECORD_TASK = 64,
	RECORD_CLOCK = 72,
	RECORD_TEXT_LEN = 80,
	RECORD_TEXT = 88,
};

/* Where the code finds things. */
struct probe_places {
	uint64_t code; /* virtual, in the kernel, like the next two                    */
	uint64_t
		copy_text; /* strncpy_from_user_nofault(), which fails rather than wait; 0: texts are not copied */
	uint64_t ring; /* virtual, in the kernel                      */
	/* x86-64: per-CPU variables, from gs. aarch64: of cpu_number where in the running task it is. */
	int32_t current_task, cpu_number;
};

/* A call as it was noted. */
struct probe_record {
	uint32_t number; /* of the call, from 1; 0: is being written     */
	uint32_t cpu;
	uint64_t arguments[PROBE_ARGUMENTS];
	uint64_t returns_to; /* the byte behind the call                     */
	uint64_t task;
	uint64_t clock; /* of the processor (TSC, CNTVCT_EL0)           */
	int32_t text_len; /* its NUL included; PROBE_TEXT_MAX: and goes on; <= 0: it could not be copied */
	char text[PROBE_TEXT_MAX];
};

struct probe_arch {
	uint32_t arch; /* enum sonde_arch                                         */
	uint8_t call_len;
	uint8_t general[PROBE_ARGUMENTS]; /* of struct sonde_cpu: what holds the arguments   */
	/*
	 * The code; in doors[i], from its start, where functions call whose argument i is text to be copied, in the last one those
	 * that have none. Returns its length.
	 */
	size_t (*code)(const struct probe_places *places, uint8_t code[PROBE_CODE_MAX],
		       uint8_t doors[PROBE_DOORS]);
	/* Where in the len first bytes of a function a call fits; -1: nowhere. */
	int (*room)(const uint8_t *bytes, size_t len);
	/* The call of code by what lies at addr. false: too far. */
	bool (*call)(uint64_t addr, uint64_t code, uint8_t ret[PROBE_CALL_MAX]);
};

extern const struct probe_arch probe_x86_64, probe_arm64;

/* NULL: there are no probes for it. */
const struct probe_arch *probe_arch(uint32_t arch);

/* An empty ring; and is one there, somebody's? */
void probe_ring_begin(uint8_t ring[PROBE_RING_LEN]);
bool probe_ring_is_there(const uint8_t head[PROBE_BUSY_AT]);

/* Of the call number the record, from a ring that was read; false: it has been overwritten, or is not there yet. */
bool probe_record(const uint8_t *ring, uint32_t number, struct probe_record *ret);

#endif
