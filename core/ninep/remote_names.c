/* SPDX-License-Identifier: MIT */
/* What makes, moves, removes and reads names. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ninep/remote.h"

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
	int32_t r = place_look(place, &msg.fid, &qid);

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

/* The slash behind a name, which no message has: it is a directory's, and not a link's to one. */
static int32_t need_directory(struct place *place)
{
	struct ninep_qid qid;
	uint32_t fid;
	int32_t r = place_look(place, &fid, &qid);

	if (r < 0)
		return r;
	ninep_clunk(place->client, fid);
	return qid.type & NINEP_QID_DIRECTORY ? 0 : -ENOTDIR;
}

int32_t remote_remove(struct remote *remote, const struct sonde_fs_io *io)
{
	bool directory = io->flags & SONDE_FS_DIRECTORY;
	struct ninep_msg msg = { .type = NINEP_TUNLINKAT,
				 .flags = directory ? NINEP_REMOVE_DIRECTORY : 0 };
	struct place place;
	int32_t r = find_name(remote, &place, io->dir, io->path, io->flags,
			      directory ? -EINVAL : -EISDIR);

	if (r == 0 && place.slash)
		r = need_directory(&place);
	msg.fid = place.fid;
	msg.name = place.last;
	if (r == 0) {
		r = ninep_ask(&remote->client, &msg, NULL);
		if (is_unknown(r))
			r = remove_fid(&place, directory);
	}
	place_finish(&place);
	return r;
}

int32_t remote_mkdir(struct remote *remote, const struct sonde_fs_io *io)
{
	struct ninep_msg msg = { .type = NINEP_TMKDIR, .mode = io->mode, .gid = getegid() };

	return ask_name(remote, io, &msg, -EEXIST);
}

int32_t remote_symlink(struct remote *remote, const struct sonde_fs_io *io)
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
	int32_t r = place_look(place, &fid, &qid);

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
	int32_t r = place_look(from, &msg.fid, &qid);

	if (r < 0)
		return r;
	r = ninep_ask(from->client, &msg, NULL);
	ninep_clunk(from->client, msg.fid);
	return r;
}

int32_t remote_rename(struct remote *remote, const struct sonde_fs_io *io)
{
	struct ninep_msg msg = { .type = NINEP_TRENAMEAT };
	struct place from, to = { .client = &remote->client, .fid = NINEP_NO_FID };
	int32_t r = find_name(remote, &from, io->dir, io->path, io->flags, -EBUSY);

	if (r == 0)
		r = find_name(remote, &to, io->to_dir, io->to, io->flags, -EBUSY);
	if (r == 0 && (from.slash || to.slash))
		r = need_directory(&from);
	if (r == 0 && io->flags & SONDE_FS_NO_REPLACE)
		r = may_rename(&from, &to);
	msg.fid = from.fid;
	msg.name = from.last;
	msg.other_fid = to.fid;
	msg.other_name = to.last;
	if (r == 0) {
		r = ninep_ask(&remote->client, &msg, NULL);
		if (is_unknown(r))
			r = rename_fid(&from, &to);
	}
	place_finish(&from);
	place_finish(&to);
	return r;
}

int32_t remote_link(struct remote *remote, const struct sonde_fs_io *io)
{
	struct ninep_msg msg = { .type = NINEP_TLINK };
	struct place from, to = { .client = &remote->client, .fid = NINEP_NO_FID };
	int32_t r = remote_find(remote, io, false, &from, &msg.other_fid);

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

int32_t remote_read_link(struct remote *remote, const struct sonde_fs_io *io)
{
	struct ninep_msg msg = { .type = NINEP_TREADLINK };
	struct ninep_call call = { .data = io->buf, .cap = io->len };
	struct place place;
	int32_t r = remote_find(remote, io, false, &place, &msg.fid);

	if (r == 0 && !(place.qid.type & NINEP_QID_SYMLINK))
		r = -EINVAL;
	if (r == 0)
		r = ninep_call_begin(&remote->client, &msg, &call);
	if (r == 0)
		r = ninep_call_end(&call);
	place_finish(&place);
	return r < 0 ? r : (int32_t)call.count;
}
