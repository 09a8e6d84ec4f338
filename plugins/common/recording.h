/* SPDX-License-Identifier: MIT */
/* Types of the records of a recording; docs/record-format.md has their payloads. */
#ifndef PLUGINS_COMMON_RECORDING_H
#define PLUGINS_COMMON_RECORDING_H

enum recording_type {
	RECORDING_TARGET = 1,
	RECORDING_REGIONS = 2,
	RECORDING_CPU = 3,
	RECORDING_NOTE = 4,
	RECORDING_READ = 5,
};

enum {
	RECORDING_TARGET_HEAD = 16,
	RECORDING_REGIONS_HEAD = 8,
	RECORDING_REGION = 24,
	RECORDING_CPU_WORDS =
		29, /* u64 behind the head: pc sp flags, general[16], cr[5], five bases and efer */
	RECORDING_CPU_HEAD = 16,
	RECORDING_CPU_LEN = RECORDING_CPU_HEAD + 8 * RECORDING_CPU_WORDS,
	RECORDING_NOTE_HEAD = 16,
	RECORDING_READ_HEAD = 16,
	RECORDING_PIECE = 16,
	RECORDING_STRETCH = 16,
};

#endif
