/* SPDX-License-Identifier: MIT */
/*
 * What is known of a machine beside its bytes, as ELF notes: NT_PRSTATUS for each processor whose registers the source
 * tells, QEMU's own note where it tells control registers and tables too, VMCOREINFO. Layouts: connectors/elfcore/elf_format.h.
 * Fields that the source does not tell are 0: selectors, x16 to x30 of aarch64, most registers of riscv64.
 */
#ifndef SONDE_TOOL_DUMP_NOTES_H
#define SONDE_TOOL_DUMP_NOTES_H

#include "dump.h"

struct dump_notes {
	uint8_t *bytes; /* [len] */
	size_t len, cap;
	size_t info_at; /* where VMCOREINFO's text begins; 0: there is none */
};

/* Returns 0, SONDE_E_NO_MEMORY. Owns: dump_notes_finish, also after an error. */
int dump_notes_make(struct dump_notes *ret, const struct dump_source *source);
void dump_notes_finish(struct dump_notes *notes);

/* EM_* of an enum sonde_arch, and what uname calls it; 0 and "" where it is not known. */
uint16_t dump_elf_machine(uint32_t arch);
const char *dump_uname_machine(uint32_t arch);

/* The value behind "KEY=" of VMCOREINFO, up to its line's end, cut to cap - 1 bytes; "" none. */
void dump_info_value(const struct dump_source *source, const char *key, char *ret, size_t cap);

#endif
