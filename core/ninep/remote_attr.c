/* SPDX-License-Identifier: MIT */
/* What is asked about a file, and what of it can be set. */
#include <errno.h>

#include "ninep/remote.h"

int32_t remote_find(struct remote *remote, const struct sonde_fs_io *io, bool follow,
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

int32_t remote_stat(struct remote *remote, const struct sonde_fs_io *io)
{
	struct ninep_msg msg = { .type = NINEP_TGETATTR,
				 .mask = NINEP_GETATTR_BASIC | NINEP_GETATTR_CREATED };
	struct place place;
	int32_t r = remote_find(remote, io, !(io->flags & SONDE_FS_NO_FOLLOW), &place, &msg.fid);

	if (r == 0)
		r = ninep_ask(&remote->client, &msg, &msg);
	if (r == 0)
		ninep_take_attr(&msg.attr, &msg.qid, io->info);
	place_finish(&place);
	return r;
}

int32_t remote_set_mode(struct remote *remote, const struct sonde_fs_io *io)
{
	struct ninep_msg msg = { .type = NINEP_TSETATTR,
				 .flags = NINEP_SETATTR_MODE,
				 .attr.mode = io->mode };
	struct place place;
	int32_t r = remote_find(remote, io, true, &place, &msg.fid);

	if (r == 0)
		r = ninep_ask(&remote->client, &msg, NULL);
	place_finish(&place);
	return r;
}

int32_t remote_set_length(struct remote *remote, const struct sonde_fs_io *io)
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
