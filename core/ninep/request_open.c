/* SPDX-License-Identifier: MIT */
/* To open and to create. */
#include <errno.h>

#include "ninep/request.h"

/* Open path, which is of this kind as far as is known, for fid. */
static int32_t open_fid(struct sonde_task *self, struct ninep_job *job, const char *path,
			uint32_t flags, uint32_t kind, struct ninep_msg *answer)
{
	struct ninep_fid *fid = job->fid;
	struct sonde_fs_info info;

	if (fid->is_opening)
		return -EBADF;
	fid->is_opening = true;
	int32_t r = request_open(self, job, path, flags, job->msg.mode & 07777);
	if (r < 0) {
		fid->is_opening = false;
		return r;
	}
	fid->handle = r;
	fid->flags = flags;
	if (request_stat_fid(self, job, &info) < 0)
		info = (struct sonde_fs_info){ .kind = kind };
	fid->kind = info.kind;
	answer->qid = ninep_qid_of(&info);
	return 0;
}

int32_t request_lopen(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	uint32_t flags = ninep_fs_flags(job->msg.flags & ~(NINEP_CREATE | NINEP_EXCLUSIVE));
	bool writes = flags & (SONDE_FS_FOR_WRITE | SONDE_FS_APPEND);

	if (writes && !request_may_write(job))
		return -EROFS;
	if (job->fid->kind == SONDE_KIND_DIRECTORY)
		flags = writes ? flags : SONDE_FS_DIRECTORY;
	return open_fid(self, job, job->fid_path, flags, job->fid->kind, answer);
}

/* The room for its path is had first: once the file is there, nothing fails any more. */
int32_t request_lcreate(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	uint32_t wire = (job->msg.flags | NINEP_CREATE) & ~(uint32_t)NINEP_DIRECTORY;
	int32_t r = request_name_in(job->fid_path, &job->msg.name, job->path);
	char *path = NULL;

	if (r == 0)
		r = ninep_path_take(job->session, job->path, &path);
	if (r < 0)
		return r;
	r = open_fid(self, job, job->path, ninep_fs_flags(wire), SONDE_KIND_FILE, answer);
	if (r == 0)
		ninep_fid_put_path(job->session, job->fid, path);
	else
		ninep_path_drop(job->session, path);
	return r;
}
