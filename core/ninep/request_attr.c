/* SPDX-License-Identifier: MIT */
/* Attributes. */
#include <errno.h>

#include "ninep/request.h"

int32_t request_getattr(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	struct sonde_fs_info info;
	int32_t r = request_stat_fid(self, job, &info);

	if (r == 0) {
		answer->qid = ninep_qid_of(&info);
		ninep_tell_attr(&info, &answer->attr);
	}
	return r;
}

static int32_t set_mode(struct sonde_task *self, struct ninep_job *job)
{
	struct sonde_fs_io io = request_io(SONDE_FS_SET_MODE, job->fid_path);

	if (job->fid->kind == SONDE_KIND_SYMLINK)
		return -EOPNOTSUPP;
	if (job->fid->handle >= 0) {
		io.path = NULL;
		io.file = job->fid->handle;
	}
	io.mode = job->msg.attr.mode & 07777;
	return request_ask(self, job, &io);
}

static int32_t set_length_of(struct sonde_task *self, struct ninep_job *job, int32_t handle)
{
	struct sonde_fs_io io = { .op = SONDE_FS_SET_LENGTH,
				  .file = handle,
				  .off = job->msg.attr.size };

	return job->msg.attr.size > INT64_MAX ? -EINVAL : request_ask(self, job, &io);
}

static int32_t set_length(struct sonde_task *self, struct ninep_job *job)
{
	if (job->fid->handle >= 0)
		return set_length_of(self, job, job->fid->handle);
	int32_t handle = request_open(self, job, job->fid_path, SONDE_FS_FOR_WRITE, 0);
	if (handle < 0)
		return handle;
	int32_t r = set_length_of(self, job, handle);
	sonde_fs_close(self, job->session->server->fs, handle);
	return r;
}

/* Owners and times cannot be set; those that change with the length do that by themselves. */
int32_t request_setattr(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	uint32_t which = job->msg.flags;
	uint32_t known = NINEP_SETATTR_MODE | NINEP_SETATTR_SIZE | NINEP_SETATTR_CHANGED;
	int32_t r = 0;

	(void)answer;
	if (which & NINEP_SETATTR_SIZE)
		known |= NINEP_SETATTR_MODIFIED;
	if (which & ~known)
		return -EOPNOTSUPP;
	if (which & NINEP_SETATTR_MODE)
		r = set_mode(self, job);
	if (r == 0 && which & NINEP_SETATTR_SIZE)
		r = set_length(self, job);
	return r;
}
