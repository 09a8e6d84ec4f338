/* SPDX-License-Identifier: MIT */
/*
 * Memory of a target written as a dump file. This folder is the tool's and no part of the library, so that programs that
 * read memory need none of the libraries that pack it; it uses the public headers, and formats that connectors know as well.
 *
 *	plan       regions become stretches
 *	exclusion  pages that are left out for what the system uses them for
 *	batch      some pages of a stretch: read, looked at and packed, on all processors
 *	format_*   what is written of them: one file a format, listed in formats.c; what all share is format.h
 *	notes      processors and VMCOREINFO as ELF notes
 *	file       the file under a name of its own until it is whole
 *	digest     the SHA-256 of what was written
 *
 * To add a format: a file format_NAME.c with one struct dump_format, and a line in formats.c.
 */
#ifndef SONDE_TOOL_DUMP_H
#define SONDE_TOOL_DUMP_H

#include "../../../connectors/common/full_cpu.h"

#include <sonde/sonde.h>
#include <stdbool.h>

struct dump_format;

/* By its name ("kdump-zstd"); NULL: there is none, or it was left out of this build. */
const struct dump_format *dump_format_find(const char *name);
/* Names of all, with commas between them. */
const char *dump_format_names(void);
/* Can one that was not finished be gone on with? */
bool dump_format_resumes(const struct dump_format *format);
/* Has it room for processors and VMCOREINFO? */
bool dump_format_has_notes(const struct dump_format *format);
/* Does what was written tell, read again, what was left out? */
bool dump_format_excludes(const struct dump_format *format);

/* What is written. All of it is borrowed for the call. */
struct dump_source {
	struct sonde_loop *loop;
	struct sonde_space *memory;
	uint32_t arch;               /* enum sonde_arch                         */
	uint32_t page_size;          /* bytes, a power of two, 4 KiB .. 64 KiB  */
	const struct full_cpu *cpus; /* [n_cpus]                               */
	uint32_t n_cpus;
	bool is_live;           /* it changes between two reads            */
	const char *vmcoreinfo; /* [vmcoreinfo_len], 0 none                */
	size_t vmcoreinfo_len;
	const uint8_t *
		crash_header; /* [0x2000] DUMP_HEADER64 of a Windows that the target was; NULL none */
	struct sonde_frames
		*frames;   /* NULL: nothing is left out; its frames are of page_size bytes */
	uint32_t excluded; /* what is: bits 1u << enum sonde_frame_use      */
};

/* Bytes of a page, as VMCOREINFO says; 4 KiB where it says nothing that can be. */
uint32_t dump_page_size(const struct dump_source *source);

struct dump_options {
	const struct dump_format *format;
	const char *path;
	uint32_t n_threads; /* 0: one a processor                                      */
	bool resume;        /* go on where the one before ended; formats that can only */
};

enum dump_phase { DUMP_WRITING, DUMP_HASHING };

struct dump_watch {
	void *user;
	/* Often. Any result but 0 ends the dump, and is handed back. */
	int (*progress)(void *user, enum dump_phase phase, uint64_t done, uint64_t total);
	/* What could not be read, by rising address, page by page. */
	void (*missing)(void *user, uint64_t addr, uint64_t len, int32_t err);
};

/* Bytes. */
struct dump_report {
	uint64_t memory;   /* of all regions                                       */
	uint64_t saved;    /* ... of which are in the file                         */
	uint64_t zeros;    /* ... as pages of zeros, which take no room            */
	uint64_t missing;  /* ... could not be read                                */
	uint64_t excluded; /* ... were left out for their use                      */
	uint64_t skipped;  /* ... were in the file already, where it was resumed   */
	uint64_t file_size;
	char sha256[65]; /* of the file; "" where the build has none             */
};

/*
 * Write it. Under options->path there is a whole dump afterwards, or what was there before.
 *
 * Returns   0; what progress returned; SONDE_E_BAD_ARG (the format cannot hold such memory), _BUSY (another one writes
 *           it), _IO and others of the file, _CHANGED (resumed over another target's), _NO_MEMORY; what the space
 *           says of its regions. What is missing of memory is no error.
 * Context   blocks. The thread of the loop.
 */
int dump_write(const struct dump_source *source, const struct dump_options *options,
	       const struct dump_watch *watch, struct dump_report *ret, struct sonde_error *err);

#endif
