/* SPDX-License-Identifier: MIT */
/*
 * File systems and their requests, whoever serves them.
 *
 *   IDLE ──submit──▶ IN_FLIGHT ──sonde_fs_finish──▶ DONE ──callback──▶ IDLE
 */
#include "fs/fs.h"

#include <sonde/error.h>
#include <stddef.h>

#include "base/ensure.h"
#include "base/mem.h"

/* ---- requests ------------------------------------------------------------------------------------ */

static struct sonde_fs_io *io_of(struct fs_core *core)
{
	return (struct sonde_fs_io *)(void *)((char *)core - offsetof(struct sonde_fs_io, core));
}

static void run_callback(struct loop_ready *ready)
{
	struct fs_core *core =
		(struct fs_core *)(void *)((char *)ready - offsetof(struct fs_core, ready));
	struct sonde_fs_io *io = io_of(core);

	io->state = SONDE_IO_IDLE;
	io->done(io);
}

static void deadline_passed(struct sonde_timer *timer)
{
	fs_stop(timer->user, SONDE_E_TIMED_OUT);
}

static void begin(struct sonde_fs *fs, struct sonde_fs_io *io)
{
	struct fs_core *core = fs_core(io);

	core->fs = fs;
	core->ready.run = run_callback;
	core->flags = 0;
	io->result = io->os_code = 0;
	io->state = SONDE_IO_IN_FLIGHT;
	fs->loop->n_inflight++;
	if (!io->deadline_ns)
		return;
	core->deadline = (struct sonde_timer){ .at_ns = io->deadline_ns,
					       .fire = deadline_passed,
					       .user = io };
	sonde_timer_start(fs->loop, &core->deadline);
}

int sonde_fs_submit(struct sonde_fs *fs, struct sonde_fs_io *io)
{
	if (!fs_io_is_valid(io))
		return SONDE_E_BAD_ARG;
	begin(fs, io);
	fs->ops.submit(fs->impl, io);
	return SONDE_OK;
}

/* More bytes than were asked for would be counted in buffers that have no such room. */
static bool is_too_much(const struct sonde_fs_io *io, int32_t result)
{
	return fs_moves_bytes(io->op) && result > 0 && (uint32_t)result > io->len;
}

void sonde_fs_finish(struct sonde_fs_io *io, int32_t result, int32_t os_code)
{
	struct fs_core *core = fs_core(io);
	struct sonde_loop *loop = core->fs->loop;

	ENSURE(io->state == SONDE_IO_IN_FLIGHT);
	if (io->deadline_ns)
		sonde_timer_stop(loop, &core->deadline);
	if (result == SONDE_E_CANCELLED && core->flags & FS_TIMED_OUT)
		result = SONDE_E_TIMED_OUT;
	io->result = is_too_much(io, result) ? SONDE_E_CORRUPT : result;
	io->os_code = os_code;
	io->state = SONDE_IO_DONE;
	loop->n_inflight--;
	loop_add_ready(loop, &core->ready);
}

void fs_finish_os(struct sonde_fs_io *io, int32_t result)
{
	if (result < 0)
		sonde_fs_finish(io, sonde_error_os(NULL, -result, "file system"), -result);
	else
		sonde_fs_finish(io, result, 0);
}

void *sonde_fs_room(struct sonde_fs_io *io)
{
	return fs_core(io)->room;
}

int fs_stop(struct sonde_fs_io *io, int code)
{
	struct fs_core *core = fs_core(io);

	if (io->state != SONDE_IO_IN_FLIGHT)
		return 0;
	if (core->flags & FS_ASKED_CANCEL)
		return 1;
	core->flags |= FS_ASKED_CANCEL | (code == SONDE_E_TIMED_OUT ? FS_TIMED_OUT : 0);
	if (core->fs->ops.cancel)
		core->fs->ops.cancel(core->fs->impl, io);
	return 1;
}

int sonde_fs_cancel(struct sonde_fs_io *io)
{
	return fs_stop(io, SONDE_E_CANCELLED);
}

/* ---- file systems -------------------------------------------------------------------------------- */

int sonde_fs_create(struct sonde_loop *loop, const struct sonde_fs_ops *ops, void *impl,
		    struct sonde_fs **ret)
{
	struct sonde_fs_ops own = { 0 };
	struct sonde_fs *fs;

	if (ops->size < offsetof(struct sonde_fs_ops, close) + sizeof(ops->close))
		return SONDE_E_BAD_ARG;
	memcpy(&own, ops, ops->size < sizeof(own) ? ops->size : sizeof(own));
	if (!own.submit)
		return SONDE_E_BAD_ARG;
	fs = mem_alloc(1, sizeof(*fs));
	if (!fs)
		return SONDE_E_NO_MEMORY;
	*fs = (struct sonde_fs){ .loop = loop, .ops = own, .impl = impl };
	*ret = fs;
	return SONDE_OK;
}

void sonde_fs_destroy(struct sonde_fs *fs)
{
	if (!fs)
		return;
	if (fs->ops.close)
		fs->ops.close(fs->impl);
	mem_release(fs);
}

struct sonde_loop *sonde_fs_loop(const struct sonde_fs *fs)
{
	return fs->loop;
}
