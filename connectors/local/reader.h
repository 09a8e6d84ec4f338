/* SPDX-License-Identifier: MIT */
/* Moving bytes out of a file of the kernel: stretches of requests, a pread each, one for those that share a page. */
#ifndef LOCAL_READER_H
#define LOCAL_READER_H

#include "../common/memory_map.h"

#define READER_PAGE 4096u

struct reader {
	const struct sonde_host *host;
	int fd;
	int by_page; /* no read may cross the end of a page, or may fail for all of its pages */

	uint8_t page
		[READER_PAGE]; /* what was read last for several pieces: page_len bytes at page_addr */
	uint64_t page_addr;
	uint32_t page_len; /* 0: nothing */
};

/* Forget the page: a batch does not see what an earlier one read. */
void reader_begin(struct reader *reader);

/* As memory_map_stretch_fn, user being the reader. Writing is refused with READ_ONLY. */
void reader_move(void *user, struct sonde_io *io, uint32_t i, uint32_t off, uint32_t len,
		 const struct memory_range *range, uint64_t addr);

/* len bytes at off of the file, as far as they come. Returns how many; errno says why it is fewer, 0 at the end. */
size_t reader_get(int fd, uint64_t off, void *buf, size_t len);

#endif
