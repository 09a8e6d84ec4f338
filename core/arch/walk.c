/* SPDX-License-Identifier: MIT */
/* Walking page tables one address at a time, and all of a range. Reading many addresses: virtual.c. */
#include <sonde/error.h>
#include <sonde/types.h>

#include "arch/paging.h"
#include "base/mem.h"

#define TABLES_MAX (1u << 18) /* 1 GiB of tables maps 512 GiB of 4 KiB pages */

int paging_translate(struct sonde_space *phys, const struct paging *paging, uint64_t root,
		     uint64_t va, struct sonde_translation *ret)
{
	uint64_t table = root;
	uint32_t flags = SONDE_REGION_READ | SONDE_REGION_WRITE | SONDE_REGION_EXEC;

	*ret = (struct sonde_translation){ 0 };
	if (!paging_canonical(paging, va))
		return SONDE_E_NOT_MAPPED;
	for (uint32_t level = paging->n_levels; level-- > 0;) {
		uint64_t at = paging_entry_pa(paging, level, table, va);
		uint64_t entry;
		int r = sonde_space_u64(phys, at, &entry);
		if (r < 0)
			return r;
		ret->entry_pa[ret->levels] = at;
		ret->entry[ret->levels++] = entry;
		struct paging_entry e = paging->decode(paging, level, entry);
		if (e.err)
			return e.err;
		flags &= e.flags;
		table = e.pa;
		if (e.leaf) {
			ret->page_size = UINT64_C(1) << paging->shift[level];
			ret->pa = e.pa | (va & (ret->page_size - 1));
			ret->flags = flags;
			return SONDE_OK;
		}
	}
	return SONDE_E_NOT_MAPPED;
}

struct visit {
	struct sonde_space *phys;
	const struct paging *paging;
	uint64_t first, last;
	paging_run_fn *fn;
	void *user;
	struct paging_run run; /* grows while pages go on alike */
	uint32_t n_tables;
};

static int visit_page(struct visit *visit, uint64_t va, uint64_t pa, uint64_t len, uint32_t flags)
{
	struct paging_run *run = &visit->run;
	int r = 0;

	if (run->len && run->va + run->len == va && run->pa + run->len == pa &&
	    run->flags == flags) {
		run->len += len;
		return 0;
	}
	if (run->len)
		r = visit->fn(visit->user, run);
	*run = (struct paging_run){ va, pa, len, flags };
	return r;
}

static uint64_t sign_extend(const struct paging *paging, uint64_t va)
{
	uint32_t spare = 64 - paging->va_bits;

	return (uint64_t)((int64_t)(va << spare) >> spare);
}

static int visit_table(struct visit *visit, uint32_t level, uint64_t table, uint64_t base,
		       uint32_t flags);

static int visit_entry(struct visit *visit, uint32_t level, uint64_t entry, uint64_t va,
		       uint32_t flags)
{
	uint64_t size = UINT64_C(1) << visit->paging->shift[level];
	struct paging_entry e = visit->paging->decode(visit->paging, level, entry);

	if (e.err || va > visit->last || va + (size - 1) < visit->first)
		return 0;
	if (e.leaf)
		return visit_page(visit, va, e.pa, size, flags & e.flags);
	return visit_table(visit, level - 1, e.pa, va, flags & e.flags);
}

static int visit_table(struct visit *visit, uint32_t level, uint64_t table, uint64_t base,
		       uint32_t flags)
{
	const struct paging *paging = visit->paging;
	size_t size = 8u * paging->entries[level];
	uint8_t *bytes = mem_resize(NULL, 1, size);
	int r = 0;

	if (!bytes)
		return SONDE_E_NO_MEMORY;
	if (++visit->n_tables > TABLES_MAX)
		r = SONDE_E_LIMIT;
	else
		r = sonde_space_get(visit->phys, table, bytes, size);
	/* One table that cannot be read is skipped; a target that is gone, or one we may not wait for, is not. */
	if (r < 0 && r != SONDE_E_LIMIT && r != SONDE_E_GONE && r != SONDE_E_BUSY) {
		r = 0;
		goto out;
	}
	for (uint32_t i = 0; i < paging->entries[level] && r == 0; i++) {
		uint64_t va = base + ((uint64_t)i << paging->shift[level]);
		uint64_t entry = sonde_le64(bytes + 8 * i);
		if (entry)
			r = visit_entry(visit, level, entry, sign_extend(paging, va), flags);
	}
out:
	mem_release(bytes);
	return r;
}

int paging_visit(struct sonde_space *phys, const struct paging *paging, uint64_t root,
		 uint64_t first, uint64_t last, paging_run_fn *fn, void *user)
{
	struct visit visit = { phys, paging, first, last, fn, user, { 0 }, 0 };
	uint32_t all = SONDE_REGION_READ | SONDE_REGION_WRITE | SONDE_REGION_EXEC;
	int r = visit_table(&visit, paging->n_levels - 1, root, 0, all);

	return r == 0 && visit.run.len ? fn(user, &visit.run) : r;
}
