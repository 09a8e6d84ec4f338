/* SPDX-License-Identifier: MIT */
/* Names are the architectures' own, in lower case, in the order of struct sonde_cpu. */
#include "registers.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct named {
	const char *name;
	uint32_t off;   /* in struct sonde_cpu  */
	uint32_t group; /* enum sonde_cpu_valid */
};

#define AT(name, field, group)                                                                     \
	{                                                                                          \
		name, offsetof(struct sonde_cpu, field), SONDE_CPU_##group                         \
	}
#define CR(name, i) AT(name, cr[i], CONTROL)

static const struct named x86_64[] = {
	AT("rip", pc, GENERAL),
	AT("rflags", flags, GENERAL),
	CR("cr0", 0),
	CR("cr2", 2),
	CR("cr3", 3),
	CR("cr4", 4),
	AT("gdt_base", gdt_base, TABLES),
	AT("idt_base", idt_base, TABLES),
	AT("gs_base", gs_base, GS),
	AT("kernel_gs_base", kernel_gs_base, KERNEL_GS),
	AT("efer", efer, EFER),
	{ 0 },
};

static const struct named i386[] = {
	AT("eip", pc, GENERAL),
	AT("eflags", flags, GENERAL),
	CR("cr0", 0),
	CR("cr2", 2),
	CR("cr3", 3),
	CR("cr4", 4),
	AT("gdt_base", gdt_base, TABLES),
	AT("idt_base", idt_base, TABLES),
	{ 0 },
};

static const struct named aarch64[] = {
	AT("sp", sp, GENERAL),
	AT("pc", pc, GENERAL),
	AT("pstate", flags, GENERAL),
	CR("sctlr_el1", SONDE_CR_SCTLR_EL1),
	CR("ttbr0_el1", SONDE_CR_TTBR0_EL1),
	CR("ttbr1_el1", SONDE_CR_TTBR1_EL1),
	CR("tcr_el1", SONDE_CR_TCR_EL1),
	CR("mair_el1", SONDE_CR_MAIR_EL1),
	AT("vbar_el1", idt_base, TABLES),
	{ 0 },
};

static const struct named riscv64[] = {
	AT("pc", pc, GENERAL),           CR("satp", SONDE_CR_SATP),
	CR("sstatus", SONDE_CR_SSTATUS), CR("scause", SONDE_CR_SCAUSE),
	CR("sepc", SONDE_CR_SEPC),       CR("stval", SONDE_CR_STVAL),
	AT("stvec", idt_base, TABLES),   { 0 },
};

static const struct machine {
	uint32_t arch;
	uint32_t n_general;
	const char *general[16]; /* [n_general] */
	const struct named *others;
} machines[] = {
	{ SONDE_ARCH_X86_64,
	  16,
	  { "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp", "r8", "r9", "r10", "r11", "r12",
	    "r13", "r14", "r15" },
	  x86_64 },
	{ SONDE_ARCH_I386, 8, { "eax", "ebx", "ecx", "edx", "esi", "edi", "esp", "ebp" }, i386 },
	{ SONDE_ARCH_AARCH64,
	  16,
	  { "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
	    "x14", "x15" },
	  aarch64 },
	{ SONDE_ARCH_RISCV64,
	  16,
	  { "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3",
	    "a4", "a5" },
	  riscv64 },
};

static const struct machine *machine_of(uint32_t arch)
{
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
		if (machines[i].arch == arch)
			return &machines[i];
	}
	return NULL;
}

int registers_read(struct sonde_target *target, uint32_t index, struct full_cpu *ret)
{
	char name[sizeof(SONDE_NOTE_REGISTERS) + 10], text[1024];

	*ret = (struct full_cpu){ 0 };
	int r = sonde_target_cpu(target, index, &ret->cpu);
	if (r < 0 || !full_cpu_upper(ret->cpu.arch))
		return r;
	snprintf(name, sizeof(name), SONDE_NOTE_REGISTERS "%" PRIu32, index);
	int64_t len = sonde_target_note(target, name, text, sizeof(text) - 1);
	if (len > 0 && len < (int64_t)sizeof(text)) {
		text[len] = '\0';
		full_cpu_parse(ret, text);
	}
	return r;
}

size_t registers_of_cpu(const struct full_cpu *full, struct sonde_register ret[SONDE_REGISTERS_MAX])
{
	const struct sonde_cpu *cpu = &full->cpu;
	const struct machine *machine = machine_of(cpu->arch);
	size_t n = 0;

	if (!machine)
		return 0;
	for (uint32_t i = 0; cpu->valid & SONDE_CPU_GENERAL && i < machine->n_general; i++)
		ret[n++] = (struct sonde_register){ machine->general[i], cpu->general[i] };
	for (uint32_t i = 0; i < full->n_upper; i++)
		ret[n++] = (struct sonde_register){ full_cpu_name(cpu->arch, i), full->upper[i] };
	for (const struct named *one = machine->others; one->name; one++) {
		if (!(cpu->valid & one->group))
			continue;
		ret[n].name = one->name;
		memcpy(&ret[n++].value, (const uint8_t *)cpu + one->off, sizeof(ret->value));
	}
	return n;
}

void registers_cell(struct table *t, const struct sonde_register *registers, size_t n)
{
	struct buf list = { 0 };
	char text[48];

	for (size_t i = 0; i < n; i++) {
		int len = snprintf(text, sizeof(text), "%s=0x%" PRIx64, registers[i].name,
				   registers[i].value);
		buf_bytes(&list, text, (size_t)len + 1);
	}
	if (n)
		table_list(t, list.bytes, list.len);
	else
		table_null(t);
	buf_finish(&list);
}

#define BITS(high, low) (~UINT64_C(0) >> (63 - (high)) & ~UINT64_C(0) << (low))
#define CR0_PG BITS(31, 31)

/*
 * Intel SDM 3A 2.5, with PAE's 32-byte tables on i386; Arm ARM DDI 0487 D17.2.147, where bits 5:2 are bits 51:48 of the
 * address or, tables being aligned, 0; RISC-V privileged architecture 1.12, 4.1.11.
 */
int registers_page_table(const struct sonde_cpu *cpu, uint64_t *ret)
{
	const uint64_t *cr = cpu->cr, ttbr1 = cr[SONDE_CR_TTBR1_EL1];

	if (!(cpu->valid & SONDE_CPU_CONTROL))
		return 0;
	switch (cpu->arch) {
	case SONDE_ARCH_X86_64:
		*ret = cr[3] & BITS(51, 12);
		return (cr[0] & CR0_PG) != 0;
	case SONDE_ARCH_I386:
		*ret = cr[3] & BITS(31, 5);
		return (cr[0] & CR0_PG) != 0;
	case SONDE_ARCH_AARCH64:
		*ret = (ttbr1 & BITS(47, 6)) | (ttbr1 & BITS(5, 2)) << 46;
		return cr[SONDE_CR_SCTLR_EL1] & 1;
	case SONDE_ARCH_RISCV64:
		*ret = (cr[SONDE_CR_SATP] & BITS(43, 0)) << 12;
		return cr[SONDE_CR_SATP] >> 60 != 0;
	default:
		return 0;
	}
}
