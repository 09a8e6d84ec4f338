/* SPDX-License-Identifier: MIT */
/*
 * qemu 7.2 target/i386/cpu-dump.c, x86_cpu_dump_state. In 64-bit mode RAX=..., R8 =..., RIP=...
 * RFL=...; else EAX=..., EIP=..., EFL=.... Segments: "GS =0000 ffff8b931f000000 limit flags",
 * tables: "IDT=     fffffe0000000000 00000fff". MSRs other than EFER are not shown.
 */
#include "registers.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Behind "name=" where name begins a word, blanks in front of '=' allowed; NULL none. */
static const char *value_of(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = strstr(text, name); at; at = strstr(at + 1, name)) {
		const char *p = at + len;
		if (at != text && !isspace((unsigned char)at[-1]))
			continue;
		p += strspn(p, " ");
		if (*p == '=')
			return p + 1 + strspn(p + 1, " ");
	}
	return NULL;
}

static int hex_of(const char *text, const char *name, uint64_t *ret)
{
	const char *value = value_of(text, name);
	char *end;

	if (!value || !isxdigit((unsigned char)*value))
		return 0;
	*ret = strtoull(value, &end, 16);
	return end != value;
}

/* Of "0000 ffff8b931f000000 ...": the second word. */
static int segment_base(const char *text, const char *name, uint64_t *ret)
{
	const char *value = value_of(text, name);
	char *end;

	if (!value)
		return 0;
	value += strspn(value, "0123456789abcdefABCDEF");
	value += strspn(value, " ");
	if (!isxdigit((unsigned char)*value))
		return 0;
	*ret = strtoull(value, &end, 16);
	return end != value;
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

int registers_parse(const char *text, struct sonde_cpu *ret)
{
	struct sonde_cpu cpu = { .arch = ret->arch };

	if (parse_general(text, &cpu))
		cpu.valid |= SONDE_CPU_GENERAL;
	if (parse_control(text, &cpu))
		cpu.valid |= SONDE_CPU_CONTROL;
	if (hex_of(text, "GDT", &cpu.gdt_base) && hex_of(text, "IDT", &cpu.idt_base))
		cpu.valid |= SONDE_CPU_TABLES;
	if (segment_base(text, "GS", &cpu.gs_base))
		cpu.valid |= SONDE_CPU_GS;
	if (hex_of(text, "EFER", &cpu.efer))
		cpu.valid |= SONDE_CPU_EFER;
	if (!cpu.valid)
		return 0;
	*ret = cpu;
	return 1;
}
