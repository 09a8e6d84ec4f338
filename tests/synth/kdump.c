/* SPDX-License-Identifier: MIT */
#include "synth/kdump.h"

#include <libdeflate.h>
#include <lzo/lzo1x.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define SUB_BLOCKS 1u
#define PACKED_MAX(size) ((size)*2 + 1024)

/* A file that grows as it is written to. */
struct image {
	uint8_t *bytes;
	size_t size;
	int is_big;
	uint32_t word;
};

static uint8_t *room(struct image *image, size_t at, size_t len)
{
	if (at + len > image->size) {
		image->bytes = realloc(image->bytes, at + len);
		memset(image->bytes + image->size, 0, at + len - image->size);
		image->size = at + len;
	}
	return image->bytes + at;
}

static void put(struct image *image, size_t at, uint64_t value, uint32_t size)
{
	uint8_t *p = room(image, at, size);

	for (uint32_t i = 0; i < size; i++)
		p[image->is_big ? size - 1 - i : i] = (uint8_t)(value >> 8 * i);
}

static void put_word(struct image *image, size_t at, uint64_t value)
{
	put(image, at, value, image->word);
}

static void put_text(struct image *image, size_t at, const char *text)
{
	memcpy(room(image, at, strlen(text)), text, strlen(text));
}

/* disk_dump_header of diskdump_mod.h */
static void put_head(struct image *image, const struct synth_kdump *spec, uint32_t bitmap_blocks)
{
	size_t at = spec->word == 4 ? 412 : 424; /* behind utsname and struct timeval */

	put_text(image, 0, "KDUMP   ");
	put(image, 8, spec->version, 4);
	put_text(image, 12 + 65 * 0, "Linux");
	put_text(image, 12 + 65 * 2, "6.1.0-synth");
	put_text(image, 12 + 65 * 4, spec->machine);
	put_word(image, at - 2 * spec->word, 1700000000);
	put(image, at, spec->status, 4);
	put(image, at + 4, spec->page_size, 4);
	put(image, at + 8, SUB_BLOCKS, 4);
	put(image, at + 12, bitmap_blocks, 4);
	put(image, at + 16, spec->version < 6 ? spec->n_pages : 0, 4);
	put(image, at + 36, 1, 4); /* nr_cpus */
}

/* Where the next field of so many bytes begins: aligned to itself, but 64 bits on i386 to 32. */
static size_t next(const struct synth_kdump *spec, size_t *at, size_t size)
{
	size_t align = spec->word == 4 && strncmp(spec->machine, "arm", 3) != 0 ? 4 : size;
	size_t field = (*at + align - 1) / align * align;

	*at = field + size;
	return field;
}

/* kdump_sub_header of diskdump_mod.h; info and notes follow it in the same block */
static void put_sub(struct image *image, const struct synth_kdump *spec)
{
	size_t sub = spec->page_size, at = 0, word = spec->word;
	size_t info = sub + 256, info_size = spec->info ? strlen(spec->info) : 0;
	size_t notes = (info + info_size + 3) & ~(size_t)3;

	next(spec, &at, word); /* phys_base */
	put(image, sub + next(spec, &at, 4), spec->level, 4);
	put(image, sub + next(spec, &at, 4), (uint64_t)spec->split, 4);
	put_word(image, sub + next(spec, &at, word), spec->version < 6 ? spec->first : 0);
	put_word(image, sub + next(spec, &at, word), spec->version < 6 ? spec->end : 0);
	put(image, sub + next(spec, &at, 8), info, 8);
	put_word(image, sub + next(spec, &at, word), info_size);
	put(image, sub + next(spec, &at, 8), notes, 8);
	put_word(image, sub + next(spec, &at, word), spec->notes_size);
	next(spec, &at, 8); /* eraseinfo */
	next(spec, &at, word);
	put(image, sub + next(spec, &at, 8), spec->first, 8);
	put(image, sub + next(spec, &at, 8), spec->end, 8);
	put(image, sub + next(spec, &at, 8), spec->n_pages, 8);
	if (info_size)
		put_text(image, info, spec->info);
	if (spec->notes_size)
		memcpy(room(image, notes, spec->notes_size), spec->notes, spec->notes_size);
}

static void fill(uint64_t addr, uint8_t *page, size_t size)
{
	for (size_t i = 0; i < size; i++)
		page[i] = (uint8_t)((addr + i) / 16);
}

static size_t pack_lzo(const uint8_t *page, size_t size, uint8_t *to)
{
	lzo_uint made = 0;
	void *work = malloc(LZO1X_1_MEM_COMPRESS);

	lzo1x_1_compress(page, size, to, &made, work);
	free(work);
	return made;
}

/* The flag of the way of packing, and how long the packed page is. */
static uint32_t pack(uint8_t kind, const uint8_t *page, size_t size, uint8_t *to, size_t *ret_len)
{
	size_t room = PACKED_MAX(size);

	if (kind == SYNTH_ZLIB) {
		struct libdeflate_compressor *c = libdeflate_alloc_compressor(6);
		*ret_len = libdeflate_zlib_compress(c, page, size, to, room);
		libdeflate_free_compressor(c);
		return 0x1;
	}
	if (kind == SYNTH_LZO) {
		*ret_len = pack_lzo(page, size, to);
		return 0x2;
	}
	if (kind == SYNTH_SNAPPY) {
		*ret_len = room;
		snappy_compress((const char *)page, size, (char *)to, ret_len);
		return 0x4;
	}
	if (kind == SYNTH_ZSTD) {
		*ret_len = ZSTD_compress(to, room, page, size, 3);
		return 0x20;
	}
	memcpy(to, page, size);
	*ret_len = size;
	return 0;
}

/* page_desc of diskdump_mod.h for each page of this part, at descs; the pages behind all of them. */
static void put_pages(struct image *image, const struct synth_kdump *spec, size_t descs)
{
	size_t n = 0, size = spec->page_size;
	uint8_t *page = malloc(size), *packed = malloc(PACKED_MAX(size));

	for (uint64_t i = spec->first; i < spec->end; i++)
		n += spec->kinds[i] > SYNTH_LEFT_OUT;
	room(image, descs, n * 24);
	for (uint64_t i = spec->first; i < spec->end; i++) {
		size_t at = image->size, len;
		if (spec->kinds[i] <= SYNTH_LEFT_OUT)
			continue;
		spec->fill(i * size, page, size);
		uint32_t flags = pack(spec->kinds[i], page, size, packed, &len);
		memcpy(room(image, at, len), packed, len);
		put(image, descs, at, 8);
		put(image, descs + 8, len, 4);
		put(image, descs + 12, flags, 4);
		descs += 24;
	}
	free(page);
	free(packed);
}

uint8_t *synth_kdump(const struct synth_kdump *given, size_t *ret_size)
{
	struct synth_kdump spec = *given;

	spec.version = spec.version ? spec.version : 6;
	spec.word = spec.word ? spec.word : 8;
	spec.machine = spec.machine ? spec.machine : "x86_64";
	spec.page_size = spec.page_size ? spec.page_size : 4096;
	spec.fill = spec.fill ? spec.fill : fill;
	spec.end = spec.split ? spec.end : spec.n_pages;
	spec.first = spec.split ? spec.first : 0;

	struct image image = { .is_big = spec.is_big, .word = spec.word };
	uint32_t half = (uint32_t)((spec.n_pages + 8 * spec.page_size - 1) / (8 * spec.page_size));
	size_t bitmap = (1 + SUB_BLOCKS) * spec.page_size, second = bitmap + half * spec.page_size;
	put_head(&image, &spec, 2 * half);
	put_sub(&image, &spec);
	room(&image, bitmap, 2 * half * spec.page_size);
	for (size_t i = 0; i < spec.n_pages; i++) {
		uint8_t bit = (uint8_t)(1u << i % 8);
		image.bytes[bitmap + i / 8] |= spec.kinds[i] != SYNTH_NO_MEMORY ? bit : 0;
		image.bytes[second + i / 8] |= spec.kinds[i] > SYNTH_LEFT_OUT ? bit : 0;
	}
	put_pages(&image, &spec, second + half * spec.page_size);
	*ret_size = image.size;
	return image.bytes;
}
