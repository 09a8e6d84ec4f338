/* SPDX-License-Identifier: MIT */
/*
 * The files that a process had mapped, in the place of what its core left out of them. Which ones the core says (NT_FILE); they are
 * looked up below a folder, and each has to prove that it is the one: by its build ID where the core has that, by its ELF header
 * where the core has no more, by its size at least.
 *
 * Source: linux v6.1 fs/coredump.c, vma_dump_size: what was written to is saved whole (bit 0 of coredump_filter); of a mapped file
 * that begins with an ELF header, its first page (bit 4). gdb's gcore goes by the same bits.
 */
#ifndef ELF_MAPPED_H
#define ELF_MAPPED_H

#include "../common/note_lines.h"
#include "elf_core.h"
#include "elf_process.h"

#include <sonde/plugin.h>

/* Bounds against hostile notes; what is beyond stays left out, and is counted. */
#define ELF_MAPPED_RANGES_MAX (1u << 14)
#define ELF_MAPPED_FILES_MAX 512u /* each is an open descriptor */

/* A file that the core left something out of. */
struct elf_mapped_file {
	const char *path; /* in the note                                          */
	const char *why;  /* it is not used; NULL: it is                          */
	const char *by;   /* what was compared: "build_id", "elf_header"; NULL: sizes alone */
	uint64_t size;
	int fd;           /* -1: not open                                         */
	uint32_t n_heads; /* saved mappings of its beginning that were looked at  */
};

/* A mapping of which the core left something out. */
struct elf_mapped_range {
	const struct elf_file *told;
	const struct elf_mapped_file *file;
};

struct elf_mapped {
	struct elf_files told;           /* NT_FILE                                     */
	struct elf_mapped_range *ranges; /* [n_ranges], by rising start       */
	struct elf_mapped_file *files;   /* [n_files]                         */
	size_t n_ranges, n_files, n_used;
	size_t n_beyond; /* ranges that the bounds left out                   */
	uint64_t page;   /* bytes, of the process                             */
};

/*
 * Look the files of core up below the folder root (elf_root_open). read: the core's bytes.
 *
 * Returns   0: each of *ret is used, or why it is not is said;
 *           SONDE_E_NOT_SAVED: the core has not even what the process changed, so that its files are not what it saw;
 *           SONDE_E_NO_MEMORY.
 * Owns      *ret: elf_mapped_finish, also after an error. core stays where it is until then.
 */
int elf_mapped_find(struct elf_mapped *ret, const struct elf_core *core, elf_read_fn *read,
		    void *user, int root);
void elf_mapped_finish(struct elf_mapped *mapped);

/* Tell the bytes of all that are used, whatever the core itself has of them. A result of fn other than 0 is handed back. */
int elf_mapped_extents(const struct elf_mapped *mapped, sonde_extent_fn *fn, void *user);

/* Lines of SONDE_NOTE_FACTS: each file, and what became of it. */
void elf_mapped_facts(const struct elf_mapped *mapped, struct note_lines *lines);

#endif
