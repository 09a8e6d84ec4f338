/* SPDX-License-Identifier: MIT */
/*
 * Registers by tag, the first index the processor. Older files have a tag for each register (rax[0], CR64[0][3], IDTR[0][1] and
 * [2]: lower and upper half of the base), newer ones blocks (gpregs[0], CR64[0], IDTR[0]): crash 8 vmware_vmss.c. Those that
 * come in halves, or twice, are or-ed together.
 */
#include "state.h"

#include <sonde/error.h>
#include <sonde/types.h>
#include <stdlib.h>
#include <string.h>

#define NO_INDEX UINT32_MAX

enum {
	SEEN_GENERAL = 0xffff, /* a bit each, in the order of sonde_cpu.general */
	SEEN_PC = 1 << 16,
	SEEN_FLAGS = 1 << 17,
	SEEN_CR = 0x1d << 18, /* all but cr1 */
	SEEN_GDT = 1 << 23,
	SEEN_IDT = 1 << 24,
	CR0_BIT = 18,
};

/* In the order of sonde_cpu.general. */
static const char *const general[16] = { "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp",
					 "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15" };

static const struct place {
	const char *name;
	uint32_t index; /* the second one; NO_INDEX none */
	uint16_t at;    /* in struct sonde_cpu           */
	uint16_t shift;
	uint32_t seen;
} places[] = {
	{ "rip", NO_INDEX, offsetof(struct sonde_cpu, pc), 0, SEEN_PC },
	{ "eflags", NO_INDEX, offsetof(struct sonde_cpu, flags), 0, SEEN_FLAGS },
	{ "EFLAGS", NO_INDEX, offsetof(struct sonde_cpu, flags), 0, SEEN_FLAGS },
	{ "GDTR", 1, offsetof(struct sonde_cpu, gdt_base), 0, SEEN_GDT },
	{ "GDTR", 2, offsetof(struct sonde_cpu, gdt_base), 32, SEEN_GDT },
	{ "IDTR", 1, offsetof(struct sonde_cpu, idt_base), 0, SEEN_IDT },
	{ "IDTR", 2, offsetof(struct sonde_cpu, idt_base), 32, SEEN_IDT },
};

static void put_general(struct vmware_cpu *cpu, uint32_t i, uint64_t value)
{
	cpu->cpu.general[i] |= value;
	cpu->seen |= 1u << i;
}

static void put_control(struct vmware_cpu *cpu, uint32_t i, uint64_t value)
{
	if (i >= 5)
		return;
	cpu->cpu.cr[i] |= value;
	cpu->seen |= 1u << (CR0_BIT + i);
}

static void put(struct vmware_cpu *cpu, const char *name, uint32_t index, uint64_t value)
{
	for (uint32_t i = 0; index == NO_INDEX && i < 16; i++) {
		if (strcmp(general[i], name) == 0)
			put_general(cpu, i, value);
	}
	if (strcmp(name, "CR64") == 0 || strcmp(name, "CR") == 0)
		put_control(cpu, index, value);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		const struct place *place = &places[i];
		uint64_t old;
		if (place->index != index || strcmp(place->name, name) != 0)
			continue;
		memcpy(&old, (const char *)&cpu->cpu + place->at, sizeof(old));
		old |= value << place->shift;
		memcpy((char *)&cpu->cpu + place->at, &old, sizeof(old));
		cpu->seen |= place->seen;
	}
}

/* ---- blocks --------------------------------------------------------------------------------------- */

/* rax rcx rdx rbx rbp rsp rsi rdi r8 ... */
static void take_general(struct vmware_cpu *cpu, const uint8_t *bytes)
{
	static const uint8_t order[8] = { 0, 2, 3, 1, 7, 6, 4, 5 };

	for (uint32_t i = 0; i < 16; i++)
		put_general(cpu, i < 8 ? order[i] : i, sonde_le64(bytes + 8 * (size_t)i));
}

static void take_control(struct vmware_cpu *cpu, const uint8_t *bytes)
{
	for (uint32_t i = 0; i < 5; i++)
		put_control(cpu, i, sonde_le64(bytes + 8 * (size_t)i));
}

/* A limit of 16 bits, and the base. */
static void take_gdt(struct vmware_cpu *cpu, const uint8_t *bytes)
{
	put(cpu, "GDTR", 1, sonde_le64(bytes + 2));
}

static void take_idt(struct vmware_cpu *cpu, const uint8_t *bytes)
{
	put(cpu, "IDTR", 1, sonde_le64(bytes + 2));
}

static const struct block {
	const char *name;
	uint64_t len;
	void (*take)(struct vmware_cpu *cpu, const uint8_t *bytes);
} blocks[] = { { "gpregs", 128, take_general },
	       { "CR64", 72, take_control },
	       { "GDTR", 10, take_gdt },
	       { "IDTR", 10, take_idt } };

static void take_block(struct vmware_cpu *cpu, const struct vmss *vmss, const struct vmss_tag *tag)
{
	uint8_t bytes[128];

	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		if (tag->len == blocks[i].len && strcmp(tag->name, blocks[i].name) == 0 &&
		    !tag->packed && source_read(vmss->source, tag->off, bytes, tag->len) == 0)
			blocks[i].take(cpu, bytes);
	}
}

/* ---- processors ----------------------------------------------------------------------------------- */

/* How many there are comes before what they hold (crash 8 vmware_vmss.c counts on it too). */
static int take_count(struct vmware_state *state, uint64_t n)
{
	if (state->cpus || !n)
		return 0;
	n = n < VMWARE_CPUS_MAX ? n : VMWARE_CPUS_MAX;
	state->cpus = calloc(n, sizeof(*state->cpus));
	if (!state->cpus)
		return SONDE_E_NO_MEMORY;
	state->n_cpus = (uint32_t)n;
	return 0;
}

int vmware_registers_take(struct vmware_state *state, const struct vmss *vmss,
			  const struct vmss_tag *tag)
{
	uint64_t value;

	if (!tag->n_index && strcmp(tag->name, "cpu:numVCPUs") == 0)
		return vmss_number(vmss, tag, &value) ? take_count(state, value) : 0;
	if (!tag->n_index || tag->index[0] >= state->n_cpus)
		return 0;
	struct vmware_cpu *cpu = &state->cpus[tag->index[0]];
	if (tag->n_index == 1 && tag->len > sizeof(value))
		take_block(cpu, vmss, tag);
	else if (tag->n_index <= 2 && vmss_number(vmss, tag, &value))
		put(cpu, tag->name, tag->n_index == 1 ? NO_INDEX : tag->index[1], value);
	return 0;
}

static uint32_t valid_of(uint32_t seen)
{
	static const struct {
		uint32_t seen, valid;
	} groups[] = { { SEEN_GENERAL | SEEN_PC | SEEN_FLAGS, SONDE_CPU_GENERAL },
		       { SEEN_CR, SONDE_CPU_CONTROL },
		       { SEEN_GDT | SEEN_IDT, SONDE_CPU_TABLES } };
	uint32_t valid = 0;

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if ((seen & groups[i].seen) == groups[i].seen)
			valid |= groups[i].valid;
	}
	return valid;
}

/* EFER is not told, but a kernel of 64 bits has its tables and its code above 4 GiB. */
void vmware_registers_settle(struct vmware_state *state)
{
	if (state->n_cpus)
		state->arch = SONDE_ARCH_I386;
	for (uint32_t i = 0; i < state->n_cpus; i++) {
		const struct sonde_cpu *cpu = &state->cpus[i].cpu;
		if ((cpu->pc | cpu->gdt_base | cpu->idt_base) >> 32)
			state->arch = SONDE_ARCH_X86_64;
	}
	for (uint32_t i = 0; i < state->n_cpus; i++) {
		struct sonde_cpu *cpu = &state->cpus[i].cpu;
		cpu->arch = state->arch;
		cpu->valid = valid_of(state->cpus[i].seen);
		cpu->sp = cpu->general[6];
	}
}
