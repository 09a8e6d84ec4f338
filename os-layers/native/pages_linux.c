/* SPDX-License-Identifier: MIT */
/* The pages of a process: mapping by mapping, of each the stretches that have pages, of those the entries. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/paging.h"
#include "native/native.h"
#include "native/pagemap.h"

#define ENTRIES 1024u /* read at a time */
#define RIGHTS (SONDE_PAGE_READ | SONDE_PAGE_WRITE | SONDE_PAGE_EXEC)

struct native_pages {
	struct pages_ops ops;
	struct sonde_mappings *mappings;
	struct pagemap pagemap;
	int folder;
	uint32_t care;
	size_t index; /* of the mapping that is being looked at         */
	uint64_t at;  /* in it: what is below has been looked at, or is in entries */
	struct pagemap_stretch stretch; /* that at lies in, or is behind                  */
	uint64_t entries[ENTRIES];      /* [n_entries], from entries_va on; next to look at: next */
	uint64_t entries_va;
	uint32_t n_entries, next;
	struct sonde_page_run run; /* grows while pages go on alike; len 0: none      */
	int err;                   /* what the end is, once it is there               */
	bool over;
};

static struct native_pages *of_pages(struct sonde_pages *pages)
{
	return (struct native_pages *)(void *)pages;
}

/* ---- runs ----------------------------------------------------------------------------------------------- */

static bool goes_on(const struct sonde_page_run *run, const struct sonde_page_run *page)
{
	if (run->len == 0 || run->va + run->len != page->va || run->flags != page->flags ||
	    run->name != page->name)
		return false;
	if (run->flags & SONDE_PAGE_UNPLACED)
		return true;
	if (run->flags & SONDE_PAGE_SWAPPED)
		return run->swap_type == page->swap_type &&
		       run->swap_offset + run->len / run->page_size == page->swap_offset;
	return run->pa + run->len == page->pa;
}

/* Returns 1 and *ret where the page does not belong to the run so far, which is then told. */
static int put_page(struct native_pages *pages, const struct sonde_page_run *page,
		    struct sonde_page_run *ret)
{
	struct sonde_page_run *run = &pages->run;

	if (goes_on(run, page)) {
		run->len += page->len;
		return 0;
	}
	*ret = *run;
	*run = *page;
	return ret->len != 0;
}

static int take_entry(struct native_pages *pages, struct sonde_page_run *ret)
{
	const struct sonde_mapping *mapping = sonde_mappings_at(pages->mappings, pages->index);
	uint64_t size = pages->pagemap.page_size, va = pages->entries_va + pages->next * size;
	struct pagemap_page page;

	if (!pagemap_decode(pages->entries[pages->next++], &page))
		return 0;
	uint32_t flags = page.flags | pages->stretch.flags | (mapping->flags & RIGHTS);
	const struct sonde_page_run run = {
		.va = va,
		.pa = page.pfn * size,
		.len = size,
		.flags = flags & (pages->care | SONDE_PAGE_UNPLACED | SONDE_PAGE_SWAPPED),
		.page_size = size,
		.swap_type = page.swap_type,
		.swap_offset = page.swap_offset,
		.name = mapping->path,
	};
	return put_page(pages, &run, ret);
}

/* ---- what comes next -------------------------------------------------------------------------------------- */

static int next_mapping(struct native_pages *pages)
{
	const struct sonde_mapping *mapping = sonde_mappings_at(pages->mappings, ++pages->index);

	pages->at = mapping ? mapping->start : 0;
	pages->stretch = (struct pagemap_stretch){ 0 };
	return mapping != NULL;
}

/* Entries of what lies ahead in this mapping. Returns 1; 0: it has no more; SONDE_E_*. */
static int read_ahead(struct native_pages *pages)
{
	const struct sonde_mapping *mapping = sonde_mappings_at(pages->mappings, pages->index);
	struct pagemap_stretch *stretch = &pages->stretch;
	int r;

	if (pages->at >= mapping->end)
		return 0;
	if (pages->at >= stretch->end) {
		r = pagemap_find(&pages->pagemap, pages->at, mapping->end, stretch);
		if (r <= 0)
			return r;
		if (stretch->start < pages->at || stretch->end > mapping->end ||
		    stretch->end <= stretch->start)
			return SONDE_E_CORRUPT;
		pages->at = stretch->start;
	}
	uint64_t n = (stretch->end - pages->at) / pages->pagemap.page_size;
	r = pagemap_read(&pages->pagemap, pages->at, pages->entries,
			 n < ENTRIES ? (uint32_t)n : ENTRIES);
	/* None: the mapping is not the process's own, like the page of vsyscalls. */
	if (r <= 0)
		return r;
	pages->entries_va = pages->at;
	pages->n_entries = (uint32_t)r;
	pages->next = 0;
	pages->at += (uint64_t)r * pages->pagemap.page_size;
	return 1;
}

/* The end: of the pages, or of the process, whose last pages nobody has told of then. */
static void end(struct native_pages *pages, int err)
{
	pages->over = true;
	pages->err = err;
	if (err == 0 && faccessat(pages->folder, "stat", F_OK, 0) < 0)
		pages->err = SONDE_E_GONE;
}

static int last_run(struct native_pages *pages, struct sonde_page_run *ret)
{
	if (pages->run.len == 0)
		return pages->err;
	*ret = pages->run;
	pages->run.len = 0;
	return 1;
}

static int native_pages_next(struct sonde_pages *handle, struct sonde_page_run *ret)
{
	struct native_pages *pages = of_pages(handle);

	while (!pages->over) {
		while (pages->next < pages->n_entries) {
			if (take_entry(pages, ret))
				return 1;
		}
		int r = read_ahead(pages);
		if (r < 0)
			end(pages, r);
		else if (r == 0 && !next_mapping(pages))
			end(pages, 0);
	}
	return last_run(pages, ret);
}

static void native_pages_close(struct sonde_pages *handle)
{
	struct native_pages *pages = of_pages(handle);

	pagemap_close(&pages->pagemap);
	if (pages->folder >= 0)
		close(pages->folder);
	sonde_mappings_destroy(pages->mappings);
	free(pages);
}

/* ---- opening ------------------------------------------------------------------------------------------------ */

static int refuse_pagemap(int code, int32_t pid, struct sonde_error *err)
{
	if (code == SONDE_E_NO_ACCESS)
		return sonde_error_set(
			err, code,
			"native: process %d: its pages are shown to its user and to those with "
			"CAP_SYS_PTRACE",
			pid);
	return sonde_error_set(err, code, "native: process %d: pagemap: %s", pid,
			       sonde_strerror(code));
}

int native_pages(struct sonde_os *os, int32_t pid, uint32_t care, struct sonde_pages **ret,
		 struct sonde_error *err)
{
	struct native_os *native = native_of(os);
	struct native_pages *pages = calloc(1, sizeof(*pages));

	if (!pages)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	pages->ops = (struct pages_ops){ native_pages_next, native_pages_close };
	pages->care = care;
	pages->pagemap.fd = -1;
	int r = pages->folder = native_folder(native, pid, err);
	if (r >= 0)
		r = sonde_os_mappings(os, pid, &pages->mappings, err);
	if (r >= 0 && (r = pagemap_open(&pages->pagemap, pages->folder)) < 0)
		refuse_pagemap(r, pid ? pid : native->pid, err);
	if (r < 0) {
		native_pages_close((struct sonde_pages *)(void *)pages);
		return r;
	}
	const struct sonde_mapping *first = sonde_mappings_at(pages->mappings, 0);
	pages->at = first ? first->start : 0;
	if (!first)
		end(pages, 0);
	*ret = (struct sonde_pages *)(void *)pages;
	return 0;
}

/* ---- one address ---------------------------------------------------------------------------------------------- */

static int explain(const struct pagemap_page *page, uint64_t va, uint64_t page_size,
		   struct sonde_translation *ret)
{
	ret->flags = page->flags;
	ret->page_size = page_size;
	ret->pa = page->flags & SONDE_PAGE_UNPLACED ? 0 : page->pfn * page_size + va % page_size;
	ret->kind = page->flags & SONDE_PAGE_PRESENT ? SONDE_ENTRY_MAPPED : SONDE_ENTRY_SWAPPED;
	ret->swap_type = page->swap_type;
	ret->swap_offset = page->swap_offset;
	return page->flags & SONDE_PAGE_PRESENT ? 0 : SONDE_E_PAGED_OUT;
}

int native_translate(struct sonde_os *os, int32_t pid, uint64_t va, struct sonde_translation *ret,
		     struct sonde_error *err)
{
	struct native_os *native = native_of(os);
	struct pagemap_page page;
	struct pagemap pagemap;
	uint64_t entry;
	int folder = native_folder(native, pid, err);

	*ret = (struct sonde_translation){ .kind = SONDE_ENTRY_EMPTY };
	if (folder < 0)
		return folder;
	int r = pagemap_open(&pagemap, folder);
	close(folder);
	if (r < 0)
		return refuse_pagemap(r, pid ? pid : native->pid, err);
	r = pagemap_read(&pagemap, va, &entry, 1);
	pagemap_close(&pagemap);
	if (r > 0)
		r = pagemap_decode(entry, &page) ? explain(&page, va, pagemap.page_size, ret)
						 : SONDE_E_NOT_MAPPED;
	else
		r = SONDE_E_NOT_MAPPED;
	return r < 0 ? sonde_error_set(err, r, "0x%" PRIx64 ": %s: %s", va, sonde_strerror(r),
				       sonde_entry_kind_text(ret->kind))
		     : 0;
}
