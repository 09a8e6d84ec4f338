/* SPDX-License-Identifier: MIT */
/* What one entry of a page table says, by the format's tables. */
#include <sonde/error.h>

#include "arch/paging.h"

static inline bool holds(struct paging_rule rule, uint64_t entry)
{
	uint64_t care = rule.set | rule.clear;

	return care && (entry & care) == rule.set;
}

static uint64_t address_of(const struct paging_address *address, uint64_t entry)
{
	uint64_t more = entry >> address->from & ((UINT64_C(1) << address->bits) - 1);

	return (entry & address->mask) << address->up | more << address->to;
}

uint64_t paging_root_of(const struct paging *paging, uint64_t reg)
{
	return address_of(&paging->root_pa, reg);
}

static uint32_t rights_of(const struct paging_rights *rights, uint64_t entry)
{
	return (holds(rights->read, entry) ? SONDE_PAGE_READ : 0) |
	       (holds(rights->write, entry) ? SONDE_PAGE_WRITE : 0) |
	       (holds(rights->user, entry) ? SONDE_PAGE_USER : 0) |
	       (holds(rights->exec_user, entry) ? PAGING_EXEC_USER : 0) |
	       (holds(rights->exec_kernel, entry) ? PAGING_EXEC_KERNEL : 0) |
	       (holds(rights->global, entry) ? SONDE_PAGE_GLOBAL : 0) |
	       (holds(rights->accessed, entry) ? SONDE_PAGE_ACCESSED : 0) |
	       (holds(rights->dirty, entry) ? SONDE_PAGE_DIRTY : 0);
}

static struct paging_entry fails(int32_t err)
{
	return (struct paging_entry){ .err = err };
}

static struct paging_entry page(const struct paging_level *lv, uint64_t address_bits, uint8_t shift,
				uint32_t rights)
{
	uint64_t pa = address_of(&lv->page_pa, address_bits) & ~((UINT64_C(1) << shift) - 1);

	return (struct paging_entry){
		.pa = pa, .flags = rights, .leaf = true, .shift = shift, .page_shift = shift
	};
}

/*
 * The processor finds nothing here, and reads nothing whatever the entry says; but software may keep a page in such an
 * entry, or note where it went.
 */
static __attribute__((noinline)) struct paging_entry absent(const struct paging *paging,
							    uint32_t level, uint64_t entry)
{
	const struct paging_level *lv = &paging->levels[level];

	if (holds(paging->kept, entry) && holds(lv->page, entry | paging->present))
		return page(lv, paging->kept_inverted ? ~entry : entry, lv->shift,
			    rights_of(paging->page_rights, entry) & ~(uint32_t)SONDE_PAGE_READ);
	return fails(level < paging->n_swap_levels && entry ? SONDE_E_PAGED_OUT
							    : SONDE_E_NOT_MAPPED);
}

static inline __attribute__((always_inline)) struct paging_entry decode(const struct paging *paging,
									uint32_t level,
									uint64_t entry,
									bool with_rights)
{
	const struct paging_level *lv = &paging->levels[level];

	if (!(entry & paging->present))
		return absent(paging, level, entry);
	if (holds(lv->table, entry) || holds(lv->table_too, entry)) {
		if (entry & lv->table_reserved)
			return fails(SONDE_E_NOT_MAPPED);
		struct paging_entry table = { .pa = address_of(&lv->table_pa, entry) };
		if (with_rights)
			table.flags = lv->limits_nothing ? PAGING_ALL_RIGHTS
							 : rights_of(paging->table_rights, entry) |
								   SONDE_PAGE_PRESENT;
		return table;
	}
	uint32_t rights =
		with_rights ? rights_of(paging->page_rights, entry) | SONDE_PAGE_PRESENT : 0;
	if (holds(lv->wide_page, entry))
		return page(lv, entry, lv->wide_shift, rights);
	if ((!holds(lv->page, entry) && !holds(lv->page_too, entry)) || entry & lv->page_reserved ||
	    holds(lv->page_faults[0], entry) || holds(lv->page_faults[1], entry))
		return fails(SONDE_E_NOT_MAPPED);
	struct paging_entry e = page(lv, entry, lv->shift, rights);
	if (entry & lv->joined)
		e.page_shift = lv->joined_shift;
	return e;
}

struct paging_entry paging_decode(const struct paging *paging, uint32_t level, uint64_t entry)
{
	return decode(paging, level, entry, true);
}

struct paging_entry paging_locate(const struct paging *paging, uint32_t level, uint64_t entry)
{
	return decode(paging, level, entry, false);
}

static uint64_t highest_bit(uint64_t bits)
{
	return bits ? UINT64_C(1) << (63 - __builtin_clzll(bits)) : 0;
}

/* A page that many entries share has one bit more set than others: plain ones have it clear. */
struct paging_plain paging_plain_pages(const struct paging *paging)
{
	const struct paging_level *lv = &paging->levels[0];
	uint64_t set = lv->page.set | (lv->page.set & paging->present ? 0 : paging->present);
	uint64_t care = 0;
	bool is_wide = lv->wide_page.set | lv->wide_page.clear;
	uint64_t not_wide = highest_bit(lv->wide_page.set & ~set);
	struct paging_plain plain = { .set = 1,
				      .size = paging_page_size(paging, 0),
				      .up = lv->page_pa.up };

	if (lv->page_pa.bits || (is_wide && !not_wide) || lv->table.set || lv->table.clear)
		return plain; /* set, but not cared for: no entry is plain */
	for (uint32_t i = 0; i < 2; i++) {
		uint64_t bit = highest_bit(lv->page_faults[i].clear);
		set |= bit; /* else the lowest that would have to be set is clear */
		care |= bit ? 0 : lv->page_faults[i].set & -lv->page_faults[i].set;
	}
	plain.care = care | set | lv->page.clear | lv->page_reserved | not_wide;
	plain.set = set;
	plain.mask = lv->page_pa.mask & ~((plain.size - 1) >> plain.up);
	return plain;
}
