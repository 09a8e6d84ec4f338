/* SPDX-License-Identifier: MIT */
/*
 * Copying a file. Where the file system copies by itself, piece by piece; else by lanes: each has a
 * buffer and goes over one stretch after another, and all together hold what may be in flight.
 *
 *   lane: take a stretch ──▶ READ ──▶ WRITE ──▶ more of the stretch? READ : take the next
 *                              └── nothing comes: that was the end
 */
#include <sonde/error.h>
#include <sonde/file.h>

#include "base/mem.h"
#include "fs/fs.h"
#include "task/task.h"

#define IN_FLIGHT_DEFAULT (UINT64_C(8) << 20)
#define IN_FLIGHT_MIN (UINT64_C(64) << 10)
#define IN_FLIGHT_MAX (UINT64_C(1) << 30)
#define STRETCH (UINT32_C(1) << 20)    /* bytes a lane holds, at most             */
#define COPY_STEP (UINT32_C(64) << 20) /* bytes the file system copies in one call */

struct lanes;

struct lane {
	struct sonde_fs_io io;
	struct lanes *lanes;
	char *buf;
	uint64_t off;  /* of what is in buf, or is read next  */
	uint32_t left; /* of the stretch, from off on         */
	uint32_t held; /* bytes in buf that are to be written */
	uint32_t at;   /* ... the first of them               */
};

struct lanes {
	struct task_wait wait;
	struct sonde_copy *copy;
	struct sonde_fs *to_fs;
	int32_t from, to; /* handles                               */
	uint64_t next;    /* the first byte that no lane has taken */
	uint32_t stretch; /* bytes                                 */
	uint32_t n, n_busy;
	int err;           /* the first                             */
	bool over;         /* the end was seen, or an error         */
	struct lane *lane; /* [n] */
};

/* ---- lanes --------------------------------------------------------------------------------------- */

static void lane_step(struct sonde_fs_io *io);

static void submit(struct lane *lane, enum sonde_fs_op op)
{
	struct lanes *lanes = lane->lanes;
	bool writes = op == SONDE_FS_WRITE;

	lane->io.op = op;
	lane->io.file = writes ? lanes->to : lanes->from;
	lane->io.off = lane->off;
	lane->io.buf = lane->buf + lane->at;
	lane->io.len = writes ? lane->held : lane->left;
	int r = sonde_fs_submit(writes ? lanes->to_fs : lanes->copy->from_fs, &lane->io);
	if (r < 0) {
		lane->io.result = r;
		lane_step(&lane->io);
	}
}

static void stop_lanes(struct lanes *lanes, int code)
{
	lanes->err = lanes->err ? lanes->err : code;
	lanes->over = true;
	for (uint32_t i = 0; i < lanes->n; i++)
		fs_stop(&lanes->lane[i].io, code);
}

static void stop_waiter(struct task_wait *wait, int code)
{
	stop_lanes((struct lanes *)(void *)wait, code);
}

static void rest(struct lane *lane)
{
	struct lanes *lanes = lane->lanes;

	if (--lanes->n_busy == 0)
		task_wake(&lanes->wait, lanes->err);
}

static void take_stretch(struct lane *lane)
{
	struct lanes *lanes = lane->lanes;

	if (lanes->over || lanes->next > (uint64_t)INT64_MAX - lanes->stretch) {
		rest(lane);
		return;
	}
	lane->off = lanes->next;
	lane->left = lanes->stretch;
	lane->at = 0;
	lanes->next += lanes->stretch;
	submit(lane, SONDE_FS_READ);
}

static void took(struct lane *lane)
{
	if (lane->io.result == 0) {
		lane->lanes->over = true;
		rest(lane);
		return;
	}
	lane->at = 0;
	lane->held = (uint32_t)lane->io.result;
	submit(lane, SONDE_FS_WRITE);
}

static void gave(struct lane *lane)
{
	struct sonde_copy *copy = lane->lanes->copy;
	uint32_t n = (uint32_t)lane->io.result;

	lane->off += n;
	lane->left -= n;
	lane->held -= n;
	lane->at += n;
	copy->done += n;
	if (copy->progress)
		copy->progress(copy);
	if (lane->held) {
		submit(lane, SONDE_FS_WRITE);
	} else if (lane->left) {
		lane->at = 0;
		submit(lane, SONDE_FS_READ);
	} else {
		take_stretch(lane);
	}
}

/* What others have read is still written when the end was seen, but not after an error. */
static void lane_step(struct sonde_fs_io *io)
{
	struct lane *lane = io->user;
	struct lanes *lanes = lane->lanes;
	int r = io->result;

	if (io->op == SONDE_FS_WRITE && r == 0)
		r = SONDE_E_IO;
	if (r < 0 && !lanes->err)
		stop_lanes(lanes, r);
	if (lanes->err)
		rest(lane);
	else if (io->op == SONDE_FS_READ)
		took(lane);
	else
		gave(lane);
}

static uint64_t clamp_in_flight(uint64_t asked)
{
	if (asked == 0)
		return IN_FLIGHT_DEFAULT;
	return asked < IN_FLIGHT_MIN   ? IN_FLIGHT_MIN
	       : asked > IN_FLIGHT_MAX ? IN_FLIGHT_MAX
				       : asked;
}

/* No more lanes than the file has stretches, and one that sees the end. */
static void size_lanes(struct lanes *lanes)
{
	uint64_t in_flight = clamp_in_flight(lanes->copy->in_flight);
	uint64_t left = lanes->copy->total -
			(lanes->next < lanes->copy->total ? lanes->next : lanes->copy->total);

	lanes->stretch = in_flight / 4 < STRETCH ? (uint32_t)(in_flight / 4) : STRETCH;
	uint64_t n = in_flight / lanes->stretch, useful = left / lanes->stretch + 2;
	lanes->n = (uint32_t)(n < useful ? n : useful);
}

static int make_lanes(struct lanes *lanes, char **ret_bufs)
{
	size_lanes(lanes);
	lanes->lane = mem_alloc(lanes->n, sizeof(*lanes->lane));
	*ret_bufs = mem_resize(NULL, lanes->n, lanes->stretch);
	if (!lanes->lane || !*ret_bufs)
		return SONDE_E_NO_MEMORY;
	for (uint32_t i = 0; i < lanes->n; i++) {
		struct lane *lane = &lanes->lane[i];
		lane->lanes = lanes;
		lane->buf = *ret_bufs + (size_t)i * lanes->stretch;
		lane->io.done = lane_step;
		lane->io.user = lane;
	}
	return SONDE_OK;
}

static int copy_by_lanes(struct sonde_task *self, struct lanes *lanes)
{
	char *bufs = NULL;
	int r = make_lanes(lanes, &bufs);

	if (r == SONDE_OK)
		r = fs_may_wait(self, lanes->to_fs->loop);
	if (r == SONDE_OK) {
		lanes->n_busy = lanes->n;
		for (uint32_t i = 0; i < lanes->n; i++)
			take_stretch(&lanes->lane[i]);
		r = task_wait(lanes->to_fs->loop, &lanes->wait);
	}
	mem_release(lanes->lane);
	mem_release(bufs);
	return r;
}

/* ---- by the file system ---------------------------------------------------------------------------- */

/* Returns 0: nothing more comes this way; or an error. lanes->next: what is not copied yet. */
static int copy_inside(struct sonde_task *self, struct lanes *lanes)
{
	struct sonde_copy *copy = lanes->copy;
	struct sonde_fs_io io = { .op = SONDE_FS_COPY, .file = lanes->from, .to_file = lanes->to };
	int r;

	do {
		io.off = io.to_off = lanes->next;
		io.len = COPY_STEP;
		r = sonde_fs_run(self, lanes->to_fs, &io);
		if (r <= 0)
			break;
		lanes->next += (uint32_t)r;
		copy->done = lanes->next;
		if (copy->progress)
			copy->progress(copy);
	} while (r > 0);
	return r == SONDE_E_UNSUPPORTED ? SONDE_OK : r;
}

/* ---- both ends ------------------------------------------------------------------------------------- */

/* Before anything of it is lost. Two file systems may be ways to one disk: its number says so, where it is known. */
static int check_other(struct sonde_task *self, const struct lanes *lanes,
		       const struct sonde_fs_info *from)
{
	struct sonde_fs_info to;
	int r = sonde_fs_stat(self, lanes->to_fs, lanes->to, NULL, 0, &to);

	if (r < 0 || (lanes->to_fs != lanes->copy->from_fs && !from->device))
		return r;
	return to.node == from->node && to.device == from->device ? SONDE_E_BAD_ARG : SONDE_OK;
}

static int copy_opened(struct sonde_task *self, struct lanes *lanes,
		       const struct sonde_fs_info *from)
{
	struct sonde_copy *copy = lanes->copy;
	int r = check_other(self, lanes, from);

	if (r == SONDE_OK)
		r = sonde_fs_set_length(self, lanes->to_fs, lanes->to, 0);
	if (r == SONDE_OK && copy->from_fs == lanes->to_fs && !(copy->flags & SONDE_COPY_BYTES))
		r = copy_inside(self, lanes);
	/* Some files say they are empty and are not: the end is where nothing can be read. */
	if (r == SONDE_OK)
		r = copy_by_lanes(self, lanes);
	if (r == SONDE_OK)
		r = sonde_fs_set_mode(self, lanes->to_fs, lanes->to, NULL, from->mode & 0777);
	if (r == SONDE_OK && copy->flags & SONDE_COPY_SYNC)
		r = sonde_fs_sync(self, lanes->to_fs, lanes->to, 0);
	return r;
}

static int copy_from(struct sonde_task *self, struct lanes *lanes)
{
	struct sonde_copy *copy = lanes->copy;
	uint32_t flags = SONDE_FS_FOR_WRITE | SONDE_FS_CREATE;
	struct sonde_fs_info info;
	int r = sonde_fs_stat(self, copy->from_fs, lanes->from, NULL, 0, &info);

	if (r < 0)
		return r;
	if (info.kind == SONDE_KIND_DIRECTORY)
		return SONDE_E_IS_DIRECTORY;
	copy->total = info.length;
	if (copy->flags & SONDE_COPY_NO_REPLACE)
		flags |= SONDE_FS_EXCLUSIVE;
	lanes->to = sonde_fs_open(self, lanes->to_fs, copy->to_dir, copy->to, flags,
				  (info.mode & 0777) | 0200);
	if (lanes->to < 0)
		return lanes->to;
	r = copy_opened(self, lanes, &info);
	int closed = sonde_fs_close(self, lanes->to_fs, lanes->to);
	return r < 0 ? r : closed;
}

int sonde_file_copy(struct sonde_task *self, struct sonde_copy *copy)
{
	struct lanes lanes = { .wait.stop = stop_waiter,
			       .copy = copy,
			       .to_fs = copy->to_fs ? copy->to_fs : copy->from_fs };
	const uint32_t known = SONDE_COPY_NO_REPLACE | SONDE_COPY_BYTES | SONDE_COPY_SYNC;

	copy->done = copy->total = 0;
	if (copy->flags & ~known || lanes.to_fs->loop != copy->from_fs->loop)
		return SONDE_E_BAD_ARG;
	lanes.from = sonde_fs_open(self, copy->from_fs, copy->from_dir, copy->from,
				   SONDE_FS_FOR_READ, 0);
	if (lanes.from < 0)
		return lanes.from;
	int r = copy_from(self, &lanes);
	sonde_fs_close(self, copy->from_fs, lanes.from);
	return r;
}
