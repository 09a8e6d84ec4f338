/* SPDX-License-Identifier: MIT */
/* Requests by the task and blocking doors: each on the stack of whoever waits. */
#include <sonde/error.h>
#include <stddef.h>

#include "base/mem.h"
#include "fs/fs.h"
#include "task/task.h"

struct waiter {
	struct task_wait wait;
	struct sonde_fs_io *io;
};

static void wake(struct sonde_fs_io *io)
{
	struct waiter *waiter = io->user;

	task_wake(&waiter->wait, io->result);
}

/* Buffers and paths are the waiter's: the end of what is in flight is waited for. */
static void stop_waiter(struct task_wait *wait, int code)
{
	fs_stop(((struct waiter *)(void *)wait)->io, code);
}

int fs_may_wait(struct sonde_task *self, const struct sonde_loop *loop)
{
	int r = task_may_wait(loop);

	if (self && self != loop->current)
		return SONDE_E_BAD_ARG;
	return r < 0 ? r : task_stop_here(loop);
}

int fs_run_to_end(struct sonde_fs *fs, struct sonde_fs_io *io)
{
	struct waiter waiter = { .wait.stop = stop_waiter, .io = io };
	int r = task_may_wait(fs->loop);

	if (r < 0)
		return r;
	if (io->state != SONDE_IO_IDLE)
		return SONDE_E_BAD_ARG;
	io->done = wake;
	io->user = &waiter;
	r = sonde_fs_submit(fs, io);
	return r < 0 ? r : task_wait(fs->loop, &waiter.wait);
}

/* A task that is to end gives back what it holds all the same. */
int sonde_fs_run(struct sonde_task *self, struct sonde_fs *fs, struct sonde_fs_io *io)
{
	int r = fs_may_wait(self, fs->loop);

	if (r < 0 && (r == SONDE_E_BAD_ARG || io->op != SONDE_FS_CLOSE))
		return r;
	return fs_run_to_end(fs, io);
}

/* What all requests have; without its core, which is the library's own to fill. */
static void prepare(struct sonde_fs_io *io, enum sonde_fs_op op, uint32_t flags)
{
	memset(io, 0, offsetof(struct sonde_fs_io, core));
	io->op = op;
	io->flags = flags;
}

static void prepare_path(struct sonde_fs_io *io, enum sonde_fs_op op, uint32_t flags, int32_t dir,
			 const char *path)
{
	prepare(io, op, flags);
	io->dir = dir;
	io->path = path;
	if (!path)
		io->file = dir;
}

static void prepare_move(struct sonde_fs_io *io, enum sonde_fs_op op, int32_t file, uint64_t off,
			 const void *buf, uint32_t len)
{
	prepare(io, op, 0);
	io->file = file;
	io->off = off;
	io->buf = (void *)(uintptr_t)buf;
	io->len = len;
}

int sonde_fs_open(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		  uint32_t flags, uint32_t mode)
{
	struct sonde_fs_io io;

	prepare_path(&io, SONDE_FS_OPEN, flags, dir, path);
	io.mode = mode;
	return sonde_fs_run(self, fs, &io);
}

int sonde_fs_close(struct sonde_task *self, struct sonde_fs *fs, int32_t file)
{
	struct sonde_fs_io io;

	prepare(&io, SONDE_FS_CLOSE, 0);
	io.file = file;
	return sonde_fs_run(self, fs, &io);
}

int sonde_fs_read(struct sonde_task *self, struct sonde_fs *fs, int32_t file, uint64_t off,
		  void *buf, uint32_t len)
{
	struct sonde_fs_io io;

	prepare_move(&io, SONDE_FS_READ, file, off, buf, len);
	return sonde_fs_run(self, fs, &io);
}

int sonde_fs_write(struct sonde_task *self, struct sonde_fs *fs, int32_t file, uint64_t off,
		   const void *buf, uint32_t len)
{
	struct sonde_fs_io io;

	prepare_move(&io, SONDE_FS_WRITE, file, off, buf, len);
	return sonde_fs_run(self, fs, &io);
}

int sonde_fs_sync(struct sonde_task *self, struct sonde_fs *fs, int32_t file, uint32_t flags)
{
	struct sonde_fs_io io;

	prepare(&io, SONDE_FS_SYNC, flags);
	io.file = file;
	return sonde_fs_run(self, fs, &io);
}

int sonde_fs_set_length(struct sonde_task *self, struct sonde_fs *fs, int32_t file, uint64_t length)
{
	struct sonde_fs_io io;

	prepare(&io, SONDE_FS_SET_LENGTH, 0);
	io.file = file;
	io.off = length;
	return sonde_fs_run(self, fs, &io);
}

int sonde_fs_stat(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		  uint32_t flags, struct sonde_fs_info *ret)
{
	struct sonde_fs_io io;

	prepare_path(&io, SONDE_FS_STAT, flags, dir, path);
	io.info = ret;
	return sonde_fs_run(self, fs, &io);
}

int sonde_fs_set_mode(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		      uint32_t mode)
{
	struct sonde_fs_io io;

	prepare_path(&io, SONDE_FS_SET_MODE, 0, dir, path);
	io.mode = mode;
	return sonde_fs_run(self, fs, &io);
}

int sonde_fs_rename(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		    int32_t to_dir, const char *to, uint32_t flags)
{
	struct sonde_fs_io io;

	prepare_path(&io, SONDE_FS_RENAME, flags, dir, path);
	io.to_dir = to_dir;
	io.to = to;
	return sonde_fs_run(self, fs, &io);
}

int sonde_fs_remove(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		    uint32_t flags)
{
	struct sonde_fs_io io;

	prepare_path(&io, SONDE_FS_REMOVE, flags, dir, path);
	return sonde_fs_run(self, fs, &io);
}

int sonde_fs_mkdir(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		   uint32_t mode)
{
	struct sonde_fs_io io;

	prepare_path(&io, SONDE_FS_MKDIR, 0, dir, path);
	io.mode = mode;
	return sonde_fs_run(self, fs, &io);
}

int sonde_fs_link(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		  int32_t to_dir, const char *to)
{
	struct sonde_fs_io io;

	prepare_path(&io, SONDE_FS_LINK, 0, dir, path);
	io.to_dir = to_dir;
	io.to = to;
	return sonde_fs_run(self, fs, &io);
}

int sonde_fs_symlink(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		     const char *to)
{
	struct sonde_fs_io io;

	prepare_path(&io, SONDE_FS_SYMLINK, 0, dir, path);
	io.to = to;
	return sonde_fs_run(self, fs, &io);
}

int sonde_fs_read_link(struct sonde_task *self, struct sonde_fs *fs, int32_t dir, const char *path,
		       char *buf, uint32_t cap)
{
	struct sonde_fs_io io;

	prepare_path(&io, SONDE_FS_READ_LINK, 0, dir, path);
	io.buf = buf;
	io.len = cap;
	return sonde_fs_run(self, fs, &io);
}
