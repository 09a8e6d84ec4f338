/* SPDX-License-Identifier: MIT */
/* Handles, and how they come about. */
#include <errno.h>
#include <unistd.h>

#include "base/mem.h"
#include "ninep/remote.h"

/* ---- handles ------------------------------------------------------------------------------------- */

struct remote_handle *remote_handle(struct remote *remote, int32_t handle)
{
	if ((size_t)handle >= remote->n_handles || remote->handles[handle].fid == NINEP_NO_FID)
		return NULL;
	return &remote->handles[handle];
}

/* A free one; -ENOMEM. */
static int32_t free_handle(struct remote *remote)
{
	size_t n = remote->n_handles, more = n ? 2 * n : 16;

	while (remote->first_free < n && remote->handles[remote->first_free].fid != NINEP_NO_FID)
		remote->first_free++;
	if (remote->first_free < n)
		return (int32_t)remote->first_free;
	if (more > INT32_MAX)
		return -ENOMEM;
	struct remote_handle *grown = mem_resize(remote->handles, more, sizeof(*grown));
	if (!grown)
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

int32_t remote_close(struct remote *remote, const struct sonde_fs_io *io)
{
	struct remote_handle *handle = remote_handle(remote, io->file);
	struct ninep_msg msg = { .type = NINEP_TCLUNK };

	if (!handle)
		return -EBADF;
	struct remote_handle was = *handle;
	handle->fid = NINEP_NO_FID;
	if ((size_t)io->file < remote->first_free)
		remote->first_free = (size_t)io->file;
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
		r = io->flags & SONDE_FS_EXCLUSIVE ? -ENOENT : place_look(place, &fid, &qid);
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

int32_t remote_open(struct remote *remote, const struct sonde_fs_io *io)
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
