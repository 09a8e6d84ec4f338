/* SPDX-License-Identifier: MIT */
#include "pages.h"
#include "../common/unpack.h"

_Static_assert((int)PACK_ZLIB == KDUMP_ZLIB && (int)PACK_LZO == KDUMP_LZO &&
		       (int)PACK_SNAPPY == KDUMP_SNAPPY && (int)PACK_ZSTD == KDUMP_ZSTD,
	       "unpack() takes what stands in a descriptor");

static const struct kdump_file *file_of(const struct pages *pages, uint64_t page)
{
	for (size_t i = 0; i < pages->n; i++) {
		if (page >= pages->files[i].first && page < pages->files[i].end)
			return &pages->files[i];
	}
	return &pages->files[0]; /* which knows that it is not there, and why */
}

static int read_desc(struct pages *pages, const struct kdump_file *file, uint64_t index,
		     const uint8_t **ret)
{
	if (file != pages->descs_of || index < pages->first_desc ||
	    index - pages->first_desc >= pages->n_descs) {
		uint64_t left = file->n_saved - index;
		uint32_t n = left < DESCS_AT_ONCE ? (uint32_t)left : DESCS_AT_ONCE;
		uint64_t at = file->descs_at + index * KDUMP_DESC_SIZE;
		int64_t came = at < file->source.size
				       ? file->source.read(file->source.user, at, pages->descs,
							   n * KDUMP_DESC_SIZE)
				       : 0;
		pages->descs_of = file;
		pages->first_desc = index;
		pages->n_descs = came < 0 ? 0 : (uint32_t)(came / KDUMP_DESC_SIZE);
		if (!pages->n_descs)
			return came < 0 ? SONDE_E_IO : SONDE_E_TRUNCATED;
	}
	*ret = pages->descs[index - pages->first_desc];
	return 0;
}

static int place(void *user, uint64_t page, struct block_place *ret)
{
	struct pages *pages = user;
	const struct kdump_file *file = file_of(pages, page);
	const uint8_t *desc = NULL;
	struct kdump_page where = { 0 };
	uint64_t index = 0;

	int r = kdump_file_find(file, page, &index);
	if (r == 0)
		r = read_desc(pages, file, index, &desc);
	if (r == 0)
		r = kdump_file_desc(file, desc, &where);
	*ret = (struct block_place){
		.source = &file->source, .off = where.off, .len = where.len, .packed = where.packed
	};
	return r;
}

static void page_at(void *user, uint64_t addr, struct block *ret)
{
	const struct kdump_file *file = ((const struct pages *)user)->files;
	uint64_t page = addr >> file->page_shift;

	ret->id = page;
	ret->size = file->page_size;
	ret->inside = (uint32_t)addr & (file->page_size - 1);
	if (page >= file->n_pages ||
	    (!kdump_bit(file->saved, page) && !kdump_bit(file->memory, page)))
		ret->err = SONDE_E_NOT_MAPPED;
}

struct block_map pages_map(struct pages *pages)
{
	uint32_t size = pages->files->page_size;

	return (struct block_map){
		.user = pages, .size_max = size, .packed_max = size, .at = page_at, .place = place
	};
}
