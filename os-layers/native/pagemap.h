/* SPDX-License-Identifier: MIT */
/*
 * What the kernel says of the pages of a process: an entry of 8 bytes a page in /proc/PID/pagemap, and since v6.7 the
 * ioctl PAGEMAP_SCAN, which passes over what is not there.
 *
 * Source: linux v6.12 Documentation/admin-guide/mm/pagemap.rst; include/uapi/linux/fs.h (struct pm_scan_arg).
 */
#ifndef SONDE_NATIVE_PAGEMAP_H
#define SONDE_NATIVE_PAGEMAP_H

#include <stdint.h>

/* What one entry says: enum sonde_page_flag, of those that pages of a process have. */
struct pagemap_page {
	uint32_t flags;
	uint32_t swap_type;
	uint64_t pfn; /* UNPLACED: 0 */
	uint64_t swap_offset;
};
/* Returns 1; 0: there is no page. */
int pagemap_decode(uint64_t entry, struct pagemap_page *ret);

/* Pages in a row that are alike in being there, and in what only the scan says. */
struct pagemap_stretch {
	uint64_t start, end;
	uint32_t flags; /* SONDE_PAGE_HUGE, SONDE_PAGE_ZERO */
};

struct pagemap {
	int fd;
	int scans; /* the kernel has PAGEMAP_SCAN; tried once */
	uint64_t page_size;
};

/* Returns 0; SONDE_E_GONE, _NO_ACCESS. */
int pagemap_open(struct pagemap *ret, int folder);
void pagemap_close(struct pagemap *pagemap);

/* The first stretch that has pages in [start, end). Without scans it is all of it. Returns 1, 0 none, SONDE_E_*. */
int pagemap_find(struct pagemap *pagemap, uint64_t start, uint64_t end,
		 struct pagemap_stretch *ret);
/* Entries of n pages from va on, little-endian or not as this machine is. Returns how many, SONDE_E_*. */
int pagemap_read(const struct pagemap *pagemap, uint64_t va, uint64_t *entries, uint32_t n);

#endif
