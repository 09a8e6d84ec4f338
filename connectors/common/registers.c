/* SPDX-License-Identifier: MIT */
/*
 * qemu 7.2 target/i386/cpu-dump.c, x86_cpu_dump_state. In 64-bit mode RAX=..., R8 =..., RIP=...
 * RFL=...; else EAX=..., EIP=..., EFL=.... Segments: "GS =0000 ffff8b931f000000 limit flags",
 * tables: "IDT=     fffffe0000000000 00000fff". MSRs other than EFER are not shown.
 * target/arm/cpu.c, aarch64_cpu_dump_state: X00=... PC=... SP=... PSTATE=..., and no system registers.
 * target/riscv/cpu.c, riscv_cpu_dump_state: names and numbers with blanks between, "x10/a0   0000000000000001".
 */
#include "registers.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Behind name, where it begins a word, and what separates it from its value: '=', blanks around it, or blanks alone. NULL none. */
static const char *value_of(const char *text, const char *name, char separator)
{
	size_t len = strlen(name);

	for (const char *at = strstr(text, name); at; at = strstr(at + 1, name)) {
		const char *p = at + len, *value = p + strspn(p, " ");
		if (at != text && !isspace((unsigned char)at[-1]))
			continue;
		if (separator == '=' && *value == '=')
			return value + 1 + strspn(value + 1, " ");
		if (separator == ' ' && value != p)
			return value;
	}
	return NULL;
}

static int hex_at(const char *value, uint64_t *ret)
{
	if (!value || !isxdigit((unsigned char)*value))
		return 0;
	*ret = strtoull(value, NULL, 16);
	return 1;
}

static int hex_of(const char *text, const char *name, uint64_t *ret)
{
	return hex_at(value_of(text, name, '='), ret);
}

static int hex_behind(const char *text, const char *name, uint64_t *ret)
{
	return hex_at(value_of(text, name, ' '), ret);
}

/* Of "0000 ffff8b931f000000 ...": the second word. */
static int segment_base(const char *text, const char *name, uint64_t *ret)
{
	const char *value = value_of(text, name, '=');

	if (!value)
		return 0;
	value += strspn(value, "0123456789abcdefABCDEF");
	return hex_at(value + strspn(value, " "), ret);
}

static int parse_general(const char *text, struct sonde_cpu *ret)
{
	static const char *const wide[16] = { "RAX", "RBX", "RCX", "RDX", "RSI", "RDI",
					      "RSP", "RBP", "R8",  "R9",  "R10", "R11",
					      "R12", "R13", "R14", "R15" };
	static const char *const narrow[8] = { "EAX", "EBX", "ECX", "EDX",
					       "ESI", "EDI", "ESP", "EBP" };
	uint64_t probe;
	int is_wide = hex_of(text, "RIP", &probe);

	for (int i = 0; i < (is_wide ? 16 : 8); i++) {
		if (!hex_of(text, is_wide ? wide[i] : narrow[i], &ret->general[i]))
			return 0;
	}
	ret->sp = ret->general[6];
	return hex_of(text, is_wide ? "RIP" : "EIP", &ret->pc) &&
	       hex_of(text, is_wide ? "RFL" : "EFL", &ret->flags);
}

static int parse_control(const char *text, struct sonde_cpu *ret)
{
	return hex_of(text, "CR0", &ret->cr[0]) && hex_of(text, "CR2", &ret->cr[2]) &&
	       hex_of(text, "CR3", &ret->cr[3]) && hex_of(text, "CR4", &ret->cr[4]);
}

static void parse_x86(const char *text, struct sonde_cpu *ret)
{
	if (parse_general(text, ret))
		ret->valid |= SONDE_CPU_GENERAL;
	if (parse_control(text, ret))
		ret->valid |= SONDE_CPU_CONTROL;
	if (hex_of(text, "GDT", &ret->gdt_base) && hex_of(text, "IDT", &ret->idt_base))
		ret->valid |= SONDE_CPU_TABLES;
	if (segment_base(text, "GS", &ret->gs_base))
		ret->valid |= SONDE_CPU_GS;
	if (hex_of(text, "EFER", &ret->efer))
		ret->valid |= SONDE_CPU_EFER;
}

static void parse_aarch64(const char *text, struct full_cpu *full)
{
	struct sonde_cpu *ret = &full->cpu;
	uint32_t n = full_cpu_upper(SONDE_ARCH_AARCH64);
	char name[8];
	int all = hex_of(text, "PC", &ret->pc) && hex_of(text, "SP", &ret->sp) &&
		  hex_of(text, "PSTATE", &ret->flags);

	for (int i = 0; i < 16; i++) {
		snprintf(name, sizeof(name), "X%02d", i);
		all &= hex_of(text, name, &ret->general[i]);
	}
	if (all)
		ret->valid |= SONDE_CPU_GENERAL;
	for (uint32_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "X%02u", UPPER_FIRST + i);
		all &= hex_of(text, name, &full->upper[i]);
	}
	full->n_upper = all ? n : 0;
}

/* What of mstatus is sstatus. Source: RISC-V privileged architecture 1.12, 3.1.6 and 4.1.1. */
#define RISCV64_SSTATUS UINT64_C(0x80000003000de762)

static int parse_supervisor(const char *text, uint64_t cr[5])
{
	int all = hex_behind(text, "satp", &cr[SONDE_CR_SATP]) &&
		  hex_behind(text, "mstatus", &cr[SONDE_CR_SSTATUS]) &&
		  hex_behind(text, "scause", &cr[SONDE_CR_SCAUSE]) &&
		  hex_behind(text, "sepc", &cr[SONDE_CR_SEPC]) &&
		  hex_behind(text, "stval", &cr[SONDE_CR_STVAL]);

	cr[SONDE_CR_SSTATUS] &= RISCV64_SSTATUS;
	return all;
}

static void parse_riscv64(const char *text, struct full_cpu *full)
{
	struct sonde_cpu *ret = &full->cpu;
	static const char *const names[16] = { "x0/zero", "x1/ra",  "x2/sp",  "x3/gp",
					       "x4/tp",   "x5/t0",  "x6/t1",  "x7/t2",
					       "x8/s0",   "x9/s1",  "x10/a0", "x11/a1",
					       "x12/a2",  "x13/a3", "x14/a4", "x15/a5" };
	int all = hex_behind(text, "pc", &ret->pc);

	for (int i = 0; i < 16; i++)
		all &= hex_behind(text, names[i], &ret->general[i]);
	ret->sp = ret->general[2];
	if (all)
		ret->valid |= SONDE_CPU_GENERAL;
	for (uint32_t i = 0; i < UPPER_MAX; i++) {
		char name[12];
		snprintf(name, sizeof(name), "x%u/%s", UPPER_FIRST + i,
			 full_cpu_name(SONDE_ARCH_RISCV64, i));
		all &= hex_behind(text, name, &full->upper[i]);
	}
	full->n_upper = all ? UPPER_MAX : 0;
	if (parse_supervisor(text, ret->cr))
		ret->valid |= SONDE_CPU_CONTROL;
	if (hex_behind(text, "stvec", &ret->idt_base))
		ret->valid |= SONDE_CPU_TABLES;
}

int registers_parse(const char *text, struct full_cpu *ret)
{
	struct full_cpu cpu = { .cpu.arch = ret->cpu.arch };

	switch (cpu.cpu.arch) {
	case SONDE_ARCH_X86_64:
	case SONDE_ARCH_I386:
		parse_x86(text, &cpu.cpu);
		break;
	case SONDE_ARCH_AARCH64:
		parse_aarch64(text, &cpu);
		break;
	case SONDE_ARCH_RISCV64:
		parse_riscv64(text, &cpu);
		break;
	}
	if (!cpu.cpu.valid)
		return 0;
	*ret = cpu;
	return 1;
}
