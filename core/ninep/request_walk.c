/* SPDX-License-Identifier: MIT */
/* Fids: how they begin, and where they lead. */
#include <errno.h>
#include <string.h>

#include "ninep/request.h"

/* ---- sessions ------------------------------------------------------------------------------------ */

int32_t request_attach(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	struct ninep_session *s = job->session;
	const struct ninep_text *tree = &job->msg.other_name;
	struct sonde_fs_info info;
	int32_t r;

	if (job->msg.other_fid != NINEP_NO_FID)
		return -EINVAL;
	if (tree->len && !request_is_text(tree, "/", 1))
		return -ENOENT;
	r = request_stat(self, job, "", &info);
	if (r == 0)
		answer->qid = ninep_qid_of(&info);
	if (r == 0)
		r = ninep_fid_add(s, job->msg.fid, "", SONDE_KIND_DIRECTORY);
	if (r == 0 && !s->is_attached) {
		s->is_attached = true;
		s->server->n_attached++;
	}
	return r;
}

/* "No" with no reason is how a server says that nobody need be asked: diod's libnpclient/auth.c. */
int32_t request_auth(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	(void)self, (void)job;
	answer->type = NINEP_RLERROR;
	answer->code = 0;
	return 0;
}

int32_t request_clunk(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	(void)self, (void)job, (void)answer;
	return 0;
}

/* ---- walking ------------------------------------------------------------------------------------- */

static void drop_name(char *path)
{
	char *slash = strrchr(path, '/');

	*(slash ? slash : path) = 0;
}

/* One name on, from a directory at path. Above the root is the root. */
static int32_t step(struct sonde_task *self, struct ninep_job *job, const struct ninep_text *name,
		    struct sonde_fs_info *info)
{
	int32_t r = request_check_name(name);

	if (r < 0)
		return r;
	if (info->kind != SONDE_KIND_DIRECTORY)
		return -ENOTDIR;
	if (request_is_text(name, "..", 2))
		drop_name(job->path);
	else if (!request_is_text(name, ".", 1))
		r = request_add_name(job->path, name, job->path);
	return r < 0 ? r : request_stat(self, job, job->path, info);
}

static int32_t put_walked(struct ninep_job *job, uint32_t kind)
{
	struct ninep_fid *fid = job->fid;

	if (job->msg.other_fid != fid->number)
		return ninep_fid_add(job->session, job->msg.other_fid, job->path, kind);
	if (fid->is_opening)
		return -EBADF;
	fid->kind = kind;
	return ninep_fid_set_path(job->session, fid, job->path);
}

/* An error only where the first name fails; else how far it went, and no fid where that is not all. */
int32_t request_walk(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	struct sonde_fs_info info = { .kind = job->fid->kind };
	int32_t r = 0;

	memcpy(job->path, job->fid_path, strlen(job->fid_path) + 1);
	for (uint16_t i = 0; r == 0 && i < job->msg.n_names; i++) {
		r = step(self, job, &job->msg.names[i], &info);
		if (r == 0)
			answer->qids[answer->n_qids++] = ninep_qid_of(&info);
	}
	if (r < 0)
		return answer->n_qids ? 0 : r;
	return put_walked(job, info.kind);
}
