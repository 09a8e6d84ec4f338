/* SPDX-License-Identifier: MIT */
/* Walking page tables one address at a time. Reading many: virtual.c; all that is mapped: visit.c. */
#include <sonde/error.h>
#include <sonde/types.h>

#include "arch/paging.h"

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

static uint32_t kind_of(const struct paging *paging, uint64_t entry, const struct paging_entry *e)
{
	const bool present = entry & paging->present;

	if (!e->err)
		return present ? SONDE_ENTRY_MAPPED : SONDE_ENTRY_KEPT;
	if (!entry)
		return SONDE_ENTRY_EMPTY;
	return present ? SONDE_ENTRY_RESERVED : SONDE_ENTRY_ABSENT;
}

int paging_translate(struct sonde_space *phys, struct paging_map map, uint64_t va,
		     struct sonde_translation *ret)
{
	const struct paging *paging = map.paging;
	uint64_t table = paging_root(&map, va);
	uint32_t rights = PAGING_ALL_RIGHTS;

	*ret = (struct sonde_translation){ .kind = SONDE_ENTRY_OUTSIDE };
	if (!paging_canonical(paging, va))
		return SONDE_E_NOT_MAPPED;
	for (uint32_t level = paging->n_levels; level-- > 0;) {
		uint64_t at = paging_entry_pa(paging, level, table, va);
		uint64_t entry = 0;
		int r = read_entry(phys, paging, at, &entry);
		ret->kind = SONDE_ENTRY_UNREADABLE;
		if (r < 0)
			return r;
		ret->entry_pa[ret->levels] = at;
		ret->entry[ret->levels++] = entry;
		struct paging_entry e = paging_decode(paging, level, entry);
		ret->kind = kind_of(paging, entry, &e);
		if (e.err)
			return e.err;
		rights &= e.flags;
		table = e.pa;
		if (e.leaf) {
			ret->page_size = UINT64_C(1) << e.page_shift;
			ret->pa = paging_byte_pa(&e, va);
			ret->flags = paging_flags(rights);
			return SONDE_OK;
		}
	}
	return SONDE_E_NOT_MAPPED;
}
