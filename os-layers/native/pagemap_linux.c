/* SPDX-License-Identifier: MIT */
#include "native/pagemap.h"

#include <errno.h>
#include <fcntl.h>
#include <sonde/os.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "native/proc.h"

#define ENTRY_SOFT_DIRTY (UINT64_C(1) << 55)
#define ENTRY_EXCLUSIVE (UINT64_C(1) << 56)
#define ENTRY_FILE (UINT64_C(1) << 61)
#define ENTRY_SWAPPED (UINT64_C(1) << 62)
#define ENTRY_PRESENT (UINT64_C(1) << 63)
#define ENTRY_FRAME ((UINT64_C(1) << 55) - 1) /* pfn; or swap type and, above 5 bits, offset */

/* struct pm_scan_arg and struct page_region: headers before v6.7 lack them. */
struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

struct scan_region {
	uint64_t start, end, categories;
};

#define SCAN _IOWR('f', 16, struct scan_arg)
#define SCAN_PRESENT (UINT64_C(1) << 3)
#define SCAN_SWAPPED (UINT64_C(1) << 4)
#define SCAN_ZERO (UINT64_C(1) << 5)
#define SCAN_HUGE (UINT64_C(1) << 6)

int pagemap_decode(uint64_t entry, struct pagemap_page *ret)
{
	uint64_t frame = entry & ENTRY_FRAME;

	if (!(entry & (ENTRY_PRESENT | ENTRY_SWAPPED)))
		return 0;
	*ret = (struct pagemap_page){
		.flags = (entry & ENTRY_PRESENT ? SONDE_PAGE_PRESENT : SONDE_PAGE_SWAPPED) |
			 (entry & ENTRY_FILE ? SONDE_PAGE_FILE : 0) |
			 (entry & ENTRY_SOFT_DIRTY ? SONDE_PAGE_SOFT_DIRTY : 0) |
			 (entry & ENTRY_EXCLUSIVE ? SONDE_PAGE_EXCLUSIVE : 0),
	};
	/* Neither a process's page nor a place in swap is ever number 0: that is for those who may not know. */
	if (frame == 0) {
		ret->flags |= SONDE_PAGE_UNPLACED;
	} else if (entry & ENTRY_PRESENT) {
		ret->pfn = frame;
	} else {
		ret->swap_type = (uint32_t)(frame & 31);
		ret->swap_offset = frame >> 5;
	}
	return 1;
}

int pagemap_open(struct pagemap *ret, int folder)
{
	ret->fd = openat(folder, "pagemap", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ret->scans = 1;
	ret->page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	return ret->fd < 0 ? proc_code(errno) : 0;
}

void pagemap_close(struct pagemap *pagemap)
{
	if (pagemap->fd >= 0)
		close(pagemap->fd);
}

static int scan(struct pagemap *pagemap, uint64_t start, uint64_t end, struct pagemap_stretch *ret)
{
	struct scan_region region = { 0 };
	struct scan_arg arg = {
		.size = sizeof(arg),
		.start = start,
		.end = end,
		.vec = (uintptr_t)&region,
		.vec_len = 1,
		.category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
		.return_mask = SCAN_HUGE | SCAN_ZERO,
	};
	int n = ioctl(pagemap->fd, SCAN, &arg);

	if (n < 0)
		return -errno;
	if (n == 0)
		return 0;
	*ret = (struct pagemap_stretch){
		.start = region.start,
		.end = region.end,
		.flags = (region.categories & SCAN_HUGE ? SONDE_PAGE_HUGE : 0) |
			 (region.categories & SCAN_ZERO ? SONDE_PAGE_ZERO : 0),
	};
	return 1;
}

int pagemap_find(struct pagemap *pagemap, uint64_t start, uint64_t end, struct pagemap_stretch *ret)
{
	int r = pagemap->scans ? scan(pagemap, start, end, ret) : -ENOTTY;

	if (r >= 0)
		return r;
	if (r == -ESRCH)
		return SONDE_E_GONE;
	/* An older kernel does not know it, nor does a file that stands for it; of odd mappings it is refused. */
	if (r == -ENOTTY)
		pagemap->scans = 0;
	*ret = (struct pagemap_stretch){ .start = start, .end = end };
	return 1;
}

int pagemap_read(const struct pagemap *pagemap, uint64_t va, uint64_t *entries, uint32_t n)
{
	ssize_t got = pread(pagemap->fd, entries, n * sizeof(*entries),
			    (off_t)(va / pagemap->page_size * sizeof(*entries)));

	return got < 0 ? proc_code(errno) : (int)((size_t)got / sizeof(*entries));
}
