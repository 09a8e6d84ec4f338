/* SPDX-License-Identifier: MIT */
#include "format.h"

#include <string.h>

static const struct dump_format *const formats[] = {
	&format_elf,
#ifdef HAVE_PACKERS
	&format_kdump_zlib,   &format_kdump_zstd, &format_kdump_lzo,
	&format_kdump_snappy, &format_avml,
#endif
	&format_lime,         &format_windows,    &format_raw,
};
enum { N_FORMATS = sizeof(formats) / sizeof(formats[0]) };

const struct dump_format *dump_format_find(const char *name)
{
	for (int i = 0; i < N_FORMATS; i++) {
		if (strcmp(formats[i]->name, name) == 0)
			return formats[i];
	}
	return NULL;
}

const char *dump_format_names(void)
{
	static char names[160];
	char *at = names;

	for (int i = 0; i < N_FORMATS; i++) {
		at = stpcpy(at, i ? "," : "");
		at = stpcpy(at, formats[i]->name);
	}
	return names;
}

bool dump_format_resumes(const struct dump_format *format)
{
	return format->can_resume;
}

bool dump_format_has_notes(const struct dump_format *format)
{
	return format->has_notes;
}

/* In the others' files the bytes of all addresses are in a row. */
bool dump_format_excludes(const struct dump_format *format)
{
	return format != &format_raw;
}

int write_sparsely(struct dump_file *file, uint64_t off, const struct batch *batch,
		   struct batch_run run, struct sonde_error *err)
{
	const unsigned bytes = 1u << PAGE_SAVED;
	const uint32_t end = run.first + run.n;
	uint32_t from = run.first;
	int r = 0;

	for (struct batch_run part;
	     r == 0 && from < end && batch_next_run(batch, bytes, from, &part) && part.first < end;
	     from = part.first + part.n) {
		if (part.n > end - part.first)
			part.n = end - part.first;
		uint32_t at = batch_offset(batch, part.first);
		uint32_t len = batch_offset(batch, part.first + part.n) - at;
		r = dump_file_write(file, off + (at - batch_offset(batch, run.first)),
				    batch->bytes + at, len, err);
	}
	return r;
}
