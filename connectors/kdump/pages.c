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

static struct desc_block *block_of(struct pages *pages, const struct kdump_file *file,
				   uint64_t index)
{
	uint64_t number = index / DESCS_AT_ONCE + (uint64_t)(file - pages->files) * 61;

	return &pages->blocks[number % DESC_BLOCKS];
}

static int holds(const struct desc_block *block, const struct kdump_file *file, uint64_t index)
{
	return block->of == file && block->first == index - index % DESCS_AT_ONCE;
}

static uint64_t desc_at(const struct kdump_file *file, uint64_t index)
{
	return file->descs_at + (index - index % DESCS_AT_ONCE) * KDUMP_DESC_SIZE;
}

static int read_desc(struct pages *pages, const struct kdump_file *file, uint64_t index,
		     const uint8_t **ret)
{
	struct desc_block *block = block_of(pages, file, index);

	if (!holds(block, file, index)) {
		uint64_t at = desc_at(file, index);
		int64_t came = at < file->source.size
				       ? file->source.read(file->source.user, at, block->descs,
							   sizeof(block->descs))
				       : 0;
		block->of = came < 0 ? NULL : file;
		block->first = index - index % DESCS_AT_ONCE;
		block->n = came < 0 ? 0 : (uint32_t)(came / KDUMP_DESC_SIZE);
		if (came < 0)
			return (int)came;
	}
	if (index - block->first >= block->n)
		return SONDE_E_TRUNCATED;
	*ret = block->descs[index - block->first];
	return 0;
}

/* Descriptors of pages, where they have to be waited for; the last page first, for what counts up to it counts for all. */
static void expect(void *user, const uint64_t *ids, size_t n)
{
	struct pages *pages = user;
	const struct kdump_file *asked_of = NULL;
	uint64_t asked = 0, index = 0;

	while (n > 0) {
		uint64_t id = ids[--n];
		const struct kdump_file *file = file_of(pages, id);
		if (!file->source.ahead || kdump_file_find(file, id, &index) != 0 ||
		    (file == asked_of && desc_at(file, index) == asked) ||
		    holds(block_of(pages, file, index), file, index))
			continue;
		asked_of = file;
		asked = desc_at(file, index);
		source_lot_add(&pages->lot, &file->source, asked, DESCS_AT_ONCE * KDUMP_DESC_SIZE);
	}
	source_lot_end(&pages->lot);
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
	int has = kdump_file_has(file, page);
	ret->err = has < 0 ? has : has ? 0 : SONDE_E_NOT_MAPPED;
}

struct block_map pages_map(struct pages *pages)
{
	uint32_t size = pages->files->page_size;

	return (struct block_map){
		.user = pages,
		.size_max = size,
		.packed_max = size,
		.at = page_at,
		.expect = pages->files->source.ahead ? expect : NULL,
		.place = place,
	};
}
