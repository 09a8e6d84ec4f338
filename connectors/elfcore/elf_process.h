/* SPDX-License-Identifier: MIT */
/*
 * The core of a process: what its notes say of it, beside the bytes.
 *
 * Source: linux v6.1 include/linux/elfcore.h and elfcore-compat.h (elf_prstatus, elf_prpsinfo of both widths), fs/binfmt_elf.c
 * (fill_files_note), include/uapi/linux/auxvec.h; gdb's gcore writes the same notes.
 */
#ifndef ELF_PROCESS_H
#define ELF_PROCESS_H

#include "../common/note_lines.h"
#include "elf_core.h"

/* A file that was mapped: NT_FILE. end > start; path lies in the note, terminated. */
struct elf_file {
	uint64_t start, end;
	uint64_t off; /* bytes into the file; UINT64_MAX: more than that */
	const char *path;
};

struct elf_files {
	struct elf_file *at; /* [n], by rising start */
	size_t n;
};

/* What NT_FILE tells; entries that make no sense are left out. Returns 0; SONDE_E_NO_MEMORY. Owns *ret: free(ret->at). */
int elf_files_read(const struct elf_core *core, struct elf_files *ret);

void elf_files_sort(struct elf_files *files);
/* The file that addr is of; NULL: none that is told. */
const struct elf_file *elf_file_at(const struct elf_files *files, uint64_t addr);

/* The value of an entry of the auxiliary vector, NT_AUXV. Returns 1, 0. */
int elf_aux_find(const struct elf_core *core, uint64_t type, uint64_t *ret);

/* Lines of SONDE_NOTE_FACTS, to lines that are open. Returns 0, SONDE_E_NO_MEMORY. */
int elf_process_facts(const struct elf_core *core, struct note_lines *lines);
/* SONDE_NOTE_PROCESS; empty where no note is of a process. Returns 0, SONDE_E_NO_MEMORY. Owns *ret: note_lines_finish, also after an error. */
int elf_process_note(const struct elf_core *core, struct note_lines *ret);

#endif
