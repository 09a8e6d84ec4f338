/* SPDX-License-Identifier: MIT */
/* What requests have in common: to ask the file system, and paths of the names that clients send. */
#include <errno.h>

#include "base/mem.h"
#include "ninep/request.h"

/* ---- the file system ----------------------------------------------------------------------------- */

int32_t request_ask(struct sonde_task *self, struct ninep_job *job, struct sonde_fs_io *io)
{
	io->flags |= SONDE_FS_BENEATH;
	int r = sonde_fs_run(self, job->session->server->fs, io);

	return r < 0 ? -(int32_t)ninep_code(r, io->os_code) : r;
}

static const char *or_root(const char *path)
{
	return *path ? path : ".";
}

struct sonde_fs_io request_io(enum sonde_fs_op op, const char *path)
{
	return (struct sonde_fs_io){
		.op = op, .dir = SONDE_FS_ROOT, .to_dir = SONDE_FS_ROOT, .path = or_root(path)
	};
}

int32_t request_stat(struct sonde_task *self, struct ninep_job *job, const char *path,
		     struct sonde_fs_info *ret)
{
	struct sonde_fs_io io = request_io(SONDE_FS_STAT, path);

	io.flags = SONDE_FS_NO_FOLLOW;
	io.info = ret;
	return request_ask(self, job, &io);
}

int32_t request_stat_fid(struct sonde_task *self, struct ninep_job *job, struct sonde_fs_info *ret)
{
	struct sonde_fs_io io = { .op = SONDE_FS_STAT, .file = job->fid->handle, .info = ret };

	if (job->fid->handle < 0)
		return request_stat(self, job, job->fid_path, ret);
	return request_ask(self, job, &io);
}

bool request_may_write(const struct ninep_job *job)
{
	return job->session->server->flags & SONDE_FS_SERVER_WRITES;
}

/* What a fid led to when it was walked to may be something else by now. */
int32_t request_open(struct sonde_task *self, struct ninep_job *job, const char *path,
		     uint32_t flags, uint32_t mode)
{
	struct sonde_fs_io io = request_io(SONDE_FS_OPEN, path);
	struct sonde_fs_info info;

	if (request_stat(self, job, path, &info) == 0 && info.kind == SONDE_KIND_OTHER)
		return -EACCES;
	io.flags = flags | SONDE_FS_NO_FOLLOW;
	io.mode = mode;
	return request_ask(self, job, &io);
}

/* ---- paths --------------------------------------------------------------------------------------- */

bool request_is_text(const struct ninep_text *name, const char *text, uint16_t len)
{
	return name->len == len && memcmp(name->at, text, len) == 0;
}

int32_t request_check_name(const struct ninep_text *name)
{
	if (name->len == 0)
		return -ENOENT;
	if (mem_find(name->at, '/', name->len) || mem_find(name->at, 0, name->len))
		return -EINVAL;
	return name->len > SONDE_FS_NAME_MAX ? -ENAMETOOLONG : 0;
}

int32_t request_add_name(const char *path, const struct ninep_text *name, char *to)
{
	size_t len = strlen(path), slash = len > 0;

	if (len + slash + name->len > SONDE_FS_PATH_MAX)
		return -ENAMETOOLONG;
	memmove(to, path, len);
	if (slash)
		to[len] = '/';
	memcpy(to + len + slash, name->at, name->len);
	to[len + slash + name->len] = 0;
	return 0;
}

int32_t request_name_in(const char *dir, const struct ninep_text *name, char *to)
{
	int32_t r = request_check_name(name);

	if (r < 0)
		return r;
	if (request_is_text(name, ".", 1) || request_is_text(name, "..", 2))
		return -EINVAL;
	return request_add_name(dir, name, to);
}
