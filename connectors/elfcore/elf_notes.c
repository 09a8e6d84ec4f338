/* SPDX-License-Identifier: MIT */
/*
 * Notes of a core and the processors they describe: NT_PRSTATUS, one a CPU or thread, and
 * beside it QEMU's own note, which has control registers and descriptor tables; or what VirtualBox and Xen say.
 */
#include "elf_core.h"
#include "../common/note.h"
#include "elf_format.h"
#include "elf_vbox.h"
#include "elf_xen.h"

#include <stdlib.h>
#include <string.h>

/* Names and descriptors are padded to 4 bytes, in ELF64 cores as well (linux fs/binfmt_elf.c). */
static size_t padded(uint32_t len)
{
	return ((size_t)len + 3) & ~(size_t)3;
}

/* ---- kinds ---------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	uint32_t type, size; /* size: what is shorter is none */
} kinds[ELF_KINDS] = {
	[ELF_KIND_PRSTATUS] = { "CORE", ELF_NOTE_PRSTATUS, 0 },
	[ELF_KIND_QEMU] = { "QEMU", 0, 0 },
	[ELF_KIND_VBOX] = { "VBCORE", VBOX_NOTE_CORE, VBOX_CORE_SIZE },
	[ELF_KIND_VBOX_CPU] = { "VBCPU", VBOX_NOTE_CPU, VBOX_CPU_SIZE },
};

static int is_kind(const struct elf_note *note, size_t kind)
{
	size_t len = strlen(kinds[kind].name);

	return note->type == kinds[kind].type && note->len >= kinds[kind].size &&
	       note->name_len == len && memcmp(note->name, kinds[kind].name, len) == 0;
}

uint32_t elf_kind_count(const struct elf_core *core, enum elf_note_kind kind)
{
	return core->n_notes ? core->notes[core->n_notes - 1].upto[kind] : 0;
}

const struct elf_note *elf_kind_find(const struct elf_core *core, enum elf_note_kind kind,
				     uint32_t index)
{
	size_t low = 0, high = core->n_notes;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (core->notes[middle].upto[kind] > index)
			high = middle;
		else
			low = middle + 1;
	}
	return low < core->n_notes ? &core->notes[low] : NULL;
}

/* ---- notes ---------------------------------------------------------------------------------------- */

static int add_note(struct elf_core *core, struct elf_note *note)
{
	if (core->n_notes == core->cap_notes) {
		size_t cap = core->cap_notes ? core->cap_notes * 2 : 16;
		struct elf_note *notes = realloc(core->notes, cap * sizeof(*notes));
		if (!notes)
			return SONDE_E_NO_MEMORY;
		core->notes = notes;
		core->cap_notes = cap;
	}
	for (size_t i = 0; i < ELF_KINDS; i++)
		note->upto[i] =
			elf_kind_count(core, (enum elf_note_kind)i) + (uint32_t)is_kind(note, i);
	core->notes[core->n_notes++] = *note;
	return 0;
}

int elf_notes_add(struct elf_core *core, const uint8_t *bytes, size_t len)
{
	size_t at = 0;

	while (len - at >= ELF_NOTE_HEAD && core->n_notes < ELF_NOTES_MAX) {
		uint32_t name_len = elf_u32(core, bytes + at);
		uint32_t desc_len = elf_u32(core, bytes + at + 4);
		struct elf_note note = { .type = elf_u32(core, bytes + at + 8) };

		at += ELF_NOTE_HEAD;
		if (padded(name_len) > len - at)
			break;
		note.name = (const char *)bytes + at;
		note.name_len = (uint32_t)strnlen(note.name, name_len);
		at += padded(name_len);
		if (desc_len > len - at)
			break;
		note.desc = bytes + at;
		note.len = desc_len;
		at += padded(desc_len) < len - at ? padded(desc_len) : len - at;

		/* makedumpfile and /proc/vmcore leave runs of empty notes behind the last one. */
		if (note.name_len == 0 && note.len == 0)
			continue;
		int r = add_note(core, &note);
		if (r < 0)
			return r;
	}
	return 0;
}

const struct elf_note *elf_note_find(const struct elf_core *core, const char *name, int64_t type,
				     uint32_t index)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < core->n_notes; i++) {
		const struct elf_note *note = &core->notes[i];
		if (note->name_len != len || memcmp(note->name, name, len) != 0)
			continue;
		if (type >= 0 && note->type != type)
			continue;
		if (index-- == 0)
			return note;
	}
	return NULL;
}

static const struct elf_note *qemu_state(const struct elf_core *core, uint32_t index)
{
	const struct elf_note *note = elf_kind_find(core, ELF_KIND_QEMU, index);
	int x86 = core->machine == ELF_MACHINE_X86_64 || core->machine == ELF_MACHINE_386;

	return note && x86 && !core->big && note->len >= QEMU_STATE_MIN ? note : NULL;
}

static void take_x86_64(const uint8_t *regs, struct sonde_cpu *ret)
{
	/* Of user_regs_struct, in the order of sonde_cpu.general. */
	static const uint8_t order[16] = {
		PRSTATUS_RAX, PRSTATUS_RBX, PRSTATUS_RCX, PRSTATUS_RDX, PRSTATUS_RSI, PRSTATUS_RDI,
		PRSTATUS_RSP, PRSTATUS_RBP, PRSTATUS_R8,  PRSTATUS_R9,  PRSTATUS_R10, PRSTATUS_R11,
		PRSTATUS_R12, PRSTATUS_R13, PRSTATUS_R14, PRSTATUS_R15,
	};

	ret->valid = SONDE_CPU_GENERAL | SONDE_CPU_GS;
	for (int i = 0; i < 16; i++)
		ret->general[i] = sonde_le64(regs + 8 * order[i]);
	ret->pc = sonde_le64(regs + 8 * PRSTATUS_RIP);
	ret->sp = ret->general[6];
	ret->flags = sonde_le64(regs + 8 * PRSTATUS_EFLAGS);
	ret->gs_base = sonde_le64(regs + 8 * PRSTATUS_GS_BASE);
}

static void take_aarch64(const uint8_t *regs, struct sonde_cpu *ret)
{
	ret->valid = SONDE_CPU_GENERAL;
	for (int i = 0; i < 16; i++)
		ret->general[i] = sonde_le64(regs + 8 * i);
	ret->pc = sonde_le64(regs + 8 * PRSTATUS_ARM64_PC);
	ret->sp = sonde_le64(regs + 8 * PRSTATUS_ARM64_SP);
	ret->flags = sonde_le64(regs + 8 * PRSTATUS_ARM64_PSTATE);
}

/* The pc stands where register 0 would, which is always 0. */
static void take_riscv64(const uint8_t *regs, struct sonde_cpu *ret)
{
	ret->valid = SONDE_CPU_GENERAL;
	for (int i = 1; i < 16; i++)
		ret->general[i] = sonde_le64(regs + 8 * i);
	ret->pc = sonde_le64(regs + 8 * PRSTATUS_RISCV64_PC);
	ret->sp = sonde_le64(regs + 8 * PRSTATUS_RISCV64_SP);
}

/* What NT_PRSTATUS holds of each machine of 64 bits, low byte first. */
static const struct prstatus {
	uint32_t machine, words;
	void (*take)(const uint8_t *regs, struct sonde_cpu *ret);
} prstatuses[] = {
	{ ELF_MACHINE_X86_64, PRSTATUS_WORDS, take_x86_64 },
	{ ELF_MACHINE_AARCH64, PRSTATUS_ARM64_WORDS, take_aarch64 },
	{ ELF_MACHINE_RISCV, PRSTATUS_RISCV64_WORDS, take_riscv64 },
};

static const struct prstatus *prstatus_of(const struct elf_core *core)
{
	for (size_t i = 0; i < sizeof(prstatuses) / sizeof(prstatuses[0]); i++) {
		if (prstatuses[i].machine == core->machine && core->word == 8 && !core->big)
			return &prstatuses[i];
	}
	return NULL;
}

static const struct elf_note *prstatus(const struct elf_core *core, uint32_t index)
{
	const struct elf_note *note = elf_kind_find(core, ELF_KIND_PRSTATUS, index);
	const struct prstatus *holds = prstatus_of(core);

	return note && holds && note->len >= PRSTATUS_REGS + 8 * holds->words ? note : NULL;
}

uint32_t elf_core_cpu_count(const struct elf_core *core)
{
	uint32_t n_host = elf_vbox_cpu_count(core) + elf_xen_cpu_count(core);
	uint32_t n_qemu = qemu_state(core, 0) ? elf_kind_count(core, ELF_KIND_QEMU) : 0;
	uint32_t n_prstatus = prstatus(core, 0) ? elf_kind_count(core, ELF_KIND_PRSTATUS) : 0;

	if (n_host)
		return n_host;
	return n_qemu > n_prstatus ? n_qemu : n_prstatus;
}

static uint64_t segment_base(const uint8_t *state, int segment)
{
	return sonde_le64(state + QEMU_STATE_CS + segment * QEMU_SEGMENT_SIZE + QEMU_SEGMENT_BASE);
}

static void cpu_from_qemu(const struct elf_note *note, struct sonde_cpu *ret)
{
	const uint8_t *state = note->desc;
	uint32_t size = sonde_le32(state + QEMU_STATE_SIZE);

	ret->valid = SONDE_CPU_GENERAL | SONDE_CPU_CONTROL | SONDE_CPU_TABLES | SONDE_CPU_GS;
	for (int i = 0; i < 16; i++)
		ret->general[i] = sonde_le64(state + QEMU_STATE_GENERAL + 8 * i);
	ret->pc = sonde_le64(state + QEMU_STATE_RIP);
	ret->sp = ret->general[6];
	ret->flags = sonde_le64(state + QEMU_STATE_RFLAGS);
	for (int i = 0; i < 5; i++)
		ret->cr[i] = sonde_le64(state + QEMU_STATE_CR + 8 * i);
	ret->gdt_base = segment_base(state, QEMU_SEGMENT_GDT);
	ret->idt_base = segment_base(state, QEMU_SEGMENT_IDT);
	ret->gs_base = segment_base(state, QEMU_SEGMENT_GS);
	if (size >= QEMU_STATE_KERNEL_GS + 8 && note->len >= QEMU_STATE_KERNEL_GS + 8) {
		ret->kernel_gs_base = sonde_le64(state + QEMU_STATE_KERNEL_GS);
		ret->valid |= SONDE_CPU_KERNEL_GS;
	}
}

int elf_core_cpu(const struct elf_core *core, uint32_t index, struct sonde_cpu *ret)
{
	const struct elf_note *note = qemu_state(core, index);

	ret->arch = elf_core_arch(core);
	if (note) {
		cpu_from_qemu(note, ret);
		return 0;
	}
	if (elf_vbox_cpu(core, index, ret) == 0 || elf_xen_cpu(core, index, ret) == 0)
		return 0;
	note = prstatus(core, index);
	if (!note)
		return SONDE_E_NOT_FOUND;
	prstatus_of(core)->take(note->desc + PRSTATUS_REGS, ret);
	return 0;
}

int elf_core_full_cpu(const struct elf_core *core, uint32_t index, struct full_cpu *ret)
{
	int r = elf_core_cpu(core, index, &ret->cpu);
	uint32_t n = r == 0 ? full_cpu_upper(ret->cpu.arch) : 0;
	const struct elf_note *note = n ? prstatus(core, index) : NULL;

	ret->n_upper = note ? n : 0;
	for (uint32_t i = 0; i < ret->n_upper; i++)
		ret->upper[i] = sonde_le64(note->desc + PRSTATUS_REGS + 8 * (UPPER_FIRST + i));
	return r;
}

int64_t elf_core_note(const struct elf_core *core, const char *name, void *buf, size_t cap)
{
	struct full_cpu cpu = { 0 };
	uint32_t index;

	if (full_cpu_asked(name, &index))
		return elf_core_full_cpu(core, index, &cpu) == 0 ? full_cpu_note(&cpu, buf, cap)
								 : SONDE_E_NOT_FOUND;
	const struct elf_note *note = elf_note_find(core, name, -1, 0);
	return note ? note_bytes(note->desc, note->len, buf, cap) : SONDE_E_NOT_FOUND;
}
