/* SPDX-License-Identifier: MIT */
/*
 * A core of a process that had files mapped, of which it left out what was not changed, and such a file. The core, as the kernel writes
 * it with its filter of 0x33:
 *
 *	0x400000  3 pages of /lib/elf from 0 on: the first is saved, the others are not
 *	0x500000  2 pages of /lib/data, from page 1 on: not saved
 *	0x600000  2 pages of /lib/none from 0 on: in no segment, as gcore leaves them out
 *	0x7f0000  1 page that can be written, saved: the stack
 */
#ifndef SYNTH_MAPPED_CORE_H
#define SYNTH_MAPPED_CORE_H

#include <stdint.h>

enum {
	MAPPED_PAGE = 0x1000,
	MAPPED_ELF_AT = 0x400000,
	MAPPED_DATA_AT = 0x500000,
	MAPPED_NONE_AT = 0x600000,
	MAPPED_STACK_AT = 0x7f0000,
	MAPPED_STACK_OFF = 0x2000, /* of its page in the core */
	MAPPED_CORE_SIZE = 0x3000,
	MAPPED_ELF_SIZE = 0x2800, /* its last page is not whole */
};

/* An ELF file whose build ID is 20 times that byte; 0: it has none. Its other bytes tell where they lie. */
void synth_mapped_elf(uint8_t bytes[MAPPED_ELF_SIZE], uint8_t build_id);
/* The core, of a process with elf mapped. */
void synth_mapped_core(uint8_t bytes[MAPPED_CORE_SIZE], const uint8_t *elf);

#endif
