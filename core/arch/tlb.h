/* SPDX-License-Identifier: MIT */
/*
 * A small store of translations, one set a page size, direct-mapped.
 */
#ifndef SONDE_ARCH_TLB_H
#define SONDE_ARCH_TLB_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/paging.h"
#include "base/mem.h"

#define TLB_SETS 256u

struct tlb_entry {
	uint64_t tag; /* va >> shift, plus 1; 0 empty */
	uint64_t pa;  /* of the page                  */
};

struct tlb {
	struct tlb_entry at[3][TLB_SETS]; /* leaf levels 0, 1, 2 */
	bool used[3];
};

static inline void tlb_clear(struct tlb *tlb)
{
	memset(tlb->at, 0, sizeof(tlb->at));
	memset(tlb->used, 0, sizeof(tlb->used));
}

static inline bool tlb_find(const struct tlb *tlb, const struct paging *paging, uint64_t va,
			    uint64_t *ret_pa)
{
	for (uint32_t level = 0; level < 3; level++) {
		if (!tlb->used[level])
			continue;
		uint64_t page = va >> paging->levels[level].shift;
		const struct tlb_entry *e = &tlb->at[level][page % TLB_SETS];
		if (e->tag == page + 1) {
			*ret_pa = e->pa | (va & (paging_page_size(paging, level) - 1));
			return true;
		}
	}
	return false;
}

static inline void tlb_add(struct tlb *tlb, const struct paging *paging, uint32_t level,
			   uint64_t va, uint64_t pa)
{
	uint64_t page = va >> paging->levels[level].shift;

	if (level >= 3)
		return;
	pa &= ~(paging_page_size(paging, level) - 1);
	tlb->at[level][page % TLB_SETS] = (struct tlb_entry){ page + 1, pa };
	tlb->used[level] = true;
}

#endif
