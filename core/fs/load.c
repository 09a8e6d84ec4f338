/* SPDX-License-Identifier: MIT */
/*
 * All of a file: open, ask how long it is, read until nothing comes, close. The length is a hint: files
 * grow, and some say 0 and hold something.
 *
 *   submit ──▶ OPEN ──▶ STAT ──▶ READ ⟲ ──▶ CLOSE ──▶ done
 *                └── failed ──────┴──────────────────▶ │
 */
#include <sonde/error.h>
#include <sonde/file.h>

#include "base/mem.h"
#include "fs/fs.h"
#include "task/task.h"

#define MAX_DEFAULT (UINT64_C(1) << 30)
#define FIRST_ROOM UINT64_C(4096)
#define READ_MAX UINT64_C(0x40000000)

static void end(struct sonde_file_load *load)
{
	if (load->result < 0) {
		mem_release(load->bytes);
		load->bytes = NULL;
		load->len = 0;
	} else {
		load->bytes[load->len] = 0;
	}
	load->done(load);
}

/* The next operation on the file. */
static int submit(struct sonde_file_load *load, enum sonde_fs_op op)
{
	load->io.op = op;
	load->io.flags = 0;
	load->io.path = NULL;
	return sonde_fs_submit(load->fs, &load->io);
}

static void finish(struct sonde_file_load *load, int32_t result)
{
	load->result = result;
	load->os_code = result < 0 ? load->io.os_code : 0;
	if (!load->path || submit(load, SONDE_FS_CLOSE) < 0)
		end(load);
}

/* Room for bytes and the 0 behind them. */
static int reserve(struct sonde_file_load *load, uint64_t cap)
{
	char *bytes;

	if (cap >= SIZE_MAX)
		return SONDE_E_NO_MEMORY;
	bytes = mem_resize(load->bytes, (size_t)cap + 1, 1);
	if (!bytes)
		return SONDE_E_NO_MEMORY;
	load->bytes = bytes;
	load->cap = cap;
	return SONDE_OK;
}

/* Twice as much, but not more than one byte beyond what there may be: it tells whether there is more. */
static uint64_t next_cap(const struct sonde_file_load *load)
{
	return load->cap <= load->max / 2 ? load->cap * 2 : load->max + 1;
}

static int read_more(struct sonde_file_load *load)
{
	int r = load->len == load->cap ? reserve(load, next_cap(load)) : SONDE_OK;

	if (r < 0)
		return r;
	uint64_t room = load->cap - load->len;
	load->io.buf = load->bytes + load->len;
	load->io.len = (uint32_t)(room < READ_MAX ? room : READ_MAX);
	load->io.off = load->off + load->len;
	return submit(load, SONDE_FS_READ);
}

/* A byte more than the length that is told, so that the end is seen without another buffer. */
static int begin_reading(struct sonde_file_load *load)
{
	uint64_t length = load->info.length;
	uint64_t cap = length > load->off ? length - load->off + 1 : 0;

	cap = cap < FIRST_ROOM ? FIRST_ROOM : cap;
	int r = reserve(load, cap > load->max ? load->max + 1 : cap);
	return r < 0 ? r : read_more(load);
}

/* Returns 0: another step follows; 1: that was all; an error. */
static int go_on(struct sonde_file_load *load)
{
	struct sonde_fs_io *io = &load->io;

	if (load->stop)
		return load->stop;
	if (io->op == SONDE_FS_OPEN) {
		io->file = io->result;
		return submit(load, SONDE_FS_STAT);
	}
	if (io->op == SONDE_FS_STAT)
		return begin_reading(load);
	load->len += (uint32_t)io->result;
	if (load->len > load->max)
		return SONDE_E_LIMIT;
	return io->result == 0 ? 1 : read_more(load);
}

static void step(struct sonde_fs_io *io)
{
	struct sonde_file_load *load = io->user;

	if (io->op == SONDE_FS_CLOSE) {
		end(load);
		return;
	}
	if (io->op == SONDE_FS_OPEN && io->result < 0) {
		load->result = io->result;
		load->os_code = io->os_code;
		end(load);
		return;
	}
	if (io->op == SONDE_FS_OPEN && load->stop)
		io->file = io->result;
	int r = io->result < 0 ? io->result : go_on(load);
	if (r)
		finish(load, r < 0 ? r : SONDE_OK);
}

int sonde_file_load_submit(struct sonde_file_load *load)
{
	const uint32_t known = SONDE_FS_NO_FOLLOW | SONDE_FS_BENEATH;

	if (!load->done || load->io.state != SONDE_IO_IDLE || load->flags & ~known ||
	    load->off > INT64_MAX || load->max > INT64_MAX)
		return SONDE_E_BAD_ARG;
	load->result = load->os_code = load->stop = 0;
	load->bytes = NULL;
	load->len = 0;
	load->max = load->max ? load->max : MAX_DEFAULT;
	load->io.done = step;
	load->io.user = load;
	load->io.info = &load->info;
	load->io.file = load->dir;
	if (!load->path)
		return submit(load, SONDE_FS_STAT);
	load->io.op = SONDE_FS_OPEN;
	load->io.flags = SONDE_FS_FOR_READ | load->flags;
	load->io.dir = load->dir;
	load->io.path = load->path;
	return sonde_fs_submit(load->fs, &load->io);
}

/* What was opened is closed all the same. */
static int stop(struct sonde_file_load *load, int code)
{
	if (load->io.state == SONDE_IO_IDLE || load->io.op == SONDE_FS_CLOSE)
		return 0;
	load->stop = load->stop ? load->stop : code;
	fs_stop(&load->io, code);
	return 1;
}

int sonde_file_load_cancel(struct sonde_file_load *load)
{
	return stop(load, SONDE_E_CANCELLED);
}

/* ---- waiting ------------------------------------------------------------------------------------- */

struct waiter {
	struct task_wait wait;
	struct sonde_file_load *load;
};

static void wake(struct sonde_file_load *load)
{
	struct waiter *waiter = load->user;

	task_wake(&waiter->wait, load->result);
}

static void stop_waiter(struct task_wait *wait, int code)
{
	stop(((struct waiter *)(void *)wait)->load, code);
}

int sonde_file_load(struct sonde_task *self, struct sonde_file_load *load)
{
	struct sonde_loop *loop = load->fs->loop;
	struct waiter waiter = { .wait.stop = stop_waiter, .load = load };
	int r = fs_may_wait(self, loop);

	if (r < 0)
		return r;
	if (load->io.state != SONDE_IO_IDLE)
		return SONDE_E_BAD_ARG;
	load->done = wake;
	load->user = &waiter;
	r = sonde_file_load_submit(load);
	if (r == SONDE_OK)
		r = task_wait(loop, &waiter.wait);
	load->user = NULL;
	return r;
}
