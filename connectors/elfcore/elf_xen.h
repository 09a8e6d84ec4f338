/* SPDX-License-Identifier: MIT */
/*
 * Cores of Xen's domains (xl dump-core): no program headers; sections hold the pages, and say where each belongs. Sources: xen
 * docs/misc/dump-core-format.txt and tools/libs/guest/xg_core.h; processors: xen/include/public/arch-x86/xen.h, xen-x86_64.h.
 *
 *	.note.Xen       notes, as elsewhere
 *	.xen_prstatus   vcpu_guest_context of each processor
 *	.xen_pfn        which page each is: 64 bits, all ones where it is none. Domains that have page tables of their own
 *	.xen_p2m        paravirtual ones: twice 64 bits, the page as the domain counts and as the machine does. Page tables of such
 *	                a domain hold the machine's numbers, so these are the addresses here
 *	.xen_pages      the pages, in the order of these
 */
#ifndef ELF_XEN_H
#define ELF_XEN_H

#include "elf_core.h"
#include "elf_format.h"

/* A note of the name "Xen": the hypervisor's version, major and minor, 64 bits each, and more. */
#define XEN_NOTE_VERSION 0x2000002

/* A part of the file; len 0: there is none. */
struct elf_stretch {
	uint64_t off, len;
};

struct elf_xen {
	struct elf_stretch notes, cpus, pfn, p2m, pages;
};

/* The section table as the ELF header says it. */
struct elf_sections {
	const struct elf_layout *layout;
	uint64_t off;
	uint32_t stride, n, names; /* names: index of the one that holds them */
};

/* Look for Xen's sections. Returns 1: there are pages and a list of them; 0. */
int elf_xen_find(struct elf_xen *ret, const struct elf_core *core,
		 const struct elf_sections *sections, elf_read_fn *read, void *user);

/*
 * Add what they hold as segments and processors, when the notes are parsed.
 *
 * Returns   0; SONDE_E_BAD_FORMAT (a size that pages do not have), _NO_MEMORY: *ret_why says what is wrong.
 */
int elf_xen_add(struct elf_core *core, const struct elf_xen *xen, elf_read_fn *read, void *user,
		const char **ret_why);

/* As elf_core_cpu_count and elf_core_cpu, of the processors that were added. */
uint32_t elf_xen_cpu_count(const struct elf_core *core);
int elf_xen_cpu(const struct elf_core *core, uint32_t index, struct sonde_cpu *ret);

#endif
