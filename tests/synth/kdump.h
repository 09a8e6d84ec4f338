/* SPDX-License-Identifier: MIT */
/*
 * Builds kdump-compressed dumps in memory from a table, as makedumpfile 1.7.2 IMPLEMENTATION lays them out. The byte at
 * physical address a is a / 16, or what the table's own function says.
 */
#ifndef SYNTH_KDUMP_H
#define SYNTH_KDUMP_H

#include <stddef.h>
#include <stdint.h>

enum synth_page {
	SYNTH_NO_MEMORY,
	SYNTH_LEFT_OUT,
	SYNTH_PLAIN,
	SYNTH_ZLIB,
	SYNTH_LZO,
	SYNTH_SNAPPY,
	SYNTH_ZSTD
};

struct synth_kdump {
	uint32_t version;     /* 0: 6                                    */
	uint32_t word;        /* 4 or 8; 0: 8                            */
	int is_big;           /* all numbers are big-endian              */
	const char *machine;  /* NULL: "x86_64"                          */
	uint32_t page_size;   /* 0: 4096                                 */
	const uint8_t *kinds; /* [n_pages] enum synth_page               */
	size_t n_pages;
	uint32_t level, status;
	int split; /* a part: pages [first, end)              */
	uint64_t first, end;
	const void *notes; /* [notes_size] ELF notes                  */
	size_t notes_size;
	const char *info; /* VMCOREINFO; NULL none                   */
	void (*fill)(uint64_t addr, uint8_t *page, size_t size); /* NULL: as above */
};

/* [*ret_size], to be freed. */
uint8_t *synth_kdump(const struct synth_kdump *spec, size_t *ret_size);

#endif
