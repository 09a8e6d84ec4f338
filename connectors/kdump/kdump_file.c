/* SPDX-License-Identifier: MIT */
#include "kdump_file.h"
#include "kdump_format.h"
#include "../elfcore/elf_format.h"

#include <stdlib.h>
#include <string.h>

/* What is read of the head, at most. */
#define HEAD_SIZE 464u
#define SUB_SIZE 104u

/* Who opens, and where it says why not. */
struct opening {
	struct kdump_file *file;
	const struct kdump_layout *layout;
	uint8_t head[HEAD_SIZE];
	uint8_t sub[SUB_SIZE];
	uint64_t sub_blocks, bitmap_blocks;
	const char **why;
};

static int refuse(struct opening *opening, int code, const char *why)
{
	*opening->why = why;
	return code;
}

static int read_part(struct opening *opening, uint64_t off, void *buf, size_t len, const char *why)
{
	int r = source_read(&opening->file->source, off, buf, len);

	return r < 0 ? refuse(opening, r, why) : 0;
}

static uint32_t u32(const struct kdump_file *file, const uint8_t *p)
{
	uint32_t v = sonde_le32(p);

	return file->big ? __builtin_bswap32(v) : v;
}

static uint64_t u64(const struct kdump_file *file, const uint8_t *p)
{
	uint64_t v = sonde_le64(p);

	return file->big ? __builtin_bswap64(v) : v;
}

static uint64_t word(const struct kdump_file *file, const uint8_t *p)
{
	return file->word == 8 ? u64(file, p) : u32(file, p);
}

/* ---- the head --------------------------------------------------------------------------------- */

static int is_page_size(uint32_t size)
{
	return size >= 1024 && size <= 1u << 20 && (size & (size - 1)) == 0;
}

/* Whose order makes the version one: 1 … 6 in one of the two. */
static int find_order(struct opening *opening)
{
	struct kdump_file *file = opening->file;

	for (file->big = 0; file->big < 2; file->big++) {
		file->version = u32(file, opening->head + KDUMP_VERSION_AT);
		if (file->version >= 1 && file->version <= KDUMP_VERSION_MAX)
			return 0;
	}
	return refuse(opening, SONDE_E_BAD_FORMAT, "head: header_version is none of 1 to 6");
}

/* uname's field, cut at what is not printable. */
static void copy_name(char *to, const uint8_t *from)
{
	size_t n = 0;

	while (n < KDUMP_UTSNAME_FIELD && from[n] > ' ' && from[n] < 0x7f) {
		to[n] = (char)from[n];
		n++;
	}
	to[n] = '\0';
}

static const struct machine {
	const char *name;
	uint32_t arch, elf;
} machines[] = {
	{ "x86_64", SONDE_ARCH_X86_64, ELF_MACHINE_X86_64 },
	{ "aarch64", SONDE_ARCH_AARCH64, ELF_MACHINE_AARCH64 },
	{ "riscv64", SONDE_ARCH_RISCV64, ELF_MACHINE_RISCV },
	{ "i686", SONDE_ARCH_I386, ELF_MACHINE_386 },
	{ "i586", SONDE_ARCH_I386, ELF_MACHINE_386 },
};

static uint32_t name_machine(struct kdump_file *file)
{
	for (size_t i = 0; i < sizeof(machines) / sizeof(machines[0]); i++) {
		if (strcmp(machines[i].name, file->machine) == 0) {
			file->arch = machines[i].arch;
			return machines[i].elf;
		}
	}
	return 0;
}

/* By where a page size stands that can be one. Of the two with a word of 32 bits the machine's name tells. */
static int find_layout(struct opening *opening)
{
	struct kdump_file *file = opening->file;
	size_t n = sizeof(kdump_layouts) / sizeof(kdump_layouts[0]);
	size_t i = 0;

	while (i < n && !is_page_size(u32(file, opening->head + kdump_layouts[i].block_size)))
		i++;
	if (i == n)
		return refuse(opening, SONDE_E_BAD_FORMAT,
			      "head: block_size is no power of two from 1 KiB to 1 MiB");
	if (kdump_layouts[i].word == 4 && strncmp(file->machine, "arm", 3) == 0)
		i++;
	opening->layout = &kdump_layouts[i];
	file->word = opening->layout->word;
	file->page_size = u32(file, opening->head + opening->layout->block_size);
	file->page_shift = (uint32_t)__builtin_ctz(file->page_size);
	return 0;
}

static int take_head(struct opening *opening)
{
	const struct kdump_layout *layout = opening->layout;
	struct kdump_file *file = opening->file;
	const uint8_t *head = opening->head;

	file->status = u32(file, head + layout->status);
	file->seconds = word(file, head + layout->seconds);
	file->n_pages = u32(file, head + layout->max_page);
	opening->sub_blocks = u32(file, head + layout->sub_blocks);
	opening->bitmap_blocks = u32(file, head + layout->bitmap_blocks);
	if (!opening->sub_blocks)
		return refuse(opening, SONDE_E_BAD_FORMAT, "head: sub_hdr_size is 0");
	return 0;
}

static int read_head(struct opening *opening)
{
	struct kdump_file *file = opening->file;
	int r = read_part(opening, 0, opening->head, HEAD_SIZE, "head: cut off");

	if (r < 0)
		return r;
	if (memcmp(opening->head, KDUMP_SIGNATURE, KDUMP_SIGNATURE_SIZE) != 0)
		return refuse(opening, SONDE_E_BAD_FORMAT, "does not begin with 'KDUMP   '");
	copy_name(file->release, opening->head + KDUMP_UTSNAME_AT + 2 * KDUMP_UTSNAME_FIELD);
	copy_name(file->machine, opening->head + KDUMP_UTSNAME_AT + 4 * KDUMP_UTSNAME_FIELD);
	file->notes.machine = name_machine(file);
	r = find_order(opening);
	if (r == 0)
		r = find_layout(opening);
	return r == 0 ? take_head(opening) : r;
}

/* ---- the sub head ------------------------------------------------------------------------------- */

static int read_sub(struct opening *opening)
{
	const struct kdump_layout *layout = opening->layout;
	struct kdump_file *file = opening->file;
	const uint8_t *sub = opening->sub;
	int r = read_part(opening, file->page_size, opening->sub, SUB_SIZE, "sub head: cut off");

	if (r < 0)
		return r;
	file->level = u32(file, sub + layout->level);
	file->split = file->version >= 2 && u32(file, sub + layout->split) != 0;
	if (file->version >= 6)
		file->n_pages = u64(file, sub + layout->max_page_64);
	if (file->n_pages == 0)
		return refuse(opening, SONDE_E_BAD_FORMAT, "max_mapnr is 0");
	if (file->n_pages > KDUMP_PAGES_MAX)
		return refuse(opening, SONDE_E_LIMIT, "max_mapnr is more than 2^32");
	file->end = file->n_pages;
	if (!file->split)
		return 0;
	file->first = word(file, sub + layout->first);
	file->end = word(file, sub + layout->end);
	if (file->version >= 6) {
		file->first = u64(file, sub + layout->first_64);
		file->end = u64(file, sub + layout->end_64);
	}
	if (file->first > file->end)
		return refuse(opening, SONDE_E_BAD_FORMAT, "sub head: start_pfn is above end_pfn");
	file->first = file->first < file->n_pages ? file->first : file->n_pages;
	file->end = file->end < file->n_pages ? file->end : file->n_pages;
	return 0;
}

/* ---- the bitmaps -------------------------------------------------------------------------------- */

/* Both, or the one that there is where one half would not hold the pages. */
static int find_bitmaps(struct opening *opening)
{
	struct kdump_file *file = opening->file;
	uint64_t size = opening->bitmap_blocks << file->page_shift;
	uint64_t at = (1 + opening->sub_blocks) << file->page_shift;
	size_t len = (size_t)((file->n_pages + 7) / 8);
	uint64_t second = len <= size / 2 ? at + size / 2 : at;

	if (len > size)
		return refuse(opening, SONDE_E_BAD_FORMAT, "bitmap: fewer bits than pages");
	file->descs_at = at + size;
	if (second > file->source.size || len > file->source.size - second)
		return refuse(opening, SONDE_E_TRUNCATED, "bitmap: cut off");
	if (bitmap_create(&file->memory, &file->source, at, file->n_pages, 0) < 0 ||
	    bitmap_create(&file->saved, &file->source, second, file->n_pages, file->first) < 0)
		return refuse(opening, SONDE_E_NO_MEMORY, "out of memory");
	return 0;
}

int kdump_file_count(struct kdump_file *file)
{
	if (file->counted)
		return 0;
	int r = bitmap_rank(file->saved, file->end, &file->n_saved);
	file->n_all = file->n_saved;
	if (r == 0 && file->split)
		r = bitmap_count(file->saved, &file->n_all);
	if (r < 0)
		return r;
	file->counted = 1;
	file->cut = file->source.size < file->descs_at ||
		    (file->source.size - file->descs_at) / KDUMP_DESC_SIZE < file->n_saved;
	return 0;
}

static int count_few(struct opening *opening)
{
	int r = opening->file->n_pages > KDUMP_COUNTED_MAX ? 0 : kdump_file_count(opening->file);

	return r < 0 ? refuse(opening, r, "bitmap: cannot be read") : 0;
}

/* ---- notes -------------------------------------------------------------------------------------- */

/* A stretch that the sub head names; what is not there, or too long, is left out. 0 or SONDE_E_NO_MEMORY. */
static int read_stretch(struct opening *opening, uint8_t at, uint8_t size, uint8_t **ret,
			size_t *ret_len)
{
	struct kdump_file *file = opening->file;
	uint64_t off = u64(file, opening->sub + at), len = word(file, opening->sub + size);

	if (!len || len > KDUMP_NOTES_MAX || off > file->source.size ||
	    len > file->source.size - off)
		return 0;
	*ret = malloc((size_t)len);
	if (!*ret)
		return refuse(opening, SONDE_E_NO_MEMORY, "out of memory");
	if (source_read(&file->source, off, *ret, (size_t)len) == 0)
		*ret_len = (size_t)len;
	return 0;
}

static int read_notes(struct opening *opening)
{
	const struct kdump_layout *layout = opening->layout;
	struct kdump_file *file = opening->file;
	int r = 0;

	if (file->version >= 3)
		r = read_stretch(opening, layout->info_at, layout->info_size,
				 (uint8_t **)&file->info, &file->info_len);
	if (r == 0 && file->version >= 4)
		r = read_stretch(opening, layout->notes_at, layout->notes_size,
				 &file->notes.note_bytes, &file->notes.n_note_bytes);
	file->notes.big = file->big;
	file->notes.word = file->word;
	if (r == 0)
		r = elf_notes_add(&file->notes, file->notes.note_bytes, file->notes.n_note_bytes);
	return r;
}

int kdump_file_open(struct kdump_file *ret, const struct source *source, const char **ret_why)
{
	struct opening opening = { .file = ret, .why = ret_why };
	static int (*const steps[])(struct opening *) = { read_head, read_sub, find_bitmaps,
							  count_few, read_notes };
	int r = 0;

	*ret = (struct kdump_file){ .source = *source };
	for (size_t i = 0; r == 0 && i < sizeof(steps) / sizeof(steps[0]); i++)
		r = steps[i](&opening);
	return r;
}

void kdump_file_finish(struct kdump_file *file)
{
	bitmap_destroy(file->memory);
	bitmap_destroy(file->saved);
	free(file->info);
	elf_core_finish(&file->notes);
	*file = (struct kdump_file){ 0 };
}

/* ---- pages -------------------------------------------------------------------------------------- */

int kdump_file_has(const struct kdump_file *file, uint64_t page)
{
	if (page >= file->n_pages)
		return 0;
	int saved = bitmap_bit(file->saved, page);
	return saved ? saved : bitmap_bit(file->memory, page);
}

static int why_not_saved(const struct kdump_file *file, uint64_t page)
{
	int is_memory = bitmap_bit(file->memory, page);

	if (is_memory < 0)
		return is_memory;
	if (!is_memory)
		return SONDE_E_NOT_MAPPED;
	return file->level == KDUMP_LEVEL_ZERO ? 1 : SONDE_E_NOT_SAVED;
}

int kdump_file_find(const struct kdump_file *file, uint64_t page, uint64_t *ret_index)
{
	if (page >= file->n_pages)
		return SONDE_E_NOT_MAPPED;
	int saved = bitmap_bit(file->saved, page);
	if (saved < 0)
		return saved;
	if (!saved)
		return why_not_saved(file, page);
	if (page < file->first || page >= file->end)
		return SONDE_E_NOT_SAVED;
	return bitmap_rank(file->saved, page, ret_index);
}

static int is_one_way(uint32_t packed)
{
	return (packed & (packed - 1)) == 0;
}

int kdump_file_desc(const struct kdump_file *file, const uint8_t *desc, struct kdump_page *ret)
{
	uint32_t flags = u32(file, desc + 12);

	ret->off = u64(file, desc);
	ret->len = u32(file, desc + 8);
	ret->packed = flags & KDUMP_PACKED;
	if (ret->off == 0) /* a dump that was not finished; else it would be the head */
		return file->status & KDUMP_INCOMPLETE ? SONDE_E_TRUNCATED : SONDE_E_CORRUPT;
	if (flags & ~(uint32_t)KDUMP_PACKED || !is_one_way(ret->packed))
		return SONDE_E_UNSUPPORTED;
	/* lzo1x makes a page that does not shrink longer, yet writers keep such pages as they are. */
	if (!ret->len || ret->len > file->page_size ||
	    (!ret->packed && ret->len != file->page_size))
		return SONDE_E_CORRUPT;
	if (ret->off > file->source.size || ret->len > file->source.size - ret->off)
		return SONDE_E_TRUNCATED;
	return 0;
}
