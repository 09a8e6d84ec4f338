/* SPDX-License-Identifier: MIT */
#include "pages.h"
#include "../common/crew.h"
#include "kdump_format.h"
#include "page_cache.h"
#include "unpack.h"

#include <stdlib.h>

#define LOT_MAX 1024u
#define KEPT_MIN 64u
#define KEPT_MAX (1u << 20)
#define DESCS_AT_ONCE 128u

/* What of a piece lies in one page. */
struct part {
	uint64_t page;
	uint32_t io, xfer; /* whose                       */
	uint32_t off, len; /* of the piece                */
	uint32_t inside;   /* where it begins in the page */
};

/* A page that somebody wants, and [n] parts of it from first on. */
struct want {
	uint64_t page;
	uint8_t *bytes; /* its place: a slot that is kept, or a part's own buffer */
	const struct kdump_file *file;
	struct kdump_page where;
	uint32_t first, n;
	uint32_t slot; /* PAGE_CACHE_NONE: in a part's buffer                    */
	int32_t err;
};

struct pages {
	struct kdump_set set;
	struct crew *crew;
	unsigned n_workers;
	struct unpacker **unpackers; /* [n_workers]             */
	uint8_t **packed;            /* [n_workers][page_size]  */
	struct page_cache cache;
	uint32_t lot, lot_max; /* number of this one; parts a lot has at most */

	struct part parts[LOT_MAX];
	struct want wants[LOT_MAX];
	struct want *missing[LOT_MAX]; /* those of wants that are to be unpacked */
	uint32_t n_parts, n_missing;

	/* Descriptors that were read last: neighbours stand beside each other. */
	const struct kdump_file *descs_of;
	uint64_t first_desc;
	uint32_t n_descs;
	uint8_t descs[DESCS_AT_ONCE][KDUMP_DESC_SIZE];
};

/* ---- one page ----------------------------------------------------------------------------------- */

static const struct kdump_file *file_of(const struct kdump_set *set, uint64_t page)
{
	for (size_t i = 0; i < set->n; i++) {
		if (page >= set->files[i].first && page < set->files[i].end)
			return &set->files[i];
	}
	return &set->files[0]; /* which knows that it is not there, and why */
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

/* Where it lies: 0; 1 all of it is zeros; an error. */
static int find(struct pages *pages, struct want *want)
{
	const uint8_t *desc = NULL;
	uint64_t index = 0;

	want->file = file_of(&pages->set, want->page);
	int r = kdump_file_find(want->file, want->page, &index);
	if (r == 0)
		r = read_desc(pages, want->file, index, &desc);
	return r == 0 ? kdump_file_desc(want->file, desc, &want->where) : r;
}

/* Any thread of the crew. */
static void fetch(void *user, unsigned worker, size_t i)
{
	struct pages *pages = user;
	struct want *want = pages->missing[i];
	const struct source *source = &want->file->source;
	const struct kdump_page *where = &want->where;
	uint8_t *packed = where->packed ? pages->packed[worker] : want->bytes;

	want->err = source_read(source, where->off, packed, where->len);
	if (want->err == 0 && where->packed)
		want->err = unpack(pages->unpackers[worker], where->packed, packed, where->len,
				   want->bytes, want->file->page_size);
}

/* ---- a lot -------------------------------------------------------------------------------------- */

static int by_page(const void *a, const void *b)
{
	const struct part *x = a, *y = b;

	return (x->page > y->page) - (x->page < y->page);
}

static void sort_parts(struct pages *pages)
{
	for (uint32_t i = 1; i < pages->n_parts; i++) {
		if (pages->parts[i].page < pages->parts[i - 1].page) {
			qsort(pages->parts, pages->n_parts, sizeof(*pages->parts), by_page);
			return;
		}
	}
}

static uint8_t *part_bytes(const struct part *part, struct sonde_io *const *ios)
{
	return (uint8_t *)ios[part->io]->xfers[part->xfer].buf + part->off;
}

/* The buffer of a part that wants all of the page: then it needs no other place. NULL none. */
static uint8_t *whole_part(const struct pages *pages, const struct want *want,
			   struct sonde_io *const *ios)
{
	for (uint32_t i = 0; i < want->n; i++) {
		const struct part *part = &pages->parts[want->first + i];
		if (part->len == pages->cache.page_size)
			return part_bytes(part, ios);
	}
	return NULL;
}

static void place(struct pages *pages, struct want *want, struct sonde_io *const *ios)
{
	want->slot = page_cache_find(&pages->cache, want->page, pages->lot);
	want->err = 0;
	if (want->slot != PAGE_CACHE_NONE) {
		want->bytes = page_cache_bytes(&pages->cache, want->slot);
		return;
	}
	want->err = find(pages, want);
	if (want->err)
		return;
	want->bytes = whole_part(pages, want, ios);
	if (!want->bytes) {
		want->slot = page_cache_take(&pages->cache, want->page, pages->lot);
		want->bytes = page_cache_bytes(&pages->cache, want->slot);
	}
	pages->missing[pages->n_missing++] = want;
}

static uint32_t find_wants(struct pages *pages, struct sonde_io *const *ios)
{
	uint32_t n = 0;

	pages->lot += pages->lot == UINT32_MAX ? 2 : 1; /* 0 is an empty slot */
	pages->n_missing = 0;
	for (uint32_t i = 0; i < pages->n_parts;) {
		struct want *want = &pages->wants[n++];
		*want = (struct want){ .page = pages->parts[i].page, .first = i };
		while (i < pages->n_parts && pages->parts[i].page == want->page)
			i++;
		want->n = i - want->first;
		place(pages, want, ios);
	}
	return n;
}

static void hand_out(struct pages *pages, const struct sonde_host *host, const struct want *want,
		     struct sonde_io *const *ios)
{
	for (uint32_t i = 0; i < want->n; i++) {
		const struct part *part = &pages->parts[want->first + i];
		uint8_t *to = part_bytes(part, ios);
		if (want->err == 1)
			memset(to, 0, part->len);
		else if (want->err == 0 && to != want->bytes)
			memcpy(to, want->bytes + part->inside, part->len);
		sonde_progress(host, ios[part->io], part->xfer, part->off, part->len,
			       want->err < 0 ? want->err : 0);
	}
}

static void run_lot(struct pages *pages, const struct sonde_host *host, struct sonde_io *const *ios)
{
	sort_parts(pages);
	uint32_t n = find_wants(pages, ios);
	crew_run(pages->crew, pages->n_missing, fetch, pages);
	for (uint32_t i = 0; i < n; i++)
		hand_out(pages, host, &pages->wants[i], ios);
	for (uint32_t i = 0; i < pages->n_missing; i++) {
		if (pages->missing[i]->err && pages->missing[i]->slot != PAGE_CACHE_NONE)
			page_cache_drop(&pages->cache, pages->missing[i]->slot);
	}
	pages->n_parts = 0;
}

/* ---- cutting ------------------------------------------------------------------------------------ */

/* What becomes of a write there. */
static int refusal(const struct pages *pages, uint64_t addr)
{
	const struct kdump_file *file = pages->set.files;
	uint64_t page = addr >> file->page_shift;

	return page < file->n_pages && kdump_bit(file->memory, page) ? SONDE_E_READ_ONLY
								     : SONDE_E_NOT_MAPPED;
}

static void cut(struct pages *pages, const struct sonde_host *host, struct sonde_io *const *ios,
		uint32_t io, uint32_t xfer)
{
	const struct sonde_xfer *x = &ios[io]->xfers[xfer];
	uint32_t size = (uint32_t)pages->cache.page_size;

	for (uint32_t off = 0, len; off < x->len; off += len) {
		uint64_t addr = x->addr + off;
		if (addr < x->addr) { /* past 2^64 */
			sonde_progress(host, ios[io], xfer, off, x->len - off, SONDE_E_NOT_MAPPED);
			return;
		}
		uint32_t inside = (uint32_t)(addr & (size - 1));
		len = x->len - off < size - inside ? x->len - off : size - inside;
		if (ios[io]->op != SONDE_IO_READ) {
			sonde_progress(host, ios[io], xfer, off, len, refusal(pages, addr));
			continue;
		}
		if (pages->n_parts == pages->lot_max)
			run_lot(pages, host, ios);
		pages->parts[pages->n_parts++] = (struct part){
			.page = addr >> pages->set.files->page_shift,
			.io = io,
			.xfer = xfer,
			.off = off,
			.len = len,
			.inside = inside,
		};
	}
}

void pages_transfer(struct pages *pages, const struct sonde_host *host, struct sonde_io *const *ios,
		    size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < ios[i]->n; k++)
			cut(pages, host, ios, (uint32_t)i, k);
	}
	run_lot(pages, host, ios);
}

/* ---- life --------------------------------------------------------------------------------------- */

static int create_workers(struct pages *pages, unsigned n_threads)
{
	size_t size = pages->set.files->page_size;

	pages->n_workers = n_threads + 1;
	pages->crew = crew_create(n_threads);
	pages->unpackers = calloc(pages->n_workers, sizeof(struct unpacker *));
	pages->packed = calloc(pages->n_workers, sizeof(uint8_t *));
	if (!pages->crew || !pages->unpackers || !pages->packed)
		return SONDE_E_NO_MEMORY;
	for (unsigned i = 0; i < pages->n_workers; i++) {
		pages->unpackers[i] = unpacker_create();
		pages->packed[i] = malloc(size);
		if (!pages->unpackers[i] || !pages->packed[i])
			return SONDE_E_NO_MEMORY;
	}
	return 0;
}

int pages_create(struct pages **ret, const struct kdump_set *set, unsigned n_threads, uint64_t keep)
{
	struct pages *pages = calloc(1, sizeof(*pages));
	uint64_t n = keep / set->files->page_size;

	if (!pages)
		return SONDE_E_NO_MEMORY;
	pages->set = *set;
	n = n < KEPT_MIN ? KEPT_MIN : n > KEPT_MAX ? KEPT_MAX : n;
	pages->lot_max = n / 2 < LOT_MAX ? (uint32_t)n / 2 : LOT_MAX;
	int r = create_workers(pages, n_threads);
	if (r == 0)
		r = page_cache_init(&pages->cache, (uint32_t)n, set->files->page_size);
	if (r < 0) {
		pages_destroy(pages);
		return r;
	}
	*ret = pages;
	return 0;
}

void pages_destroy(struct pages *pages)
{
	if (!pages)
		return;
	crew_destroy(pages->crew);
	for (unsigned i = 0; i < pages->n_workers; i++) {
		if (pages->unpackers)
			unpacker_destroy(pages->unpackers[i]);
		if (pages->packed)
			free(pages->packed[i]);
	}
	free(pages->unpackers);
	free(pages->packed);
	page_cache_finish(&pages->cache);
	free(pages);
}
