/* SPDX-License-Identifier: MIT */
/*
 * kdump-*: kdump-compressed dumps, version 6, as makedumpfile writes them; layout: connectors/kdump/kdump_format.h. Each page
 * that was saved has a descriptor; all pages of zeros share the bytes of one. The table of descriptors is as long as
 * if no page were missing, and the pages begin behind it.
 */
#include "../../../connectors/kdump/kdump_format.h"
#include "bitmap.h"
#include "exclusion.h"
#include "format.h"
#include "notes.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	SUB_NOTES_AT = 104,    /* the notes follow kdump_sub_header                           */
	HEAD_RAM_BLOCKS = 444, /* disk_dump_header of makedumpfile 1.7.2 diskdump_mod.h       */
	HEAD_WRITTEN_BLOCKS = 452,
};
#define PAGES_MAX (UINT64_C(1) << 32)

/* Where a page's bytes are, and what they are packed with. */
struct page_desc {
	uint64_t off;
	uint32_t len, flags;
};

struct kdump {
	uint32_t block; /* bytes of a page */
	uint64_t n_pages;
	uint8_t *memory, *saved; /* [bitmap_len] bits */
	size_t bitmap_len;
	struct dump_notes notes;
	uint64_t sub_blocks, bitmap_blocks, descs_at, end;
	uint64_t n_saved;
	struct page_desc zero;
	uint8_t *descs; /* of a batch */
};

static uint32_t flag_of(enum packing packing)
{
	static const uint8_t flags[] = {
		[PACKING_ZLIB] = KDUMP_ZLIB,
		[PACKING_LZO] = KDUMP_LZO,
		[PACKING_SNAPPY] = KDUMP_SNAPPY,
		[PACKING_ZSTD] = KDUMP_ZSTD,
	};

	return flags[packing];
}

/* ---- begin ------------------------------------------------------------------------------------------ */

static int check(const struct dump_writer *writer, struct sonde_error *err)
{
	if (writer->source->arch == SONDE_ARCH_I386)
		return sonde_error_set(
			err, SONDE_E_BAD_ARG,
			"%s: of a machine of 32 bits no such dump is written: write elf",
			writer->format->name);
	if (writer->plan->last / writer->source->page_size >= PAGES_MAX)
		return sonde_error_set(
			err, SONDE_E_BAD_ARG,
			"%s: memory goes up to 0x%llx, behind the last page that such a "
			"dump can number: write elf or lime",
			writer->format->name, (unsigned long long)writer->plan->last);
	return 0;
}

static void mark_memory(struct kdump *kdump, const struct dump_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++) {
		bitmap_set(kdump->memory, plan->at[i].addr / kdump->block,
			   plan->at[i].len / kdump->block);
	}
}

/* Blocks that n bytes take. */
static uint64_t blocks(const struct kdump *kdump, uint64_t n)
{
	return (n + kdump->block - 1) / kdump->block;
}

static void lay_out(struct kdump *kdump, const struct dump_plan *plan)
{
	kdump->sub_blocks = blocks(kdump, SUB_NOTES_AT + kdump->notes.len);
	kdump->bitmap_blocks = 2 * blocks(kdump, kdump->bitmap_len);
	kdump->descs_at = (1 + kdump->sub_blocks + kdump->bitmap_blocks) * kdump->block;
	kdump->end = kdump->descs_at + plan->total / kdump->block * KDUMP_DESC_SIZE;
}

/* What all pages of zeros are. */
static int write_zero_page(struct dump_writer *writer, struct sonde_error *err)
{
	struct kdump *kdump = writer->state;
	struct packer *packer = packer_create(writer->format->packing);
	uint8_t *page = calloc(1, kdump->block), *packed = malloc(packer_room(kdump->block));
	uint32_t len =
		packer && page && packed ? packer_pack(packer, page, kdump->block, packed) : 0;
	int r = len ? dump_file_write(writer->file, kdump->end, packed, len, err)
		    : sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);

	kdump->zero = (struct page_desc){ kdump->end, len, flag_of(writer->format->packing) };
	kdump->end += len;
	packer_destroy(packer);
	free(page);
	free(packed);
	return r;
}

static int kdump_begin(struct dump_writer *writer, struct sonde_error *err)
{
	const struct dump_source *source = writer->source;
	int r = check(writer, err);

	if (r < 0)
		return r;
	struct kdump *kdump = writer->state = calloc(1, sizeof(*kdump));
	if (!kdump || dump_notes_make(&kdump->notes, source) < 0)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	kdump->block = source->page_size;
	kdump->n_pages = writer->plan->last / kdump->block + 1;
	kdump->bitmap_len = (size_t)((kdump->n_pages + 7) / 8);
	kdump->memory = calloc(1, kdump->bitmap_len);
	kdump->saved = calloc(1, kdump->bitmap_len);
	kdump->descs = malloc(BATCH_SIZE / kdump->block * (size_t)KDUMP_DESC_SIZE);
	if (!kdump->memory || !kdump->saved || !kdump->descs)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	mark_memory(kdump, writer->plan);
	lay_out(kdump, writer->plan);
	return write_zero_page(writer, err);
}

/* ---- pages ------------------------------------------------------------------------------------------ */

static void put_desc(uint8_t *to, const struct page_desc *desc)
{
	memset(to, 0, KDUMP_DESC_SIZE);
	sonde_store(to, 8, SONDE_LITTLE, desc->off);
	sonde_store(to + 8, 4, SONDE_LITTLE, desc->len);
	sonde_store(to + 12, 4, SONDE_LITTLE, desc->flags);
}

/* The packed pages one behind the other, in place: none is longer than its room. */
static uint32_t move_together(struct batch *batch)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < batch->n_units; i++) {
		memmove(batch->packed + used, batch->packed + (size_t)i * batch->room,
			batch->units[i].packed);
		used += batch->units[i].packed;
	}
	return used;
}

/* Returns how many descriptors there are. */
static uint32_t describe_pages(struct kdump *kdump, const struct batch *batch, uint32_t flag)
{
	const struct batch_unit *unit = batch->units;
	uint64_t first = batch->addr / kdump->block, at = kdump->end;
	uint32_t n = 0;

	for (uint32_t i = 0; i < batch->n_pages; i++) {
		struct page_desc desc = kdump->zero;
		if (!(STATES_THERE >> batch->pages[i].state & 1))
			continue;
		if (batch->pages[i].state == PAGE_SAVED) {
			desc = (struct page_desc){ at, unit->packed, unit->is_packed ? flag : 0 };
			at += unit->packed;
			unit++;
		}
		put_desc(kdump->descs + (size_t)n++ * KDUMP_DESC_SIZE, &desc);
		bitmap_set(kdump->saved, first + i, 1);
	}
	return n;
}

static int kdump_batch(struct dump_writer *writer, struct batch *batch, struct sonde_error *err)
{
	struct kdump *kdump = writer->state;
	uint32_t n = describe_pages(kdump, batch, flag_of(writer->format->packing));
	uint32_t len = move_together(batch);
	uint64_t descs_at = kdump->descs_at + kdump->n_saved * KDUMP_DESC_SIZE;
	int r = dump_file_write(writer->file, descs_at, kdump->descs, n * (size_t)KDUMP_DESC_SIZE,
				err);

	if (r == 0)
		r = dump_file_write(writer->file, kdump->end, batch->packed, len, err);
	kdump->n_saved += n;
	kdump->end += len;
	return r;
}

/* ---- end -------------------------------------------------------------------------------------------- */

static int write_bitmaps(struct dump_writer *writer, struct sonde_error *err)
{
	const struct kdump *kdump = writer->state;
	uint64_t at = (1 + kdump->sub_blocks) * kdump->block;
	uint64_t half = kdump->bitmap_blocks / 2 * kdump->block;
	int r = bitmap_write(writer->file, at, kdump->memory, kdump->bitmap_len, err);

	return r == 0 ? bitmap_write(writer->file, at + half, kdump->saved, kdump->bitmap_len, err)
		      : r;
}

static int write_sub_head(struct dump_writer *writer, struct sonde_error *err)
{
	const struct kdump_layout *at = &kdump_layouts[0];
	const struct kdump *kdump = writer->state;
	uint64_t notes_at = kdump->block + SUB_NOTES_AT;
	uint8_t sub[SUB_NOTES_AT] = { 0 };
	char phys_base[32];

	dump_info_value(writer->source, "NUMBER(phys_base)=", phys_base, sizeof(phys_base));
	sonde_store(sub, 8, SONDE_LITTLE, strtoull(phys_base, NULL, 10));
	sonde_store(sub + at->level, 4, SONDE_LITTLE, exclusion_level(writer->source));
	sonde_store(sub + at->end, 8, SONDE_LITTLE, kdump->n_pages);
	sonde_store(sub + at->end_64, 8, SONDE_LITTLE, kdump->n_pages);
	sonde_store(sub + at->max_page_64, 8, SONDE_LITTLE, kdump->n_pages);
	if (kdump->notes.info_at) {
		sonde_store(sub + at->info_at, 8, SONDE_LITTLE, notes_at + kdump->notes.info_at);
		sonde_store(sub + at->info_size, 8, SONDE_LITTLE, writer->source->vmcoreinfo_len);
	}
	if (kdump->notes.len) {
		sonde_store(sub + at->notes_at, 8, SONDE_LITTLE, notes_at);
		sonde_store(sub + at->notes_size, 8, SONDE_LITTLE, kdump->notes.len);
	}
	int r = dump_file_write(writer->file, notes_at, kdump->notes.bytes, kdump->notes.len, err);
	return r == 0 ? dump_file_write(writer->file, kdump->block, sub, sizeof(sub), err) : r;
}

/* uname of what is known: VMCOREINFO is Linux's. Where one is empty libkdumpfile (0.5.1) takes none of them, and drgn not the dump. */
static void put_names(uint8_t *head, const struct dump_source *source)
{
	char *names = (char *)head + KDUMP_UTSNAME_AT;

	dump_info_value(source, "OSRELEASE=", names + 2 * KDUMP_UTSNAME_FIELD, KDUMP_UTSNAME_FIELD);
	if (source->vmcoreinfo_len) {
		strcpy(names, "Linux");
		strcpy(names + KDUMP_UTSNAME_FIELD, "(not known)");
		strcpy(names + 3 * KDUMP_UTSNAME_FIELD, "(not known)");
	}
	strcpy(names + 4 * KDUMP_UTSNAME_FIELD, dump_uname_machine(source->arch));
}

static void put32(uint8_t *at, uint64_t value)
{
	sonde_store(at, 4, SONDE_LITTLE, value < UINT32_MAX ? value : UINT32_MAX);
}

static int write_head(struct dump_writer *writer, struct sonde_error *err)
{
	const struct kdump_layout *at = &kdump_layouts[0];
	const struct dump_source *source = writer->source;
	const struct kdump *kdump = writer->state;
	uint8_t head[464] = KDUMP_SIGNATURE;

	put32(head + KDUMP_VERSION_AT, KDUMP_VERSION_MAX);
	put_names(head, source);
	if (source->is_live) /* else it is not known of when the memory is */
		sonde_store(head + at->seconds, 8, SONDE_LITTLE, (uint64_t)time(NULL));
	put32(head + at->status, flag_of(writer->format->packing));
	put32(head + at->block_size, kdump->block);
	put32(head + at->sub_blocks, kdump->sub_blocks);
	put32(head + at->bitmap_blocks, kdump->bitmap_blocks);
	put32(head + at->max_page, kdump->n_pages);
	put32(head + HEAD_RAM_BLOCKS, writer->plan->total / kdump->block);
	put32(head + HEAD_WRITTEN_BLOCKS, kdump->n_saved);
	put32(head + at->n_cpus, source->n_cpus ? source->n_cpus : 1); /* crash(8) takes no 0 */
	return dump_file_write(writer->file, 0, head, sizeof(head), err);
}

static int kdump_end(struct dump_writer *writer, struct sonde_error *err)
{
	int r = write_bitmaps(writer, err);

	if (r == 0)
		r = write_sub_head(writer, err);
	return r == 0 ? write_head(writer, err) : r;
}

static void kdump_finish(struct dump_writer *writer)
{
	struct kdump *kdump = writer->state;

	if (!kdump)
		return;
	free(kdump->memory);
	free(kdump->saved);
	free(kdump->descs);
	dump_notes_finish(&kdump->notes);
	free(kdump);
}

#define KDUMP_FORMAT(of, way)                                                                      \
	{                                                                                          \
		.name = "kdump-" of, .packing = way, .has_pages = true, .has_notes = true,         \
		.begin = kdump_begin, .batch = kdump_batch, .end = kdump_end,                      \
		.finish = kdump_finish,                                                            \
	}

const struct dump_format format_kdump_zlib = KDUMP_FORMAT("zlib", PACKING_ZLIB);
const struct dump_format format_kdump_lzo = KDUMP_FORMAT("lzo", PACKING_LZO);
const struct dump_format format_kdump_snappy = KDUMP_FORMAT("snappy", PACKING_SNAPPY);
const struct dump_format format_kdump_zstd = KDUMP_FORMAT("zstd", PACKING_ZSTD);
