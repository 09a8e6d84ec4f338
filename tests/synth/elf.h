/* SPDX-License-Identifier: MIT */
/*
 * Builds ELF cores in memory from a table: every field can be told to lie. The bytes of a
 * PT_LOAD that lie inside the image are filled with (offset in segment) / 16 + number of the
 * segment.
 */
#ifndef SYNTH_ELF_H
#define SYNTH_ELF_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes as a file: an elf_read_fn of connectors/elfcore/elf_core.h, user being the image. */
struct synth_image {
	const uint8_t *bytes;
	size_t size;
};

static inline size_t synth_image_read(void *user, uint64_t off, void *buf, size_t len)
{
	const struct synth_image *image = user;

	if (off >= image->size)
		return 0;
	if (len > image->size - off)
		len = image->size - (size_t)off;
	memcpy(buf, image->bytes + off, len);
	return len;
}

enum { SYNTH_LOAD = 1, SYNTH_NOTE = 4 }; /* PT_LOAD, PT_NOTE: System V gABI "Program Header" */

struct synth_segment {
	uint32_t type;
	uint64_t off, vaddr, paddr, filesz, memsz;
	uint32_t flags;
	int no_fill; /* leave the bytes alone: the caller writes notes there */
};

struct synth_elf {
	int is_32, is_big;
	uint16_t machine;
	uint16_t type;        /* 0: ET_CORE                                             */
	uint64_t phoff;       /* 0: right behind the header                             */
	uint16_t phentsize;   /* 0: what the class says                                 */
	int phnum_in_section; /* e_phnum 0xffff, the count in section 0 at shoff      */
	uint64_t shoff;
	uint64_t phnum; /* 0: n_segments; else what the header claims             */
	const struct synth_segment *segments;
	size_t n_segments;
};

/* Write header, table and fill into image, zeroed first. Fields that do not fit the image are left
 * out. */
void synth_elf(uint8_t *image, size_t size, const struct synth_elf *spec);

/* Append one note at image + at; returns where the next one goes. */
size_t synth_note(uint8_t *image, size_t at, int is_big, const char *name, uint32_t type,
		  const void *desc, uint32_t len);

/* Integers of 2, 4 or 8 bytes in the byte order asked for. */
void synth_put(uint8_t *at, int is_big, int size, uint64_t value);

#endif
