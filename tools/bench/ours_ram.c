/* SPDX-License-Identifier: MIT */
/*
 * Sonde at memory: 8-byte pieces in batches through each door, over the ram connector and over a mapped
 * file; and through page tables, which the public interface makes only as part of an operating system.
 */
#include <errno.h>
#include <sonde/batch.h>
#include <sonde/error.h>
#include <sonde/io.h>
#include <sonde/task.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch/paging.h"
#include "contenders.h"
#include "ours.h"
#include "pieces.h"

#define FLIGHT 32u /* requests submitted together, as a program at work would have them */
#define STRETCHES UINT64_C(64)
#define TABLES (3u * 4096u) /* of three levels, behind the memory */

struct ram {
	struct ours *ours;
	struct pieces *pieces;
	struct sonde_space *space; /* that is read: ours->space, or virtual */
	struct sonde_space *virtual;
	struct sonde_batch *batch;
	struct sonde_io ios[FLIGHT];
	int fd; /* of the mapped file, else -1 */
	int error;
};

/* ---- opening ---------------------------------------------------------------------------------------- */

static int open_memory(const struct contender *contender, const struct work *work, struct ram *ram)
{
	char name[64];

	snprintf(name, sizeof(name), "ram:size=%llu", (unsigned long long)work->len + TABLES);
	int r = ours_create(contender, "direct", name, OURS_WRITE, &ram->ours);
	if (r != 0)
		return r;
	return ours_errno(sonde_space_put(ram->ours->space, 0, ram->pieces->memory, work->len));
}

static int open_mapped(const struct contender *contender, const struct work *work, struct ram *ram)
{
	char name[64];

	ram->fd = memfd_create("bench", MFD_CLOEXEC);
	if (ram->fd < 0)
		return -errno;
	if (ftruncate(ram->fd, (off_t)work->len) < 0 ||
	    pwrite(ram->fd, ram->pieces->memory, work->len, 0) != (ssize_t)work->len)
		return -errno;
	snprintf(name, sizeof(name), "flat:/proc/self/fd/%d", ram->fd);
	return ours_create(contender, "direct", name, 0, &ram->ours);
}

/* In stretches that lie in another order below: of 4 KiB where the memory is the near one. */
static int open_remapped(const struct contender *contender, const struct work *work,
			 struct ram *ram)
{
	uint64_t len = work->len / STRETCHES;
	char name[4096];
	int n = snprintf(name, sizeof(name),
			 "ram:size=%llu|remap,map=", (unsigned long long)work->len);

	for (uint64_t i = 0; i < STRETCHES; i++)
		n += snprintf(name + n, sizeof(name) - (size_t)n, "%s0x%llx+0x%llx@0x%llx",
			      i ? ";" : "", (unsigned long long)(i * len), (unsigned long long)len,
			      (unsigned long long)((i * 37 + 5) % STRETCHES * len));
	int r = ours_create(contender, "direct", name, OURS_WRITE, &ram->ours);
	if (r == -ENOENT)
		return bench_skip(contender, "there is no layer remap");
	if (r != 0)
		return r;
	return ours_errno(sonde_space_put(ram->ours->space, 0, ram->pieces->memory, work->len));
}

/* 2 MiB pages, one to one, from tables behind the memory; Intel SDM 3A 4.5. */
static int open_virtual(const struct contender *contender, const struct work *work, struct ram *ram)
{
	static uint64_t tables[TABLES / 8];
	uint64_t root = work->len, middle = root + 4096, low = root + 8192;
	int r = open_memory(contender, work, ram);

	if (r != 0)
		return r;
	memset(tables, 0, sizeof(tables));
	tables[0] = middle | 3;
	tables[512] = low | 3;
	for (uint64_t i = 0; i < 512; i++)
		tables[1024 + i] = i << 21 | 0x83;
	r = sonde_space_put(ram->ours->space, root, tables, sizeof(tables));
	if (r == 0)
		r = paging_space(ram->ours->space, paging_map(paging_x86_64(4), root), 0,
				 &ram->virtual);
	return ours_errno(r);
}

static int open_over(const struct contender *contender, const struct work *work, struct ram *ram)
{
	static const struct {
		const char *over;
		int (*open)(const struct contender *contender, const struct work *work,
			    struct ram *ram);
	} ways[] = {
		{ "memory", open_memory },
		{ "file", open_mapped },
		{ "remap", open_remapped },
		{ "virtual", open_virtual },
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (strcmp(ways[i].over, contender->arg) == 0)
			return ways[i].open(contender, work, ram);
	}
	return -EINVAL;
}

static void close_ram(void *state)
{
	struct ram *ram = state;

	sonde_batch_destroy(ram->batch);
	sonde_space_close(ram->virtual);
	ours_destroy(ram->ours);
	pieces_destroy(ram->pieces);
	if (ram->fd >= 0)
		close(ram->fd);
	free(ram);
}

static int open_ram(const struct contender *contender, struct work *work, void **ret)
{
	struct ram *ram = calloc(1, sizeof(*ram));
	int r = -ENOMEM;

	if (!ram)
		return r;
	ram->fd = -1;
	ram->pieces = pieces_create(work);
	if (ram->pieces)
		r = open_over(contender, work, ram);
	if (r == 0) {
		ram->space = ram->virtual ? ram->virtual : ram->ours->space;
		ram->batch = sonde_batch_create(ram->ours->loop);
		r = ram->batch ? 0 : -ENOMEM;
	}
	if (r != 0)
		close_ram(ram);
	else
		*ret = ram;
	return r;
}

/* ---- the doors --------------------------------------------------------------------------------------- */

static uint64_t n_batches(const struct work *work)
{
	return (work->n_ops + work->shape.depth - 1) / work->shape.depth;
}

static int run_blocking(void *state, struct work *work)
{
	struct ram *ram = state;
	struct pieces *pieces = ram->pieces;

	for (uint64_t b = 0; b < n_batches(work); b++) {
		struct sonde_xfer *xfers = pieces->xfers + pieces_batch(work, b);
		if (sonde_space_read(ram->space, xfers, work->shape.depth) !=
		    (int)work->shape.depth)
			return -EIO;
	}
	pieces_show(pieces, work);
	return 0;
}

static int run_single(void *state, struct work *work)
{
	struct ram *ram = state;
	struct pieces *pieces = ram->pieces;

	for (uint64_t b = 0; b < n_batches(work); b++) {
		struct sonde_xfer *xfers = pieces->xfers + pieces_batch(work, b);
		for (uint32_t i = 0; i < work->shape.depth; i++) {
			if (sonde_space_read(ram->space, xfers + i, 1) != 1)
				return -EIO;
		}
	}
	pieces_show(pieces, work);
	return 0;
}

static void completed(struct sonde_io *io)
{
	struct ram *ram = io->user;

	if (io->result != (int32_t)io->n)
		ram->error = -EIO;
}

static int run_completion(void *state, struct work *work)
{
	struct ram *ram = state;
	struct pieces *pieces = ram->pieces;

	ram->error = 0;
	for (uint64_t b = 0; b < n_batches(work) && !ram->error;) {
		for (uint32_t k = 0; k < FLIGHT && b < n_batches(work); k++, b++) {
			ram->ios[k] = (struct sonde_io){
				.xfers = pieces->xfers + pieces_batch(work, b),
				.n = work->shape.depth,
				.done = completed,
				.user = ram,
			};
			int r = sonde_io_submit(ram->space, &ram->ios[k]);
			if (r < 0)
				ram->error = ours_errno(r);
		}
		sonde_loop_run(ram->ours->loop);
	}
	pieces_show(pieces, work);
	return ram->error;
}

static int run_batch(void *state, struct work *work)
{
	struct ram *ram = state;
	struct pieces *pieces = ram->pieces;

	for (uint64_t b = 0; b < n_batches(work); b++) {
		uint32_t first = pieces_batch(work, b);
		for (uint32_t i = first; i < first + work->shape.depth; i++)
			sonde_batch_add(ram->batch, ram->space, pieces->addrs[i],
					&pieces->values[i], 8, NULL);
		if (sonde_batch_run(ram->batch) != (int)work->shape.depth)
			return -EIO;
	}
	pieces_show(pieces, work);
	return 0;
}

struct errand {
	struct ram *ram;
	struct work *work;
};

static int reader(struct sonde_task *task, void *arg)
{
	struct errand *errand = arg;
	struct work *work = errand->work;

	for (uint64_t b = 0; b < n_batches(work); b++) {
		struct sonde_xfer *xfers = errand->ram->pieces->xfers + pieces_batch(work, b);
		if (sonde_task_read(task, errand->ram->space, xfers, work->shape.depth) !=
		    (int)work->shape.depth)
			return -EIO;
	}
	return 0;
}

static int run_task(void *state, struct work *work)
{
	struct ram *ram = state;
	struct errand errand = { ram, work };
	struct sonde_task *task;
	int r = sonde_task_spawn(ram->ours->loop, reader, &errand, &task);

	r = r < 0 ? ours_errno(r) : sonde_task_join(NULL, task);
	pieces_show(ram->pieces, work);
	return r;
}

#define RAM(label, door, over)                                                                     \
	{                                                                                          \
		.name = "ram." label, .arg = over, .open = open_ram, .run = run_##door,            \
		.close = close_ram                                                                 \
	}

const struct contender contenders_ram[] = {
	RAM("blocking", blocking, "memory"),
	RAM("completion", completion, "memory"),
	RAM("task", task, "memory"),
	RAM("batch", batch, "memory"),
	RAM("single", single, "memory"),
	RAM("virtual", blocking, "virtual"),
	RAM("file", blocking, "file"),
	RAM("remap", blocking, "remap"),
	{ 0 },
};
