/* SPDX-License-Identifier: MIT */
/*
 * A kernel that keeps account of 4096 page frames in sections of 512, as x86-64 kernels do: what its types and its
 * vmcoreinfo say. Its memory begins with mem_section, one pointer to 256 struct mem_section of 16 bytes.
 */
#ifndef SYNTH_FRAMES_H
#define SYNTH_FRAMES_H

#include "linux/linux.h"

#define FRAMES_ROOTS "ffff888000000000" /* mem_section */
#define FRAMES_TEXT 5u                  /* the frame of the kernel's code */

/* Bits of flags, and what _mapcount says: those of linux v6.1. */
enum frames_flag {
	FRAMES_LRU = 1 << 4,
	FRAMES_SLAB = 1 << 9,
	FRAMES_SWAPCACHE = 1 << 10,
	FRAMES_RESERVED = 1 << 12,
	FRAMES_PRIVATE = 1 << 13,
	FRAMES_HEAD = 1 << 16,
	FRAMES_SWAPBACKED = 1 << 19,
	FRAMES_HWPOISON = 1 << 22,
};
#define FRAMES_BUDDY (-129)
#define FRAMES_OFFLINE (-257)

#define FRAMES_INFO                                                                                \
	"OSRELEASE=6.1.0-synthetic\n"                                                              \
	"SYMBOL(mem_section)=" FRAMES_ROOTS "\n"                                                   \
	"LENGTH(mem_section)=1\n"                                                                  \
	"NUMBER(SECTION_SIZE_BITS)=21\n"                                                           \
	"NUMBER(MAX_PHYSMEM_BITS)=24\n"                                                            \
	"LENGTH(zone.free_area)=10\n"                                                              \
	"NUMBER(PG_lru)=4\n"                                                                       \
	"NUMBER(PG_private)=13\n"                                                                  \
	"NUMBER(PG_swapcache)=10\n"                                                                \
	"NUMBER(PG_swapbacked)=19\n"                                                               \
	"NUMBER(PG_slab)=9\n"                                                                      \
	"NUMBER(PG_head)=16\n"                                                                     \
	"NUMBER(PG_reserved)=12\n"                                                                 \
	"NUMBER(PG_hwpoison)=22\n"                                                                 \
	"NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=-512\n"                                                  \
	"NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-513\n"                                               \
	"NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129\n"                                                 \
	"NUMBER(HUGETLB_PAGE_DTOR)=2\n"                                                            \
	"NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-257\n"

static const struct layout frames_layout = {
	.page_size = 64,
	.section_size = 16,
	.page_flags = { 0, 8 },
	.page_compound_head = { 8, 8 },
	.page_compound_dtor = { 16, 1 },
	.page_mapping = { 24, 8 },
	.page_private = { 40, 8 },
	.page_mapcount = { 48, 4 },
	.page_refcount = { 52, 4 },
	.section_mem_map = { 0, 8 },
};

static inline void frames_describe(struct linux_os *lx, const char *info)
{
	lx->layout = frames_layout;
	lx->image_slide = UINT64_C(0xffffffff81000000);
	lx->kernel.text_start = lx->image_slide + FRAMES_TEXT * 4096;
	vmcoreinfo_parse(info, strlen(info), &lx->info, NULL);
}

#endif
