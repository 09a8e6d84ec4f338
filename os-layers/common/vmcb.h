/* SPDX-License-Identifier: MIT */
/*
 * Guests of a hypervisor in the physical memory of its machine, by the control blocks (VMCB) that AMD's processors run them from. Which
 * hypervisor that is does not matter. A page may look like one by chance or on purpose.
 *
 * Source: AMD64 Architecture Programmer's Manual, volume 2 (24593), 15.5.1 (what VMRUN checks), 15.25 (nested paging), appendix B
 * (layout).
 */
#ifndef SONDE_COMMON_VMCB_H
#define SONDE_COMMON_VMCB_H

#include <sonde/error.h>
#include <sonde/space.h>

#define VMCB_GUESTS_MAX 64u

struct vmcb_guest {
	uint64_t root;   /* nCR3: physical address of the tables that its memory has */
	uint32_t n_cpus; /* blocks that have it                                      */
};

/*
 * Those that run with nested paging and have memory, by the address of their first block.
 * Returns how many, at most VMCB_GUESTS_MAX; SONDE_E_NO_MEMORY; what sonde_space_regions says.
 */
int vmcb_find(struct sonde_space *phys, struct vmcb_guest guests[VMCB_GUESTS_MAX]);
/*
 * The one whose root is said, a number; "": the only one.
 * Returns 0; SONDE_E_NOT_FOUND, _AMBIGUOUS (err names the roots there are), as vmcb_find.
 */
int vmcb_choose(struct sonde_space *phys, const char *root, struct vmcb_guest *ret,
		struct sonde_error *err);

#endif
