/* SPDX-License-Identifier: MIT */
/*
 * The reader of ELF core headers: what memory a core holds and where in the file, its
 * notes, its processors. It reads through a callback, so that a fuzzer needs no file.
 */
#ifndef ELF_CORE_H
#define ELF_CORE_H

#include "../common/full_cpu.h"

#include <stdint.h>

/* Bounds against hostile headers. */
#define ELF_SEGMENTS_MAX (1u << 18) /* each gives up to three extents; a space takes 2^20 */
#define ELF_NOTE_BYTES_MAX (16u << 20)
#define ELF_NOTES_MAX (1u << 16)

/* Up to len bytes at off into buf; returns how many came. */
typedef size_t elf_read_fn(void *user, uint64_t off, void *buf, size_t len);

/* One PT_LOAD; addr + max(filesz, memsz) - 1 does not wrap, and one of them is not 0. */
struct elf_segment {
	uint64_t paddr, vaddr;
	uint64_t off, filesz, memsz; /* as in the file; filesz may reach beyond it  */
	uint32_t flags;              /* ELF_FLAG_*                                  */
};

/* Kinds of notes that are looked up again and again: most of them one a processor, of which there may be many. */
enum elf_note_kind {
	ELF_KIND_PRSTATUS,
	ELF_KIND_QEMU,
	ELF_KIND_VBOX,
	ELF_KIND_VBOX_CPU,
	ELF_KINDS
};

struct elf_note {
	const char *name; /* [name_len], not terminated */
	const uint8_t *desc;
	uint32_t name_len, len, type;
	uint32_t upto[ELF_KINDS]; /* how many of each kind there are up to this one */
};

struct elf_core {
	uint64_t file_size;
	int big;            /* the file is big-endian                      */
	uint32_t word;      /* 4 or 8 bytes: the ELF class                 */
	uint32_t machine;   /* ELF_MACHINE_*                               */
	int by_vaddr;       /* core of a process: addresses are p_vaddr    */
	uint64_t n_headers; /* program headers, or pages of Xen, there should be */
	uint64_t n_cut;     /* of these, beyond the end of the file        */
	uint64_t n_refused; /* loads whose addresses wrap                  */

	struct elf_segment *segments; /* [n_segments], in the file's order */
	size_t n_segments, cap_segments;

	uint8_t *note_bytes; /* what notes point into */
	size_t n_note_bytes;
	struct elf_note *notes; /* [n_notes], in the file's order */
	size_t n_notes, cap_notes;

	int is_xen;        /* of one of Xen's domains: elf_xen.h    */
	uint8_t *xen_cpus; /* its processors, as Xen has them       */
	size_t xen_cpus_len;
};

/*
 * Read the headers of a core of file_size bytes.
 *
 * Returns   0: at least the ELF header is sound, whatever could be read of the rest is in *ret;
 *           SONDE_E_BAD_FORMAT, _TRUNCATED, _LIMIT, _NO_MEMORY: *ret_why says what is wrong.
 * Owns      *ret: elf_core_finish, also after an error.
 */
int elf_core_read(struct elf_core *ret, elf_read_fn *read, void *user, uint64_t file_size,
		  const char **ret_why);
void elf_core_finish(struct elf_core *core);

/* One segment more. Returns 0, SONDE_E_NO_MEMORY. */
int elf_core_add_segment(struct elf_core *core, const struct elf_segment *segment);

/* Address of a segment, in the terms of the core. */
static inline uint64_t elf_segment_addr(const struct elf_core *core, const struct elf_segment *s)
{
	return core->by_vaddr ? s->vaddr : s->paddr;
}

/* Integers in the byte order of the file. */
uint16_t elf_u16(const struct elf_core *core, const void *p);
uint32_t elf_u32(const struct elf_core *core, const void *p);
uint64_t elf_u64(const struct elf_core *core, const void *p);

/* Add the notes of len bytes; what is cut off or nonsense ends the list. Returns 0,
 * SONDE_E_NO_MEMORY. */
int elf_notes_add(struct elf_core *core, const uint8_t *bytes, size_t len);
/* The index-th note of that name and type (type < 0: any); NULL none. */
const struct elf_note *elf_note_find(const struct elf_core *core, const char *name, int64_t type,
				     uint32_t index);
/* How many there are of a kind; the index-th of them, NULL none. */
uint32_t elf_kind_count(const struct elf_core *core, enum elf_note_kind kind);
const struct elf_note *elf_kind_find(const struct elf_core *core, enum elf_note_kind kind,
				     uint32_t index);

/* How many processors (threads of a process) elf_core_cpu can tell. */
uint32_t elf_core_cpu_count(const struct elf_core *core);
/* Returns 0; SONDE_E_NOT_FOUND. *ret is zero on entry. */
int elf_core_cpu(const struct elf_core *core, uint32_t index, struct sonde_cpu *ret);
int elf_core_full_cpu(const struct elf_core *core, uint32_t index, struct full_cpu *ret);
/* A note by its name, the registers of a processor among them, as the slot note hands it back. */
int64_t elf_core_note(const struct elf_core *core, const char *name, void *buf, size_t cap);

/* enum sonde_arch of the machine. */
uint32_t elf_core_arch(const struct elf_core *core);

#endif
