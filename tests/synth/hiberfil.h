/* SPDX-License-Identifier: MIT */
/*
 * Writes hibernation files as Windows does, by their descriptions: connectors/hiberfil has the sources. Sets are packed in turn with
 * Xpress, with Huffman codes (Windows 8 and later), and not at all.
 */
#ifndef SYNTH_HIBERFIL_H
#define SYNTH_HIBERFIL_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A header's length, which says which Windows it is of. */
enum {
	SYNTH_WINDOWS_7 = 0x128,
	SYNTH_WINDOWS_7_32 = 0xe0,
	SYNTH_WINDOWS_81 = 0x360,
	SYNTH_WINDOWS_10 = 0x3e0,
	SYNTH_WINDOWS_10_32 = 0x340,
};

struct synth_hiber_run {
	uint64_t page, n;
	const uint8_t *bytes; /* [n pages] */
};

struct synth_hiber {
	uint32_t length;
	const char *signature;    /* NULL: HIBR                           */
	const uint8_t *processor; /* a page, for the one behind the header; NULL none */
	const struct synth_hiber_run *runs;
	size_t n_runs;
};

void synth_hiber(const struct synth_hiber *spec, FILE *out);
/* The same in memory, to be freed. */
uint8_t *synth_hiber_bytes(const struct synth_hiber *spec, size_t *ret_size);

/* A KPROCESSOR_STATE of 64 bits: general and the like as sonde_cpu has them; context: where the CONTEXT is. */
struct synth_processor {
	uint32_t context; /* 0xe0: Windows 7; 0xf0 */
	uint64_t general[16], pc, flags, cr[5], gdt, idt, gs, kernel_gs;
};
void synth_processor(const struct synth_processor *spec, uint8_t page[4096]);

#endif
