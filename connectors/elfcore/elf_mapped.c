/* SPDX-License-Identifier: MIT */
#include "elf_mapped.h"

#include "../common/elf_image.h"
#include "elf_format.h"
#include "elf_root.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD_SIZE 4096u /* the smallest page: what a core has of an ELF file at least */
#define PAGE_MAX (64u << 10)
#define HEADS_MAX 16u /* of one file, mapped more than once */

/* ---- what the core has ----------------------------------------------------------------------------- */

struct finder {
	struct elf_mapped *to;
	const struct elf_core *core;
	elf_read_fn *read;
	void *user;
	int root;
	struct elf_files saved; /* the core itself, as the file that has these bytes of memory */
	struct elf_mapped_file *by_path[ELF_MAPPED_FILES_MAX]; /* [to->n_files], sorted */
};

static int find_saved(struct finder *f)
{
	const struct elf_core *core = f->core;

	f->saved.at = calloc(core->n_segments + 1, sizeof(*f->saved.at));
	if (!f->saved.at)
		return SONDE_E_NO_MEMORY;
	for (size_t i = 0; i < core->n_segments; i++) {
		const struct elf_segment *s = &core->segments[i];
		if (s->filesz && s->filesz <= UINT64_MAX - s->vaddr)
			f->saved.at[f->saved.n++] = (struct elf_file){ .start = s->vaddr,
								       .end = s->vaddr + s->filesz,
								       .off = s->off };
	}
	elf_files_sort(&f->saved);
	return 0;
}

static int is_saved(const struct finder *f, const struct elf_file *told)
{
	const struct elf_file *saved = elf_file_at(&f->saved, told->start);

	return saved && told->end <= saved->end;
}

/* Without bit 0 of the filter changed pages of files are as absent as unchanged ones. Every process has changed its stack. */
static int has_changes(const struct finder *f)
{
	for (size_t i = 0; i < f->core->n_segments; i++) {
		const struct elf_segment *s = &f->core->segments[i];
		if (s->flags & ELF_FLAG_WRITE && s->filesz && !elf_file_at(&f->to->told, s->vaddr))
			return 1;
	}
	return 0;
}

/* ---- is it the one? -------------------------------------------------------------------------------- */

/* The memory of a mapping as the core has it. */
struct in_core {
	const struct finder *finder;
	uint64_t start;
};

static size_t read_in_core(void *user, uint64_t off, void *buf, size_t len)
{
	const struct in_core *in = user;
	const struct finder *f = in->finder;
	uint64_t addr = in->start + off;
	const struct elf_file *saved = addr >= off ? elf_file_at(&f->saved, addr) : NULL;

	if (!saved || saved->off > UINT64_MAX - (addr - saved->start))
		return 0;
	uint64_t left = saved->end - addr;
	return f->read(f->user, saved->off + (addr - saved->start), buf,
		       len < left ? len : (size_t)left);
}

static size_t read_in_file(void *user, uint64_t off, void *buf, size_t len)
{
	const struct elf_mapped_file *file = user;
	ssize_t n = off <= INT64_MAX ? pread(file->fd, buf, len, (off_t)off) : 0;

	return n < 0 ? 0 : (size_t)n;
}

/* The beginning of an ELF file, from one side. */
struct head {
	size_t len;
	uint8_t bytes[HEAD_SIZE], notes[IMAGE_NOTE_BYTES];
	char build_id[2 * IMAGE_BUILD_ID_MAX + 1]; /* "": not found */
};

/* What lies in the first mapping lies in the file at the same distance from its begin. */
static void read_head(struct head *ret, elf_read_fn *read, void *user)
{
	struct image image;

	ret->build_id[0] = '\0';
	ret->len = read(user, 0, ret->bytes, HEAD_SIZE);
	if (image_parse(ret->bytes, ret->len, &image) <= 0)
		return;
	for (uint32_t i = 0; i < image.n_notes && !ret->build_id[0]; i++) {
		size_t len = read(user, image.notes[i].off, ret->notes, image.notes[i].len);
		image_build_id(ret->notes, len, image.order, ret->build_id);
	}
}

static const char *compare_heads(const struct head *was, const struct head *is,
				 struct elf_mapped_file *file)
{
	if (was->build_id[0]) {
		file->by = "build_id";
		return strcmp(was->build_id, is->build_id) == 0 ? NULL : "another build ID";
	}
	file->by = "elf_header";
	return is->len == HEAD_SIZE && memcmp(was->bytes, is->bytes, HEAD_SIZE) == 0
		       ? NULL
		       : "another ELF header";
}

/* By the first page of the file, mapped at start, where the core has it. Returns 0, SONDE_E_NO_MEMORY. */
static int check_head(const struct finder *f, uint64_t start, struct elf_mapped_file *file)
{
	struct in_core in = { f, start };
	struct head *heads = calloc(2, sizeof(*heads));

	if (!heads)
		return SONDE_E_NO_MEMORY;
	read_head(&heads[0], read_in_core, &in);
	if (heads[0].len == HEAD_SIZE && memcmp(heads[0].bytes, "\177ELF", 4) == 0) {
		read_head(&heads[1], read_in_file, file);
		file->why = compare_heads(&heads[0], &heads[1], file);
	}
	free(heads);
	return 0;
}

/* Some of its last page at least is in the file. */
static int reaches(const struct elf_mapped *mapped, const struct elf_file *range, uint64_t size)
{
	uint64_t left = range->off < size ? size - range->off : 0, len = range->end - range->start;

	return left && (len <= left || len - left < mapped->page);
}

/* ---- finding ---------------------------------------------------------------------------------------- */

/* Where that path is, or belongs, among the sorted ones. */
static size_t place_of(const struct finder *f, const char *path)
{
	size_t low = 0, high = f->to->n_files;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(f->by_path[middle]->path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct elf_mapped_file *file_in(const struct finder *f, size_t place, const char *path)
{
	int there = place < f->to->n_files && strcmp(f->by_path[place]->path, path) == 0;

	return there ? f->by_path[place] : NULL;
}

/* The file of that path, looked up when it is met first. NULL: there are too many. */
static struct elf_mapped_file *take_file(struct finder *f, const char *path)
{
	struct elf_mapped *to = f->to;
	size_t place = place_of(f, path);
	struct elf_mapped_file *file = file_in(f, place, path);

	if (file || to->n_files == ELF_MAPPED_FILES_MAX)
		return file;
	file = &to->files[to->n_files];
	*file = (struct elf_mapped_file){ .path = path };
	file->fd = elf_root_file(f->root, path, &file->size, &file->why);
	memmove(f->by_path + place + 1, f->by_path + place,
		(to->n_files++ - place) * sizeof(*f->by_path));
	f->by_path[place] = file;
	return file;
}

/* What the core left something out of. */
static void take_ranges(struct finder *f)
{
	struct elf_mapped *to = f->to;

	for (size_t i = 0; i < to->told.n; i++) {
		const struct elf_file *told = &to->told.at[i];
		struct elf_mapped_file *file = NULL;
		if (is_saved(f, told))
			continue;
		if (to->n_ranges < ELF_MAPPED_RANGES_MAX)
			file = take_file(f, told->path);
		if (!file) {
			to->n_beyond++;
			continue;
		}
		if (!file->why && !reaches(to, told, file->size))
			file->why = "shorter than what was mapped of it";
		to->ranges[to->n_ranges++] = (struct elf_mapped_range){ told, file };
	}
}

/* Their headers are in mappings that may have been saved. */
static int check_heads(const struct finder *f)
{
	struct elf_mapped *to = f->to;
	int r = 0;

	for (size_t i = 0; r == 0 && i < to->told.n; i++) {
		const struct elf_file *told = &to->told.at[i];
		if (told->off || !elf_file_at(&f->saved, told->start))
			continue;
		struct elf_mapped_file *file = file_in(f, place_of(f, told->path), told->path);
		if (file && !file->why && !file->by && file->n_heads++ < HEADS_MAX)
			r = check_head(f, told->start, file);
	}
	return r;
}

static uint64_t page_of(const struct elf_core *core)
{
	uint64_t page;

	return elf_aux_find(core, ELF_AUX_PAGE_SIZE, &page) && page <= PAGE_MAX ? page : HEAD_SIZE;
}

static int find_all(struct finder *f)
{
	struct elf_mapped *to = f->to;
	size_t n = to->told.n < ELF_MAPPED_RANGES_MAX ? to->told.n : ELF_MAPPED_RANGES_MAX;
	int r = find_saved(f);

	if (r < 0)
		return r;
	if (!has_changes(f))
		return SONDE_E_NOT_SAVED;
	to->page = page_of(f->core);
	to->ranges = calloc(n + 1, sizeof(*to->ranges));
	to->files = calloc(ELF_MAPPED_FILES_MAX, sizeof(*to->files));
	if (!to->ranges || !to->files)
		return SONDE_E_NO_MEMORY;
	take_ranges(f);
	r = check_heads(f);
	for (size_t i = 0; i < to->n_files; i++)
		to->n_used += !to->files[i].why;
	return r;
}

int elf_mapped_find(struct elf_mapped *ret, const struct elf_core *core, elf_read_fn *read,
		    void *user, int root)
{
	struct finder f = { .to = ret, .core = core, .read = read, .user = user, .root = root };

	*ret = (struct elf_mapped){ 0 };
	int r = elf_files_read(core, &ret->told);
	if (r == 0)
		r = find_all(&f);
	free(f.saved.at);
	return r;
}

void elf_mapped_finish(struct elf_mapped *mapped)
{
	for (size_t i = 0; i < mapped->n_files; i++) {
		if (mapped->files[i].fd >= 0)
			close(mapped->files[i].fd);
	}
	free(mapped->files);
	free(mapped->ranges);
	free(mapped->told.at);
	*mapped = (struct elf_mapped){ 0 };
}

/* ---- what it gives ---------------------------------------------------------------------------------- */

/* Behind the end of the file its last page is zeros. Nothing of it is ever written: it is no part of the core. */
static int tell(const struct elf_mapped_range *range, sonde_extent_fn *fn, void *user)
{
	const struct elf_file *at = range->told;
	uint64_t len = at->end - at->start, left = range->file->size - at->off;
	struct sonde_extent bytes = {
		.addr = at->start,
		.len = len < left ? len : left,
		.kind = SONDE_EXTENT_FILE,
		.flags = SONDE_REGION_READ,
		.off = at->off,
		.fd = range->file->fd,
	};
	struct sonde_extent zeros = {
		.addr = at->start + bytes.len,
		.len = len - bytes.len,
		.kind = SONDE_EXTENT_ZERO,
		.flags = SONDE_REGION_READ,
	};
	int r = fn(user, &bytes);

	return r == 0 && zeros.len ? fn(user, &zeros) : r;
}

int elf_mapped_extents(const struct elf_mapped *mapped, sonde_extent_fn *fn, void *user)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < mapped->n_ranges; i++) {
		if (!mapped->ranges[i].file->why)
			r = tell(&mapped->ranges[i], fn, user);
	}
	return r;
}

void elf_mapped_facts(const struct elf_mapped *mapped, struct note_lines *lines)
{
	char word[64];

	for (size_t i = 0; i < mapped->n_files; i++) {
		const struct elf_mapped_file *file = &mapped->files[i];
		if (file->why)
			snprintf(word, sizeof(word), "file_refused=%s: ", file->why);
		else
			snprintf(word, sizeof(word), "file_by_%s=", file->by ? file->by : "size");
		note_lines_text(lines, word, file->path, strlen(file->path));
	}
	if (mapped->n_beyond)
		fprintf(lines->out, "mappings_left_out=%zu\n", mapped->n_beyond);
}
