/* SPDX-License-Identifier: MIT */
/*
 * A target's description of itself: its architecture and registers (target.xml and what it includes), and
 * the memory map some stubs have. XML from a peer: read by expat, with no entities, and everything bounded.
 * Source: "Debugging with GDB" (13), appendices G "Target Descriptions" and E.18 "Memory Map Format".
 */
#ifndef GDB_DESCRIPTION_H
#define GDB_DESCRIPTION_H

#include "ranges.h"

enum {
	DESCRIPTION_REGISTERS = 1024,
	DESCRIPTION_FILES = 32,           /* target.xml and all that is included */
	DESCRIPTION_FILE_MAX = 512 << 10, /* bytes of one                        */
	DESCRIPTION_NAME = 24,
};

struct description_register {
	char name[DESCRIPTION_NAME]; /* cut                             */
	uint32_t number;
	uint32_t size; /* bytes, 1 .. 8192                              */
	uint32_t off;  /* in the answer to "g"                          */
};

struct description {
	uint32_t arch; /* enum sonde_arch                               */
	struct description_register registers[DESCRIPTION_REGISTERS]; /* [n], by number */
	uint32_t n;
	uint32_t next_number;              /* while it is read */
	char files[DESCRIPTION_FILES][64]; /* [n_files], those to be read and those that were */
	uint32_t n_files;
};

/*
 * Read one file of a description, in the order in which they are met; what it includes is added to files. The first is
 * files[0], "target.xml".
 *
 * Returns   0; SONDE_E_BAD_FORMAT (broken XML, entities, a register of no size), SONDE_E_LIMIT.
 */
int description_read(struct description *description, const void *xml, size_t len);
/* All of them were read: where each register lies in "g". Returns 0; SONDE_E_BAD_FORMAT: two of one number. */
int description_layout(struct description *description);

/* NULL: there is none of this name. */
const struct description_register *description_find(const struct description *description,
						    const char *name);

/* A memory map: its ranges of type ram, and of type rom as well. Returns 0; SONDE_E_BAD_FORMAT, _LIMIT. */
int description_ranges(struct ranges *ret, const void *xml, size_t len);

#endif
