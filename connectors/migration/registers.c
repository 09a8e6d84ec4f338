/* SPDX-License-Identifier: MIT */
/* Source: qemu 7.2 target/i386/machine.c, target/arm/machine.c, target/riscv/machine.c, and the cpu.h beside each. */
#include "registers.h"
#include "big_endian.h"

#include <string.h>

#define SEGMENT_GS 5 /* R_GS of target/i386/cpu.h        */
#define ARM_SP 31    /* xregs[31] is the current one      */
#define RISCV_SP 2

/* Fields that are one number, and where it goes. */
static const struct plain {
	const char *name, *part;
	uint64_t index;
	size_t to;
	uint32_t valid;
} plains[] = {
	{ "env.eip", "", 0, offsetof(struct sonde_cpu, pc), SONDE_CPU_GENERAL },
	{ "env.pc", "", 0, offsetof(struct sonde_cpu, pc), SONDE_CPU_GENERAL },
	{ "env.eflags", "", 0, offsetof(struct sonde_cpu, flags), 0 },
	{ "cpsr", "", 0, offsetof(struct sonde_cpu, flags), 0 },
	{ "env.cr[0]", "", 0, offsetof(struct sonde_cpu, cr[0]), 0 },
	{ "env.cr[2]", "", 0, offsetof(struct sonde_cpu, cr[2]), 0 },
	{ "env.cr[3]", "", 0, offsetof(struct sonde_cpu, cr[3]), SONDE_CPU_CONTROL },
	{ "env.cr[4]", "", 0, offsetof(struct sonde_cpu, cr[4]), 0 },
	{ "env.gdt", "base", 0, offsetof(struct sonde_cpu, gdt_base), 0 },
	{ "env.idt", "base", 0, offsetof(struct sonde_cpu, idt_base), SONDE_CPU_TABLES },
	{ "env.segs", "base", SEGMENT_GS, offsetof(struct sonde_cpu, gs_base), SONDE_CPU_GS },
	{ "env.kernelgsbase", "", 0, offsetof(struct sonde_cpu, kernel_gs_base),
	  SONDE_CPU_KERNEL_GS },
	{ "env.efer", "", 0, offsetof(struct sonde_cpu, efer), SONDE_CPU_EFER },
};

static int is_field(const struct register_field *field, const char *name, const char *part)
{
	return strcmp(field->name, name) == 0 && strcmp(field->part, part) == 0;
}

static uint64_t element(const struct register_field *field, size_t i)
{
	return i < field->n ? be_number(field->bytes + i * field->size, field->size) : 0;
}

static void take_plain(struct sonde_cpu *ret, const struct register_field *field)
{
	for (size_t i = 0; i < sizeof(plains) / sizeof(plains[0]); i++) {
		uint64_t value = element(field, 0);
		if (!is_field(field, plains[i].name, plains[i].part) ||
		    field->index != plains[i].index)
			continue;
		memcpy((char *)ret + plains[i].to, &value, sizeof(value));
		ret->valid |= plains[i].valid;
	}
}

/* QEMU counts rax rcx rdx rbx rsp rbp rsi rdi r8 …; on 32 bits there are eight. */
static void take_x86(struct sonde_cpu *ret, const struct register_field *field)
{
	static const uint8_t order[8] = { 0, 3, 1, 2, 6, 7, 4, 5 };

	ret->arch = field->size == 8 ? SONDE_ARCH_X86_64 : SONDE_ARCH_I386;
	for (size_t i = 0; i < 16; i++)
		ret->general[i] = element(field, i < 8 ? order[i] : i);
	ret->sp = ret->general[6];
}

/* Registers numbered from 0 on, 32 of them; sp is one. */
static void take_numbered(struct full_cpu *full, uint32_t arch, size_t sp,
			  const struct register_field *field)
{
	struct sonde_cpu *cpu = &full->cpu;

	cpu->arch = arch;
	for (size_t i = 0; i < UPPER_FIRST; i++)
		cpu->general[i] = element(field, i);
	cpu->sp = element(field, sp);
	full->n_upper = full_cpu_upper(arch);
	for (size_t i = 0; i < full->n_upper; i++)
		full->upper[i] = element(field, UPPER_FIRST + i);
}

void register_take(struct full_cpu *full, const struct register_field *field)
{
	struct sonde_cpu *ret = &full->cpu;

	if (field->size != 4 && field->size != 8)
		return;
	if (is_field(field, "env.xregs", "")) {
		take_numbered(full, SONDE_ARCH_AARCH64, ARM_SP, field);
	} else if (is_field(field, "env.gpr", "") && field->size == 8) {
		take_numbered(full, SONDE_ARCH_RISCV64, RISCV_SP, field);
	} else if (is_field(field, "env.regs", "") && (field->n == 8 || field->size == 8)) {
		take_x86(ret, field);
	} else {
		take_plain(ret, field);
	}
}
