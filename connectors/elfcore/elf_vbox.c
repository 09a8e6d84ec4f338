/* SPDX-License-Identifier: MIT */
#include "elf_vbox.h"

enum {
	CORE_MAGIC_AT = 0, /* 32 bits, as all of it */
	CORE_FORMAT_AT = 4,
	CORE_VERSION_AT = 12,
	CORE_MAGIC = (int)0xc01ac0de,
	FORMAT_FIRST =
		0x00010004, /* before, a processor was VirtualBox's own structure of the day */
	FORMAT_LAST = 0x0001ffff,

	CPU_RIP = 112, /* behind rax rbx rcx rdx rsi rdi r8 … r15 */
	CPU_RSP = 120,
	CPU_RBP = 128,
	CPU_RFLAGS = 136,
	CPU_GS = 240,  /* of cs ds es fs gs ss, 24 bytes each: base first */
	CPU_CR0 = 288, /* and cr2, cr3, cr4 */
	CPU_GDT = 384, /* address first, as of the next */
	CPU_IDT = 400,
	CPU_EFER = 488,
	CPU_KERNEL_GS = 536,
};

static const struct elf_note *descriptor(const struct elf_core *core)
{
	const struct elf_note *note = elf_kind_find(core, ELF_KIND_VBOX, 0);

	return note && elf_u32(core, note->desc + CORE_MAGIC_AT) == (uint32_t)CORE_MAGIC ? note
											 : NULL;
}

uint32_t elf_vbox_version(const struct elf_core *core)
{
	const struct elf_note *note = descriptor(core);

	return note ? elf_u32(core, note->desc + CORE_VERSION_AT) : 0;
}

/* Whether its processors are in a form that is known. */
static int is_known(const struct elf_core *core)
{
	const struct elf_note *note = descriptor(core);
	uint32_t format = note ? elf_u32(core, note->desc + CORE_FORMAT_AT) : 0;

	return format >= FORMAT_FIRST && format <= FORMAT_LAST && !core->big;
}

uint32_t elf_vbox_cpu_count(const struct elf_core *core)
{
	return is_known(core) ? elf_kind_count(core, ELF_KIND_VBOX_CPU) : 0;
}

int elf_vbox_cpu(const struct elf_core *core, uint32_t index, struct sonde_cpu *ret)
{
	/* In the order of sonde_cpu.general. */
	static const uint8_t order[16] = {
		0, 8, 16, 24, 32, 40, CPU_RSP, CPU_RBP, 48, 56, 64, 72, 80, 88, 96, 104,
	};
	const struct elf_note *note = elf_kind_find(core, ELF_KIND_VBOX_CPU, index);

	if (!is_known(core) || !note)
		return SONDE_E_NOT_FOUND;
	ret->valid = SONDE_CPU_GENERAL | SONDE_CPU_CONTROL | SONDE_CPU_TABLES | SONDE_CPU_GS |
		     SONDE_CPU_KERNEL_GS | SONDE_CPU_EFER;
	for (int i = 0; i < 16; i++)
		ret->general[i] = sonde_le64(note->desc + order[i]);
	ret->pc = sonde_le64(note->desc + CPU_RIP);
	ret->sp = sonde_le64(note->desc + CPU_RSP);
	ret->flags = sonde_le64(note->desc + CPU_RFLAGS);
	ret->cr[0] = sonde_le64(note->desc + CPU_CR0);
	for (int i = 2; i < 5; i++)
		ret->cr[i] = sonde_le64(note->desc + CPU_CR0 + 8 * (i - 1));
	ret->gdt_base = sonde_le64(note->desc + CPU_GDT);
	ret->idt_base = sonde_le64(note->desc + CPU_IDT);
	ret->gs_base = sonde_le64(note->desc + CPU_GS);
	ret->kernel_gs_base = sonde_le64(note->desc + CPU_KERNEL_GS);
	ret->efer = sonde_le64(note->desc + CPU_EFER);
	return 0;
}
