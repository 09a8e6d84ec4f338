/* SPDX-License-Identifier: MIT */
/* What makes, moves, removes and reads names. */
#include <errno.h>

#include "base/mem.h"
#include "ninep/request.h"

/* Of what was just made; where it is not to be had, made it was all the same, and kind is known. */
static struct ninep_qid qid_of_new(struct sonde_task *self, struct ninep_job *job, uint32_t kind)
{
	struct sonde_fs_info info;

	if (request_stat(self, job, job->path, &info) < 0)
		info = (struct sonde_fs_info){ .kind = kind };
	return ninep_qid_of(&info);
}

int32_t request_mkdir(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	int32_t r = request_name_in(job->fid_path, &job->msg.name, job->path);
	struct sonde_fs_io io = request_io(SONDE_FS_MKDIR, job->path);

	io.mode = job->msg.mode & 07777;
	if (r == 0)
		r = request_ask(self, job, &io);
	if (r == 0)
		answer->qid = qid_of_new(self, job, SONDE_KIND_DIRECTORY);
	return r;
}

int32_t request_symlink(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	const struct ninep_text *text = &job->msg.other_name;
	int32_t r = request_name_in(job->fid_path, &job->msg.name, job->path);
	struct sonde_fs_io io = request_io(SONDE_FS_SYMLINK, job->path);

	if (text->len > SONDE_FS_PATH_MAX)
		return -ENAMETOOLONG;
	if (mem_find(text->at, 0, text->len))
		return -EINVAL;
	memcpy(job->to, text->at, text->len);
	job->to[text->len] = 0;
	io.to = job->to;
	if (r == 0)
		r = request_ask(self, job, &io);
	if (r == 0)
		answer->qid = qid_of_new(self, job, SONDE_KIND_SYMLINK);
	return r;
}

int32_t request_readlink(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	struct sonde_fs_io io = request_io(SONDE_FS_READ_LINK, job->fid_path);

	io.buf = job->to;
	io.len = SONDE_FS_PATH_MAX;
	int32_t r = request_ask(self, job, &io);
	if (r >= 0)
		answer->name = (struct ninep_text){ job->to, (uint16_t)r };
	return r < 0 ? r : 0;
}

int32_t request_link(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	int32_t r = request_name_in(job->fid_path, &job->msg.name, job->to);
	struct sonde_fs_io io = request_io(SONDE_FS_LINK, job->other_path);

	(void)answer;
	io.to = job->to;
	if (job->other->handle >= 0) {
		io.path = NULL;
		io.file = job->other->handle;
	}
	return r < 0 ? r : request_ask(self, job, &io);
}

/* path to to; fids go along. */
static int32_t rename_path(struct sonde_task *self, struct ninep_job *job)
{
	struct sonde_fs_io io = request_io(SONDE_FS_RENAME, job->path);

	io.to = job->to;
	int32_t r = request_ask(self, job, &io);
	if (r == 0)
		ninep_fids_moved(job->session->server, job->path, job->to);
	return r;
}

int32_t request_renameat(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	int32_t r = request_name_in(job->fid_path, &job->msg.name, job->path);

	(void)answer;
	if (r == 0)
		r = request_name_in(job->other_path, &job->msg.other_name, job->to);
	return r < 0 ? r : rename_path(self, job);
}

int32_t request_rename(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	int32_t r = request_name_in(job->other_path, &job->msg.name, job->to);

	(void)answer;
	memcpy(job->path, job->fid_path, strlen(job->fid_path) + 1);
	return r < 0 ? r : rename_path(self, job);
}

static int32_t remove_path(struct sonde_task *self, struct ninep_job *job, const char *path,
			   bool directory)
{
	struct sonde_fs_io io = request_io(SONDE_FS_REMOVE, path);

	io.flags = directory ? SONDE_FS_DIRECTORY : 0;
	return request_ask(self, job, &io);
}

int32_t request_unlinkat(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	int32_t r = request_name_in(job->fid_path, &job->msg.name, job->path);

	(void)answer;
	return r < 0 ? r
		     : remove_path(self, job, job->path, job->msg.flags & NINEP_REMOVE_DIRECTORY);
}

int32_t request_remove(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	(void)answer;
	memcpy(job->path, job->fid_path, strlen(job->fid_path) + 1);
	return remove_path(self, job, job->path, job->fid->kind == SONDE_KIND_DIRECTORY);
}
