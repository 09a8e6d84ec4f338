/* SPDX-License-Identifier: MIT */
/*
 * elf: an ELF core of a machine, as the kernel's /proc/vmcore and QEMU write it; layouts: connectors/elfcore/elf_format.h.
 *
 *	0         ELF header
 *	64        program headers, and room for some more: what is missing makes segments of its own
 *	behind    notes
 *	behind    segments, each from a multiple of 4 KiB on
 *	behind    where that room was too small: all program headers
 *	behind    where there are 65535 or more: section 0, which counts them
 *
 * A segment's memory goes on behind its bytes where pages of it are missing or left out. Virtual addresses are 0, as QEMU has them.
 */
#include "../../../connectors/elfcore/elf_format.h"
#include "format.h"
#include "notes.h"

#include <stdlib.h>
#include <string.h>

enum {
	HEAD_SIZE = 64, /* of Elf64_Ehdr, _Phdr, _Shdr */
	PH_SIZE = 56,
	SH_SIZE = 64,
	PH_SPARE = 32,
	SEGMENTS_MAX = 1 << 18, /* as many as our own reader takes */
	EH_VERSION = 20,        /* System V gABI, "ELF Header"     */
	EH_EHSIZE = 52,
	EH_SHENTSIZE = 58,
	EH_SHNUM = 60,
	PH_ALIGN = 48,
};

struct segment {
	uint64_t addr, off, saved, len; /* bytes: of these in the file, and of memory */
};

struct elf {
	struct segment *segments; /* [n] */
	size_t n, cap, room;      /* room: of headers in front, the notes' one included */
	struct dump_notes notes;
	uint64_t notes_at, end; /* end: of what has been given to segments */
};

static uint64_t page_up(uint64_t off)
{
	return (off + 4095) & ~UINT64_C(4095);
}

static int elf_begin(struct dump_writer *writer, struct sonde_error *err)
{
	struct elf *elf = writer->state = calloc(1, sizeof(*elf));

	if (!elf || dump_notes_make(&elf->notes, writer->source) < 0)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	elf->room = 1 + writer->plan->n + PH_SPARE;
	elf->notes_at = HEAD_SIZE + PH_SIZE * elf->room;
	elf->end = page_up(elf->notes_at + elf->notes.len);
	return dump_file_write(writer->file, elf->notes_at, elf->notes.bytes, elf->notes.len, err);
}

/* ---- segments --------------------------------------------------------------------------------------- */

static int add_segment(struct elf *elf, uint64_t addr, struct sonde_error *err)
{
	if (elf->n == SEGMENTS_MAX)
		return sonde_error_set(err, SONDE_E_LIMIT,
				       "elf: memory in more than %d pieces: write a kdump format",
				       SEGMENTS_MAX);
	if (elf->n == elf->cap) {
		size_t cap = elf->cap ? elf->cap * 2 : 16;
		struct segment *segments = realloc(elf->segments, cap * sizeof(*segments));
		if (!segments)
			return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
		elf->segments = segments;
		elf->cap = cap;
	}
	elf->end = page_up(elf->end);
	elf->segments[elf->n++] = (struct segment){ .addr = addr, .off = elf->end };
	return 0;
}

/* The segment that goes on at addr: with bytes only where it has missed none. */
static int segment_at(struct elf *elf, uint64_t addr, bool has_bytes, struct segment **ret,
		      struct sonde_error *err)
{
	struct segment *last = elf->n ? &elf->segments[elf->n - 1] : NULL;
	int r = 0;

	if (!last || last->addr + last->len != addr || (has_bytes && last->saved < last->len))
		r = add_segment(elf, addr, err);
	*ret = r == 0 ? &elf->segments[elf->n - 1] : NULL;
	return r;
}

static int add_run(struct dump_writer *writer, const struct batch *batch, struct batch_run run,
		   struct sonde_error *err)
{
	struct elf *elf = writer->state;
	uint32_t off = batch_offset(batch, run.first);
	uint32_t len = batch_offset(batch, run.first + run.n) - off;
	bool has_bytes = STATES_THERE >> batch->pages[run.first].state & 1;
	struct segment *segment;
	int r = segment_at(elf, batch->addr + off, has_bytes, &segment, err);

	if (r < 0)
		return r;
	segment->len += len;
	if (!has_bytes)
		return 0;
	r = write_sparsely(writer->file, segment->off + segment->saved, batch, run, err);
	segment->saved += len;
	elf->end = segment->off + segment->saved;
	return r;
}

static int elf_batch(struct dump_writer *writer, struct batch *batch, struct sonde_error *err)
{
	int r = 0;

	for (uint32_t from = 0; r == 0 && from < batch->n_pages;) {
		bool has_bytes = STATES_THERE >> batch->pages[from].state & 1;
		struct batch_run run;
		batch_next_run(batch, has_bytes ? STATES_THERE : ~STATES_THERE, from, &run);
		r = add_run(writer, batch, run, err);
		from = run.first + run.n;
	}
	return r;
}

/* ---- headers ---------------------------------------------------------------------------------------- */

static void put_header(uint8_t *to, uint32_t type, const struct segment *segment)
{
	const struct elf_layout *at = &elf_layout_64;
	bool is_load = type == ELF_SEGMENT_LOAD;

	sonde_store(to, 4, SONDE_LITTLE, type);
	sonde_store(to + at->ph_flags, 4, SONDE_LITTLE,
		    is_load ? ELF_FLAG_READ | ELF_FLAG_WRITE | ELF_FLAG_EXEC : 0);
	sonde_store(to + at->ph_offset, 8, SONDE_LITTLE, segment->off);
	sonde_store(to + at->ph_paddr, 8, SONDE_LITTLE, segment->addr);
	sonde_store(to + at->ph_filesz, 8, SONDE_LITTLE, segment->saved);
	sonde_store(to + at->ph_memsz, 8, SONDE_LITTLE, segment->len);
	sonde_store(to + PH_ALIGN, 8, SONDE_LITTLE, is_load ? 0 : 4);
}

static int write_headers(struct dump_writer *writer, uint64_t at, struct sonde_error *err)
{
	struct elf *elf = writer->state;
	struct segment notes = { 0, elf->notes_at, elf->notes.len, elf->notes.len };
	uint8_t *table = calloc(elf->n + 1, PH_SIZE);

	if (!table)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	put_header(table, ELF_SEGMENT_NOTE, &notes);
	for (size_t i = 0; i < elf->n; i++)
		put_header(table + (i + 1) * PH_SIZE, ELF_SEGMENT_LOAD, &elf->segments[i]);
	int r = dump_file_write(writer->file, at, table, (elf->n + 1) * PH_SIZE, err);
	free(table);
	return r;
}

/* Section 0 says how many there are, in its sh_info. */
static int write_section(struct dump_writer *writer, uint64_t at, struct sonde_error *err)
{
	const struct elf *elf = writer->state;
	uint8_t section[SH_SIZE] = { 0 };

	sonde_store(section + elf_layout_64.sh_info, 4, SONDE_LITTLE, elf->n + 1);
	return dump_file_write(writer->file, at, section, sizeof(section), err);
}

static int write_head(struct dump_writer *writer, uint64_t phoff, uint64_t shoff,
		      struct sonde_error *err)
{
	const struct elf_layout *at = &elf_layout_64;
	const struct elf *elf = writer->state;
	uint8_t head[HEAD_SIZE] = "\177ELF";

	head[ELF_IDENT_CLASS] = ELF_CLASS_64;
	head[ELF_IDENT_DATA] = ELF_DATA_LITTLE;
	head[ELF_IDENT_VERSION] = ELF_VERSION_CURRENT;
	sonde_store(head + ELF_TYPE_AT, 2, SONDE_LITTLE, ELF_TYPE_CORE);
	sonde_store(head + ELF_MACHINE_AT, 2, SONDE_LITTLE, dump_elf_machine(writer->source->arch));
	sonde_store(head + EH_VERSION, 4, SONDE_LITTLE, ELF_VERSION_CURRENT);
	sonde_store(head + EH_EHSIZE, 2, SONDE_LITTLE, HEAD_SIZE);
	sonde_store(head + at->phoff, 8, SONDE_LITTLE, phoff);
	sonde_store(head + at->phentsize, 2, SONDE_LITTLE, PH_SIZE);
	sonde_store(head + at->phnum, 2, SONDE_LITTLE, shoff ? ELF_PHNUM_IN_SECTION : elf->n + 1);
	sonde_store(head + at->shoff, 8, SONDE_LITTLE, shoff);
	sonde_store(head + EH_SHENTSIZE, 2, SONDE_LITTLE, shoff ? SH_SIZE : 0);
	sonde_store(head + EH_SHNUM, 2, SONDE_LITTLE, shoff ? 1 : 0);
	return dump_file_write(writer->file, 0, head, sizeof(head), err);
}

static int elf_end(struct dump_writer *writer, struct sonde_error *err)
{
	struct elf *elf = writer->state;
	size_t n = elf->n + 1;
	bool has_room = n <= elf->room;
	uint64_t behind = page_up(elf->end);
	uint64_t phoff = has_room ? HEAD_SIZE : behind;
	uint64_t shoff = n < ELF_PHNUM_IN_SECTION ? 0
			 : has_room               ? behind
						  : page_up(behind + PH_SIZE * n);
	int r = dump_file_extend(writer->file, elf->end, err);

	if (r == 0)
		r = write_headers(writer, phoff, err);
	if (r == 0 && shoff)
		r = write_section(writer, shoff, err);
	return r == 0 ? write_head(writer, phoff, shoff, err) : r;
}

static void elf_finish(struct dump_writer *writer)
{
	struct elf *elf = writer->state;

	if (!elf)
		return;
	free(elf->segments);
	dump_notes_finish(&elf->notes);
	free(elf);
}

const struct dump_format format_elf = {
	.name = "elf",
	.has_notes = true,
	.begin = elf_begin,
	.batch = elf_batch,
	.end = elf_end,
	.finish = elf_finish,
};
