/* SPDX-License-Identifier: MIT */
/* Names: Arm ARM DDI 0487 B1.2.1; RISC-V calling conventions, register names of its psABI. */
#include "full_cpu.h"

#include "note.h"

#include <ctype.h>
#include <inttypes.h>
#include <sonde/error.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const aarch64[UPPER_MAX] = { "x16", "x17", "x18", "x19", "x20", "x21",
						"x22", "x23", "x24", "x25", "x26", "x27",
						"x28", "x29", "x30", NULL };
static const char *const riscv64[UPPER_MAX] = { "a6", "a7", "s2",  "s3",  "s4", "s5", "s6", "s7",
						"s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6" };

const char *full_cpu_name(uint32_t arch, uint32_t i)
{
	if (i >= UPPER_MAX)
		return NULL;
	return arch == SONDE_ARCH_AARCH64   ? aarch64[i]
	       : arch == SONDE_ARCH_RISCV64 ? riscv64[i]
					    : NULL;
}

uint32_t full_cpu_upper(uint32_t arch)
{
	uint32_t n = 0;

	while (full_cpu_name(arch, n))
		n++;
	return n;
}

int full_cpu_asked(const char *note, uint32_t *ret_index)
{
	size_t len = strlen(SONDE_NOTE_REGISTERS);
	const char *number = note + len;
	char *end;

	if (strncmp(note, SONDE_NOTE_REGISTERS, len) != 0 || !isdigit((unsigned char)*number))
		return 0;
	unsigned long index = strtoul(number, &end, 10);
	*ret_index = (uint32_t)index;
	return *end == '\0' && index <= UINT32_MAX;
}

int64_t full_cpu_note(const struct full_cpu *cpu, void *buf, size_t cap)
{
	char text[UPPER_MAX * sizeof("x16=0123456789abcdef ")];
	size_t len = 0;

	for (uint32_t i = 0; i < cpu->n_upper; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s=%" PRIx64,
					i ? " " : "", full_cpu_name(cpu->cpu.arch, i),
					cpu->upper[i]);
	return len ? note_bytes(text, len, buf, cap) : SONDE_E_NOT_FOUND;
}

/* Behind "name=", where it begins a word. */
static const char *value_of(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = strstr(text, name); at; at = strstr(at + 1, name)) {
		if ((at == text || at[-1] == ' ') && at[len] == '=')
			return at + len + 1;
	}
	return NULL;
}

void full_cpu_parse(struct full_cpu *cpu, const char *text)
{
	uint32_t n = full_cpu_upper(cpu->cpu.arch);

	cpu->n_upper = 0;
	for (uint32_t i = 0; i < n; i++) {
		const char *value = value_of(text, full_cpu_name(cpu->cpu.arch, i));
		if (!value || !isxdigit((unsigned char)*value))
			return;
		cpu->upper[i] = strtoull(value, NULL, 16);
	}
	cpu->n_upper = n;
}
