/* SPDX-License-Identifier: MIT */
/* What a format is, and what the writers of formats share. */
#ifndef SONDE_TOOL_DUMP_FORMAT_H
#define SONDE_TOOL_DUMP_FORMAT_H

#include "batch.h"
#include "dump.h"
#include "file.h"
#include "plan.h"

/* One dump on its way. */
struct dump_writer {
	const struct dump_source *source;
	const struct dump_plan *plan;
	struct dump_file *file;
	const struct dump_format *format;
	void *state; /* the format's own: from begin to finish */
};

struct dump_format {
	const char *name;
	uint32_t packing; /* enum packing                                                  */
	uint32_t unit;    /* bytes that are packed at once; 0: a page, or nothing is packed */
	bool packs_zeros; /* pages of zeros are packed like others                          */
	bool has_pages;   /* its smallest piece is a page: stretches are made of whole ones */
	bool has_notes;   /* processors and VMCOREINFO go into it */
	bool can_resume;  /* what of it is in the file follows from the file's size         */
	/* Each returns 0, or an error having told it. */
	int (*begin)(struct dump_writer *writer, struct sonde_error *err);
	int (*batch)(struct dump_writer *writer, struct batch *batch, struct sonde_error *err);
	int (*end)(struct dump_writer *writer, struct sonde_error *err);
	/* Optional. Whatever became of the rest; state may be NULL. */
	void (*finish)(struct dump_writer *writer);
};

extern const struct dump_format format_raw, format_lime, format_elf, format_kdump_zlib,
	format_kdump_lzo, format_kdump_snappy, format_kdump_zstd, format_avml, format_windows;

/* Pages of a batch that were saved, as they are, from offset off of the file on; those of zeros become holes of it. */
int write_sparsely(struct dump_file *file, uint64_t off, const struct batch *batch,
		   struct batch_run run, struct sonde_error *err);

#endif
