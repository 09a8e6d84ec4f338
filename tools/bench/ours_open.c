/* SPDX-License-Identifier: MIT */
/*
 * Opening a dump of 64 GiB, most of which is holes, for the first time: nothing of the file is in the page cache. The time until a page
 * of it has been read, the first one or the last, or the memory that this took; each time in a process of its own. The dumps are made here, of
 * headers and indexes alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <sonde/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "contenders.h"
#include "ours.h"

#define PAGE 4096u
#define SIZE (UINT64_C(64) << 30)
#define N_PAGES (SIZE / PAGE)
#define SAVED_EVERY 16u /* pages of the kdump */
#define FIRST (UINT64_C(15) * PAGE)
#define LAST (SIZE - PAGE)
#define MARK UINT64_C(0x65646e6f53)

/* ---- the dumps ------------------------------------------------------------------------------------- */

static int put(int fd, uint64_t at, const void *bytes, size_t len)
{
	return pwrite(fd, bytes, len, (off_t)at) == (ssize_t)len ? 0 : -EIO;
}

static void put32(uint8_t *at, uint32_t value)
{
	sonde_store(at, 4, SONDE_LITTLE, value);
}

static void put64(uint8_t *at, uint64_t value)
{
	sonde_store(at, 8, SONDE_LITTLE, value);
}

/* A dump whose bytes lie as they are, behind its head. */
static int make_plain(int fd, const uint8_t *head, size_t len)
{
	uint64_t mark = MARK;
	int r = put(fd, 0, head, len);

	if (r == 0 && ftruncate(fd, (off_t)(len + SIZE)) < 0)
		r = -errno;
	if (r == 0)
		r = put(fd, len + FIRST, &mark, sizeof(mark));
	return r == 0 ? put(fd, len + LAST, &mark, sizeof(mark)) : r;
}

/* One segment: elf(5). */
static int make_elf(int fd)
{
	uint8_t head[PAGE] = "\177ELF\2\1\1";

	put32(head + 16, 4 | 62 << 16); /* ET_CORE, x86-64 */
	put32(head + 20, 1);
	put64(head + 32, 64);            /* e_phoff */
	put32(head + 52, 64 | 56 << 16); /* sizes of both heads */
	put32(head + 56, 1);
	put32(head + 64, 1); /* PT_LOAD */
	put32(head + 68, 4);
	put64(head + 72, PAGE);
	put64(head + 96, SIZE);
	put64(head + 104, SIZE);
	return make_plain(fd, head, sizeof(head));
}

/* One range: LiME doc/README.md. */
static int make_lime(int fd)
{
	uint8_t head[32] = "EMiL";

	put32(head + 4, 1);
	put64(head + 16, SIZE - 1);
	return make_plain(fd, head, sizeof(head));
}

/* Bitmaps and descriptors of a page in SAVED_EVERY; all of them are the same bytes. */
static int put_pages(int fd, uint64_t at)
{
	size_t n = N_PAGES / SAVED_EVERY, len = N_PAGES / 8;
	uint64_t descs_at = at + 2 * len, page_at = descs_at + n * 24, mark = MARK;
	uint8_t *bits = malloc(len), *descs = calloc(n, 24);
	int r = bits && descs ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++) {
		put64(descs + 24 * i, page_at);
		put32(descs + 24 * i + 8, PAGE);
	}
	if (r == 0) {
		memset(bits, 0xff, len);
		r = put(fd, at, bits, len);
	}
	for (size_t i = 0; r == 0 && i < len; i++)
		bits[i] = i % (SAVED_EVERY / 8) == SAVED_EVERY / 8 - 1 ? 0x80 : 0;
	r = r == 0 ? put(fd, at + len, bits, len) : r;
	r = r == 0 ? put(fd, descs_at, descs, n * 24) : r;
	free(bits);
	free(descs);
	if (r == 0 && ftruncate(fd, (off_t)(page_at + PAGE)) < 0)
		r = -errno;
	return r == 0 ? put(fd, page_at, &mark, sizeof(mark)) : r;
}

/* Version 6: makedumpfile 1.7.2 diskdump_mod.h. */
static int make_kdump(int fd)
{
	uint8_t head[2 * PAGE] = "KDUMP   ";
	uint8_t *sub = head + PAGE;

	put32(head + 8, 6);
	memcpy(head + 12 + 4 * 65, "x86_64", 6);
	put32(head + 428, PAGE);
	put32(head + 432, 1);
	put32(head + 436, 2 * N_PAGES / 8 / PAGE);
	put64(sub + 88, N_PAGES);
	put64(sub + 96, N_PAGES);
	int r = put(fd, 0, head, sizeof(head));
	return r == 0 ? put_pages(fd, sizeof(head)) : r;
}

/* ---- opening one ----------------------------------------------------------------------------------- */

/* By the number in front of a contender's variant. */
static const struct kind {
	const char *connector;
	int (*make)(int fd);
} kinds[] = { { "kdump", make_kdump }, { "elfcore", make_elf }, { "lime", make_lime } };

struct opening {
	const struct contender *contender;
	const struct kind *kind;
	char what; /* 'f', 'l' time until that page has been read; 'm' memory */
	int fd;
};

static void close_opening(void *state)
{
	struct opening *opening = state;

	if (opening->fd >= 0)
		close(opening->fd);
	free(opening);
}

/* As a file without a name: the page cache of one in memory is the file. */
static int open_opening(const struct contender *contender, struct work *work, void **ret)
{
	struct opening *opening = calloc(1, sizeof(*opening));

	(void)work;
	if (!opening)
		return -ENOMEM;
	*opening = (struct opening){ .contender = contender,
				     .kind = &kinds[contender->arg[0] - '0'],
				     .what = contender->arg[1] };
	opening->fd = open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int r = opening->fd < 0 ? -errno : opening->kind->make(opening->fd);
	if (r == 0 && fsync(opening->fd) < 0)
		r = -errno;
	if (r < 0) {
		close_opening(opening);
		return r == -EFBIG || r == -EOPNOTSUPP
			       ? bench_skip(contender, "/var/tmp holds no such file")
			       : r;
	}
	*ret = opening;
	return 0;
}

/* Milliseconds or MiB. */
static double open_it(void *arg)
{
	const struct opening *opening = arg;
	struct ours *ours = NULL;
	char name[64];
	uint64_t mark = 0;
	double before = child_resident();
	uint64_t begin = sonde_now_ns(), addr = opening->what == 'l' ? LAST : FIRST;

	snprintf(name, sizeof(name), "%s:/proc/self/fd/%d", opening->kind->connector, opening->fd);
	if (ours_create(opening->contender, "auto", name, 0, &ours) != 0 ||
	    sonde_space_get(ours->space, addr, &mark, sizeof(mark)) != 0 || mark != MARK)
		return -1;
	double took = (double)(sonde_now_ns() - begin);
	return opening->what == 'm' ? (child_resident() - before) / 0x1p20 : took / 1e6;
}

static int measure_open(void *state, struct work *work, struct sample *ret)
{
	struct opening *opening = state;

	(void)work;
	int r = posix_fadvise(opening->fd, 0, 0, POSIX_FADV_DONTNEED);
	return r ? -r : child_number(open_it, opening, &ret->wall_ns);
}

#define OPENING(label, variant)                                                                    \
	{                                                                                          \
		.name = label, .arg = variant, .open = open_opening, .measure = measure_open,      \
		.close = close_opening                                                             \
	}

const struct contender contenders_open[] = {
	OPENING("open.kdump", "0f"),        OPENING("open.elf", "1f"),
	OPENING("open.lime", "2f"),         OPENING("open.kdump.last", "0l"),
	OPENING("open.kdump.memory", "0m"), OPENING("open.elf.memory", "1m"),
	OPENING("open.lime.memory", "2m"),  { 0 },
};
