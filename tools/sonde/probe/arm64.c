/* SPDX-License-Identifier: MIT */
/*
 * Probes in kernels of aarch64. Instructions: Arm ARM DDI 0487, C6.2. Functions begin, perhaps behind "bti c", with "mov x9, x30" and
 * one that does nothing, which becomes the call (linux v6.1 arch/arm64/kernel/ftrace.c, ftrace_init_nop; -fpatchable-function-entry=2).
 *
 * Where a function begins x9 to x17 and the flags are anybody's (AAPCS64, 6.1.1), and x9 has the way back of the one that is
 * traced. x18 is left alone: it may be the shadow stack. In the code
 *
 *	x9  way back of the function	x12 DAIF	x15 number of the call
 *	x10 scratch			x13 ring	x16 scratch; the processor's busy byte
 *	x11 which argument is text	x14 record	x17 the processor's number
 */
#include "code.h"

#include <sonde/target.h>
#include <sonde/types.h>
#include <string.h>

#define NOP UINT32_C(0xd503201f)
#define BTI_C UINT32_C(0xd503245f)
#define MOV_X9_X30 UINT32_C(0xaa1e03e9)
#define B UINT32_C(0x14000000)
#define BL UINT32_C(0x94000000)

enum {
	SP = 31,
	ZR = 31,
	FRAME = 128, /* bytes of the stack that the copying of a text takes */
};

struct assembly {
	uint8_t *code;
	size_t n;
};

static void put(struct assembly *a, uint32_t word)
{
	for (size_t i = 0; i < 4; i++)
		a->code[a->n++] = (uint8_t)(word >> 8 * i);
}

/* An address of the kernel's: all ones in front, mostly. movn, then movk for each further half that is not ones. */
static void put_address(struct assembly *a, uint32_t reg, uint64_t value)
{
	put(a, 0x92800000 | (uint32_t)(~value & 0xffff) << 5 | reg);
	for (uint32_t half = 1; half < 4; half++) {
		uint32_t bits = value >> 16 * half & 0xffff;
		if (bits != 0xffff)
			put(a, 0xf2800000 | half << 21 | bits << 5 | reg);
	}
}

/* Loads and stores with an offset: of 8 bytes, of 4, of 1, of a pair of 8. */
static void put_ldr(struct assembly *a, uint32_t reg, uint32_t base, uint32_t off)
{
	put(a, 0xf9400000 | off / 8 << 10 | base << 5 | reg);
}

static void put_str(struct assembly *a, uint32_t reg, uint32_t base, uint32_t off)
{
	put(a, 0xf9000000 | off / 8 << 10 | base << 5 | reg);
}

static void put_str_w(struct assembly *a, uint32_t reg, uint32_t base, uint32_t off)
{
	put(a, 0xb9000000 | off / 4 << 10 | base << 5 | reg);
}

static void put_strb(struct assembly *a, uint32_t reg, uint32_t base, uint32_t off)
{
	put(a, 0x39000000 | off << 10 | base << 5 | reg);
}

static void put_pair(struct assembly *a, uint32_t op, uint32_t reg, uint32_t second, uint32_t base,
		     int off)
{
	put(a, op | ((uint32_t)(off / 8) & 0x7f) << 15 | second << 10 | base << 5 | reg);
}

static void put_stp(struct assembly *a, uint32_t reg, uint32_t second, uint32_t base, int off)
{
	put_pair(a, 0xa9000000, reg, second, base, off);
}

static void put_ldp(struct assembly *a, uint32_t reg, uint32_t second, uint32_t base, int off)
{
	put_pair(a, 0xa9400000, reg, second, base, off);
}

/* The branch at n leads here: its distance in instructions goes to bit 5, of as many bits as mask has. */
static void land(struct assembly *a, size_t n, uint32_t mask)
{
	uint32_t word = sonde_le32(a->code + n) | (((uint32_t)(a->n - n) / 4 & mask) << 5);
	struct assembly at = { a->code, n };

	put(&at, word);
}

/* Each says in w11 which argument is text, -1 none, and all go on behind the last one. */
static void make_doors(struct assembly *a, uint8_t doors[PROBE_DOORS])
{
	for (uint32_t i = 0; i < PROBE_DOORS; i++) {
		doors[i] = (uint8_t)a->n;
		put(a, i < PROBE_ARGUMENTS ? 0x5280000b | i << 5 : 0x1280000b); /* mov w11, i */
		if (i + 1 < PROBE_DOORS)
			put(a, B | (2 * (PROBE_DOORS - 1 - i))); /* b, over the others */
	}
}

/* x14: the record of this call, and x15 its number. */
static void take_record(struct assembly *a, uint64_t ring)
{
	put(a, 0xd53b422c); /* mrs x12, daif */
	put(a, 0xd50343df); /* msr daifset, 3 */
	put_address(a, 13, ring);
	put(a, 0x885f7dae);                         /* ldxr w14, [x13] */
	put(a, 0x110005cf);                         /* add w15, w14, 1 */
	put(a, 0x88107daf);                         /* stxr w16, w15, [x13] */
	put(a, 0x35ffffb0);                         /* cbnz w16, the ldxr */
	put(a, 0x12001dce);                         /* and w14, w14, PROBE_RECORDS - 1 */
	put(a, 0xd2800010 | PROBE_RECORD_LEN << 5); /* mov x16, PROBE_RECORD_LEN */
	put(a, 0x9bb035ce);                         /* umaddl x14, w14, w16, x13 */
	put(a, 0x910001ce | PROBE_HEAD_LEN << 10);  /* add x14, x14, PROBE_HEAD_LEN */
	put_str_w(a, ZR, 14, RECORD_NUMBER);        /* it is being written ... */
	put(a, 0xd5033bbf);                         /* dmb ish: ... before anything of it is */
	put_str_w(a, ZR, 14, RECORD_TEXT_LEN);      /* it could not be copied, so far */
}

static void note_call(struct assembly *a, const struct probe_places *places)
{
	for (uint32_t i = 0; i < PROBE_ARGUMENTS; i += 2)
		put_stp(a, i, i + 1, 14, RECORD_ARGUMENTS + 8 * (int)i);
	put(a, 0xd5384110);                    /* mrs x16, sp_el0: the running task */
	put_stp(a, 30, 16, 14, RECORD_RETURN); /* RECORD_TASK is behind it */
	put(a, 0xb9400211 | (uint32_t)places->cpu_number / 4 << 10); /* ldr w17, [x16, cpu] */
	put_str_w(a, 17, 14, RECORD_CPU);
	put(a, 0xd53be050); /* mrs x16, cntvct_el0 */
	put_str(a, 16, 14, RECORD_CLOCK);
	put(a, 0xd53be010); /* mrs x16, cntfrq_el0 */
	put_str_w(a, 16, 13, PROBE_HZ_AT);
}

static void copy_text(struct assembly *a, const struct probe_places *places)
{
	size_t no_text = a->n;
	put(a, 0x37f8000b);                                      /* tbnz w11, 31, no_text */
	put(a, 0x8b1101b0);                                      /* add x16, x13, x17 */
	put(a, 0x39400000 | PROBE_BUSY_AT << 10 | 16 << 5 | 10); /* ldrb w10, [x16, busy] */
	size_t busy = a->n;
	put(a, 0x3500000a); /* cbnz w10, no_text */
	put(a, 0x5280002a); /* mov w10, 1 */
	put_strb(a, 10, 16, PROBE_BUSY_AT);
	put_pair(a, 0xa9800000, 0, 1, SP, -FRAME); /* stp x0, x1, [sp, -FRAME]! */
	for (uint32_t i = 2; i < 10; i += 2)
		put_stp(a, i, i + 1, SP, 8 * (int)i);
	put_stp(a, 12, 14, SP, 80);
	put_stp(a, 15, 16, SP, 96);
	put_str(a, 30, SP, 112);
	put(a, 0x8b2b4dc1); /* add x1, x14, w11, uxtw 3 */
	put_ldr(a, 1, 1, RECORD_ARGUMENTS);
	put(a, 0x91000000 | RECORD_TEXT << 10 | 14 << 5); /* add x0, x14, RECORD_TEXT */
	put(a, 0x52800002 | PROBE_TEXT_MAX << 5);         /* mov w2, PROBE_TEXT_MAX */
	put(a, BL | ((uint32_t)((int64_t)(places->copy_text - (places->code + a->n)) / 4) &
		     0x3ffffff));
	put_ldp(a, 12, 14, SP, 80);
	put_ldp(a, 15, 16, SP, 96);
	put_ldr(a, 30, SP, 112);
	put_str_w(a, 0, 14, RECORD_TEXT_LEN);
	put_strb(a, ZR, 16, PROBE_BUSY_AT);
	for (uint32_t i = 2; i < 10; i += 2)
		put_ldp(a, i, i + 1, SP, 8 * (int)i);
	put_pair(a, 0xa8c00000, 0, 1, SP, FRAME); /* ldp x0, x1, [sp], FRAME */
	land(a, no_text, 0x3fff);
	land(a, busy, 0x7ffff);
}

static void go_back(struct assembly *a)
{
	put(a, 0xd5033abf); /* dmb ishst: all of it is there before its number */
	put_str_w(a, 15, 14, RECORD_NUMBER);
	put(a, 0xd51b422c); /* msr daif, x12 */
	put(a, 0xaa1e03ea); /* mov x10, x30 */
	put(a, 0xaa0903fe); /* mov x30, x9 */
	put(a, 0xd65f0140); /* ret x10 */
}

static size_t make_code(const struct probe_places *places, uint8_t code[PROBE_CODE_MAX],
			uint8_t doors[PROBE_DOORS])
{
	struct assembly a = { .code = code };

	make_doors(&a, doors);
	take_record(&a, places->ring);
	note_call(&a, places);
	if (places->copy_text)
		copy_text(&a, places);
	go_back(&a);
	return a.n;
}

static int find_room(const uint8_t *bytes, size_t len)
{
	size_t at = len >= 4 && sonde_le32(bytes) == BTI_C ? 4 : 0;

	if (at + 8 > len || sonde_le32(bytes + at) != MOV_X9_X30 ||
	    sonde_le32(bytes + at + 4) != NOP)
		return -1;
	return (int)at + 4;
}

static bool make_call(uint64_t addr, uint64_t code, uint8_t ret[PROBE_CALL_MAX])
{
	int64_t distance = (int64_t)(code - addr) / 4;
	struct assembly a = { .code = ret };

	if (distance < -(1 << 25) || distance >= 1 << 25)
		return false;
	put(&a, BL | ((uint32_t)distance & 0x3ffffff));
	return true;
}

const struct probe_arch probe_arm64 = {
	.arch = SONDE_ARCH_AARCH64,
	.call_len = 4,
	.general = { 0, 1, 2, 3, 4, 5 },
	.code = make_code,
	.room = find_room,
	.call = make_call,
};
