/* SPDX-License-Identifier: MIT */
/*
 * A file system of calls. A request is a task that makes calls one after another, and many in the
 * case of reads and writes; REMOTE_DEPTH of them run, the others wait for one to end.
 */
#include "ninep/remote.h"

#include <errno.h>

#include "base/mem.h"

/* ---- requests ------------------------------------------------------------------------------------ */

static remote_fn *const operations[SONDE_FS_N_OPS] = {
	[SONDE_FS_OPEN] = remote_open,       [SONDE_FS_CLOSE] = remote_close,
	[SONDE_FS_READ] = remote_move,       [SONDE_FS_WRITE] = remote_move,
	[SONDE_FS_SYNC] = remote_sync,       [SONDE_FS_SET_LENGTH] = remote_set_length,
	[SONDE_FS_STAT] = remote_stat,       [SONDE_FS_SET_MODE] = remote_set_mode,
	[SONDE_FS_RENAME] = remote_rename,   [SONDE_FS_REMOVE] = remote_remove,
	[SONDE_FS_MKDIR] = remote_mkdir,     [SONDE_FS_LINK] = remote_link,
	[SONDE_FS_SYMLINK] = remote_symlink, [SONDE_FS_READ_LINK] = remote_read_link,
	[SONDE_FS_LIST] = remote_list,
};

/* In the room of a request. */
struct remote_work {
	struct remote_work *next; /* waits */
	struct remote *remote;
	struct sonde_fs_io *io;
	struct sonde_task *task; /* NULL: it waits */
};
_Static_assert(sizeof(struct remote_work) <= SONDE_FS_ROOM, "a request has room for it");

static void begin_waiting(struct remote *remote);

static int run(struct sonde_task *self, void *arg)
{
	struct remote_work *work = arg;
	struct remote *remote = work->remote;
	remote_fn *operation = operations[work->io->op];
	int32_t r = operation ? operation(remote, work->io) : -EOPNOTSUPP;

	(void)self;
	remote->n_working--;
	fs_finish_os(work->io, r);
	begin_waiting(remote);
	return SONDE_OK;
}

static void begin(struct remote *remote, struct remote_work *work)
{
	struct sonde_task *task;

	if (sonde_task_spawn(remote->client.loop, run, work, &task) < 0) {
		fs_finish_os(work->io, -ENOMEM);
		return;
	}
	sonde_task_detach(task);
	work->task = task;
	remote->n_working++;
}

static void begin_waiting(struct remote *remote)
{
	while (remote->first && remote->n_working < REMOTE_DEPTH) {
		struct remote_work *work = remote->first;
		remote->first = work->next;
		if (!remote->first)
			remote->last = &remote->first;
		begin(remote, work);
	}
}

static void submit(void *impl, struct sonde_fs_io *io)
{
	struct remote *remote = impl;
	struct remote_work *work = sonde_fs_room(io);

	*work = (struct remote_work){ .remote = remote, .io = io };
	*remote->last = work;
	remote->last = &work->next;
	begin_waiting(remote);
}

static void cancel(void *impl, struct sonde_fs_io *io)
{
	struct remote *remote = impl;
	struct remote_work *work = sonde_fs_room(io), **at = &remote->first;

	if (work->task) {
		sonde_task_cancel(work->task);
		return;
	}
	while (*at != work)
		at = &(*at)->next;
	*at = work->next;
	if (!*at)
		remote->last = at;
	sonde_fs_finish(io, SONDE_E_CANCELLED, 0);
}

/* ---- the file system ----------------------------------------------------------------------------- */

void remote_finish(struct sonde_task *self, struct remote *remote)
{
	ninep_client_close(self, &remote->client);
	mem_release(remote->handles);
	mem_release(remote);
}

static void close_remote(void *impl)
{
	struct remote *remote = impl;

	remote_finish(sonde_task_current(remote->client.loop), remote);
}

const struct sonde_fs_ops remote_ops = {
	.size = sizeof(remote_ops), .submit = submit, .cancel = cancel, .close = close_remote
};
