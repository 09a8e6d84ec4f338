/* SPDX-License-Identifier: MIT */
/*
 * Page tables as data: what a walker must know of an architecture, and what is made
 * of it: a virtual space (virtual.c), one address explained (walk.c), all that is mapped (walk.c).
 */
#ifndef SONDE_ARCH_PAGING_H
#define SONDE_ARCH_PAGING_H

#include <sonde/os.h>
#include <sonde/space.h>
#include <stdbool.h>
#include <stdint.h>

#define PAGING_LEVELS_MAX 5

/* One entry, understood. */
struct paging_entry {
	uint64_t pa;    /* table: of the next table; leaf: of the page                         */
	uint32_t flags; /* enum sonde_region_flag: READ WRITE EXEC, ANDed down the levels      */
	bool leaf;
	int32_t err; /* 0; SONDE_E_NOT_MAPPED, SONDE_E_PAGED_OUT: the walk ends here        */
};

struct paging {
	const char *name;  /* "x86_64, 4 levels"                                             */
	uint32_t n_levels; /* 1 .. PAGING_LEVELS_MAX                                         */
	uint32_t va_bits;  /* virtual addresses are sign-extended from here                  */
	/* Of level n_levels-1 (the root) down to 0 (4 KiB pages). */
	uint8_t shift[PAGING_LEVELS_MAX];
	uint16_t entries[PAGING_LEVELS_MAX]; /* of one table, 8 bytes each                    */
	struct paging_entry (*decode)(const struct paging *paging, uint32_t level, uint64_t entry);
	/* Operating systems keep pages that the processor may not touch; Linux marks them so. */
	bool linux_protnone;
};

/* x86-64 with 4 or 5 levels; NULL for another number. */
const struct paging *paging_x86_64(uint32_t n_levels);

static inline bool paging_canonical(const struct paging *paging, uint64_t va)
{
	int64_t high = (int64_t)va >> (paging->va_bits - 1);

	return high == 0 || high == -1;
}

static inline uint64_t paging_entry_pa(const struct paging *paging, uint32_t level, uint64_t table,
				       uint64_t va)
{
	return table + 8 * ((va >> paging->shift[level]) & (paging->entries[level] - 1u));
}

/*
 * The virtual memory that a root table spans, as a space over phys.
 *
 * tlb_ns: how long a translation may be used again; 0 for ever (a dump), for live targets a few ms.
 * Returns 0; SONDE_E_NO_MEMORY. Owns *ret: sonde_space_close, before phys is closed.
 */
int paging_space(struct sonde_space *phys, const struct paging *paging, uint64_t root,
		 uint64_t tlb_ns, struct sonde_space **ret);

/* One address, with every entry on the way. As sonde_os_translate; *ret is filled as far as it went. */
int paging_translate(struct sonde_space *phys, const struct paging *paging, uint64_t root,
		     uint64_t va, struct sonde_translation *ret);

/* A run of pages that lie together in both memories, alike in their rights. */
struct paging_run {
	uint64_t va, pa, len;
	uint32_t flags; /* enum sonde_region_flag */
};
/* Any result but 0 stops and is handed back. */
typedef int paging_run_fn(void *user, const struct paging_run *run);

/*
 * Visit what is mapped in first..last (inclusive), by rising address. Tables that cannot be read are
 * skipped. Returns 0, what fn returned to stop, SONDE_E_GONE, SONDE_E_BUSY, SONDE_E_LIMIT after more tables than any sane
 * machine has (hostile tables may point at themselves).
 */
int paging_visit(struct sonde_space *phys, const struct paging *paging, uint64_t root,
		 uint64_t first, uint64_t last, paging_run_fn *fn, void *user);

#endif
