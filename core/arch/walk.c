/* SPDX-License-Identifier: MIT */
/* Walking page tables one address at a time, and all of a range. Reading many addresses: virtual.c. */
#include <sonde/error.h>
#include <sonde/types.h>

#include "arch/paging.h"
#include "base/mem.h"

#define TABLES_MAX (1u << 18) /* 1 GiB of tables maps 512 GiB of 4 KiB pages */

/* One entry, read on its own. */
static int read_entry(struct sonde_space *phys, const struct paging *paging, uint64_t at,
		      uint64_t *ret)
{
	uint8_t bytes[8];
	int r = sonde_space_get(phys, at, bytes, paging->entry_size);

	if (r == SONDE_OK)
		*ret = paging_load(paging, bytes);
	return r;
}

int paging_translate(struct sonde_space *phys, struct paging_map map, uint64_t va,
		     struct sonde_translation *ret)
{
	const struct paging *paging = map.paging;
	uint64_t table = paging_root(&map, va);
	uint32_t rights = PAGING_ALL_RIGHTS;

	*ret = (struct sonde_translation){ 0 };
	if (!paging_canonical(paging, va))
		return SONDE_E_NOT_MAPPED;
	for (uint32_t level = paging->n_levels; level-- > 0;) {
		uint64_t at = paging_entry_pa(paging, level, table, va);
		uint64_t entry = 0;
		int r = read_entry(phys, paging, at, &entry);
		if (r < 0)
			return r;
		ret->entry_pa[ret->levels] = at;
		ret->entry[ret->levels++] = entry;
		struct paging_entry e = paging_decode(paging, level, entry);
		if (e.err)
			return e.err;
		rights &= e.flags;
		table = e.pa;
		if (e.leaf) {
			ret->page_size = UINT64_C(1) << e.shift;
			ret->pa = paging_byte_pa(&e, va);
			ret->flags = paging_flags(rights);
			return SONDE_OK;
		}
	}
	return SONDE_E_NOT_MAPPED;
}

struct visit {
	struct sonde_space *phys;
	const struct paging *paging;
	uint64_t first, last;
	uint32_t care;
	sonde_page_run_fn *fn;
	void *user;
	struct sonde_page_run run; /* grows while pages go on alike */
	uint32_t n_tables;
};

static int visit_page(struct visit *visit, uint64_t va, uint64_t pa, uint64_t len, uint32_t flags,
		      uint64_t page_size)
{
	struct sonde_page_run *run = &visit->run;
	int r = 0;

	if (run->len && run->va + run->len == va && run->pa + run->len == pa &&
	    run->flags == flags &&
	    (!(visit->care & SONDE_PAGE_SIZES) || run->page_size == page_size)) {
		run->len += len;
		return 0;
	}
	if (run->len)
		r = visit->fn(visit->user, run);
	*run = (struct sonde_page_run){ va, pa, len, flags, page_size };
	return r;
}

static uint64_t sign_extend(const struct paging *paging, uint64_t va)
{
	uint32_t spare = paging->range == PAGING_SIGNED ? 64 - paging->va_bits : 0;

	return (uint64_t)((int64_t)(va << spare) >> spare);
}

static int visit_table(struct visit *visit, uint32_t level, uint64_t table, uint64_t base,
		       uint32_t rights);

static int visit_entry(struct visit *visit, uint32_t level, uint64_t entry, uint64_t va,
		       uint32_t rights)
{
	uint64_t size = paging_page_size(visit->paging, level);
	struct paging_entry e = paging_decode(visit->paging, level, entry);

	if (e.err || va > visit->last || va + (size - 1) < visit->first)
		return 0;
	if (e.leaf)
		return visit_page(visit, va, paging_byte_pa(&e, va), size,
				  paging_flags(rights & e.flags) & visit->care,
				  UINT64_C(1) << e.shift);
	return level ? visit_table(visit, level - 1, e.pa, va, rights & e.flags) : 0;
}

static int visit_table(struct visit *visit, uint32_t level, uint64_t table, uint64_t base,
		       uint32_t rights)
{
	const struct paging *paging = visit->paging;
	uint32_t n = paging_n_entries(paging, level);
	uint8_t *bytes = mem_resize(NULL, n, paging->entry_size);
	int r = 0;

	if (!bytes)
		return SONDE_E_NO_MEMORY;
	if (++visit->n_tables > TABLES_MAX)
		r = SONDE_E_LIMIT;
	else
		r = sonde_space_get(visit->phys, table, bytes, (size_t)n * paging->entry_size);
	/* One table that cannot be read is skipped; a target that is gone, or one we may not wait for, is not. */
	if (r < 0 && r != SONDE_E_LIMIT && r != SONDE_E_GONE && r != SONDE_E_BUSY) {
		r = 0;
		goto out;
	}
	for (uint32_t i = 0; i < n && r == 0; i++) {
		uint64_t va = base + ((uint64_t)i << paging->levels[level].shift);
		uint64_t entry = paging_load(paging, bytes + (size_t)paging->entry_size * i);
		if (entry)
			r = visit_entry(visit, level, entry, sign_extend(paging, va), rights);
	}
out:
	mem_release(bytes);
	return r;
}

/* All that one root spans. */
static int visit_root(struct visit *visit, uint64_t root, uint64_t base)
{
	return visit_table(visit, visit->paging->n_levels - 1, root, base, PAGING_ALL_RIGHTS);
}

int paging_visit(struct sonde_space *phys, struct paging_map map, uint64_t first, uint64_t last,
		 uint32_t care, sonde_page_run_fn *fn, void *user)
{
	struct visit visit = { phys, map.paging, first, last, care, fn, user, { 0 }, 0 };
	uint64_t high = UINT64_MAX << map.paging->va_bits;
	bool halves = map.paging->range == PAGING_HALVES;
	int r = 0;

	if (!halves || first < high)
		r = visit_root(&visit, map.root, 0);
	if (r == 0 && halves && last >= high)
		r = visit_root(&visit, map.high_root, high);
	return r == 0 && visit.run.len ? fn(user, &visit.run) : r;
}
