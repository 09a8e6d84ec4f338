/* SPDX-License-Identifier: MIT */
#include "notes.h"

#include "../../../connectors/elfcore/elf_format.h"

#include <stdlib.h>
#include <string.h>

enum { PRSTATUS_TAIL = 8 }; /* pr_fpvalid and padding, behind the registers */

/* ---- machines ------------------------------------------------------------------------------------- */

static void put_word(uint8_t *regs, unsigned word, uint64_t value)
{
	sonde_store(regs + 8 * word, 8, SONDE_LITTLE, value);
}

static void put_x86_64(uint8_t *regs, const struct full_cpu *full)
{
	const struct sonde_cpu *cpu = &full->cpu;
	/* Of user_regs_struct, in the order of sonde_cpu.general. */
	static const uint8_t words[16] = {
		PRSTATUS_RAX, PRSTATUS_RBX, PRSTATUS_RCX, PRSTATUS_RDX, PRSTATUS_RSI, PRSTATUS_RDI,
		PRSTATUS_RSP, PRSTATUS_RBP, PRSTATUS_R8,  PRSTATUS_R9,  PRSTATUS_R10, PRSTATUS_R11,
		PRSTATUS_R12, PRSTATUS_R13, PRSTATUS_R14, PRSTATUS_R15,
	};

	for (unsigned i = 0; i < 16; i++)
		put_word(regs, words[i], cpu->general[i]);
	put_word(regs, PRSTATUS_RIP, cpu->pc);
	put_word(regs, PRSTATUS_EFLAGS, cpu->flags);
	put_word(regs, PRSTATUS_GS_BASE, cpu->gs_base);
}

/* Registers numbered from 0 on, each at its number. */
static void put_numbered(uint8_t *regs, const struct full_cpu *full)
{
	for (unsigned i = 0; i < UPPER_FIRST; i++)
		put_word(regs, i, full->cpu.general[i]);
	for (unsigned i = 0; i < full->n_upper; i++)
		put_word(regs, UPPER_FIRST + i, full->upper[i]);
}

static void put_aarch64(uint8_t *regs, const struct full_cpu *full)
{
	const struct sonde_cpu *cpu = &full->cpu;

	put_numbered(regs, full);
	put_word(regs, PRSTATUS_ARM64_SP, cpu->sp);
	put_word(regs, PRSTATUS_ARM64_PC, cpu->pc);
	put_word(regs, PRSTATUS_ARM64_PSTATE, cpu->flags);
}

static void put_riscv64(uint8_t *regs, const struct full_cpu *full)
{
	put_numbered(regs, full);
	put_word(regs, PRSTATUS_RISCV64_SP, full->cpu.sp);
	put_word(regs, PRSTATUS_RISCV64_PC, full->cpu.pc); /* in the place of register 0 */
}

static const struct machine {
	uint32_t arch;
	uint16_t elf;
	uint16_t words; /* of NT_PRSTATUS; 0: it is not written */
	const char *name;
	void (*put)(uint8_t *regs, const struct full_cpu *full);
} machines[] = {
	{ SONDE_ARCH_X86_64, ELF_MACHINE_X86_64, PRSTATUS_WORDS, "x86_64", put_x86_64 },
	{ SONDE_ARCH_AARCH64, ELF_MACHINE_AARCH64, PRSTATUS_ARM64_WORDS, "aarch64", put_aarch64 },
	{ SONDE_ARCH_RISCV64, ELF_MACHINE_RISCV, PRSTATUS_RISCV64_WORDS, "riscv64", put_riscv64 },
	{ SONDE_ARCH_I386, ELF_MACHINE_386, 0, "i686", NULL },
	{ SONDE_ARCH_NONE, 0, 0, "", NULL },
};

static const struct machine *machine_of(uint32_t arch)
{
	const struct machine *machine = machines;

	while (machine->arch != arch && machine->arch != SONDE_ARCH_NONE)
		machine++;
	return machine;
}

uint16_t dump_elf_machine(uint32_t arch)
{
	return machine_of(arch)->elf;
}

const char *dump_uname_machine(uint32_t arch)
{
	return machine_of(arch)->name;
}

/* ---- notes ---------------------------------------------------------------------------------------- */

/* Room for a note; NULL: out of memory. Its descriptor is zeros. */
static uint8_t *add_note(struct dump_notes *notes, const char *name, uint32_t type, size_t len)
{
	size_t name_len = strlen(name) + 1, name_room = (name_len + 3) & ~(size_t)3;
	size_t all = ELF_NOTE_HEAD + name_room + ((len + 3) & ~(size_t)3);

	if (all > notes->cap - notes->len) {
		size_t cap = 2 * notes->cap + all;
		uint8_t *bytes = realloc(notes->bytes, cap);
		if (!bytes)
			return NULL;
		notes->bytes = bytes;
		notes->cap = cap;
	}
	uint8_t *at = notes->bytes + notes->len;
	memset(at, 0, all);
	sonde_store(at, 4, SONDE_LITTLE, name_len);
	sonde_store(at + 4, 4, SONDE_LITTLE, len);
	sonde_store(at + 8, 4, SONDE_LITTLE, type);
	memcpy(at + ELF_NOTE_HEAD, name, name_len);
	notes->len += all;
	return at + ELF_NOTE_HEAD + name_room;
}

static int add_prstatus(struct dump_notes *notes, const struct full_cpu *full, uint32_t number)
{
	const struct machine *machine = machine_of(full->cpu.arch);
	uint8_t *desc = add_note(notes, "CORE", ELF_NOTE_PRSTATUS,
				 PRSTATUS_REGS + 8 * (size_t)machine->words + PRSTATUS_TAIL);

	if (!desc)
		return SONDE_E_NO_MEMORY;
	sonde_store(desc + PRSTATUS_PID, 4, SONDE_LITTLE, number + 1);
	machine->put(desc + PRSTATUS_REGS, full);
	return 0;
}

static void put_segment(uint8_t *state, unsigned segment, uint64_t base)
{
	sonde_store(state + QEMU_STATE_CS + QEMU_SEGMENT_SIZE * segment + QEMU_SEGMENT_BASE, 8,
		    SONDE_LITTLE, base);
}

static int add_qemu_state(struct dump_notes *notes, const struct full_cpu *full, uint32_t number)
{
	const struct sonde_cpu *cpu = &full->cpu;
	uint32_t size = QEMU_STATE_MIN + (cpu->valid & SONDE_CPU_KERNEL_GS ? 8 : 0);
	uint8_t *desc = add_note(notes, "QEMU", 0, size);

	(void)number;
	if (!desc)
		return SONDE_E_NO_MEMORY;
	sonde_store(desc + QEMU_STATE_VERSION, 4, SONDE_LITTLE, 1);
	sonde_store(desc + QEMU_STATE_SIZE, 4, SONDE_LITTLE, size);
	for (unsigned i = 0; i < 16; i++)
		sonde_store(desc + QEMU_STATE_GENERAL + 8 * i, 8, SONDE_LITTLE, cpu->general[i]);
	sonde_store(desc + QEMU_STATE_RIP, 8, SONDE_LITTLE, cpu->pc);
	sonde_store(desc + QEMU_STATE_RFLAGS, 8, SONDE_LITTLE, cpu->flags);
	put_segment(desc, QEMU_SEGMENT_GS, cpu->gs_base);
	put_segment(desc, QEMU_SEGMENT_GDT, cpu->gdt_base);
	put_segment(desc, QEMU_SEGMENT_IDT, cpu->idt_base);
	for (unsigned i = 0; i < 5; i++)
		sonde_store(desc + QEMU_STATE_CR + 8 * i, 8, SONDE_LITTLE, cpu->cr[i]);
	if (cpu->valid & SONDE_CPU_KERNEL_GS)
		sonde_store(desc + QEMU_STATE_KERNEL_GS, 8, SONDE_LITTLE, cpu->kernel_gs_base);
	return 0;
}

/* All of one architecture, whatever the source says. */
static bool all_tell(const struct dump_source *source, uint32_t valid)
{
	for (uint32_t i = 0; i < source->n_cpus; i++) {
		const struct sonde_cpu *cpu = &source->cpus[i].cpu;
		if (cpu->arch != source->cpus[0].cpu.arch || ~cpu->valid & valid)
			return false;
	}
	return true;
}

/* One kind of note for every processor or for none: they are counted, and told apart by their order. */
static int add_cpus(struct dump_notes *notes, const struct dump_source *source, uint32_t valid,
		    int (*add)(struct dump_notes *, const struct full_cpu *, uint32_t number))
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < source->n_cpus && all_tell(source, valid); i++)
		r = add(notes, &source->cpus[i], i);
	return r;
}

static int add_info(struct dump_notes *notes, const struct dump_source *source)
{
	if (!source->vmcoreinfo_len)
		return 0;
	uint8_t *desc = add_note(notes, "VMCOREINFO", 0, source->vmcoreinfo_len);
	if (!desc)
		return SONDE_E_NO_MEMORY;
	memcpy(desc, source->vmcoreinfo, source->vmcoreinfo_len);
	notes->info_at = (size_t)(desc - notes->bytes);
	return 0;
}

int dump_notes_make(struct dump_notes *ret, const struct dump_source *source)
{
	const uint32_t whole = SONDE_CPU_GENERAL | SONDE_CPU_CONTROL | SONDE_CPU_TABLES;
	uint32_t arch = source->n_cpus ? source->cpus[0].cpu.arch : SONDE_ARCH_NONE;
	int r = 0;

	*ret = (struct dump_notes){ 0 };
	if (machine_of(arch)->words)
		r = add_cpus(ret, source, SONDE_CPU_GENERAL, add_prstatus);
	if (r == 0 && (arch == SONDE_ARCH_X86_64 || arch == SONDE_ARCH_I386))
		r = add_cpus(ret, source, whole, add_qemu_state);
	return r == 0 ? add_info(ret, source) : r;
}

void dump_notes_finish(struct dump_notes *notes)
{
	free(notes->bytes);
	*notes = (struct dump_notes){ 0 };
}

void dump_info_value(const struct dump_source *source, const char *key, char *ret, size_t cap)
{
	const char *at = source->vmcoreinfo_len ? source->vmcoreinfo : "";
	const char *end = at + source->vmcoreinfo_len;
	size_t len = strlen(key), n = 0;

	while (at < end && ((size_t)(end - at) < len || memcmp(at, key, len) != 0)) {
		const char *line = memchr(at, '\n', (size_t)(end - at));
		at = line ? line + 1 : end;
	}
	for (at = at < end ? at + len : end; at < end && *at != '\n' && n + 1 < cap; at++)
		ret[n++] = *at;
	ret[n] = '\0';
}

uint32_t dump_page_size(const struct dump_source *source)
{
	char text[16];

	dump_info_value(source, "PAGESIZE=", text, sizeof(text));
	unsigned long size = strtoul(text, NULL, 10);
	return size >= 4096 && size <= 65536 && (size & (size - 1)) == 0 ? (uint32_t)size : 4096;
}
