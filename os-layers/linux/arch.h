/* SPDX-License-Identifier: MIT */
/*
 * What of a Linux kernel depends on the processor's architecture: where its page tables and its image are, how it
 * writes down pages that are elsewhere. One description each, arch_NAME.c; to add one, fill such a
 * structure and list it in arch.c.
 */
#ifndef SONDE_LINUX_ARCH_H
#define SONDE_LINUX_ARCH_H

#include <sonde/target.h>

#include "linux/linux.h"

/* Where a kernel may be mapped. */
struct linux_place {
	const struct paging *paging;
	uint64_t root;  /* physical                                               */
	uint64_t slide; /* virtual minus physical of the image; 0: is not told    */
	/* Of a processor: an address in the image's text, by which it is found; vmcoreinfo tells the rest. 0: image_range. */
	uint64_t text;
	/* Not 0: text is mapped twice, and the image is where it is first, from this address on. */
	uint64_t above;
};
#define LINUX_PLACES_MAX 2u

struct linux_arch {
	uint32_t arch; /* enum sonde_arch */
	/* By the state of a processor, likeliest first. Returns how many, 0 where its state tells none. */
	uint32_t (*places_of_cpu)(const struct sonde_cpu *cpu,
				  struct linux_place ret[LINUX_PLACES_MAX]);
	/*
	 * false: a processor in this state runs neither a kernel nor a process of one, but firmware or a loader.
	 */
	bool (*may_run_kernel)(struct sonde_space *phys, const struct sonde_cpu *cpu);
	/*
	 * By vmcoreinfo, likeliest first. Returns how many; SONDE_E_UNSUPPORTED: it is of no kernel of this
	 * architecture that is understood; SONDE_E_CORRUPT.
	 */
	int (*places_of_info)(const struct vmcoreinfo *info,
			      struct linux_place ret[LINUX_PLACES_MAX], struct sonde_error *err);
	/* First and last address where the image may be; vmcoreinfo is known, or a processor's place of no text. */
	void (*image_range)(const struct linux_os *lx, uint64_t *ret_first, uint64_t *ret_last);
	/*
	 * Once the kernel is proven: set lx->direct_map, lx->swap, lx->kernel.kaslr_offset and .phys_base, and
	 * what of lx->paging is the kernel's convention.
	 */
	void (*settle)(struct linux_os *lx);
	/*
	 * The addresses that len bytes of code at va refer to, in the code's order. Returns how many, at most
	 * cap. NULL: not known.
	 */
	size_t (*references)(const uint8_t *code, size_t len, uint64_t va, uint64_t *ret,
			     size_t cap);
};

extern const struct linux_arch linux_x86_64, linux_arm64, linux_riscv64;

/* The index-th that is understood; NULL behind the last. */
const struct linux_arch *linux_arch_at(uint32_t index);
/* That of enum sonde_arch; NULL: none. */
const struct linux_arch *linux_arch_of(uint32_t arch);

/* For image_range: from vmcoreinfo's _stext on. */
void linux_image_behind_stext(const struct linux_os *lx, uint64_t *ret_first, uint64_t *ret_last);
/* Of images that begin at a multiple of 2 MiB, _stext a little behind: their first address. */
uint64_t linux_image_start(const struct linux_os *lx);

#endif
