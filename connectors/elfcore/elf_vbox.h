/* SPDX-License-Identifier: MIT */
/*
 * Notes of VirtualBox's cores (VBoxManage debugvm … dumpvmcore): "VBCORE", what wrote it, and "VBCPU", one a processor. Sources:
 * VirtualBox 7.0 include/VBox/vmm/dbgfcorefmt.h (DBGFCOREDESCRIPTOR, DBGFCORECPU) and src/VBox/VMM/VMMR3/DBGFCoreWrite.cpp.
 */
#ifndef ELF_VBOX_H
#define ELF_VBOX_H

#include "elf_core.h"

enum {
	VBOX_NOTE_CORE = 0xb00,
	VBOX_CORE_SIZE = 24,
	VBOX_NOTE_CPU = 0xb01,
	VBOX_CPU_SIZE = 552,
};

/* The version of VirtualBox that wrote it, as major, minor and build; 0: another did. */
uint32_t elf_vbox_version(const struct elf_core *core);
/* As elf_core_cpu_count and elf_core_cpu. */
uint32_t elf_vbox_cpu_count(const struct elf_core *core);
int elf_vbox_cpu(const struct elf_core *core, uint32_t index, struct sonde_cpu *ret);

#endif
