/* SPDX-License-Identifier: MIT */
/*
 * Where the loader's list begins: a thread's record (TEB) lies at the beginning of a page and holds its own address.
 * So all pages are looked at that are there, private and can be written, from the lowest on, where Wine puts them; no
 * thread is stopped for it. What is found counts if a list of modules hangs on it.
 */
#include "native/wine.h"

#include <stdlib.h>
#include <string.h>

#include "arch/paging.h"
#include "common/pe_modules.h"
#include "native/loader.h"

/* Of every process with Wine, at a place that programs rely on: struct _KUSER_SHARED_DATA. */
#define SHARED_DATA UINT64_C(0x7ffe0000)
#define PAGES_MAX (1u << 18) /* looked at; a gigabyte of memory in use */
#define BATCH 512u

/* A search for the loader's lists. */
struct search {
	struct native_os *native;
	struct sonde_modules *list;
	bool found[2]; /* by width */
	uint32_t n_pages;
	struct sonde_xfer xfers[BATCH]; /* [n] */
	uint8_t heads[BATCH][LOADER_TEB_BYTES];
	uint32_t n;
};

static bool is_known(const struct sonde_modules *list, uint64_t base)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->items[i].base == base)
			return true;
	}
	return false;
}

static int add_module(struct sonde_modules *list, const struct loader_module *from)
{
	/* The program itself is in the lists of both widths. */
	if (is_known(list, from->base))
		return 0;
	struct sonde_module *m = modules_add(list);
	if (!m)
		return SONDE_E_NO_MEMORY;
	*m = (struct sonde_module){ .base = from->base, .size = from->size, .err = from->err };
	const char *path = from->path ? from->path : "";
	m->path = arena_strndup(&list->arena, path, strlen(path));
	m->name = m->path ? pe_module_name(m->path) : NULL;
	return m->name ? 0 : SONDE_E_NO_MEMORY;
}

static int take_list(struct search *s, uint64_t peb, enum loader_width width)
{
	struct loader_list found;
	int r = loader_read(sonde_target_memory(s->native->target), peb, width, &s->list->arena,
			    &found);

	if (r < 0) /* something else that looks like a TEB */
		return r == SONDE_E_NO_MEMORY ? r : 0;
	s->found[width] = true;
	if (found.damage)
		LIST_DAMAGE(s->list, "%s", found.damage);
	for (uint32_t i = 0; i < found.n && r == 0; i++)
		r = add_module(s->list, &found.modules[i]);
	return r;
}

static int look_at_batch(struct search *s)
{
	uint64_t peb;
	int r = 0;

	if (s->n)
		sonde_space_read(sonde_target_memory(s->native->target), s->xfers, s->n);
	for (uint32_t i = 0; i < s->n && r == 0; i++) {
		for (uint32_t width = LOADER_32; width <= LOADER_64 && r == 0; width++) {
			if (!s->xfers[i].err && !s->found[width] &&
			    loader_peb(s->heads[i], s->xfers[i].addr, width, &peb))
				r = take_list(s, peb, width);
		}
	}
	s->n = 0;
	return r;
}

static int look_at(struct search *s, uint64_t page)
{
	s->xfers[s->n] =
		(struct sonde_xfer){ .addr = page, .buf = s->heads[s->n], .len = LOADER_TEB_BYTES };
	s->n++;
	s->n_pages++;
	return s->n == BATCH ? look_at_batch(s) : 0;
}

static bool is_over(const struct search *s, uint64_t page)
{
	bool some = s->found[LOADER_32] || s->found[LOADER_64];

	return (s->found[LOADER_32] && s->found[LOADER_64]) || (some && page > UINT32_MAX);
}

static bool may_hold_teb(const struct sonde_page_run *run)
{
	const uint32_t rights = SONDE_PAGE_READ | SONDE_PAGE_WRITE;

	return (run->flags & rights) == rights && !(run->flags & SONDE_PAGE_FILE) &&
	       run->name[0] == '\0';
}

static int search_pages(struct search *s, struct sonde_pages *pages)
{
	struct sonde_page_run run;
	int r;

	while ((r = sonde_pages_next(pages, &run)) > 0) {
		if (!may_hold_teb(&run))
			continue;
		for (uint64_t off = 0; off < run.len; off += run.page_size) {
			if (is_over(s, run.va + off))
				return 0;
			if (s->n_pages == PAGES_MAX) {
				LIST_DAMAGE(s->list,
					    "no loader's list in %u pages: PE modules are left out",
					    PAGES_MAX);
				return 0;
			}
			if ((r = look_at(s, run.va + off)) < 0)
				return r;
		}
	}
	return r < 0 ? r : look_at_batch(s);
}

static int find_lists(struct search *s)
{
	struct sonde_error err = { 0 };
	struct sonde_pages *pages;
	int r = native_pages(&s->native->os, s->native->pid,
			     SONDE_PAGE_READ | SONDE_PAGE_WRITE | SONDE_PAGE_FILE, &pages, &err);

	if (r < 0) {
		LIST_DAMAGE(s->list, "PE modules are left out: %s", err.text);
		return r == SONDE_E_NO_MEMORY ? r : 0;
	}
	r = search_pages(s, pages);
	sonde_pages_close(pages);
	return r;
}

static bool has_shared_data(const struct sonde_mappings *mappings)
{
	for (size_t i = 0; i < sonde_mappings_count(mappings); i++) {
		const struct sonde_mapping *m = sonde_mappings_at(mappings, i);
		if (m->start == SHARED_DATA)
			return (m->flags & SONDE_REGION_READ) && !(m->flags & SONDE_REGION_EXEC);
	}
	return false;
}

int wine_modules(struct native_os *native, const struct sonde_mappings *mappings,
		 struct sonde_modules *list)
{
	size_t first = list->n;

	if (!has_shared_data(mappings))
		return 0;
	struct search *s = calloc(1, sizeof(*s));
	if (!s)
		return SONDE_E_NO_MEMORY;
	s->native = native;
	s->list = list;
	int r = find_lists(s);
	free(s);
	return r < 0 ? r
		     : pe_modules_check(sonde_target_memory(native->target), list, first,
					PE_HEADERS_MUST_BE);
}
