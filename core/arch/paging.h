/* SPDX-License-Identifier: MIT */
/*
 * Page tables as data: what a walker must know of an architecture (format_*.c), what one entry says (decode.c),
 * and what is made of it: a virtual space (virtual.c), one address explained (walk.c), all that is mapped (visit.c).
 */
#ifndef SONDE_ARCH_PAGING_H
#define SONDE_ARCH_PAGING_H

#include <sonde/os.h>
#include <sonde/space.h>
#include <stdbool.h>
#include <stdint.h>

#define PAGING_LEVELS_MAX 5

/* What holds of an entry in which all bits of set are 1 and all of clear are 0. Neither: it never holds. */
struct paging_rule {
	uint64_t set, clear;
};

/* Rights and marks that an entry gives. A table's limit those of all pages below it. */
struct paging_rights {
	struct paging_rule read, write, user;
	struct paging_rule exec_user,
		exec_kernel; /* by whom: of pages that are user's, and of others */
	struct paging_rule global, accessed, dirty;
};

/* A physical address in an entry: bits of mask, moved up by up; and bits more of it, from bit `from`, at bit `to`. */
struct paging_address {
	uint64_t mask;
	uint8_t up, from, bits, to;
};

/* The present entries of one level. What is neither a table nor a page is reserved: the processor faults. */
struct paging_level {
	uint8_t shift, bits;  /* which bits of the virtual address are the index     */
	uint8_t wide_shift;   /* size of a page that many entries in a row share     */
	uint8_t joined_shift; /* ... of one that many make up, each with its own part's address */
	uint64_t joined;      /* the bit that says so; 0: there is none              */
	bool limits_nothing;  /* entries that point to tables have no rights         */
	struct paging_rule table, table_too, page, page_too, wide_page;
	struct paging_rule page_faults[2]; /* ... and where one of these holds of a page  */
	struct paging_address table_pa, page_pa;
	uint64_t table_reserved, page_reserved; /* not 0: the processor faults      */
};

enum paging_range {
	PAGING_SIGNED,   /* va_bits, sign-extended                                   */
	PAGING_UNSIGNED, /* va_bits, the rest is 0                                   */
	PAGING_HALVES,   /* va_bits, the rest all 0: the low root; all 1: the high one */
};

struct paging {
	const char *name;  /* "x86_64, 4 levels"                                     */
	uint32_t n_levels; /* 1 .. PAGING_LEVELS_MAX                                 */
	uint32_t va_bits;
	uint32_t entry_size; /* 4 or 8 bytes, little-endian                          */
	uint64_t present;    /* an entry is if one of these bits is set                 */
	/* In so many of the lower levels an entry that is not present and not 0 says that the page went elsewhere: */
	uint32_t n_swap_levels;
	enum paging_range range;
	bool maps_ram; /* guest-physical addresses: what they map is a guest's RAM        */
	struct paging_level levels[PAGING_LEVELS_MAX]; /* [n_levels - 1] is the root's */
	const struct paging_rights *page_rights, *table_rights;
	struct paging_address root_pa; /* in the register that holds the root          */
	/* Operating systems keep pages that the processor may not touch (PROT_NONE), marked so: */
	struct paging_rule kept; /* ... in entries that are not present                */
	bool kept_inverted;      /* their address bits are inverted                    */
};

/* x86-64 with 4 or 5 levels; NULL for another number. */
const struct paging *paging_x86_64(uint32_t n_levels);
/* x86 of 32 bits: 4-byte entries, or PAE's of 8. */
const struct paging *paging_x86_32(bool pae);
/* riscv64: 39, 48, 57; NULL for another number. */
const struct paging *paging_riscv64(uint32_t va_bits);
/* ... its G-stage, of guest-physical addresses: Sv39x4, Sv48x4, Sv57x4 by 39, 48, 57. */
const struct paging *paging_riscv64_guest(uint32_t va_bits);
/* Intel's tables of guest-physical addresses, 4 or 5 levels; marked: accessed and dirty bits are in use. */
const struct paging *paging_ept(uint32_t n_levels, bool marked);
/* ... as an EPT pointer says; paging_root_of knows its root. NULL: not with 4 or 5 levels. */
const struct paging *paging_of_eptp(uint64_t eptp);
/* AMD's, 4 or 5 levels. */
const struct paging *paging_npt(uint32_t n_levels);
/*
 * aarch64: granules of 2^12, 2^14, 2^16 bytes, addresses of va_bits as TCR_ELx says. wide: descriptors hold addresses
 * of 52 bits (with granules of 4 and 16 KiB TCR_ELx.DS, with 64 KiB the processor's FEAT_LPA). NULL: no such format.
 */
const struct paging *paging_arm64(uint32_t granule_bits, uint32_t va_bits, bool wide);

/* By the name that struct sonde_tables has for it; NULL: none. */
const struct paging *paging_by_name(const char *name);

/* ---- an entry -------------------------------------------------------------------------------------- */

/* Rights of a walk so far: bits of enum sonde_page_flag, and two that end as SONDE_PAGE_EXEC. */
#define PAGING_EXEC_USER (1u << 30)
#define PAGING_EXEC_KERNEL (1u << 31)
#define PAGING_ALL_RIGHTS                                                                          \
	(SONDE_PAGE_READ | SONDE_PAGE_WRITE | SONDE_PAGE_USER | SONDE_PAGE_GLOBAL |                \
	 SONDE_PAGE_ACCESSED | SONDE_PAGE_DIRTY | SONDE_PAGE_PRESENT | PAGING_EXEC_USER |          \
	 PAGING_EXEC_KERNEL)

struct paging_entry {
	uint64_t pa;    /* table: of the next table; leaf: of the page                         */
	uint32_t flags; /* ANDed down the levels; paging_flags makes the answer of it          */
	bool leaf;
	uint8_t shift;      /* leaf: maps 2^shift bytes, pa a multiple of that              */
	uint8_t page_shift; /* leaf: the page is of so many; larger where entries are joined */
	int32_t err; /* 0; SONDE_E_NOT_MAPPED, SONDE_E_PAGED_OUT: the walk ends here        */
};

struct paging_entry paging_decode(const struct paging *paging, uint32_t level, uint64_t entry);
/* As paging_decode, but for flags: where it points to is all that is asked. */
struct paging_entry paging_locate(const struct paging *paging, uint32_t level, uint64_t entry);

/* enum sonde_page_flag */
static inline uint32_t paging_flags(uint32_t rights)
{
	uint32_t exec = rights & SONDE_PAGE_USER ? PAGING_EXEC_USER : PAGING_EXEC_KERNEL;

	return (rights & ~(PAGING_EXEC_USER | PAGING_EXEC_KERNEL)) |
	       (rights & exec ? SONDE_PAGE_EXEC : 0);
}

/*
 * Entries of the last level that say no more than where a page lies, as nearly all do: where (entry & care) == set,
 * it is at (entry & mask) << up, of size bytes. Other entries may be pages as well.
 */
struct paging_plain {
	uint64_t care, set, mask, size;
	uint8_t up;
};
struct paging_plain paging_plain_pages(const struct paging *paging);

/* ---- an address space ------------------------------------------------------------------------------ */

/* For a root: no table, beyond all physical addresses. What it should map is not mapped. */
#define PAGING_NO_ROOT (UINT64_C(1) << 56)

/* Tables in use. Roots are physical addresses. */
struct paging_map {
	const struct paging *paging;
	uint64_t root, high_root; /* high_root: PAGING_HALVES only */
};

/* The root that a register holds: CR3, TTBRn_EL1, satp. */
uint64_t paging_root_of(const struct paging *paging, uint64_t reg);

static inline struct paging_map paging_map(const struct paging *paging, uint64_t root)
{
	return (struct paging_map){ paging, root, root };
}

static inline bool paging_canonical(const struct paging *paging, uint64_t va)
{
	int64_t high = (int64_t)va >> (paging->va_bits - (paging->range == PAGING_SIGNED));

	return high == 0 || (high == -1 && paging->range != PAGING_UNSIGNED);
}

static inline uint64_t paging_root(const struct paging_map *map, uint64_t va)
{
	bool high = map->paging->range == PAGING_HALVES && (int64_t)va < 0;

	return high ? map->high_root : map->root;
}

static inline uint32_t paging_n_entries(const struct paging *paging, uint32_t level)
{
	return 1u << paging->levels[level].bits;
}

/* Where a byte of a page lies. */
static inline uint64_t paging_byte_pa(const struct paging_entry *leaf, uint64_t va)
{
	return leaf->pa | (va & ((UINT64_C(1) << leaf->shift) - 1));
}

static inline uint64_t paging_page_size(const struct paging *paging, uint32_t level)
{
	return UINT64_C(1) << paging->levels[level].shift;
}

static inline uint64_t paging_entry_pa(const struct paging *paging, uint32_t level, uint64_t table,
				       uint64_t va)
{
	uint64_t index = va >> paging->levels[level].shift & (paging_n_entries(paging, level) - 1u);

	return table + paging->entry_size * index;
}

/* An entry as it lies in memory. */
static inline uint64_t paging_load(const struct paging *paging, const void *at)
{
	return paging->entry_size == 4 ? sonde_le32(at) : sonde_le64(at);
}

/*
 * The virtual memory that tables span, as a space over phys.
 *
 * tlb_ns: how long a translation may be used again; 0 for ever (a dump), for live targets a few ms.
 * Returns 0; SONDE_E_NO_MEMORY. Owns *ret: sonde_space_close, before phys is closed.
 */
int paging_space(struct sonde_space *phys, struct paging_map map, uint64_t tlb_ns,
		 struct sonde_space **ret);

/*
 * Of such a space: what has an empty entry in these addresses is read as zeros, as it is by the process that has mapped
 * memory there and not touched it. Of any other space, which knows by itself: nothing is done.
 */
void paging_space_zeros(struct sonde_space *space, uint64_t addr, uint64_t len);

/* One address, with every entry on the way. As sonde_os_translate; *ret is filled as far as it went. */
int paging_translate(struct sonde_space *phys, struct paging_map map, uint64_t va,
		     struct sonde_translation *ret);

#define PAGING_RIGHTS (SONDE_PAGE_READ | SONDE_PAGE_WRITE | SONDE_PAGE_EXEC)

/* A table of the highest level, the first address that it maps, and what of it is asked for (inclusive). */
struct paging_root {
	uint64_t pa, base;
	uint64_t first, last;
};

/* First in every struct sonde_pages: whose they are. These of page tables are visit.c's. */
struct pages_ops {
	int (*next)(struct sonde_pages *pages, struct sonde_page_run *ret);
	void (*close)(struct sonde_pages *pages);
};

static inline const struct pages_ops *pages_ops(const struct sonde_pages *pages)
{
	return (const struct pages_ops *)(const void *)pages;
}

/*
 * All that is mapped in first..last (inclusive), or under each of n roots, in their order; care as of sonde_os_pages.
 * Tables that cannot be read are left out. Returns 0; SONDE_E_NO_MEMORY. Owns *ret: sonde_pages_close.
 */
int paging_pages(struct sonde_space *phys, struct paging_map map, uint64_t first, uint64_t last,
		 uint32_t care, struct sonde_pages **ret);
int paging_pages_of(struct sonde_space *phys, const struct paging *paging,
		    const struct paging_root *roots, uint32_t n, uint32_t care,
		    struct sonde_pages **ret);
/* As sonde_pages_next; *ret_root: under which of the roots. */
int paging_pages_next(struct sonde_pages *pages, struct sonde_page_run *ret, uint32_t *ret_root);

/* The same with a callback. Returns 0, what fn returned to stop, or as paging_pages and sonde_pages_next. */
int paging_visit(struct sonde_space *phys, struct paging_map map, uint64_t first, uint64_t last,
		 uint32_t care, sonde_page_run_fn *fn, void *user);

#endif
