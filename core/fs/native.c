/* SPDX-License-Identifier: MIT */
/*
 * This machine's files. Requests wait until nothing else can run and leave together: bytes as moves
 * of the loop's engine, all else by its ring, or as work for threads: the engine's, or a few of our
 * own beside a ring. Where the engine moves bytes in the call, everything is done in it.
 *
 *   submit ──▶ fresh ──flush──▶ engine or workers ──came_back──▶ finished
 *                 └── its end is asked for: finished at the flush, if it is no CLOSE
 */
#include <errno.h>
#include <fcntl.h>
#include <sonde/error.h>
#include <stddef.h>
#include <unistd.h>

#include "base/mem.h"
#include "fs/fs.h"
#include "io/path_op.h"

#define WORKERS 2u /* beside a ring: for the few kinds it has no entry for */

struct native {
	struct sonde_loop *loop;
	struct loop_flush flush;
	struct file_op *fresh, **fresh_tail;
	struct engine *workers; /* threads beside a ring, made when they are needed; or NULL */
	uint32_t flags;         /* enum sonde_fs_flag of every request */
	int32_t root;
};

_Static_assert(sizeof(struct path_op) <= SONDE_FS_ROOM, "a request has room for it");

/* ---- the end ------------------------------------------------------------------------------------- */

static int64_t in_ns(const struct statx_timestamp *t)
{
	return (int64_t)((uint64_t)t->tv_sec * 1000000000u + t->tv_nsec);
}

static uint32_t kind_of_mode(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return SONDE_KIND_FILE;
	case S_IFDIR:
		return SONDE_KIND_DIRECTORY;
	case S_IFLNK:
		return SONDE_KIND_SYMLINK;
	default:
		return SONDE_KIND_OTHER;
	}
}

static void tell_info(const struct statx *st, struct sonde_fs_info *info)
{
	*info = (struct sonde_fs_info){
		.length = st->stx_size,
		.allocated = st->stx_blocks * 512,
		.node = st->stx_ino,
		.device = (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor,
		.kind = kind_of_mode(st->stx_mode),
		.mode = st->stx_mode & 07777,
		.n_links = st->stx_nlink,
		.block = st->stx_blksize,
		.uid = st->stx_uid,
		.gid = st->stx_gid,
		.modified_ns = in_ns(&st->stx_mtime),
		.changed_ns = in_ns(&st->stx_ctime),
		.accessed_ns = in_ns(&st->stx_atime),
		.created_ns = st->stx_mask & STATX_BTIME ? in_ns(&st->stx_btime) : 0,
	};
}

/* O_NONBLOCK was for the opening: a ring would take it to mean that reads must not wait for the disk. */
static int32_t opened(const struct path_op *op, int32_t result)
{
	if (result >= 0)
		fcntl(result, F_SETFL, (int)op->how.flags & (O_APPEND | O_DIRECT));
	return path_beneath(result);
}

static void finish(struct path_op *op)
{
	int32_t result = op->op.result;

	if (op->io->op == SONDE_FS_OPEN)
		result = opened(op, result);
	else if (op->io->op == SONDE_FS_STAT && result >= 0)
		tell_info(&op->stat, op->io->info);
	fs_finish_os(op->io, result);
}

/* ---- threads --------------------------------------------------------------------------------------- */

static void call_on_thread(struct file_op *op)
{
	op->result = path_call((const struct path_op *)(void *)op);
}

/* The engine whose threads take work; NULL: none can be had. */
static struct engine *workers_of(struct native *native)
{
	const struct sonde_loop_options options = { .size = sizeof(options), .n_threads = WORKERS };

	if (native->loop->engine_ops == &engine_threads)
		return native->loop->engine;
	if (!native->workers)
		engine_threads.open(native->loop, &options, &native->workers, NULL);
	return native->workers;
}

static void give_to_workers(struct native *native, struct path_op *op)
{
	struct engine *workers = workers_of(native);

	op->op.next = NULL;
	if (workers) {
		op->op.works = true;
		op->op.work = call_on_thread;
		engine_threads.submit(workers, &op->op);
		return;
	}
	op->op.result = path_call(op);
	finish(op);
}

/* ---- the engine ------------------------------------------------------------------------------------ */

static bool is_move(const struct path_op *op)
{
	return op->io->op == SONDE_FS_READ || op->io->op == SONDE_FS_WRITE;
}

/* EINTR, EAGAIN: whether to ask again, and how often, is known where the call is made. */
static bool wants_call(const struct path_op *op)
{
	return !is_move(op) && (op->op.result == -EINTR || op->op.result == -EAGAIN);
}

static void came_back(struct file_op *file_op)
{
	struct path_op *op = (struct path_op *)(void *)file_op;
	struct native *native = fs_core(op->io)->fs->impl;

	if (op->in_engine)
		native->loop->n_steps--;
	if (op->in_engine && wants_call(op)) {
		op->in_engine = false;
		give_to_workers(native, op);
		return;
	}
	finish(op);
}

static void enter(struct native *native, struct path_op *op)
{
	op->in_engine = true;
	native->loop->n_steps++;
}

static void give(struct native *native, struct path_op *op)
{
	const struct engine_ops *ops = native->loop->engine_ops;

	op->op.next = NULL;
	if (is_move(op)) {
		enter(native, op);
		ops->submit(native->loop->engine, &op->op);
	} else if (ops->path_start && ops->path_start(native->loop->engine, op)) {
		enter(native, op);
	} else {
		give_to_workers(native, op);
	}
}

static void flush(struct loop_flush *node)
{
	struct native *native =
		(struct native *)(void *)((char *)node - offsetof(struct native, flush));
	struct file_op *fresh = native->fresh;

	native->fresh = NULL;
	native->fresh_tail = &native->fresh;
	while (fresh) {
		struct path_op *op = (struct path_op *)(void *)fresh;
		fresh = fresh->next;
		if (fs_asked_cancel(op->io) && op->io->op != SONDE_FS_CLOSE)
			sonde_fs_finish(op->io, SONDE_E_CANCELLED, 0);
		else
			give(native, op);
	}
}

/* ---- a request comes --------------------------------------------------------------------------------- */

static int32_t dir_of(const struct native *native, int32_t dir)
{
	return dir == SONDE_FS_ROOT ? native->root : dir;
}

static void prepare(const struct native *native, struct path_op *op, struct sonde_fs_io *io)
{
	op->op = (struct file_op){ .done = came_back,
				   .off = io->off,
				   .buf = io->buf,
				   .len = io->len,
				   .fd = io->file,
				   .slot = -1,
				   .write = io->op == SONDE_FS_WRITE };
	op->io = io;
	op->flags = io->flags | native->flags;
	op->dir = dir_of(native, io->dir);
	op->to_dir = dir_of(native, io->to_dir);
	op->in_engine = false;
	if (io->op == SONDE_FS_OPEN)
		path_prepare_open(op);
}

static void run_here(struct path_op *op)
{
	op->op.result =
		is_move(op) ? file_move(op->op.fd, op->op.write, op->op.off, op->op.buf, op->op.len)
			    : path_call(op);
	finish(op);
}

static void native_submit(void *impl, struct sonde_fs_io *io)
{
	struct native *native = impl;
	struct path_op *op = sonde_fs_room(io);

	prepare(native, op, io);
	if (is_move(op) && io->len == 0) {
		sonde_fs_finish(io, 0, 0);
		return;
	}
	if (!native->loop->engine_ops) {
		run_here(op);
		return;
	}
	*native->fresh_tail = &op->op;
	native->fresh_tail = &op->op.next;
	loop_add_flush(native->loop, &native->flush);
}

/* ---- the file system ----------------------------------------------------------------------------------- */

static void native_close(void *impl)
{
	struct native *native = impl;

	if (native->workers)
		engine_threads.close(native->workers);
	if (native->root >= 0)
		close(native->root);
	mem_release(native);
}

static const struct sonde_fs_ops native_ops = {
	.size = sizeof(native_ops),
	.submit = native_submit,
	.close = native_close,
};

int sonde_fs_native(struct sonde_loop *loop, const char *root, uint32_t flags,
		    struct sonde_fs **ret, struct sonde_error *err)
{
	struct native *native = NULL;
	int r = SONDE_E_NO_MEMORY;

	if (flags & ~(uint32_t)SONDE_FS_BENEATH)
		return sonde_error_set(err, SONDE_E_BAD_ARG, "'%s': unknown flags 0x%x", root,
				       flags);
	int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return sonde_error_os(err, errno, "'%s': cannot open the directory", root);
	native = mem_alloc(1, sizeof(*native));
	if (native) {
		*native = (struct native){
			.loop = loop, .flush.flush = flush, .flags = flags, .root = fd
		};
		native->fresh_tail = &native->fresh;
		r = sonde_fs_create(loop, &native_ops, native, ret);
	}
	if (r < 0) {
		mem_release(native);
		close(fd);
		return sonde_error_set(err, r, "'%s': out of memory", root);
	}
	return SONDE_OK;
}
