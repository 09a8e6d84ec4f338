/* SPDX-License-Identifier: MIT */
/*
 * Sonde at a kdump-compressed dump, in batches, beside libkdumpfile (Petr Tesarik), which reads one stretch a call. The dump
 * is made here: 256 MiB of what memory is like, words that point near each other among text and zeros, packed by zlib or zstd:
 * which one is the contender's argument.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef HAVE_LIBKDUMPFILE
#include <libkdumpfile/kdumpfile.h>
#endif

#include "contenders.h"
#include "ours.h"
#include "synth/kdump.h"

#define PAGE 4096u

struct dump {
	int fd;
	uint8_t *memory; /* what it holds */
	uint64_t size;
};

/* xorshift64 (Marsaglia 2003). */
static uint64_t draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Half of it small numbers and zeros, a quarter pointers, a quarter text: zlib makes a third of it. */
static void fill_page(uint64_t addr, uint8_t *page, size_t size)
{
	uint64_t state = addr * UINT64_C(0x9e3779b97f4a7c15) | 1;
	uint64_t base = UINT64_C(0xffff888000000000) + (draw(&state) & 0xfffffff000);

	for (size_t i = 0; i < size; i += 8) {
		uint64_t dice = draw(&state), word = 0;
		if (dice % 4 == 0)
			word = base + (dice >> 8 & 0xfff8);
		else if (dice % 4 == 1)
			word = (dice >> 8 & UINT64_C(0x0707070707070707)) |
			       UINT64_C(0x6060606060606060);
		else if (dice % 8 == 2)
			word = dice >> 56;
		memcpy(page + i, &word, 8);
	}
}

/* status of its head, as the flags of a page: makedumpfile 1.7.2 diskdump_mod.h. */
static int make(struct dump *dump, uint64_t size, enum synth_page kind)
{
	size_t n = size / PAGE, len;
	uint8_t *kinds = malloc(n);

	if (!kinds)
		return -ENOMEM;
	memset(kinds, (int)kind, n);
	struct synth_kdump spec = { .kinds = kinds,
				    .n_pages = n,
				    .status = kind == SYNTH_ZSTD ? 0x20 : 1,
				    .fill = fill_page };
	uint8_t *bytes = synth_kdump(&spec, &len);
	free(kinds);
	dump->memory = malloc(size);
	dump->fd = memfd_create("bench-kdump", MFD_CLOEXEC);
	int whole = bytes && dump->memory && dump->fd >= 0 && ftruncate(dump->fd, (off_t)len) == 0;
	for (size_t done = 0, some; whole && done < len; done += some) {
		ssize_t n_written = write(dump->fd, bytes + done, len - done);
		whole = n_written > 0;
		some = whole ? (size_t)n_written : 0;
	}
	free(bytes);
	for (uint64_t at = 0; whole && at < size; at += PAGE)
		fill_page(at, dump->memory + at, PAGE);
	dump->size = size;
	return whole ? 0 : -ENOMEM;
}

static int is_zstd(const struct contender *contender)
{
	return strcmp(contender->arg, "zstd") == 0;
}

/* Each made once; they stay until the program ends. */
static const struct dump *dump_get(const struct contender *contender, uint64_t size)
{
	static struct dump dumps[2];
	struct dump *dump = &dumps[is_zstd(contender)];

	if (!dump->size && make(dump, size, is_zstd(contender) ? SYNTH_ZSTD : SYNTH_ZLIB) < 0)
		return NULL;
	return dump;
}

/* ---- ours ------------------------------------------------------------------------------------------ */

struct reading {
	struct ours *ours;
	struct sonde_xfer *xfers; /* [depth] */
};

static void close_ours(void *state)
{
	struct reading *reading = state;

	ours_destroy(reading->ours);
	free(reading->xfers);
	free(reading);
}

static int open_ours(const struct contender *contender, struct work *work, void **ret)
{
	struct reading *reading = calloc(1, sizeof(*reading));
	const struct dump *dump = dump_get(contender, work->len);
	char name[64];

	if (!reading || !dump)
		return -ENOMEM;
	reading->xfers = calloc(work->shape.depth, sizeof(*reading->xfers));
	snprintf(name, sizeof(name), "kdump:/proc/self/fd/%d", dump->fd);
	int r = reading->xfers ? ours_create(contender, "auto", name, 0, &reading->ours) : -ENOMEM;
	if (r != 0) {
		close_ours(reading);
		return r;
	}
	work->memory = dump->memory;
	*ret = reading;
	return 0;
}

static int run_ours(void *state, struct work *work)
{
	struct reading *reading = state;
	struct walk walk = walk_start(work);
	uint32_t depth = work->shape.depth;

	for (uint64_t done = 0; done < work->n_ops; done += depth) {
		for (uint32_t i = 0; i < depth; i++) {
			struct slot *slot = &work->slots[i];
			slot->off = walk_next(&walk);
			reading->xfers[i] = (struct sonde_xfer){ .addr = slot->off,
								 .buf = slot->buf,
								 .len = work->shape.size };
		}
		if (sonde_space_read(reading->ours->space, reading->xfers, depth) != (int)depth)
			return -EIO;
	}
	return 0;
}

/* ---- the peer -------------------------------------------------------------------------------------- */

#ifdef HAVE_LIBKDUMPFILE
/*
 * Opened once, and never freed: kdump_free() of 0.5.1 uses attributes it has freed (https://github.com/osandov/drgn/issues/280),
 * and ends the program where freed memory is overwritten.
 */
static kdump_ctx_t *peer_get(const struct contender *contender, const struct dump *dump)
{
	static kdump_ctx_t *both[2];
	kdump_ctx_t **ctx = &both[is_zstd(contender)];

	if (*ctx)
		return *ctx;
	*ctx = kdump_new();
	if (*ctx && kdump_open_fd(*ctx, dump->fd) != KDUMP_OK) {
		fprintf(stderr, "bench: libkdumpfile: %s\n", kdump_get_err(*ctx));
		*ctx = NULL;
	}
	return *ctx;
}

/* Whether it was built with what the pages are packed by. */
static int can_read(kdump_ctx_t *ctx)
{
	char byte;
	size_t len = 1;

	return kdump_read(ctx, KDUMP_MACHPHYSADDR, 0, &byte, &len) == KDUMP_OK;
}

static int open_peer(const struct contender *contender, struct work *work, void **ret)
{
	const struct dump *dump = dump_get(contender, work->len);

	if (!dump)
		return -ENOMEM;
	*ret = peer_get(contender, dump);
	work->memory = dump->memory;
	if (*ret && !can_read(*ret))
		return bench_skip(contender, "built without what these pages are packed by");
	return *ret ? 0 : -EINVAL;
}

static int run_peer(void *state, struct work *work)
{
	struct walk walk = walk_start(work);
	uint32_t depth = work->shape.depth;

	for (uint64_t done = 0; done < work->n_ops; done += depth) {
		for (uint32_t i = 0; i < depth; i++) {
			struct slot *slot = &work->slots[i];
			size_t len = work->shape.size;
			slot->off = walk_next(&walk);
			if (kdump_read(state, KDUMP_MACHPHYSADDR, slot->off, slot->buf, &len) !=
			    KDUMP_OK)
				return -EIO;
		}
	}
	return 0;
}
#else
static int open_peer(const struct contender *contender, struct work *work, void **ret)
{
	(void)work;
	(void)ret;
	return bench_skip(contender, "built without it");
}
#define run_peer NULL
#endif

const struct contender contenders_kdump[] = {
	{ "kdump.batch", "zlib", .open = open_ours, .run = run_ours, .close = close_ours },
	{ "libkdumpfile", "zlib", .open = open_peer, .run = run_peer },
	{ "kdump.zstd.batch", "zstd", .open = open_ours, .run = run_ours, .close = close_ours },
	{ "libkdumpfile.zstd", "zstd", .open = open_peer, .run = run_peer },
	{ 0 },
};
