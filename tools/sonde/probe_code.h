/* SPDX-License-Identifier: MIT */
/*
 * What a probe puts into a guest's kernel: code that a function's entry calls, and that notes the call in a ring of records in the
 * guest's own memory, and goes back. x86-64.
 *
 * Functions of a kernel that can trace itself begin, perhaps behind endbr64, with five bytes that do nothing (linux v6.6
 * arch/x86/kernel/ftrace.c, -mfentry): they become a call of the code. All registers and flags are as before when it
 * returns; interrupts are off in between, so a record is written in one go. The copying of a text may call traced functions
 * in its turn: those calls are noted without theirs.
 */
#ifndef SONDE_TOOL_PROBE_CODE_H
#define SONDE_TOOL_PROBE_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PROBE_CALL_LEN = 5,
	PROBE_CODE_MAX = 320,
	PROBE_ARGUMENTS = 6, /* rdi rsi rdx rcx r8 r9 */
	PROBE_DOORS =
		PROBE_ARGUMENTS +
		1, /* where calls come in: one for each argument that may be text, one for none */
	PROBE_CPUS_MAX = 256,
	PROBE_BUSY_AT =
		64, /* of the ring: a byte for each processor, not 0 while it copies a text */
	PROBE_HEAD_LEN =
		PROBE_BUSY_AT + PROBE_CPUS_MAX, /* before them how many calls there were, a u32 */
	PROBE_RECORD_LEN = 192,
	PROBE_RECORDS = 256, /* a power of two */
	PROBE_TEXT_MAX = 104,
	PROBE_RING_LEN = PROBE_HEAD_LEN + PROBE_RECORDS * PROBE_RECORD_LEN,
};

/* Where the code finds things. */
struct probe_places {
	uint64_t code; /* virtual, in the kernel, like the next two                    */
	uint64_t
		copy_text; /* strncpy_from_user_nofault(), which fails rather than wait; 0: texts are not copied */
	uint64_t ring;        /* virtual, in the kernel                      */
	int32_t current_task; /* per-CPU variables, from gs                  */
	int32_t cpu_number;
};

/* A call as it was noted. */
struct probe_record {
	uint32_t number; /* of the call, from 1; 0: is being written     */
	uint32_t cpu;
	uint64_t arguments[PROBE_ARGUMENTS];
	uint64_t returns_to; /* the byte behind the call                     */
	uint64_t task;
	uint64_t clock; /* of the processor (TSC)                       */
	int32_t text_len; /* its NUL included; PROBE_TEXT_MAX: and goes on; <= 0: it could not be copied */
	char text[PROBE_TEXT_MAX];
};

/*
 * The code; in doors[i], from its start, where functions call whose argument i is text to be copied, in the last one those that
 * have none. Returns its length.
 */
size_t probe_code(const struct probe_places *places, uint8_t code[PROBE_CODE_MAX],
		  uint8_t doors[PROBE_DOORS]);

/* Where in the len first bytes of a function a call fits: 0 or behind endbr64; -1: nowhere. */
int probe_room(const uint8_t *bytes, size_t len);

/* The call of code by what lies at addr. false: too far. */
bool probe_call(uint64_t addr, uint64_t code, uint8_t ret[PROBE_CALL_LEN]);

/* Of the call number the record, from a ring that was read; false: it has been overwritten, or is not there yet. */
bool probe_record(const uint8_t *ring, uint32_t number, struct probe_record *ret);

#endif
