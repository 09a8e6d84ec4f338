/* SPDX-License-Identifier: MIT */
#include "win_context.h"

#include <sonde/types.h>
#include <time.h>

/* ContextFlags names the architecture in its third byte. */
#define FLAGS_ARCH 0x00ff0000u
#define WITH_GENERAL 0x3u /* CONTEXT_CONTROL, CONTEXT_INTEGER */

struct slot {
	const char *name;
	uint16_t off;
	uint8_t size;
};

/* The first ones in the order of sonde_cpu.general, and of full_cpu.upper behind them. */
static const struct slot x86_64[] = {
	{ "rax", 0x78, 8 }, { "rbx", 0x90, 8 },    { "rcx", 0x80, 8 }, { "rdx", 0x88, 8 },
	{ "rsi", 0xa8, 8 }, { "rdi", 0xb0, 8 },    { "rsp", 0x98, 8 }, { "rbp", 0xa0, 8 },
	{ "r8", 0xb8, 8 },  { "r9", 0xc0, 8 },     { "r10", 0xc8, 8 }, { "r11", 0xd0, 8 },
	{ "r12", 0xd8, 8 }, { "r13", 0xe0, 8 },    { "r14", 0xe8, 8 }, { "r15", 0xf0, 8 },
	{ "rip", 0xf8, 8 }, { "rflags", 0x44, 4 }, { "cs", 0x38, 2 },  { "ds", 0x3a, 2 },
	{ "es", 0x3c, 2 },  { "fs", 0x3e, 2 },     { "gs", 0x40, 2 },  { "ss", 0x42, 2 },
};

static const struct slot i386[] = {
	{ "eax", 0xb0, 4 }, { "ebx", 0xa4, 4 },    { "ecx", 0xac, 4 }, { "edx", 0xa8, 4 },
	{ "esi", 0xa0, 4 }, { "edi", 0x9c, 4 },    { "esp", 0xc4, 4 }, { "ebp", 0xb4, 4 },
	{ "eip", 0xb8, 4 }, { "eflags", 0xc0, 4 }, { "cs", 0xbc, 4 },  { "ss", 0xc8, 4 },
	{ "ds", 0x98, 4 },  { "es", 0x94, 4 },     { "fs", 0x90, 4 },  { "gs", 0x8c, 4 },
};

static const struct slot arm64[] = {
	{ "x0", 0x8, 8 },   { "x1", 0x10, 8 },    { "x2", 0x18, 8 },  { "x3", 0x20, 8 },
	{ "x4", 0x28, 8 },  { "x5", 0x30, 8 },    { "x6", 0x38, 8 },  { "x7", 0x40, 8 },
	{ "x8", 0x48, 8 },  { "x9", 0x50, 8 },    { "x10", 0x58, 8 }, { "x11", 0x60, 8 },
	{ "x12", 0x68, 8 }, { "x13", 0x70, 8 },   { "x14", 0x78, 8 }, { "x15", 0x80, 8 },
	{ "x16", 0x88, 8 }, { "x17", 0x90, 8 },   { "x18", 0x98, 8 }, { "x19", 0xa0, 8 },
	{ "x20", 0xa8, 8 }, { "x21", 0xb0, 8 },   { "x22", 0xb8, 8 }, { "x23", 0xc0, 8 },
	{ "x24", 0xc8, 8 }, { "x25", 0xd0, 8 },   { "x26", 0xd8, 8 }, { "x27", 0xe0, 8 },
	{ "x28", 0xe8, 8 }, { "x29", 0xf0, 8 },   { "x30", 0xf8, 8 }, { "sp", 0x100, 8 },
	{ "pc", 0x108, 8 }, { "pstate", 0x4, 4 },
};

static const struct machine {
	uint32_t arch, machine;
	const struct slot *slots; /* [n] */
	uint32_t n, size;         /* size: of what is looked at                    */
	uint32_t flags_off, flags;
	uint32_t n_general, sp, pc, status; /* indices in slots */
} machines[] = {
	{ SONDE_ARCH_X86_64, 0x8664, x86_64, 24, 0x100, 0x30, 0x100000, 16, 6, 16, 17 },
	{ SONDE_ARCH_I386, 0x14c, i386, 16, 0xcc, 0, 0x10000, 8, 6, 8, 9 },
	{ SONDE_ARCH_AARCH64, 0xaa64, arm64, 34, 0x110, 0, 0x400000, 16, 31, 32, 33 },
};

static const struct machine *machine_of(uint32_t arch)
{
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
		if (machines[i].arch == arch)
			return &machines[i];
	}
	return NULL;
}

uint32_t win_machine_arch(uint32_t machine)
{
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
		if (machines[i].machine == machine)
			return machines[i].arch;
	}
	return SONDE_ARCH_NONE;
}

uint32_t win_arch_machine(uint32_t arch)
{
	const struct machine *m = machine_of(arch);

	return m ? m->machine : 0;
}

size_t win_context_name(uint32_t arch, const uint8_t *context, size_t len,
			struct win_register ret[WIN_REGISTERS_MAX])
{
	const struct machine *m = machine_of(arch);

	if (!m || len < m->size || (sonde_le32(context + m->flags_off) & FLAGS_ARCH) != m->flags)
		return 0;
	for (uint32_t i = 0; i < m->n; i++)
		ret[i] = (struct win_register){ m->slots[i].name,
						sonde_load(context + m->slots[i].off,
							   m->slots[i].size, SONDE_LITTLE) };
	return m->n;
}

int win_context_cpu(uint32_t arch, const uint8_t *context, size_t len, struct full_cpu *full)
{
	struct sonde_cpu *ret = &full->cpu;
	struct win_register registers[WIN_REGISTERS_MAX];
	const struct machine *m = machine_of(arch);

	if (!win_context_name(arch, context, len, registers))
		return 0;
	ret->arch = arch;
	ret->valid = SONDE_CPU_GENERAL;
	for (uint32_t i = 0; i < m->n_general; i++)
		ret->general[i] = registers[i].value;
	ret->sp = registers[m->sp].value;
	ret->pc = registers[m->pc].value;
	ret->flags = registers[m->status].value;
	full->n_upper = full_cpu_upper(arch);
	for (uint32_t i = 0; i < full->n_upper; i++)
		full->upper[i] = registers[UPPER_FIRST + i].value;
	return 1;
}

static void put_slot(uint8_t *context, const struct slot *slot, uint64_t value)
{
	sonde_store(context + slot->off, slot->size, SONDE_LITTLE, value);
}

int win_context_put(const struct full_cpu *full, uint8_t *context, size_t len)
{
	const struct sonde_cpu *cpu = &full->cpu;
	const struct machine *m = machine_of(cpu->arch);

	if (!m || len < m->size)
		return 0;
	sonde_store(context + m->flags_off, 4, SONDE_LITTLE, m->flags | WITH_GENERAL);
	put_slot(context, &m->slots[m->sp], cpu->sp);
	for (uint32_t i = 0; i < m->n_general; i++)
		put_slot(context, &m->slots[i], cpu->general[i]);
	for (uint32_t i = 0; i < full->n_upper; i++)
		put_slot(context, &m->slots[UPPER_FIRST + i], full->upper[i]);
	put_slot(context, &m->slots[m->pc], cpu->pc);
	put_slot(context, &m->slots[m->status], cpu->flags);
	return 1;
}

void win_time_text(uint64_t filetime, char text[32])
{
	uint64_t since_1601 = filetime / 10000000, epoch = UINT64_C(11644473600);
	time_t seconds = (time_t)(since_1601 - epoch);
	struct tm tm;

	if (since_1601 < epoch || !gmtime_r(&seconds, &tm) ||
	    strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		text[0] = '\0';
}
