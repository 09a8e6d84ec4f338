/* SPDX-License-Identifier: MIT */
/*
 * Names are those of gdb 13 gdb/features and qemu 7.2 gdb-xml. A group of struct sonde_cpu is valid when all of it
 * came, and so is upper.
 */
#include "registers.h"

#include "packet.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct place {
	const char *name;
	uint32_t off;     /* in struct sonde_cpu   */
	uint32_t group;   /* enum sonde_cpu_valid  */
	const char *also; /* ... or called so; NULL */
	const char *
		el2; /* aarch64: its place where the kernel runs at EL2 as at EL1; NULL: the same */
};

#define GENERAL(name, i)                                                                           \
	{                                                                                          \
		name, offsetof(struct sonde_cpu, general) + 8 * (i), SONDE_CPU_GENERAL, NULL, NULL \
	}
#define AT(name, field, group)                                                                     \
	{                                                                                          \
		name, offsetof(struct sonde_cpu, field), group, NULL, NULL                         \
	}
/* Of a name at EL1. QEMU leaves the level out of those that both states of the processor have (7.2 target/arm/helper.c). */
#define AT_EL1(name, field, group)                                                                 \
	{                                                                                          \
		name "_EL1", offsetof(struct sonde_cpu, field), group, name, name "_EL2"           \
	}

static const struct place x86_64[] = {
	GENERAL("rax", 0),
	GENERAL("rbx", 1),
	GENERAL("rcx", 2),
	GENERAL("rdx", 3),
	GENERAL("rsi", 4),
	GENERAL("rdi", 5),
	GENERAL("rsp", 6),
	GENERAL("rbp", 7),
	GENERAL("r8", 8),
	GENERAL("r9", 9),
	GENERAL("r10", 10),
	GENERAL("r11", 11),
	GENERAL("r12", 12),
	GENERAL("r13", 13),
	GENERAL("r14", 14),
	GENERAL("r15", 15),
	AT("rsp", sp, SONDE_CPU_GENERAL),
	AT("rip", pc, SONDE_CPU_GENERAL),
	AT("eflags", flags, SONDE_CPU_GENERAL),
	AT("cr0", cr[0], SONDE_CPU_CONTROL),
	AT("cr2", cr[2], SONDE_CPU_CONTROL),
	AT("cr3", cr[3], SONDE_CPU_CONTROL),
	AT("cr4", cr[4], SONDE_CPU_CONTROL),
	AT("gs_base", gs_base, SONDE_CPU_GS),
	AT("k_gs_base", kernel_gs_base, SONDE_CPU_KERNEL_GS),
	AT("efer", efer, SONDE_CPU_EFER),
	{ 0 },
};

static const struct place i386[] = {
	GENERAL("eax", 0),
	GENERAL("ebx", 1),
	GENERAL("ecx", 2),
	GENERAL("edx", 3),
	GENERAL("esi", 4),
	GENERAL("edi", 5),
	GENERAL("esp", 6),
	GENERAL("ebp", 7),
	AT("esp", sp, SONDE_CPU_GENERAL),
	AT("eip", pc, SONDE_CPU_GENERAL),
	AT("eflags", flags, SONDE_CPU_GENERAL),
	AT("cr0", cr[0], SONDE_CPU_CONTROL),
	AT("cr2", cr[2], SONDE_CPU_CONTROL),
	AT("cr3", cr[3], SONDE_CPU_CONTROL),
	AT("cr4", cr[4], SONDE_CPU_CONTROL),
	{ 0 },
};

#define X(n) GENERAL("x" #n, n)
static const struct place aarch64[] = {
	X(0),
	X(1),
	X(2),
	X(3),
	X(4),
	X(5),
	X(6),
	X(7),
	X(8),
	X(9),
	X(10),
	X(11),
	X(12),
	X(13),
	X(14),
	X(15),
	AT("sp", sp, SONDE_CPU_GENERAL),
	AT("pc", pc, SONDE_CPU_GENERAL),
	AT("cpsr", flags, SONDE_CPU_GENERAL),
	AT_EL1("SCTLR", cr[SONDE_CR_SCTLR_EL1], SONDE_CPU_CONTROL),
	AT_EL1("TTBR0", cr[SONDE_CR_TTBR0_EL1], SONDE_CPU_CONTROL),
	AT_EL1("TTBR1", cr[SONDE_CR_TTBR1_EL1], SONDE_CPU_CONTROL),
	AT_EL1("TCR", cr[SONDE_CR_TCR_EL1], SONDE_CPU_CONTROL),
	AT_EL1("MAIR", cr[SONDE_CR_MAIR_EL1], SONDE_CPU_CONTROL),
	AT_EL1("VBAR", idt_base, SONDE_CPU_TABLES),
	{ 0 },
};
#undef X

/* a0 is x10. */
static const struct place riscv64[] = {
	GENERAL("zero", 0),
	GENERAL("ra", 1),
	GENERAL("sp", 2),
	GENERAL("gp", 3),
	GENERAL("tp", 4),
	GENERAL("t0", 5),
	GENERAL("t1", 6),
	GENERAL("t2", 7),
	GENERAL("fp", 8),
	GENERAL("s1", 9),
	GENERAL("a0", 10),
	GENERAL("a1", 11),
	GENERAL("a2", 12),
	GENERAL("a3", 13),
	GENERAL("a4", 14),
	GENERAL("a5", 15),
	AT("sp", sp, SONDE_CPU_GENERAL),
	AT("pc", pc, SONDE_CPU_GENERAL),
	AT("satp", cr[SONDE_CR_SATP], SONDE_CPU_CONTROL),
	AT("sstatus", cr[SONDE_CR_SSTATUS], SONDE_CPU_CONTROL),
	AT("scause", cr[SONDE_CR_SCAUSE], SONDE_CPU_CONTROL),
	AT("sepc", cr[SONDE_CR_SEPC], SONDE_CPU_CONTROL),
	AT("stval", cr[SONDE_CR_STVAL], SONDE_CPU_CONTROL),
	AT("stvec", idt_base, SONDE_CPU_TABLES),
	{ 0 },
};

static const struct place *places_of(uint32_t arch)
{
	static const struct place none[] = { { 0 } };

	switch (arch) {
	case SONDE_ARCH_X86_64:
		return x86_64;
	case SONDE_ARCH_I386:
		return i386;
	case SONDE_ARCH_AARCH64:
		return aarch64;
	case SONDE_ARCH_RISCV64:
		return riscv64;
	default:
		return none;
	}
}

/* All of these architectures send the lowest byte first. */
int registers_parse_one(const struct description_register *reg, const uint8_t *text, size_t n_text,
			uint64_t *ret)
{
	uint8_t bytes[8];

	if (reg->size > sizeof(bytes) || n_text != 2 * (size_t)reg->size ||
	    hex_read(bytes, text, reg->size) < 0)
		return -1;
	*ret = sonde_load(bytes, reg->size, SONDE_LITTLE);
	return 0;
}

static int is_in(const struct description_register *reg, size_t n_text)
{
	return reg->off <= n_text / 2 && reg->size <= n_text / 2 - reg->off;
}

static int parse_within(const struct description_register *reg, const uint8_t *text, size_t n_text,
			uint64_t *ret)
{
	if (!reg || !is_in(reg, n_text))
		return -1;
	return registers_parse_one(reg, text + 2 * (size_t)reg->off, 2 * (size_t)reg->size, ret);
}

int registers_value(const struct description *description, const char *name, const uint8_t *text,
		    size_t n_text, uint64_t *ret)
{
	return parse_within(description_find(description, name), text, n_text, ret);
}

/* One processor's registers, wherever they have to be had from. */
struct reading {
	const struct description *description;
	const uint8_t *text;
	size_t n_text;
	registers_ask_fn *ask;
	void *user;
};

static int read_one(const struct reading *reading, const struct description_register *reg,
		    uint64_t *ret)
{
	if (reading->ask && reg && !is_in(reg, reading->n_text))
		return reading->ask(reading->user, reg, ret);
	return parse_within(reg, reading->text, reading->n_text, ret);
}

#define PSTATE_EL(pstate) ((pstate) >> 2 & 3)
#define HCR_E2H (UINT64_C(1) << 34)
#define HCR_TGE (UINT64_C(1) << 27)

/*
 * Does a kernel run at EL2 that was made for EL1, or a process of it? What it calls TTBR1_EL1 is TTBR1_EL2 then, of the
 * same layout, while the stub's TTBR1_EL1 is a guest's. Source: Arm ARM DDI 0487 D8.11, virtualization host extensions.
 */
static bool is_host(const struct reading *reading, uint64_t pstate)
{
	const struct description_register *reg = description_find(reading->description, "HCR_EL2");
	uint64_t hcr;

	if (!reg || PSTATE_EL(pstate) == 1 || read_one(reading, reg, &hcr) < 0 || !(hcr & HCR_E2H))
		return false;
	return PSTATE_EL(pstate) == 2 || (PSTATE_EL(pstate) == 0 && hcr & HCR_TGE);
}

static const struct description_register *find_place(const struct description *description,
						     const struct place *place, bool host)
{
	if (host && place->el2)
		return description_find(description, place->el2);
	const struct description_register *reg = description_find(description, place->name);

	return reg || !place->also ? reg : description_find(description, place->also);
}

/* All of them, or none. Returns how many came. */
static uint32_t take_upper(const struct reading *reading, struct full_cpu *ret)
{
	uint32_t n = full_cpu_upper(ret->cpu.arch), came = 0;

	for (uint32_t i = 0; i < n; i++) {
		const char *name = full_cpu_name(ret->cpu.arch, i);
		came += read_one(reading, description_find(reading->description, name),
				 &ret->upper[i]) == 0;
	}
	ret->n_upper = came == n ? n : 0;
	return came;
}

uint32_t registers_take(const struct description *description, const uint8_t *text, size_t n_text,
			registers_ask_fn *ask, void *user, struct full_cpu *ret)
{
	const struct reading reading = { description, text, n_text, ask, user };
	struct full_cpu full = { .cpu.arch = description->arch };
	struct sonde_cpu *cpu = &full.cpu;
	uint32_t missing = 0, n = 0;
	bool host = false;

	for (const struct place *place = places_of(description->arch); place->name; place++) {
		uint64_t value;
		if (read_one(&reading, find_place(description, place, host), &value) < 0) {
			missing |= place->group;
			continue;
		}
		memcpy((uint8_t *)cpu + place->off, &value, sizeof(value));
		cpu->valid |= place->group;
		n++;
		if (place->off == offsetof(struct sonde_cpu, flags) &&
		    description->arch == SONDE_ARCH_AARCH64)
			host = is_host(&reading, value);
	}
	cpu->valid &= ~missing;
	n += take_upper(&reading, &full);
	if (n)
		*ret = full;
	return n;
}
