/* SPDX-License-Identifier: MIT */
/*
 * ELF core files as bytes: offsets of the fields that are read here, in both classes.
 * Sources: System V gABI 4.1 chapters "ELF Header", "Sections", "Program Header";
 * linux v6.1 include/uapi/linux/elfcore.h and include/linux/elfcore.h (elf_prstatus);
 * qemu 7.2 target/i386/arch_dump.c (struct QEMUCPUState).
 */
#ifndef ELF_FORMAT_H
#define ELF_FORMAT_H

#include <sonde/types.h>
#include <stdint.h>

enum {
	ELF_IDENT_SIZE = 16, /* e_ident */
	ELF_IDENT_CLASS = 4,
	ELF_IDENT_DATA = 5,
	ELF_IDENT_VERSION = 6,
	ELF_CLASS_32 = 1,
	ELF_CLASS_64 = 2,
	ELF_DATA_LITTLE = 1,
	ELF_DATA_BIG = 2,
	ELF_VERSION_CURRENT = 1,
	ELF_VERSION_NONE = 0, /* what VirtualBox leaves there */

	ELF_TYPE_AT = 16, /* e_type, 16 bits in both classes */
	ELF_MACHINE_AT = 18,
	ELF_TYPE_CORE = 4, /* ET_CORE */

	ELF_MACHINE_386 = 3, /* EM_386 and so on */
	ELF_MACHINE_ARM = 40,
	ELF_MACHINE_X86_64 = 62,
	ELF_MACHINE_AARCH64 = 183,
	ELF_MACHINE_RISCV = 243,

	ELF_PHNUM_IN_SECTION = 0xffff, /* PN_XNUM: the count is sh_info of section 0 */

	ELF_SEGMENT_LOAD = 1, /* PT_LOAD */
	ELF_SEGMENT_NOTE = 4, /* PT_NOTE */

	ELF_FLAG_EXEC = 1, /* PF_X, PF_W, PF_R */
	ELF_FLAG_WRITE = 2,
	ELF_FLAG_READ = 4,

	ELF_NOTE_HEAD = 12,    /* n_namesz, n_descsz, n_type: 32 bits each  */
	ELF_NOTE_PRSTATUS = 1, /* NT_PRSTATUS of the name "CORE", and so on */
	ELF_NOTE_PRPSINFO = 3,
	ELF_NOTE_AUXV = 6,
	ELF_NOTE_FILE = 0x46494c45,
	ELF_NOTE_SIGINFO = 0x53494749,

	ELF_AUX_PAGE_SIZE = 6, /* AT_PAGESZ, and so on: linux v6.1 include/uapi/linux/auxvec.h */
	ELF_AUX_BASE = 7,
	ELF_AUX_ENTRY = 9,
	ELF_AUX_VDSO = 33, /* AT_SYSINFO_EHDR: arch/x86/include/uapi/asm/auxvec.h and others */
};

/* enum sonde_arch of a machine and the bytes of an address in its files; NONE: not known here. */
static inline uint32_t elf_machine_arch(uint32_t machine, uint32_t word)
{
	switch (machine) {
	case ELF_MACHINE_X86_64:
		return SONDE_ARCH_X86_64;
	case ELF_MACHINE_AARCH64:
		return SONDE_ARCH_AARCH64;
	case ELF_MACHINE_386: /* QEMU dumps a PAE guest as ELF64 of this machine */
		return SONDE_ARCH_I386;
	case ELF_MACHINE_ARM:
		return SONDE_ARCH_ARM;
	case ELF_MACHINE_RISCV:
		return word == 8 ? SONDE_ARCH_RISCV64 : SONDE_ARCH_NONE;
	default:
		return SONDE_ARCH_NONE;
	}
}

/* Where the fields of one class are. */
struct elf_layout {
	uint8_t word; /* bytes of an address or offset */
	uint8_t head_size, phoff, shoff, phentsize, phnum, shentsize, shnum, shstrndx;
	uint8_t ph_size, ph_flags, ph_offset, ph_vaddr, ph_paddr, ph_filesz, ph_memsz;
	uint8_t sh_entry, sh_offset, sh_size, sh_info; /* sh_entry: bytes of a section header */
};

/* clang-format off: a table */
static const struct elf_layout elf_layout_32 = {
	.word = 4,
	.head_size = 52,
	.phoff = 28,
	.shoff = 32,
	.phentsize = 42,
	.phnum = 44,
	.shentsize = 46,
	.shnum = 48,
	.shstrndx = 50,
	.ph_size = 32,
	.ph_offset = 4,
	.ph_vaddr = 8,
	.ph_paddr = 12,
	.ph_filesz = 16,
	.ph_memsz = 20,
	.ph_flags = 24,
	.sh_entry = 40,
	.sh_offset = 16,
	.sh_size = 20,
	.sh_info = 28,
};

static const struct elf_layout elf_layout_64 = {
	.word = 8,
	.head_size = 64,
	.phoff = 32,
	.shoff = 40,
	.phentsize = 54,
	.phnum = 56,
	.shentsize = 58,
	.shnum = 60,
	.shstrndx = 62,
	.ph_size = 56,
	.ph_flags = 4,
	.ph_offset = 8,
	.ph_vaddr = 16,
	.ph_paddr = 24,
	.ph_filesz = 32,
	.ph_memsz = 40,
	.sh_entry = 64,
	.sh_offset = 24,
	.sh_size = 32,
	.sh_info = 44,
};
/* clang-format on */

/* struct elf_prstatus: the signal, the thread, then its registers, by width. */
enum {
	PRSTATUS_CURSIG = 12, /* 16 bits */
	PRSTATUS_PID = 32,
	PRSTATUS_PID_32 = 24,
	PRSTATUS_REGS_32 = 72,
};

/* struct elf_prstatus of x86-64: pr_reg, then user_regs_struct in 8-byte words. */
enum {
	PRSTATUS_REGS = 112,
	PRSTATUS_WORDS = 27,
	PRSTATUS_R15 = 0,
	PRSTATUS_R14,
	PRSTATUS_R13,
	PRSTATUS_R12,
	PRSTATUS_RBP,
	PRSTATUS_RBX,
	PRSTATUS_R11,
	PRSTATUS_R10,
	PRSTATUS_R9,
	PRSTATUS_R8,
	PRSTATUS_RAX,
	PRSTATUS_RCX,
	PRSTATUS_RDX,
	PRSTATUS_RSI,
	PRSTATUS_RDI,
	PRSTATUS_ORIG_RAX,
	PRSTATUS_RIP,
	PRSTATUS_CS,
	PRSTATUS_EFLAGS,
	PRSTATUS_RSP,
	PRSTATUS_SS,
	PRSTATUS_FS_BASE,
	PRSTATUS_GS_BASE,
};

/*
 * Of aarch64: user_pt_regs (linux v6.1 arch/arm64/include/uapi/asm/ptrace.h), x0 .. x30 first; of riscv64: user_regs_struct
 * (arch/riscv/include/uapi/asm/ptrace.h). Both behind the same 112 bytes.
 */
enum {
	PRSTATUS_ARM64_SP = 31,
	PRSTATUS_ARM64_PC,
	PRSTATUS_ARM64_PSTATE,
	PRSTATUS_ARM64_WORDS,
	PRSTATUS_RISCV64_PC = 0,
	PRSTATUS_RISCV64_SP = 2,
	PRSTATUS_RISCV64_WORDS = 32,
};

/* struct QEMUCPUState: the note "QEMU", type 0, on x86 of both widths. */
enum {
	QEMU_STATE_VERSION = 0, /* 32 bits, 1                                        */
	QEMU_STATE_SIZE = 4,    /* 32 bits, of the whole; later fields follow cr[4]  */
	QEMU_STATE_GENERAL = 8, /* rax rbx rcx rdx rsi rdi rsp rbp r8 … r15          */
	QEMU_STATE_RIP = 136,
	QEMU_STATE_RFLAGS = 144,
	QEMU_STATE_CS = 152, /* cs ds es fs gs ss ldt tr gdt idt: segments           */
	QEMU_SEGMENT_SIZE = 24,
	QEMU_SEGMENT_BASE = 16, /* 64 bits, behind selector, limit, flags, pad       */
	QEMU_SEGMENT_GS = 4,
	QEMU_SEGMENT_GDT = 8,
	QEMU_SEGMENT_IDT = 9,
	QEMU_STATE_CR = 392, /* cr[5]                                                */
	QEMU_STATE_MIN = 432,
	QEMU_STATE_KERNEL_GS = 432, /* only where the size says so                   */
};

#endif
