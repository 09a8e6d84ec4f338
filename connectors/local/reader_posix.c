/* SPDX-License-Identifier: MIT */
/*
 * A read of many pages fails as a whole in /dev/mem and /proc/kcore when one of them cannot be had, whichever it is. So
 * what failed is asked for again, a page at a time: the page that fails alone is the one to blame.
 */
#include "reader.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static uint32_t rest_of_page(uint64_t addr, uint32_t len)
{
	uint32_t rest = READER_PAGE - (uint32_t)(addr % READER_PAGE);

	return len < rest ? len : rest;
}

/* Bytes moved, 0 at the end of the file, or a negative errno. */
static ssize_t read_once(int fd, uint64_t off, void *buf, size_t len)
{
	for (;;) {
		ssize_t n = pread(fd, buf, len, (off_t)off);
		if (n >= 0)
			return n;
		if (errno != EINTR)
			return -errno;
	}
}

size_t reader_get(int fd, uint64_t off, void *buf, size_t len)
{
	size_t done = 0;

	errno = 0;
	while (done < len && off <= INT64_MAX - done) {
		ssize_t n = read_once(fd, off + done, (char *)buf + done, len - done);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	return done;
}

static int32_t code_of(ssize_t moved)
{
	switch (-moved) {
	case 0:
	case EFAULT:
	case ENXIO:
		return SONDE_E_NOT_MAPPED;
	case EPERM:
	case EACCES:
		return SONDE_E_NO_ACCESS;
	default:
		return SONDE_E_IO;
	}
}

static void read_stretch(struct reader *reader, struct sonde_io *io, uint32_t i, uint32_t off,
			 uint32_t len, const struct memory_range *range, uint64_t addr)
{
	uint8_t *buf = (uint8_t *)io->xfers[i].buf + off;
	uint64_t at = range->off + (addr - range->addr);
	int by_page = reader->by_page;

	for (uint32_t done = 0; done < len;) {
		uint32_t page = rest_of_page(addr + done, len - done);
		uint32_t want = by_page ? page : len - done;
		ssize_t n = read_once(reader->fd, at + done, buf + done, want);
		if (n <= 0 && want > page) {
			by_page = 1;
			continue;
		}
		uint32_t told = n > 0 ? (uint32_t)n : page;
		sonde_progress(reader->host, io, i, off + done, told, n > 0 ? 0 : code_of(n));
		done += told;
	}
}

void reader_begin(struct reader *reader)
{
	reader->page_len = 0;
}

static int is_held(const struct reader *reader, uint64_t addr, uint32_t len)
{
	return addr >= reader->page_addr && addr - reader->page_addr < reader->page_len &&
	       len <= reader->page_len - (addr - reader->page_addr);
}

/* Does the next piece begin in the page that this one lies in? */
static int has_company(const struct sonde_io *io, uint32_t i, uint64_t addr, uint32_t len)
{
	return rest_of_page(addr, len) == len && i + 1 < io->n &&
	       io->xfers[i + 1].addr / READER_PAGE == addr / READER_PAGE;
}

/* What of the page at addr lies in range. Returns 1, 0 it cannot be had whole. */
static int hold_page(struct reader *reader, const struct memory_range *range, uint64_t addr)
{
	uint64_t first = addr & ~(uint64_t)(READER_PAGE - 1), in_range = addr - range->addr;

	if (first < range->addr)
		first = range->addr;
	uint64_t left = range->len - in_range + (addr - first);
	uint32_t len = rest_of_page(first, left < READER_PAGE ? (uint32_t)left : READER_PAGE);
	uint64_t off = range->off + (first - range->addr);
	if (reader_get(reader->fd, off, reader->page, len) != len) {
		reader->page_len = 0;
		return 0;
	}
	reader->page_addr = first;
	reader->page_len = len;
	return 1;
}

void reader_move(void *user, struct sonde_io *io, uint32_t i, uint32_t off, uint32_t len,
		 const struct memory_range *range, uint64_t addr)
{
	struct reader *reader = user;

	if (io->op == SONDE_IO_WRITE) {
		sonde_progress(reader->host, io, i, off, len, SONDE_E_READ_ONLY);
		return;
	}
	if (!is_held(reader, addr, len) &&
	    (!has_company(io, i, addr, len) || !hold_page(reader, range, addr))) {
		read_stretch(reader, io, i, off, len, range, addr);
		return;
	}
	memcpy((uint8_t *)io->xfers[i].buf + off, reader->page + (addr - reader->page_addr), len);
	sonde_progress(reader->host, io, i, off, len, 0);
}
