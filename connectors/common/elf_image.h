/* SPDX-License-Identifier: MIT */
/*
 * ELF images as they lie in a process: the part of the file header that was mapped says how far the image reaches and
 * where its notes are. Whoever wrote it may lie.
 *
 * Source: System V ABI, gABI 4.1 chapters 4 (ELF header, notes) and 5 (program header);
 * binutils include/elf/common.h (NT_GNU_BUILD_ID).
 */
#ifndef ELF_IMAGE_H
#define ELF_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#define IMAGE_NOTES_MAX 4u
#define IMAGE_NOTE_BYTES 1024u /* of one PT_NOTE: what is behind is not looked at */
#define IMAGE_BUILD_ID_MAX 64u

struct image_note {
	uint64_t off; /* bytes behind the first of the image */
	uint32_t len;
};

struct image {
	uint64_t size;  /* bytes, from the first mapped one, whole pages */
	uint32_t order; /* enum sonde_order                    */
	uint32_t n_notes;
	struct image_note notes[IMAGE_NOTES_MAX];
};

/* enum sonde_arch that an image is for, by its first len bytes; NONE: no ELF, or one that is not known here. */
uint32_t image_arch(const uint8_t *head, size_t len);

/* head: the first len bytes. Returns 1; 0 no ELF; SONDE_E_CORRUPT, _LIMIT (what is asked for lies behind len). */
int image_parse(const uint8_t *head, size_t len, struct image *ret);

/* Hex digits of the build id among len bytes of notes. Returns 1, 0. */
int image_build_id(const uint8_t *notes, size_t len, uint32_t order,
		   char text[2 * IMAGE_BUILD_ID_MAX + 1]);

#endif
