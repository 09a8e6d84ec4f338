/* SPDX-License-Identifier: MIT */
/*
 * kdump-compressed dumps, plain and flattened: any bytes as a file; heads, bitmaps, notes, descriptors, pages. What the
 * parser hands out must keep the promises of kdump_file.h and flattened.h.
 */
#include "../../connectors/common/unpack.h"
#include "../../connectors/common/flattened.h"
#include "../../connectors/kdump/kdump_file.h"
#include "../../connectors/kdump/kdump_format.h"
#include "../synth/elf.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static int64_t read_bytes(void *user, uint64_t off, void *buf, size_t len)
{
	return (int64_t)synth_image_read(user, off, buf, len);
}

static void check_flat(const struct flattened *flat)
{
	for (size_t i = 0; i < flat->n; i++) {
		const struct flat_piece *piece = &flat->at[i];
		if (!piece->len || piece->pos + piece->len > flat->below.size)
			abort();
		if (i && piece[-1].off + piece[-1].len > piece->off)
			abort();
	}
}

/* The first pages that are saved, unpacked. */
static void read_pages(const struct kdump_file *file, struct unpacker *unpacker)
{
	uint8_t *packed = malloc(file->page_size), *page = malloc(file->page_size);
	uint64_t at = 0, index;

	for (int i = 0; i < 64; i++, at++) {
		uint8_t desc[KDUMP_DESC_SIZE];
		struct kdump_page where;
		if (bitmap_next(file->saved, 1, at, &at) != 0)
			break;
		if (kdump_file_find(file, at, &index) != 0)
			continue;
		if (file->counted && index >= file->n_saved)
			abort();
		if (source_read(&file->source, file->descs_at + index * KDUMP_DESC_SIZE, desc,
				sizeof(desc)) < 0 ||
		    kdump_file_desc(file, desc, &where) < 0)
			continue;
		if (!where.len || where.len > file->page_size ||
		    source_read(&file->source, where.off, packed, where.len) < 0)
			abort();
		if (where.packed)
			unpack(unpacker, where.packed, packed, where.len, page, file->page_size);
	}
	free(packed);
	free(page);
}

static void check_file(struct kdump_file *file, struct unpacker *unpacker)
{
	uint32_t n = elf_core_cpu_count(&file->notes);

	if (!file->n_pages || file->first > file->end || file->end > file->n_pages ||
	    file->n_saved > file->n_all || (1u << file->page_shift) != file->page_size)
		abort();
	for (uint32_t i = 0; i < n && i < 64; i++) {
		struct sonde_cpu cpu = { 0 };
		elf_core_cpu(&file->notes, i, &cpu);
	}
	read_pages(file, unpacker);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct unpacker *unpacker;
	struct synth_image file = { bytes, len };
	struct source source = { .read = read_bytes, .user = &file, .size = len };
	struct flattened flat = { 0 };
	struct kdump_file kdump = { 0 };
	const char *why = NULL;
	int r = 0;

	if (!unpacker)
		unpacker = unpacker_create();
	if (flattened_probe(bytes, len)) {
		r = flattened_open(&flat, &source, &why);
		source = flattened_source(&flat);
		if (r == 0)
			check_flat(&flat);
	}
	if (r == 0)
		r = kdump_file_open(&kdump, &source, &why);
	if (r < 0 && (!why || !why[0]))
		abort();
	if (r == 0)
		check_file(&kdump, unpacker);
	kdump_file_finish(&kdump);
	flattened_finish(&flat);
	return 0;
}
