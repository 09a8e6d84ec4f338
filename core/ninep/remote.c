/* SPDX-License-Identifier: MIT */
/*
 * A file system of calls. A request is a task that makes calls one after another, and many in the
 * case of reads and writes; REMOTE_DEPTH of them run, the others wait for one to end.
 */
#include "ninep/remote.h"

#include <errno.h>
#include <sonde/error.h>
#include <unistd.h>

#include "base/mem.h"

/* ---- handles ------------------------------------------------------------------------------------- */

struct remote_handle *remote_handle(struct remote *remote, int32_t handle)
{
	struct remote_handle *at = &remote->handles[handle];

	return (size_t)handle < remote->n_handles && at->fid != NINEP_NO_FID ? at : NULL;
}

/* A free one; -ENOMEM. */
static int32_t free_handle(struct remote *remote)
{
	size_t n = remote->n_handles, more = n ? 2 * n : 16;

	for (size_t i = 0; i < n; i++) {
		if (remote->handles[i].fid == NINEP_NO_FID)
			return (int32_t)i;
	}
	struct remote_handle *grown = mem_resize(remote->handles, more, sizeof(*grown));
	if (!grown || more > INT32_MAX)
		return -ENOMEM;
	for (size_t i = n; i < more; i++)
		grown[i] = (struct remote_handle){ .fid = NINEP_NO_FID, .dir = NINEP_NO_FID };
	remote->handles = grown;
	remote->n_handles = more;
	return (int32_t)n;
}

/* The fids are taken, also where it fails. */
static int32_t put_handle(struct remote *remote, uint32_t fid, uint32_t dir, uint32_t flags)
{
	int32_t handle = free_handle(remote);

	if (handle < 0) {
		ninep_clunk(&remote->client, fid);
		ninep_clunk(&remote->client, dir);
		return handle;
	}
	remote->handles[handle] = (struct remote_handle){ fid, dir, flags };
	return handle;
}

static int32_t do_close(struct remote *remote, const struct sonde_fs_io *io)
{
	struct remote_handle *handle = remote_handle(remote, io->file);
	struct ninep_msg msg = { .type = NINEP_TCLUNK };

	if (!handle)
		return -EBADF;
	struct remote_handle was = *handle;
	handle->fid = NINEP_NO_FID;
	ninep_clunk(&remote->client, was.dir);
	msg.fid = was.fid;
	int32_t r = ninep_ask(&remote->client, &msg, NULL);
	if (r == -ECANCELED)
		ninep_clunk(&remote->client, was.fid);
	else
		ninep_put_fid(&remote->client, was.fid);
	return r;
}

/* ---- opening ------------------------------------------------------------------------------------- */

/* What place came to. A directory is opened beside itself. */
static int32_t open_place(struct remote *remote, struct place *place, uint32_t flags)
{
	bool directory = place->qid.type & NINEP_QID_DIRECTORY;
	struct ninep_msg msg = { .type = NINEP_TLOPEN, .flags = ninep_open_flags(flags) };
	uint32_t fid, dir = NINEP_NO_FID;
	uint16_t n = 0;

	int32_t r = place_take(place, &fid);
	if (r == 0 && directory) {
		dir = fid;
		r = place_walk(&remote->client, dir, NULL, &n, NULL, &fid);
		if (r < 0)
			fid = NINEP_NO_FID;
	} else if (r < 0) {
		return r;
	}
	msg.fid = fid;
	if (r == 0)
		r = ninep_ask(&remote->client, &msg, NULL);
	if (r == 0)
		return put_handle(remote, fid, dir, flags);
	ninep_clunk(&remote->client, fid);
	ninep_clunk(&remote->client, dir);
	return r;
}

static int32_t open_there(struct remote *remote, struct place *place, uint32_t flags)
{
	int32_t r = place_end(place, !(flags & SONDE_FS_NO_FOLLOW));

	if (r == 0 && place->qid.type & NINEP_QID_SYMLINK)
		r = flags & SONDE_FS_DIRECTORY ? -ENOTDIR : -ELOOP;
	return r < 0 ? r : open_place(remote, place, flags);
}

/* In the directory that place came to, under the last name. */
static int32_t create(struct remote *remote, struct place *place, const struct sonde_fs_io *io)
{
	struct ninep_msg msg = { .type = NINEP_TLCREATE,
				 .name = place->last,
				 .flags = ninep_open_flags(io->flags),
				 .mode = io->mode,
				 .gid = getegid() };
	int32_t r = place_take(place, &msg.fid);

	if (r < 0)
		return r;
	r = ninep_ask(&remote->client, &msg, NULL);
	if (r == 0)
		return put_handle(remote, msg.fid, NINEP_NO_FID, io->flags);
	ninep_clunk(&remote->client, msg.fid);
	return r;
}

/* One name on, to see whether it is there. *ret is the caller's. */
static int32_t look(struct place *place, uint32_t *ret, struct ninep_qid *qid)
{
	uint16_t n = 1;
	int32_t r = place_walk(place->client, place->fid, &place->last, &n, qid, ret);

	return r == 0 && n != 1 ? -EPROTO : r;
}

/* Open what is there; follow a link that is; create what is not. */
static int32_t open_or_create(struct remote *remote, struct place *place,
			      const struct sonde_fs_io *io)
{
	struct ninep_qid qid;
	uint32_t fid;
	int32_t r;

	for (;;) {
		r = place_parent(place);
		if (r < 0)
			return r;
		if (place->last.len == 0 || place->slash)
			return io->flags & SONDE_FS_EXCLUSIVE && !place->slash ? -EEXIST : -EISDIR;
		r = io->flags & SONDE_FS_EXCLUSIVE ? -ENOENT : look(place, &fid, &qid);
		if (r == -ENOENT)
			return create(remote, place, io);
		if (r < 0)
			return r;
		if (!(qid.type & NINEP_QID_SYMLINK))
			break;
		if (io->flags & SONDE_FS_NO_FOLLOW) {
			ninep_clunk(place->client, fid);
			return -ELOOP;
		}
		r = place_follow_last(place, fid);
		if (r < 0)
			return r;
	}
	struct place there = { .client = place->client, .fid = fid, .owns_fid = true, .qid = qid };
	r = open_place(remote, &there, io->flags);
	place_finish(&there);
	return r;
}

static int32_t do_open(struct remote *remote, const struct sonde_fs_io *io)
{
	struct place place;
	int32_t r;

	if (io->flags & SONDE_FS_UNNAMED)
		return -EOPNOTSUPP;
	r = place_begin(&place, remote, io->dir, io->path, io->flags);
	if (r == 0 && io->flags & SONDE_FS_CREATE)
		r = open_or_create(remote, &place, io);
	else if (r == 0)
		r = open_there(remote, &place, io->flags);
	place_finish(&place);
	return r;
}

/* ---- bytes --------------------------------------------------------------------------------------- */

static int32_t do_move(struct remote *remote, const struct sonde_fs_io *io)
{
	const struct remote_handle *handle = remote_handle(remote, io->file);
	uint32_t needed = io->op == SONDE_FS_WRITE ? SONDE_FS_FOR_WRITE | SONDE_FS_APPEND
						   : (uint32_t)SONDE_FS_FOR_READ;

	if (!handle)
		return -EBADF;
	if (io->op == SONDE_FS_READ && handle->dir != NINEP_NO_FID)
		return -EISDIR;
	return handle->flags & needed ? remote_move(remote, handle, io) : -EBADF;
}

static int32_t do_sync(struct remote *remote, const struct sonde_fs_io *io)
{
	const struct remote_handle *handle = remote_handle(remote, io->file);
	struct ninep_msg msg = { .type = NINEP_TFSYNC, .flags = io->flags & SONDE_FS_DATA ? 1 : 0 };

	if (!handle)
		return -EBADF;
	msg.fid = handle->fid;
	return ninep_ask(&remote->client, &msg, NULL);
}

/* ---- attributes ---------------------------------------------------------------------------------- */

/* The fid a request is about: of its handle, or where its path leads. */
static int32_t find(struct remote *remote, const struct sonde_fs_io *io, bool follow,
		    struct place *place, uint32_t *ret)
{
	const struct remote_handle *handle;
	int32_t r;

	*place = (struct place){ .client = &remote->client, .fid = NINEP_NO_FID };
	if (!io->path) {
		handle = remote_handle(remote, io->file);
		*ret = handle ? handle->fid : NINEP_NO_FID;
		return handle ? 0 : -EBADF;
	}
	r = place_begin(place, remote, io->dir, io->path, io->flags);
	if (r == 0)
		r = place_end(place, follow);
	*ret = place->fid;
	return r;
}

static int32_t do_stat(struct remote *remote, const struct sonde_fs_io *io)
{
	struct ninep_msg msg = { .type = NINEP_TGETATTR,
				 .mask = NINEP_GETATTR_BASIC | NINEP_GETATTR_CREATED };
	struct place place;
	int32_t r = find(remote, io, !(io->flags & SONDE_FS_NO_FOLLOW), &place, &msg.fid);

	if (r == 0)
		r = ninep_ask(&remote->client, &msg, &msg);
	if (r == 0)
		ninep_take_attr(&msg.attr, &msg.qid, io->info);
	place_finish(&place);
	return r;
}

static int32_t do_set_mode(struct remote *remote, const struct sonde_fs_io *io)
{
	struct ninep_msg msg = { .type = NINEP_TSETATTR,
				 .flags = NINEP_SETATTR_MODE,
				 .attr.mode = io->mode };
	struct place place;
	int32_t r = find(remote, io, true, &place, &msg.fid);

	if (r == 0)
		r = ninep_ask(&remote->client, &msg, NULL);
	place_finish(&place);
	return r;
}

static int32_t do_set_length(struct remote *remote, const struct sonde_fs_io *io)
{
	const struct remote_handle *handle = remote_handle(remote, io->file);
	struct ninep_msg msg = { .type = NINEP_TSETATTR,
				 .flags = NINEP_SETATTR_SIZE,
				 .attr.size = io->off };

	if (!handle || !(handle->flags & (SONDE_FS_FOR_WRITE | SONDE_FS_APPEND)))
		return handle ? -EINVAL : -EBADF;
	msg.fid = handle->fid;
	return ninep_ask(&remote->client, &msg, NULL);
}

/* ---- names --------------------------------------------------------------------------------------- */

/* To the directory a name is or shall be in; is_dots is the answer where there is no name. */
static int32_t find_name(struct remote *remote, struct place *place, int32_t dir, const char *path,
			 uint32_t flags, int32_t is_dots)
{
	int32_t r = place_begin(place, remote, dir, path, flags);

	if (r == 0)
		r = place_parent(place);
	return r == 0 && place->last.len == 0 ? is_dots : r;
}

/* A request that makes or removes a name: msg has the rest. */
static int32_t ask_name(struct remote *remote, const struct sonde_fs_io *io, struct ninep_msg *msg,
			int32_t is_dots)
{
	struct place place;
	int32_t r = find_name(remote, &place, io->dir, io->path, io->flags, is_dots);

	msg->fid = place.fid;
	msg->name = place.last;
	if (r == 0)
		r = ninep_ask(&remote->client, msg, NULL);
	place_finish(&place);
	return r;
}

/* diod 1.0.24 has neither Tunlinkat nor Trenameat; those from before them take the fid of what is meant. */
static bool is_unknown(int32_t r)
{
	return r == -EOPNOTSUPP || r == -ENOSYS;
}

/* The fid is gone whatever the answer. */
static int32_t remove_fid(struct place *place, bool directory)
{
	struct ninep_msg msg = { .type = NINEP_TREMOVE };
	struct ninep_qid qid;
	int32_t r = look(place, &msg.fid, &qid);

	if (r < 0)
		return r;
	if (directory != !!(qid.type & NINEP_QID_DIRECTORY)) {
		ninep_clunk(place->client, msg.fid);
		return directory ? -ENOTDIR : -EISDIR;
	}
	r = ninep_ask(place->client, &msg, NULL);
	if (r != -ECANCELED)
		ninep_put_fid(place->client, msg.fid);
	return r;
}

static int32_t do_remove(struct remote *remote, const struct sonde_fs_io *io)
{
	bool directory = io->flags & SONDE_FS_DIRECTORY;
	struct ninep_msg msg = { .type = NINEP_TUNLINKAT,
				 .flags = directory ? NINEP_REMOVE_DIRECTORY : 0 };
	struct place place;
	int32_t r = find_name(remote, &place, io->dir, io->path, io->flags,
			      directory ? -EINVAL : -EISDIR);

	msg.fid = place.fid;
	msg.name = place.last;
	if (r == 0)
		r = ninep_ask(&remote->client, &msg, NULL);
	if (is_unknown(r))
		r = remove_fid(&place, directory);
	place_finish(&place);
	return r;
}

static int32_t do_mkdir(struct remote *remote, const struct sonde_fs_io *io)
{
	struct ninep_msg msg = { .type = NINEP_TMKDIR, .mode = io->mode, .gid = getegid() };

	return ask_name(remote, io, &msg, -EEXIST);
}

static int32_t do_symlink(struct remote *remote, const struct sonde_fs_io *io)
{
	size_t len = strlen(io->to);
	struct ninep_msg msg = { .type = NINEP_TSYMLINK,
				 .other_name = { io->to, (uint16_t)len },
				 .gid = getegid() };

	if (len == 0 || len > SONDE_FS_PATH_MAX)
		return len ? -ENAMETOOLONG : -ENOENT;
	return ask_name(remote, io, &msg, -EEXIST);
}

/* 0: something has that name. */
static int32_t is_there(struct place *place)
{
	struct ninep_qid qid;
	uint32_t fid;
	int32_t r = look(place, &fid, &qid);

	if (r == 0)
		ninep_clunk(place->client, fid);
	return r;
}

static int32_t may_rename(struct place *from, struct place *to)
{
	int32_t r = is_there(from);

	if (r < 0)
		return r;
	r = is_there(to);
	return r == 0 ? -EEXIST : r == -ENOENT ? 0 : r;
}

static int32_t rename_fid(struct place *from, const struct place *to)
{
	struct ninep_msg msg = { .type = NINEP_TRENAME, .other_fid = to->fid, .name = to->last };
	struct ninep_qid qid;
	int32_t r = look(from, &msg.fid, &qid);

	if (r < 0)
		return r;
	r = ninep_ask(from->client, &msg, NULL);
	ninep_clunk(from->client, msg.fid);
	return r;
}

static int32_t do_rename(struct remote *remote, const struct sonde_fs_io *io)
{
	struct ninep_msg msg = { .type = NINEP_TRENAMEAT };
	struct place from, to = { .client = &remote->client, .fid = NINEP_NO_FID };
	int32_t r = find_name(remote, &from, io->dir, io->path, io->flags, -EBUSY);

	if (r == 0)
		r = find_name(remote, &to, io->to_dir, io->to, io->flags, -EBUSY);
	if (r == 0 && io->flags & SONDE_FS_NO_REPLACE)
		r = may_rename(&from, &to);
	msg.fid = from.fid;
	msg.name = from.last;
	msg.other_fid = to.fid;
	msg.other_name = to.last;
	if (r == 0)
		r = ninep_ask(&remote->client, &msg, NULL);
	if (is_unknown(r))
		r = rename_fid(&from, &to);
	place_finish(&from);
	place_finish(&to);
	return r;
}

static int32_t do_link(struct remote *remote, const struct sonde_fs_io *io)
{
	struct ninep_msg msg = { .type = NINEP_TLINK };
	struct place from, to = { .client = &remote->client, .fid = NINEP_NO_FID };
	int32_t r = find(remote, io, false, &from, &msg.other_fid);

	if (r == 0)
		r = find_name(remote, &to, io->to_dir, io->to, io->flags, -EEXIST);
	msg.fid = to.fid;
	msg.name = to.last;
	if (r == 0)
		r = ninep_ask(&remote->client, &msg, NULL);
	place_finish(&from);
	place_finish(&to);
	return r;
}

static int32_t do_read_link(struct remote *remote, const struct sonde_fs_io *io)
{
	struct ninep_msg msg = { .type = NINEP_TREADLINK };
	struct ninep_call call = { .data = io->buf, .cap = io->len };
	struct place place;
	int32_t r = find(remote, io, false, &place, &msg.fid);

	if (r == 0 && !(place.qid.type & NINEP_QID_SYMLINK))
		r = -EINVAL;
	if (r == 0)
		r = ninep_call_begin(&remote->client, &msg, &call);
	if (r == 0)
		r = ninep_call_end(&call);
	place_finish(&place);
	return r < 0 ? r : (int32_t)call.count;
}

/* ---- lists --------------------------------------------------------------------------------------- */

enum { LIST_ROUNDS = 64, ENTRY_ALIGN = 8 };

static bool is_dots(const struct ninep_text *name)
{
	return name->at[0] == '.' && (name->len == 1 || (name->len == 2 && name->at[1] == '.'));
}

static bool is_name(const struct ninep_text *name)
{
	return name->len && name->len <= SONDE_FS_NAME_MAX && !mem_find(name->at, '/', name->len) &&
	       !mem_find(name->at, 0, name->len);
}

/* An entry as the caller gets it. Returns its bytes; 0: no room. */
static uint32_t tell_entry(const struct ninep_entry *from, void *to, uint32_t cap)
{
	struct sonde_fs_entry *entry = to;
	size_t size = offsetof(struct sonde_fs_entry, name) + from->name.len + 1u;

	size = (size + ENTRY_ALIGN - 1) & ~(size_t)(ENTRY_ALIGN - 1);
	if (size > cap)
		return 0;
	entry->node = from->qid.path;
	entry->next = (int64_t)from->next;
	entry->size = (uint16_t)size;
	entry->kind = (uint8_t)ninep_entry_kind(from->type);
	memcpy(entry->name, from->name.at, from->name.len);
	entry->name[from->name.len] = 0;
	return (uint32_t)size;
}

/* Returns bytes; *next: where the list goes on behind what was told or left out. */
static int32_t tell_list(const uint8_t *from, uint32_t len, const struct sonde_fs_io *io,
			 uint64_t *next)
{
	struct ninep_entry entry;
	uint32_t used = 0;

	for (size_t n; len; from += n, len -= (uint32_t)n) {
		n = ninep_decode_entry(from, len, &entry);
		if (n == 0 || entry.next > INT64_MAX || !is_name(&entry.name))
			return -EPROTO;
		if (!is_dots(&entry.name)) {
			uint32_t size = tell_entry(&entry, (char *)io->buf + used, io->len - used);
			if (size == 0)
				break;
			used += size;
		}
		*next = entry.next;
	}
	return (int32_t)used;
}

/* As many rounds as it takes to meet something that is told: "." and ".." are none. */
static int32_t list(struct remote *remote, uint32_t fid, const struct sonde_fs_io *io,
		    uint8_t *room, uint32_t cap)
{
	uint64_t off = io->off;

	for (int round = 0; round < LIST_ROUNDS; round++) {
		struct ninep_msg msg = {
			.type = NINEP_TREADDIR, .fid = fid, .off = off, .count = cap
		};
		struct ninep_call call = { .data = room, .cap = cap };
		int32_t r = ninep_call_begin(&remote->client, &msg, &call);
		if (r == 0)
			r = ninep_call_end(&call);
		if (r < 0 || call.count == 0)
			return r;
		r = tell_list(room, call.count, io, &off);
		if (r)
			return r;
	}
	return -EPROTO;
}

static int32_t do_list(struct remote *remote, const struct sonde_fs_io *io)
{
	const struct remote_handle *handle = remote_handle(remote, io->file);
	uint32_t most = remote->client.msize - NINEP_IO_HEAD;
	uint32_t cap = io->len < most ? io->len : most;

	if (!handle || handle->dir == NINEP_NO_FID)
		return handle ? -ENOTDIR : -EBADF;
	uint8_t *room = mem_alloc(1, cap);
	int32_t r = room ? list(remote, handle->fid, io, room, cap) : -ENOMEM;
	mem_release(room);
	return r;
}

/* ---- requests ------------------------------------------------------------------------------------ */

typedef int32_t operation_fn(struct remote *remote, const struct sonde_fs_io *io);

static operation_fn *const operations[SONDE_FS_N_OPS] = {
	[SONDE_FS_OPEN] = do_open,       [SONDE_FS_CLOSE] = do_close,
	[SONDE_FS_READ] = do_move,       [SONDE_FS_WRITE] = do_move,
	[SONDE_FS_SYNC] = do_sync,       [SONDE_FS_SET_LENGTH] = do_set_length,
	[SONDE_FS_STAT] = do_stat,       [SONDE_FS_SET_MODE] = do_set_mode,
	[SONDE_FS_RENAME] = do_rename,   [SONDE_FS_REMOVE] = do_remove,
	[SONDE_FS_MKDIR] = do_mkdir,     [SONDE_FS_LINK] = do_link,
	[SONDE_FS_SYMLINK] = do_symlink, [SONDE_FS_READ_LINK] = do_read_link,
	[SONDE_FS_LIST] = do_list,
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
	operation_fn *operation = operations[work->io->op];
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

static void finish(struct sonde_task *self, struct remote *remote)
{
	ninep_client_close(self, &remote->client);
	mem_release(remote->handles);
	mem_release(remote);
}

static void close_remote(void *impl)
{
	struct remote *remote = impl;

	finish(sonde_task_current(remote->client.loop), remote);
}

static const struct sonde_fs_ops ops = {
	.size = sizeof(ops), .submit = submit, .cancel = cancel, .close = close_remote
};

static int32_t ask_by(struct remote *remote, struct ninep_msg *msg, struct ninep_call *call)
{
	int32_t r = ninep_call_begin(&remote->client, msg, call);

	return r < 0 ? r : ninep_call_end(call);
}

static int refused(struct sonde_error *err, int32_t r, uint64_t deadline_ns, const char *what)
{
	if (r == -ETIMEDOUT)
		return sonde_error_set(err, SONDE_E_TIMED_OUT, "%s: the server says nothing", what);
	if (r == -EPIPE)
		return sonde_error_set(err, SONDE_E_GONE, "%s: it hung up", what);
	if (r == -ECANCELED && deadline_ns && sonde_now_ns() >= deadline_ns)
		return sonde_error_set(err, SONDE_E_TIMED_OUT, "%s: no answer in time", what);
	return sonde_error_os(err, -r, "%s", what);
}

static int agree(struct remote *remote, uint64_t deadline_ns, struct sonde_error *err)
{
	static const struct ninep_text ours = { NINEP_VERSION, sizeof(NINEP_VERSION) - 1 };
	char theirs[16] = "";
	struct ninep_msg msg = { .type = NINEP_TVERSION,
				 .msize = remote->client.msize,
				 .name = ours };
	struct ninep_call call = { .answer = &msg,
				   .data = theirs,
				   .cap = sizeof(theirs) - 1,
				   .deadline_ns = deadline_ns };
	int32_t r = ask_by(remote, &msg, &call);

	if (r < 0)
		return refused(err, r, deadline_ns, "version");
	if (strcmp(theirs, NINEP_VERSION) != 0)
		return sonde_error_set(err, SONDE_E_BAD_FORMAT,
				       "it speaks '%s', not " NINEP_VERSION, theirs);
	if (msg.msize < NINEP_MSIZE_MIN || msg.msize > remote->client.msize)
		return sonde_error_set(err, SONDE_E_BAD_FORMAT,
				       "messages of %u bytes, where %u to %u were offered",
				       msg.msize, NINEP_MSIZE_MIN, remote->client.msize);
	remote->client.msize = msg.msize;
	return SONDE_OK;
}

static int attach(struct remote *remote, const struct sonde_fs_remote_options *options,
		  struct sonde_error *err)
{
	const char *user = options->user ? options->user : "", *tree = options->tree;
	struct ninep_msg msg = { .type = NINEP_TATTACH,
				 .fid = remote->root,
				 .other_fid = NINEP_NO_FID,
				 .name = { user, (uint16_t)strlen(user) },
				 .other_name = { tree, tree ? (uint16_t)strlen(tree) : 0 },
				 .uid = options->has_uid ? options->uid : UINT32_MAX };
	struct ninep_call call = { .answer = &msg, .deadline_ns = options->deadline_ns };
	int32_t r = ask_by(remote, &msg, &call);

	if (r < 0)
		return refused(err, r, options->deadline_ns, tree ? tree : "attach");
	if (!(msg.qid.type & NINEP_QID_DIRECTORY))
		return sonde_error_set(err, SONDE_E_NOT_DIRECTORY, "%s: is no directory",
				       tree ? tree : "the tree");
	return SONDE_OK;
}

#define SECOND_NS UINT64_C(1000000000)

static int check(const struct sonde_fs_remote_options *options, struct sonde_error *err)
{
	if (options->flags & ~(uint32_t)SONDE_FS_BENEATH)
		return sonde_error_set(err, SONDE_E_BAD_ARG, "flags: 0 or SONDE_FS_BENEATH");
	if (options->msize &&
	    (options->msize < NINEP_MSIZE_MIN || options->msize > NINEP_MSIZE_MAX))
		return sonde_error_set(err, SONDE_E_BAD_ARG, "msize: %u to %u, not %u",
				       NINEP_MSIZE_MIN, NINEP_MSIZE_MAX, options->msize);
	if ((options->user && strlen(options->user) > SONDE_FS_NAME_MAX) ||
	    (options->tree && strlen(options->tree) > SONDE_FS_PATH_MAX))
		return sonde_error_set(err, SONDE_E_BAD_ARG, "user or tree is too long");
	return SONDE_OK;
}

/* Over a connection that is there; fd is taken. */
static int open_over(struct sonde_task *self, struct sonde_loop *loop, int fd,
		     const struct sonde_fs_remote_options *options, struct sonde_fs **ret,
		     struct sonde_error *err)
{
	struct remote *remote = mem_alloc(1, sizeof(*remote));
	int r;

	if (!remote) {
		close(fd);
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	}
	r = ninep_client_open(&remote->client, loop, fd,
			      options->msize ? options->msize : NINEP_MSIZE_MAX);
	remote->client.patience_ns = options->patience_ns ? options->patience_ns : SECOND_NS;
	remote->client.silence_ns = options->silence_ns ? options->silence_ns : 30 * SECOND_NS;
	remote->last = &remote->first;
	remote->flags = options->flags;
	remote->root = ninep_take_fid(&remote->client);
	if (r == 0)
		r = agree(remote, options->deadline_ns, err);
	if (r == 0)
		r = attach(remote, options, err);
	if (r == 0)
		r = sonde_fs_create(loop, &ops, remote, ret);
	if (r < 0)
		finish(self, remote);
	return r;
}

int sonde_fs_remote(struct sonde_task *self, struct sonde_loop *loop, const char *address,
		    const struct sonde_fs_remote_options *options, struct sonde_fs **ret,
		    struct sonde_error *err)
{
	struct sonde_fs_remote_options own = { 0 };
	struct sonde_net_options net = { .size = sizeof(net), .flags = SONDE_NET_NODELAY };
	int fd, r;

	if (options)
		memcpy(&own, options, options->size < sizeof(own) ? options->size : sizeof(own));
	r = check(&own, err);
	if (r < 0)
		return sonde_error_prefix(err, "9p: '%s'", address);
	net.keepalive_s = own.keepalive_s ? own.keepalive_s : 60;
	net.deadline_ns = own.deadline_ns;
	fd = sonde_net_connect(self, loop, address, &net, err);
	if (fd < 0)
		return fd;
	r = open_over(self, loop, fd, &own, ret, err);
	if (r < 0)
		sonde_error_prefix(err, "9p: '%s'", address);
	return r;
}
