/* SPDX-License-Identifier: MIT */
/*
 * Builds a minidump in memory: threads 7 and 8 of process 42, two modules, ranges in both kinds of list, an exception, what is mapped.
 * The bytes of the range at a are (a / 16).
 */
#ifndef SYNTH_MINIDUMP_H
#define SYNTH_MINIDUMP_H

#include <stddef.h>
#include <stdint.h>

#define MINI_LOW UINT64_C(0x10000) /* 0x180 bytes, in the list of short ranges             */
#define MINI_HIGH                                                                                  \
	UINT64_C(0x7ff600000) /* 0x2000 and, at + 0x4000, 0x800 bytes, in that of long ones */
#define MINI_MODULE UINT64_C(0x140000000)
#define MINI_PC UINT64_C(0x140001234)

/* Where in the file a stream lies, and the entry of the directory that names it. */
struct synth_minidump {
	uint8_t *bytes; /* [size], to be freed */
	size_t size;
	size_t entry[32], at[32]; /* by type of stream */
};

/* padded: lists have 8 bytes in front of their entries, as Breakpad writes them. */
struct synth_minidump synth_minidump(int padded);

#endif
