/* SPDX-License-Identifier: MIT */
/*
 * A machine's memory as a file in the page cache: random bytes, and behind them page tables of x86-64 that map
 * them as a kernel does. Made once and kept.
 */
#ifndef BENCH_IMAGE_H
#define BENCH_IMAGE_H

#include <stdint.h>

#define IMAGE_PAGE UINT64_C(4096)

/* Where the bytes are found again: all of them, one to one; some, page by page, in no order. */
#define IMAGE_DIRECT UINT64_C(0xffff888000000000)  /* in pages of 2 MiB                        */
#define IMAGE_VMALLOC UINT64_C(0xffffc90000000000) /* in pages of 4 KiB, four and then a hole  */
#define IMAGE_USER UINT64_C(0x400000)              /* the same pages, alike                    */

struct image {
	int fd;
	const uint8_t *map;
	uint64_t size;         /* of the random bytes; the tables lie behind them */
	uint64_t root;         /* CR3                                             */
	const uint32_t *pages; /* [n_pages]: frames of IMAGE_VMALLOC and IMAGE_USER */
	uint32_t n_pages;
};

#define IMAGE_SIZE (UINT64_C(512) << 20)
#define IMAGE_SIZE_QUICK (UINT64_C(64) << 20)

/* The image, size bytes large, a multiple of 2 MiB; NULL: errno. It stays until the program ends. */
const struct image *image_get(uint64_t size);

/* The address, from IMAGE_VMALLOC or IMAGE_USER on, of the index'th of pages. */
static inline uint64_t image_page_va(uint32_t index)
{
	return (index + index / 4) * IMAGE_PAGE;
}

#endif
