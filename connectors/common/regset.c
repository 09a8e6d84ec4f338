/* SPDX-License-Identifier: MIT */
#include "regset.h"

#include <sonde/error.h>
#include <sonde/types.h>

/* Which word of the set a register is. In the order of the architecture's manuals. */
struct slot {
	const char *name;
	uint8_t word;
};

static const struct slot x86_64[] = {
	{ "rax", 10 },     { "rbx", 5 },       { "rcx", 11 },    { "rdx", 12 }, { "rsi", 13 },
	{ "rdi", 14 },     { "rbp", 4 },       { "rsp", 19 },    { "r8", 9 },   { "r9", 8 },
	{ "r10", 7 },      { "r11", 6 },       { "r12", 3 },     { "r13", 2 },  { "r14", 1 },
	{ "r15", 0 },      { "rip", 16 },      { "rflags", 18 }, { "cs", 17 },  { "ss", 20 },
	{ "ds", 23 },      { "es", 24 },       { "fs", 25 },     { "gs", 26 },  { "fs_base", 21 },
	{ "gs_base", 22 }, { "orig_rax", 15 },
};

static const struct slot i386[] = {
	{ "eax", 6 }, { "ebx", 0 },       { "ecx", 1 },  { "edx", 2 },  { "esi", 3 },
	{ "edi", 4 }, { "ebp", 5 },       { "esp", 15 }, { "eip", 12 }, { "eflags", 14 },
	{ "cs", 13 }, { "ss", 16 },       { "ds", 7 },   { "es", 8 },   { "fs", 9 },
	{ "gs", 10 }, { "orig_eax", 11 },
};

static const struct slot arm64[] = {
	{ "x0", 0 },   { "x1", 1 },   { "x2", 2 },   { "x3", 3 },      { "x4", 4 },   { "x5", 5 },
	{ "x6", 6 },   { "x7", 7 },   { "x8", 8 },   { "x9", 9 },      { "x10", 10 }, { "x11", 11 },
	{ "x12", 12 }, { "x13", 13 }, { "x14", 14 }, { "x15", 15 },    { "x16", 16 }, { "x17", 17 },
	{ "x18", 18 }, { "x19", 19 }, { "x20", 20 }, { "x21", 21 },    { "x22", 22 }, { "x23", 23 },
	{ "x24", 24 }, { "x25", 25 }, { "x26", 26 }, { "x27", 27 },    { "x28", 28 }, { "x29", 29 },
	{ "x30", 30 }, { "sp", 31 },  { "pc", 32 },  { "pstate", 33 },
};

static const struct slot arm[] = {
	{ "r0", 0 },   { "r1", 1 },  { "r2", 2 },  { "r3", 3 },  { "r4", 4 },    { "r5", 5 },
	{ "r6", 6 },   { "r7", 7 },  { "r8", 8 },  { "r9", 9 },  { "r10", 10 },  { "r11", 11 },
	{ "r12", 12 }, { "sp", 13 }, { "lr", 14 }, { "pc", 15 }, { "cpsr", 16 }, { "orig_r0", 17 },
};

static const struct slot riscv64[] = {
	{ "ra", 1 },  { "sp", 2 },   { "gp", 3 },   { "tp", 4 },  { "t0", 5 },  { "t1", 6 },
	{ "t2", 7 },  { "s0", 8 },   { "s1", 9 },   { "a0", 10 }, { "a1", 11 }, { "a2", 12 },
	{ "a3", 13 }, { "a4", 14 },  { "a5", 15 },  { "a6", 16 }, { "a7", 17 }, { "s2", 18 },
	{ "s3", 19 }, { "s4", 20 },  { "s5", 21 },  { "s6", 22 }, { "s7", 23 }, { "s8", 24 },
	{ "s9", 25 }, { "s10", 26 }, { "s11", 27 }, { "t3", 28 }, { "t4", 29 }, { "t5", 30 },
	{ "t6", 31 }, { "pc", 0 },
};

#define SET(slots, n_words, size)                                                                  \
	{                                                                                          \
		(slots), sizeof(slots) / sizeof((slots)[0]), (n_words) * (size), (size)            \
	}

static const struct {
	const struct slot *slots; /* [n] */
	size_t n, len;
	uint32_t word;
} sets[] = { SET(x86_64, 27, 8), SET(i386, 17, 4), SET(arm64, 34, 8), SET(arm, 18, 4),
	     SET(riscv64, 32, 8) };

int regset_name(const uint8_t *set, size_t len, struct sonde_register *ret, size_t cap)
{
	for (size_t k = 0; k < sizeof(sets) / sizeof(sets[0]); k++) {
		if (sets[k].len != len)
			continue;
		for (size_t i = 0; i < sets[k].n && i < cap; i++) {
			const struct slot *slot = &sets[k].slots[i];
			ret[i] =
				(struct sonde_register){ slot->name,
							 sonde_load(set + slot->word * sets[k].word,
								    sets[k].word, SONDE_LITTLE) };
		}
		return (int)sets[k].n;
	}
	return SONDE_E_UNSUPPORTED;
}
