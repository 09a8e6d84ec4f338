/* SPDX-License-Identifier: MIT */
/*
 * A program without a C library that reads through the core: tasks that wait for a device make one trip,
 * page tables over the device are walked level by level, a layer stands in between, a timer fires
 * on a clock of the host's own. Each check prints a line; the program ends with how many failed.
 */
#include "bare.h"

#include <sonde/batch.h>
#include <sonde/error.h>
#include <sonde/task.h>

#include "arch/paging.h"
#include "base/mem.h"
#include "io/loop.h"
#include "space/backed.h"
#include "space/space.h"

#define RAM_SIZE (64u * 1024)
#define N_TASKS 5u
#define N_PAGES 4u
#define PAGE 4096u
#define VA UINT64_C(0x7f0000400000)

static int failed;

static void check(bool good, const char *what)
{
	bare_print(good ? "ok      " : "FAILED  ");
	bare_print(what);
	bare_print("\n");
	failed += !good;
}

/* ---- a device: takes batches, and ends them by an interrupt --------------------------------- */

struct device {
	struct sonde_space space;
	struct sonde_io *waiting, **tail;
	struct loop_post post;
};

static struct device device;
static _Alignas(PAGE) uint8_t ram[RAM_SIZE];

static void move_piece(struct sonde_io *io, uint32_t i)
{
	const struct sonde_xfer *x = &io->xfers[i];
	uint32_t good = x->addr >= RAM_SIZE           ? 0
			: x->len < RAM_SIZE - x->addr ? x->len
						      : (uint32_t)(RAM_SIZE - x->addr);

	if (good)
		memcpy(x->buf, ram + x->addr, good);
	if (good)
		io_account(io, i, 0, good, 0);
	if (good < x->len)
		io_account(io, i, good, x->len - good, SONDE_E_NOT_MAPPED);
}

static void device_done(struct loop_post *post)
{
	struct sonde_io *io = device.waiting;

	(void)post;
	device.waiting = NULL;
	device.tail = &device.waiting;
	while (io) {
		struct sonde_io *next = io_core(io)->next;
		for (uint32_t i = 0; i < io->n; i++)
			move_piece(io, i);
		io_finish(io);
		io = next;
	}
}

static void device_interrupt(void)
{
	if (!device.waiting)
		return;
	device.post.run = device_done;
	loop_post(device.space.loop, &device.post);
}

static void device_submit(struct sonde_space *space, struct sonde_io *list)
{
	(void)space;
	*device.tail = list;
	while (*device.tail)
		device.tail = &io_core(*device.tail)->next;
}

static void device_destroy(struct sonde_space *space)
{
	(void)space;
}

static const struct space_ops device_ops = { .submit = device_submit, .destroy = device_destroy };

static uint64_t device_trips(void)
{
	struct sonde_space_stats stats;

	sonde_space_stats(&device.space, &stats);
	return stats.trips;
}

/* ---- the checks ----------------------------------------------------------------------------- */

static int read_one(struct sonde_task *task, void *arg)
{
	uint32_t i = (uint32_t)(uintptr_t)arg;
	uint8_t byte = 0;
	struct sonde_xfer x = { .addr = RAM_SIZE - 1 - i, .buf = &byte, .len = 1 };

	return sonde_task_read(task, &device.space, &x, 1) == 1 ? byte : -1;
}

static void tasks_share_one_trip(struct sonde_loop *loop)
{
	struct sonde_task *tasks[N_TASKS];
	uint64_t trips = device_trips();
	bool right = true;

	for (uintptr_t i = 0; i < N_TASKS; i++) {
		ram[RAM_SIZE - 1 - i] = (uint8_t)(100 + i);
		right &= sonde_task_spawn(loop, read_one, (void *)i, &tasks[i]) == 0;
	}
	for (uint32_t i = 0; right && i < N_TASKS; i++)
		right &= sonde_task_join(NULL, tasks[i]) == (int)(100 + i);
	check(right, "each task reads its own byte");
	check(device_trips() - trips == 1, "what five tasks wait for is one trip");
}

static void put_entry(uint64_t at, uint64_t entry)
{
	memcpy(ram + at, &entry, sizeof(entry));
}

/* Tables at 0x1000..0x4000; pages from 0x5000 on, in falling order. */
static void make_tables(void)
{
	put_entry(0x1000 + 8 * (VA >> 39 & 511), 0x2000 | 7);
	put_entry(0x2000 + 8 * (VA >> 30 & 511), 0x3000 | 7);
	put_entry(0x3000 + 8 * (VA >> 21 & 511), 0x4000 | 7);
	for (uint64_t i = 0; i < N_PAGES; i++) {
		uint64_t pa = 0x5000 + (N_PAGES - 1 - i) * PAGE;
		put_entry(0x4000 + 8 * ((VA >> 12 & 511) + i), pa | 7);
		memset(ram + pa, (int)(0x10 + i), PAGE);
	}
}

static void page_tables_are_walked_by_level(struct sonde_loop *loop, struct sonde_space *phys)
{
	struct sonde_batch *batch = sonde_batch_create(loop);
	struct sonde_space *space = NULL;
	uint8_t bytes[N_PAGES + 1][2];
	int32_t err = 0;
	bool right =
		batch && paging_space(phys, paging_map(paging_x86_64(4), 0x1000), 0, &space) == 0;
	uint64_t trips = device_trips();

	/* Two bytes over each page's end: the last is behind what is mapped. Highest first, to be sorted. */
	for (uint64_t i = N_PAGES; right && i-- > 0;)
		right &= sonde_batch_add(batch, space, VA + (i + 1) * PAGE - 1, bytes[i], 2,
					 i == N_PAGES - 1 ? &err : NULL) == 0;
	check(right && sonde_batch_run(batch) == (int)N_PAGES - 1, "mapped pieces come in full");
	check(err == SONDE_E_NOT_MAPPED && bytes[N_PAGES - 1][1] == 0,
	      "behind the last page is a hole");
	for (uint32_t i = 0; i < N_PAGES; i++)
		right &= bytes[i][0] == 0x10 + i && (i == N_PAGES - 1 || bytes[i][1] == 0x11 + i);
	check(right, "each half of a piece is from its own page");
	check(device_trips() - trips == 5, "four levels and the bytes are five trips");
	sonde_space_close(space);
	sonde_batch_destroy(batch);
}

struct bystander {
	const struct sonde_host *host;
	void *below;
	uint32_t n_batches;
};

static struct bystander bystander;

static int bystander_open(const struct sonde_host *host, const struct sonde_args *args, void *below,
			  void **ret_conn, struct sonde_error *err)
{
	(void)args, (void)err;
	bystander = (struct bystander){ .host = host, .below = below };
	*ret_conn = &bystander;
	return SONDE_OK;
}

static void bystander_close(void *conn)
{
	(void)conn;
}

static void bystander_submit(void *conn, struct sonde_io *const *ios, size_t n)
{
	struct bystander *self = conn;

	self->n_batches++;
	self->host->forward(self->below, ios, n);
}

static void a_layer_stands_in_between(struct sonde_loop *loop)
{
	static const struct sonde_layer_ops ops = { .size = sizeof(ops),
						    .open = bystander_open,
						    .close = bystander_close,
						    .submit = bystander_submit };
	struct sonde_space *space = NULL;
	struct sonde_error err;
	int r = space_from_layer(loop, &ops, &space_host, NULL, &device.space, &space, &err);

	check(r == SONDE_OK, "a layer opens");
	if (r == SONDE_OK)
		page_tables_are_walked_by_level(loop, space);
	check(bystander.n_batches == 5, "every trip goes through the layer");
	sonde_space_close(space);
}

static int sleep_twice(struct sonde_task *task, void *arg)
{
	uint64_t *woke = arg;

	for (int i = 0; i < 2; i++) {
		if (sonde_task_sleep_until(task, sonde_now_ns() + 1000) < 0)
			return -1;
		woke[i] = sonde_now_ns();
	}
	return 0;
}

static void timers_follow_the_host_s_clock(struct sonde_loop *loop)
{
	uint64_t start = sonde_now_ns(), woke[2] = { 0 };

	check(sonde_task_spawn(loop, sleep_twice, woke, NULL) == 0 && sonde_loop_run(loop) == 0,
	      "the loop runs until nothing is left");
	check(woke[0] == start + 1000 && woke[1] == start + 2000,
	      "a task sleeps as long as it asked");
}

int bare_main(void)
{
	static struct sonde_loop loop;

	check(loop_init(&loop, 4) == SONDE_OK, "a loop without an engine");
	space_init(&device.space, &device_ops, &loop, &space_never);
	device.tail = &device.waiting;
	bare_interrupt = device_interrupt;
	make_tables();
	tasks_share_one_trip(&loop);
	page_tables_are_walked_by_level(&loop, &device.space);
	a_layer_stands_in_between(&loop);
	timers_follow_the_host_s_clock(&loop);
	loop_finish(&loop);
	return failed;
}
