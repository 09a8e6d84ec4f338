/* SPDX-License-Identifier: MIT */
/*
 * What the core costs: ns a piece for 8-byte reads of mapped memory in batches, through each door,
 * beside the floor of the same run (memcpy of the same bytes at the same addresses); the same through a
 * virtual space; a task switch. Each number is the best of several rounds: noise only adds.
 */
#include <sonde/batch.h>
#include <sonde/io.h>
#include <sonde/plugin.h>
#include <sonde/task.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arch/paging.h"
#include "space/backed.h"

#define MEMORY (UINT64_C(64) << 20)
#define N_BATCH 64u
#define BATCHES 2000u /* of one round */
#define ROUNDS 9
#define PIECES (N_BATCH * BATCHES)

struct bench {
	struct sonde_loop *loop;
	struct sonde_space *space, *virtual_space;
	struct sonde_space *file, *virtual_file; /* the same bytes in a mapped file */
	int fd;
	uint8_t *memory;
	uint64_t addrs[PIECES];
	uint64_t values[PIECES];
	struct sonde_xfer xfers[PIECES];
};

/* Where the compiler must believe the values are used. */
static void keep(const void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

static void by_memcpy(struct bench *bench)
{
	for (uint32_t i = 0; i < PIECES; i++) {
		const uint8_t *from = bench->memory + bench->addrs[i];
		uint32_t len = bench->xfers[i].len; /* not a constant, as in a real copy */
		memcpy(&bench->values[i], from, len);
	}
	keep(bench->values);
}

static void by_blocking(struct bench *bench)
{
	for (uint32_t b = 0; b < BATCHES; b++)
		sonde_space_read(bench->space, bench->xfers + b * N_BATCH, N_BATCH);
}

static void by_blocking_single(struct bench *bench)
{
	for (uint32_t i = 0; i < PIECES; i++)
		sonde_space_read(bench->space, bench->xfers + i, 1);
}

static void by_virtual(struct bench *bench)
{
	for (uint32_t b = 0; b < BATCHES; b++)
		sonde_space_read(bench->virtual_space, bench->xfers + b * N_BATCH, N_BATCH);
}

static void by_file(struct bench *bench)
{
	for (uint32_t b = 0; b < BATCHES; b++)
		sonde_space_read(bench->file, bench->xfers + b * N_BATCH, N_BATCH);
}

static void by_virtual_file(struct bench *bench)
{
	for (uint32_t b = 0; b < BATCHES; b++)
		sonde_space_read(bench->virtual_file, bench->xfers + b * N_BATCH, N_BATCH);
}

static void nothing(struct sonde_io *io)
{
	(void)io;
}

/* 32 requests of a batch each in flight together, as a program at work would have. */
static void by_completion(struct bench *bench)
{
	enum { FLIGHT = 32 };
	static struct sonde_io ios[FLIGHT];

	for (uint32_t b = 0; b < BATCHES;) {
		for (uint32_t k = 0; k < FLIGHT && b < BATCHES; k++, b++) {
			ios[k] = (struct sonde_io){ .xfers = bench->xfers + b * N_BATCH,
						    .n = N_BATCH,
						    .done = nothing };
			sonde_io_submit(bench->space, &ios[k]);
		}
		sonde_loop_turn(bench->loop);
	}
}

static void by_batch(struct bench *bench)
{
	struct sonde_batch *batch = sonde_batch_create(bench->loop);

	for (uint32_t b = 0; b < BATCHES; b++) {
		for (uint32_t i = b * N_BATCH; i < (b + 1) * N_BATCH; i++)
			sonde_batch_add(batch, bench->space, bench->addrs[i], &bench->values[i], 8,
					NULL);
		sonde_batch_run(batch);
	}
	sonde_batch_destroy(batch);
}

static int yielder(struct sonde_task *task, void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < PIECES / 2; i++)
		sonde_task_yield(task);
	return 0;
}

/* Two tasks that hand over to each other: each yield is two switches, out and in. */
static void by_yield(struct bench *bench)
{
	sonde_task_spawn(bench->loop, yielder, NULL, NULL);
	sonde_task_spawn(bench->loop, yielder, NULL, NULL);
	sonde_loop_run(bench->loop);
}

static int task_reads(struct sonde_task *task, void *arg)
{
	struct bench *bench = arg;

	for (uint32_t b = 0; b < BATCHES; b++)
		sonde_task_read(task, bench->space, bench->xfers + b * N_BATCH, N_BATCH);
	return 0;
}

static void by_task(struct bench *bench)
{
	struct sonde_task *task;

	if (sonde_task_spawn(bench->loop, task_reads, bench, &task) == 0)
		sonde_task_join(NULL, task);
}

static double best_ns(struct bench *bench, void (*run)(struct bench *))
{
	double best = 1e18;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t start = sonde_now_ns();
		run(bench);
		double ns = (double)(sonde_now_ns() - start) / PIECES;
		best = ns < best ? ns : best;
	}
	return best;
}

/* ---- the memory, as a connector tells it ------------------------------------------------------- */

static int tell(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct bench *bench = conn;
	struct sonde_extent e = { .len = MEMORY,
				  .kind = SONDE_EXTENT_MEMORY,
				  .flags = SONDE_REGION_READ | SONDE_REGION_WRITE,
				  .ptr = bench->memory };

	(void)err;
	return fn(user, &e);
}

static int tell_file(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct bench *bench = conn;
	struct sonde_extent e = { .len = MEMORY,
				  .kind = SONDE_EXTENT_FILE,
				  .flags = SONDE_REGION_READ,
				  .fd = bench->fd };

	(void)err;
	return fn(user, &e);
}

static void close_nothing(void *conn)
{
	(void)conn;
}

/* 2 MiB pages, one to one, from tables in the last two pages; Intel SDM 3A 4.5. */
static uint64_t map_all(uint8_t *memory)
{
	uint64_t root = MEMORY - 3 * 4096, middle = root + 4096, low = root + 8192;

	memset(memory + root, 0, 3 * 4096);
	*(uint64_t *)(memory + root) = middle | 3;
	*(uint64_t *)(memory + middle) = low | 3;
	for (uint64_t i = 0; i < MEMORY >> 21; i++)
		*(uint64_t *)(memory + low + 8 * i) = i << 21 | 0x83;
	return root;
}

static void set_addrs(struct bench *bench, uint64_t span)
{
	uint64_t random = 88172645463325252u; /* xorshift64, Marsaglia 2003 */

	for (uint32_t i = 0; i < PIECES; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		bench->addrs[i] = random % (span / 8) * 8;
		bench->xfers[i] = (struct sonde_xfer){ .addr = bench->addrs[i],
						       .buf = &bench->values[i],
						       .len = 8 };
	}
}

static int open_all(struct bench *bench)
{
	struct sonde_connector_ops ops = { .size = sizeof(ops),
					   .extents = tell,
					   .close = close_nothing };

	bench->memory = malloc(MEMORY);
	if (!bench->memory)
		return SONDE_E_NO_MEMORY;
	memset(bench->memory, 1, MEMORY);
	int r = sonde_loop_create(NULL, &bench->loop, NULL);
	if (r == 0)
		r = space_from_connector(bench->loop, &ops, bench, &bench->space, NULL);
	if (r == 0)
		r = paging_space(bench->space, paging_x86_64(4), map_all(bench->memory), 0,
				 &bench->virtual_space);
	return r;
}

/* As open_all, of a file that holds the same; its maps are read under guard. */
static int open_file(struct bench *bench)
{
	struct sonde_connector_ops ops = { .size = sizeof(ops),
					   .extents = tell_file,
					   .close = close_nothing };

	bench->fd = memfd_create("bench", 0);
	if (bench->fd < 0 || write(bench->fd, bench->memory, MEMORY) != (ssize_t)MEMORY)
		return SONDE_E_NO_MEMORY;
	int r = space_from_connector(bench->loop, &ops, bench, &bench->file, NULL);
	if (r == 0)
		r = paging_space(bench->file, paging_x86_64(4), MEMORY - 3 * 4096, 0,
				 &bench->virtual_file);
	return r;
}

static const struct {
	const char *name;
	void (*run)(struct bench *);
} rows[] = {
	{ "memcpy (floor)", by_memcpy },
	{ "blocking door", by_blocking },
	{ "completion door", by_completion },
	{ "task door", by_task },
	{ "sonde_batch", by_batch },
	{ "virtual, blocking", by_virtual },
	{ "mapped file, blocking", by_file },
	{ "virtual over mapped file", by_virtual_file },
	{ "blocking, one piece a call", by_blocking_single },
	{ "task yield (two switches)", by_yield },
};

static void run_rows(struct bench *bench, uint64_t span)
{
	double floor_ns = 0;

	set_addrs(bench, span);
	printf("8-byte pieces in batches of %u, over %llu KiB\n", N_BATCH,
	       (unsigned long long)(span >> 10));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		double ns = best_ns(bench, rows[i].run);
		floor_ns = i ? floor_ns : ns;
		printf("  %-28s %7.1f ns a piece  %6.1f x memcpy\n", rows[i].name, ns,
		       ns / floor_ns);
	}
}

int main(void)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	if (!bench || open_all(bench) < 0 || open_file(bench) < 0) {
		fprintf(stderr, "bench_core: out of memory\n");
		return 1;
	}
	run_rows(bench, 256 << 10);      /* in the second-level cache  */
	run_rows(bench, MEMORY - 65536); /* mostly out of every cache */
	sonde_space_close(bench->virtual_file);
	sonde_space_close(bench->file);
	close(bench->fd);
	sonde_space_close(bench->virtual_space);
	sonde_space_close(bench->space);
	sonde_loop_destroy(bench->loop);
	free(bench->memory);
	free(bench);
	return 0;
}
