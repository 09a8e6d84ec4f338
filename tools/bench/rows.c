/* SPDX-License-Identifier: MIT */
/*
 * The table of figures. Each engine at each size, order and depth, from one rule; then the rows with
 * names of their own, written out. To add one, add a line to named[].
 */
#include "rows.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 512

#define BY_PREAD                                                                                   \
	{                                                                                          \
		"pread"                                                                            \
	}
#define BY_MMAP                                                                                    \
	{                                                                                          \
		"mmap+memcpy", "mmap+avx2"                                                         \
	}
#define BY_HAND                                                                                    \
	{                                                                                          \
		"liburing.defer", "liburing.coop", "liburing.plain"                                \
	}
#define BY_MEMCPY                                                                                  \
	{                                                                                          \
		"memcpy"                                                                           \
	}

#define WARM(size, depth)                                                                          \
	{                                                                                          \
		PLACE_WARM, true, size, depth                                                      \
	}
#define ALONG(size, depth)                                                                         \
	{                                                                                          \
		PLACE_WARM, false, size, depth                                                     \
	}
#define HOT(size, depth)                                                                           \
	{                                                                                          \
		PLACE_HOT, true, size, depth                                                       \
	}
#define COLD(size, depth)                                                                          \
	{                                                                                          \
		PLACE_COLD, true, size, depth                                                      \
	}
#define NEAR                                                                                       \
	{                                                                                          \
		PLACE_NEAR, true, 8, 64                                                            \
	}
#define FAR                                                                                        \
	{                                                                                          \
		PLACE_FAR, true, 8, 64                                                             \
	}
#define IMAGE(size, depth)                                                                         \
	{                                                                                          \
		PLACE_IMAGE, true, size, depth                                                     \
	}
#define IMAGE_HOT                                                                                  \
	{                                                                                          \
		PLACE_IMAGE_HOT, true, 8, 64                                                       \
	}
#define PROCESS                                                                                    \
	{                                                                                          \
		PLACE_PROCESS, true, 4096, 64                                                      \
	}
#define PROCESS_FEW                                                                                \
	{                                                                                          \
		PLACE_PROCESS_FEW, true, 8, 64                                                     \
	}
#define DUMP(random, size, depth)                                                                  \
	{                                                                                          \
		PLACE_DUMP, random, size, depth                                                    \
	}
#define ECHO                                                                                       \
	{                                                                                          \
		PLACE_NETWORK, false, 64, 1000                                                     \
	}
#define BY_HAND_ECHO                                                                               \
	{                                                                                          \
		"echo.hand", "echo.hand.single"                                                    \
	}
#define BY_QUIET                                                                                   \
	{                                                                                          \
		"liburing.quiet"                                                                   \
	}
#define BY_READV                                                                                   \
	{                                                                                          \
		"process_vm_readv"                                                                 \
	}
#define BY_COPY                                                                                    \
	{                                                                                          \
		"image.copy", "image.copy.avx2"                                                    \
	}
#define COUNTED                                                                                    \
	{                                                                                          \
		PLACE_WARM, true, 256, 256                                                         \
	}

/* Of a dump of 64 GiB: until a page of it has been read. */
#define OPENING(kind)                                                                              \
	{ "open." kind ".64G", NEAR, "open." kind, { "limit of time" }, .unit = "ms" },            \
	{                                                                                          \
		"open." kind ".64G.memory", NEAR, "open." kind ".memory", { "limit of memory" },   \
			.unit = "MiB"                                                              \
	}

/* A peer at what our own choice of engine does. */
#define PEER(peer, size)                                                                           \
	{                                                                                          \
		"peer." peer ".rand." #size, WARM(size, 256), "auto.completions",                  \
		{                                                                                  \
			peer                                                                       \
		}                                                                                  \
	}
#define PEERS(size)                                                                                \
	PEER("pread", size), PEER("mmap+memcpy", size), PEER("mmap+avx2", size),                   \
		PEER("liburing.defer", size), PEER("fio.psync", size), PEER("fio.io_uring", size), \
		PEER("fio.mmap", size), PEER("libuv", size)

static const struct row named[] = {
	{ "auto.rand.1", WARM(1, 256), "auto.completions", BY_MMAP },
	{ "auto.rand.256", WARM(256, 256), "auto.completions", BY_MMAP },
	{ "auto.rand.4096", WARM(4096, 256), "auto.completions", BY_MMAP },
	{ "auto.rand.65536", WARM(65536, 256), "auto.completions", BY_MMAP },
	{ "uring.seq.1.completions", ALONG(1, 256), "uring.completions", BY_PREAD },
	{ "uring.seq.1.tasks", ALONG(1, 256), "uring.tasks", BY_PREAD },
	{ "uring.rand.256.tasks", WARM(256, 256), "uring.tasks", BY_HAND },
	PEERS(1),
	PEERS(256),
	PEERS(4096),
	PEERS(65536),
	{ "uring.hot.256", HOT(256, 256), "uring.completions", BY_HAND },
	{ "uring.hot.256.cpu", HOT(256, 256), "uring.completions", BY_HAND, .cpu = true },
	{ "uring.hot.256.cpu.quiet", HOT(256, 256), "uring.completions", BY_QUIET, .cpu = true },
	{ "uring.rand.256.quiet", WARM(256, 256), "uring.completions", BY_QUIET },
	{ "ram.8.completion", NEAR, "ram.completion", BY_MEMCPY },
	{ "ram.8.blocking", NEAR, "ram.blocking", BY_MEMCPY },
	{ "ram.8.task", NEAR, "ram.task", BY_MEMCPY },
	{ "ram.8.batch", NEAR, "ram.batch", BY_MEMCPY },
	{ "ram.8.single", NEAR, "ram.single", BY_MEMCPY },
	{ "ram.8.file", NEAR, "ram.file", BY_MEMCPY },
	{ "ram.8.remap", NEAR, "ram.remap", BY_MEMCPY },
	{ "layer.remap", NEAR, "layer.remap", { "ram.blocking" } },
	{ "ram.8.virtual", NEAR, "ram.virtual", BY_MEMCPY },
	{ "ram.far.8.completion", FAR, "ram.completion", BY_MEMCPY },
	{ "ram.far.8.blocking", FAR, "ram.blocking", BY_MEMCPY },
	{ "ram.far.8.virtual", FAR, "ram.virtual", BY_MEMCPY },
	{ "task.switch", NEAR, "task.switch", { "swapcontext" } },
	{ "task.parked", NEAR, "task.parked", { "limit of bytes" }, .unit = "bytes" },
	{ "scan.1thread", ALONG(1, 1), "scan.1thread", { "memchr" }, .unit = "ns/MiB" },
	{ "scan.2threads", ALONG(1, 1), "scan.2threads", { "scan.1thread" }, .unit = "ns/MiB" },
	{ "scan.2threads.floor",
	  ALONG(1, 1),
	  "scan.2threads",
	  { "memchr.2threads" },
	  .unit = "ns/MiB" },
	{ "scan.2threads.memory",
	  ALONG(1, 1),
	  "scan.2threads",
	  { "reading.2threads" },
	  .unit = "ns/MiB" },
	{ "scan.memchr.2threads", ALONG(1, 1), "memchr.2threads", { "memchr" }, .unit = "ns/MiB" },
	{ "uring.syscalls", COUNTED, "uring.syscalls", { "limit of calls" }, .unit = "calls" },
	{ "uring.syscalls.eventfd",
	  COUNTED,
	  "uring.transfers",
	  { "none at all" },
	  .unit = "calls" },
	{ "phys.8.rand.batch64", IMAGE(8, 64), "image.physical", BY_COPY, .cpu = true },
	{ "phys.8.rand.batch4096", IMAGE(8, 4096), "image.physical", BY_COPY, .cpu = true },
	{ "phys.8.hot.batch64", IMAGE_HOT, "image.physical", BY_COPY, .cpu = true },
	{ "phys.4096.rand.batch64", IMAGE(4096, 64), "image.physical", BY_COPY, .cpu = true },
	{ "virt.8.rand.batch64", IMAGE(8, 64), "image.direct", BY_COPY, .cpu = true },
	{ "virt.8.hot.batch64", IMAGE_HOT, "image.direct", BY_COPY, .cpu = true },
	{ "virt.8.vmalloc.batch64", IMAGE(8, 64), "image.vmalloc", BY_COPY, .cpu = true },
	{ "virt.mixed.batch4096", IMAGE(8, 4096), "image.mixed", { "image.unmixed" }, .cpu = true },
	{ "virt.4096.rand.batch64",
	  IMAGE(4096, 64),
	  "image.direct",
	  { "image.physical" },
	  .cpu = true },
	{ "growth.phys.batch1000000",
	  IMAGE(8, 1000000),
	  "image.physical",
	  { "image.physical.by64" },
	  .cpu = true },
	{ "growth.virt.batch1000000",
	  IMAGE(8, 1000000),
	  "image.direct",
	  { "image.direct.by64" },
	  .cpu = true },
	{ "growth.phys.sparse64G",
	  IMAGE(8, 64),
	  "image.sparse",
	  { "image.physical" },
	  .cpu = true },
	{ "proc.4096.batch64", PROCESS, "process.batch", BY_READV, .cpu = true },
	{ "proc.8.batch64", PROCESS_FEW, "process.batch", BY_READV, .cpu = true },
	{ "kdump.rand.4096.batch64", DUMP(true, 4096, 64), "kdump.batch", { "libkdumpfile" } },
	{ "kdump.rand.8.batch64", DUMP(true, 8, 64), "kdump.batch", { "libkdumpfile" } },
	{ "kdump.seq", DUMP(false, 65536, 16), "kdump.batch", { "libkdumpfile" } },
	{ "kdump-zstd.rand.4096.batch64",
	  DUMP(true, 4096, 64),
	  "kdump.zstd.batch",
	  { "libkdumpfile.zstd" } },
	{ "kdump-zstd.seq", DUMP(false, 65536, 16), "kdump.zstd.batch", { "libkdumpfile.zstd" } },
	OPENING("kdump"),
	OPENING("elf"),
	OPENING("lime"),
	{ "open.kdump.64G.last", NEAR, "open.kdump.last", { "open.kdump" }, .unit = "ms" },
	{ "echo.1000.64", ECHO, "echo.callbacks", BY_HAND_ECHO },
	{ "echo.1000.64.cpu", ECHO, "echo.callbacks", BY_HAND_ECHO, .cpu = true },
	{ "echo.1000.64.tasks", ECHO, "echo.tasks", BY_HAND_ECHO },
	{ "remote.virt.delay",
	  IMAGE(8, 10000),
	  "image.remote",
	  { "limit of trips" },
	  .unit = "trips" },
	{ "nbd.rand.4096.qd256", WARM(4096, 256), "nbd", { "nbdkit" } },
	{ "nbd.delay5ms.rand.4096.qd256",
	  WARM(4096, 256),
	  "nbd.delay",
	  { "limit of 256 in 5 ms" } },
	/* Last, for they empty the page cache. */
	{ "uring.cold.4096.qd256",
	  COLD(4096, 256),
	  "uring.past.completions",
	  { "liburing.direct", "fio.direct" } },
	{ "threads.cold.4096.qd256",
	  COLD(4096, 256),
	  "threads.past.completions",
	  { "liburing.direct", "fio.direct" } },
	{ "uring.cold.4096.cached",
	  COLD(4096, 256),
	  "uring.completions",
	  { "liburing.direct", "fio.direct" } },
	{ "uring.cold.4096.pread", COLD(4096, 256), "uring.completions", BY_PREAD },
	{ "peer.fio.cold.4096", COLD(4096, 256), "uring.past.completions", { "fio.direct" } },
	{ "peer.libuv.cold.4096", COLD(4096, 256), "uring.completions", { "libuv" } },
};

/* What each engine is measured by: what does the same the shortest way. */
static const struct {
	const char *label;
	const char *many[REFERENCES_MAX]; /* with several in flight */
	const char *one[REFERENCES_MAX];  /* with one               */
} engines[] = {
	{ "sync", BY_PREAD, BY_PREAD },    { "epoll", BY_PREAD, BY_PREAD },
	{ "threads", BY_PREAD, BY_PREAD }, { "uring", BY_HAND, BY_HAND },
	{ "direct", BY_MMAP, BY_MMAP },    { "auto", BY_MMAP, BY_PREAD },
};

static const uint32_t sizes[] = { 1, 256, 4096, 65536 };
static const uint32_t depths[] = { 1, 64, 256 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Names of contenders, "auto.completions", made here once; rows point to them. */
static const char *contender_name(size_t engine, bool one)
{
	static char names[COUNT(engines)][2][32];
	char *name = names[engine][one];

	snprintf(name, sizeof(names[0][0]), "%s.%s", engines[engine].label,
		 one ? "blocking" : "completions");
	return name;
}

static void add(struct rows *rows, const char *pattern, const struct row *row)
{
	if (pattern && fnmatch(pattern, row->name, 0) != 0)
		return;
	if (rows->n < ROWS_MAX)
		rows->at[rows->n++] = *row;
}

static void add_shape(struct rows *rows, const char *pattern, const struct shape *shape)
{
	bool one = shape->depth == 1;

	for (size_t i = 0; i < COUNT(engines); i++) {
		struct row row = { .shape = *shape, .ours = contender_name(i, one) };
		memcpy(row.references, one ? engines[i].one : engines[i].many,
		       sizeof(row.references));
		snprintf(row.name, sizeof(row.name), "%s.%s.%u.qd%u", engines[i].label,
			 shape->random ? "rand" : "seq", shape->size, shape->depth);
		add(rows, pattern, &row);
	}
}

int rows_create(const char *pattern, struct rows *ret)
{
	*ret = (struct rows){ .at = calloc(ROWS_MAX, sizeof(*ret->at)) };
	if (!ret->at)
		return -ENOMEM;
	for (size_t order = 0; order < 2; order++) {
		for (size_t s = 0; s < COUNT(sizes); s++) {
			for (size_t d = 0; d < COUNT(depths); d++)
				add_shape(ret, pattern,
					  &(struct shape){ PLACE_WARM, order == 0, sizes[s],
							   depths[d] });
		}
	}
	for (size_t i = 0; i < COUNT(named); i++)
		add(ret, pattern, &named[i]);
	for (size_t i = 0; i < ret->n; i++)
		ret->at[i].unit = ret->at[i].unit ? ret->at[i].unit : "ns";
	return 0;
}

void rows_destroy(struct rows *rows)
{
	free(rows->at);
	rows->at = NULL;
}
