/* SPDX-License-Identifier: MIT */
/*
 * Windows' kernel crash dumps as bytes; all numbers have their low byte first.
 *
 * Sources: DUMP_HEADER32 and DUMP_HEADER64 as Microsoft publishes them in the metadata of Win32 (mindumpdef.h); what lies
 * behind them: kdmp-parser-rs src/structs.rs (BMP_HEADER64, RDMP_HEADER64, PFN ranges), rizin librz/bin/format/dmp
 * (triage dumps: TRIAGE_DUMP64, drivers, data blocks), Ghidra's format.dump.pagedump (TRIAGE_DUMP32, SUMMARY_DUMP);
 * qemu 7.2 dump/win_dump.c writes DUMP_TYPE_FULL of 64 bits.
 */
#ifndef CRASH_FORMAT_H
#define CRASH_FORMAT_H

#include <stdint.h>

#define CRASH_MAGIC_32 "PAGEDUMP"
#define CRASH_MAGIC_64 "PAGEDU64"
#define CRASH_PAGE UINT64_C(4096)
/* Fields that nobody set hold this, over and over: "PAGE". */
#define CRASH_UNSET 0x45474150u

enum {
	CRASH_FULL = 1,
	CRASH_SUMMARY = 2,
	CRASH_TRIAGE = 4,
	CRASH_BITMAP_FULL = 5,
	CRASH_BITMAP_KERNEL = 6,
	CRASH_RANGES_KERNEL = 8, /* .dump /k */
	CRASH_RANGES_USER = 9,   /* .dump /ka */
	CRASH_RANGES_ALL = 10,   /* .dump /f */
};

/* Where the fields of a header of one width are. */
struct crash_layout {
	const char *name;
	uint32_t word, size; /* of an address; of the header */
	uint32_t directory, pfn_base, modules, processes;
	uint32_t machine, n_cpus, code, params, kdbg;
	uint32_t n_runs, runs, runs_end; /* PhysicalMemoryBlock */
	uint32_t context, context_size, exception, comment;
	uint32_t type, time, up_time;
};

/* clang-format off: a table */
static const struct crash_layout crash_layout_32 = {
	.name = "DUMP_HEADER32",
	.word = 4,
	.size = 0x1000,
	.directory = 0x10,
	.pfn_base = 0x14,
	.modules = 0x18,
	.processes = 0x1c,
	.machine = 0x20,
	.n_cpus = 0x24,
	.code = 0x28,
	.params = 0x2c,
	.kdbg = 0x60,
	.n_runs = 0x64,
	.runs = 0x6c,
	.runs_end = 0x320,
	.context = 0x320,
	.context_size = 1200,
	.exception = 0x7d0,
	.comment = 0x820,
	.type = 0xf88,
	.time = 0xfc0,
	.up_time = 0xfb8,
};

static const struct crash_layout crash_layout_64 = {
	.name = "DUMP_HEADER64",
	.word = 8,
	.size = 0x2000,
	.directory = 0x10,
	.pfn_base = 0x18,
	.modules = 0x20,
	.processes = 0x28,
	.machine = 0x30,
	.n_cpus = 0x34,
	.code = 0x38,
	.params = 0x40,
	.kdbg = 0x80,
	.n_runs = 0x88,
	.runs = 0x98,
	.runs_end = 0x344,
	.context = 0x348,
	.context_size = 3000,
	.exception = 0xf00,
	.comment = 0xfb0,
	.type = 0xf98,
	.time = 0xfa8,
	.up_time = 0x1030,
};
/* clang-format on */

enum {
	CRASH_BUILD = 12, /* MinorVersion, of both widths */
	CRASH_COMMENT_SIZE = 128,

	/* SUMMARY_DUMP, of both widths, behind the header: "SDMP", "DUMP" */
	SUMMARY_FIRST = 0x0c, /* HeaderSize: where in the file pages begin, 32 bits */
	SUMMARY_BITS = 0x10,  /* BitmapSize: 32 bits                                 */
	SUMMARY_BITMAP = 0x20,

	/* BMP_HEADER64: "SDMP" or "FDMP", "DUMP" */
	BITMAP_FIRST = 0x20, /* FirstPage: where in the file pages begin, 64 bits */
	BITMAP_BITS = 0x30,  /* Pages: 64 bits */
	BITMAP_BITMAP = 0x38,

	/* RDMP_HEADER64: 0x40, "RDMP", "DUMP" */
	RANGES_MARKER = 0x40,
	RANGES_SIZE = 0x10,    /* of the ranges and 32 bytes, 64 bits */
	RANGES_FIRST = 0x18,   /* where in the file pages begin */
	RANGES_N_PAGES = 0x28, /* of .dump /f: pages of all ranges */
	RANGES_AT = 0x30,
	RANGE_SIZE = 16, /* first page number, pages: 64 bits each */

	/* TRIAGE_DUMP, behind the header: offsets in the file, 32 bits each */
	TRIAGE_VALID = 0x08,        /* of "TRGD" */
	TRIAGE_STACK = 0x28,        /* offset, size */
	TRIAGE_DRIVERS = 0x30,      /* offset, count */
	TRIAGE_TOP_OF_STACK = 0x48, /* the address of its first byte, a word */
	TRIAGE_32_DATA_PAGE = 0x4c, /* address, offset, size */
	TRIAGE_32_KDBG = 0x58,      /* offset, size */
	TRIAGE_32_BLOCKS = 0x60,    /* offset, count */
	TRIAGE_32_SIZE = 0x68,
	TRIAGE_64_DATA_PAGE = 0x60,
	TRIAGE_64_KDBG = 0x70,
	TRIAGE_64_BLOCKS = 0x78,
	TRIAGE_64_SIZE = 0x80,
	TRIAGE_BLOCK_SIZE = 16, /* address: 64 bits; offset, size */

	/* An entry of the list of drivers of a 64-bit triage dump */
	DRIVER_SIZE = 0x90,
	DRIVER_NAME = 0, /* offset of a count of characters, 32 bits, and so many of UTF-16 */
	DRIVER_BASE = 0x38,
	DRIVER_IMAGE_SIZE = 0x48,
	DRIVER_NAME_MAX = 1024, /* characters */
};

#endif
