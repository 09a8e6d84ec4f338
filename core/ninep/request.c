/* SPDX-License-Identifier: MIT */
/*
 * From a message to what it does: one function a message, one table. request.h says what they have in
 * common.
 */
#include "ninep/request.h"

#include <errno.h>

#include "base/mem.h"

enum {
	SHORT_ANSWER = 64, /* bytes                                            */
	ANSWER = 6 << 10,  /* ... what has no data: the text of a link at most */
};

enum needs {
	HAS_FID = 1u << 0,   /* fid is one                                  */
	HAS_OTHER = 1u << 1, /* ... and other_fid                           */
	ENDS_FID = 1u << 2,  /* fid is none behind it, whatever the answer  */
	WRITES = 1u << 3,    /* it changes something                        */
};

static const struct {
	request_fn *run;
	uint32_t needs; /* enum needs */
} requests[NINEP_TYPES] = {
	[NINEP_TLOPEN] = { request_lopen, HAS_FID },
	[NINEP_TLCREATE] = { request_lcreate, HAS_FID | WRITES },
	[NINEP_TSYMLINK] = { request_symlink, HAS_FID | WRITES },
	[NINEP_TRENAME] = { request_rename, HAS_FID | HAS_OTHER | WRITES },
	[NINEP_TREADLINK] = { request_readlink, HAS_FID },
	[NINEP_TGETATTR] = { request_getattr, HAS_FID },
	[NINEP_TSETATTR] = { request_setattr, HAS_FID | WRITES },
	[NINEP_TREADDIR] = { request_readdir, HAS_FID },
	[NINEP_TFSYNC] = { request_fsync, HAS_FID },
	[NINEP_TLINK] = { request_link, HAS_FID | HAS_OTHER | WRITES },
	[NINEP_TMKDIR] = { request_mkdir, HAS_FID | WRITES },
	[NINEP_TRENAMEAT] = { request_renameat, HAS_FID | HAS_OTHER | WRITES },
	[NINEP_TUNLINKAT] = { request_unlinkat, HAS_FID | WRITES },
	[NINEP_TAUTH] = { request_auth, 0 },
	[NINEP_TATTACH] = { request_attach, 0 },
	[NINEP_TWALK] = { request_walk, HAS_FID },
	[NINEP_TREAD] = { request_read, HAS_FID },
	[NINEP_TWRITE] = { request_write, HAS_FID | WRITES },
	[NINEP_TCLUNK] = { request_clunk, HAS_FID | ENDS_FID },
	[NINEP_TREMOVE] = { request_remove, HAS_FID | ENDS_FID | WRITES },
};

int32_t ninep_request_begin(struct sonde_task *self, struct ninep_job *job)
{
	struct ninep_session *s = job->session;
	uint32_t needs = requests[job->msg.type].needs;

	job->fid = needs & HAS_FID ? ninep_fid_find(s, job->msg.fid) : NULL;
	job->other = needs & HAS_OTHER ? ninep_fid_find(s, job->msg.other_fid) : NULL;
	if ((needs & HAS_FID && !job->fid) || (needs & HAS_OTHER && !job->other))
		return -EBADF;
	if (needs & ENDS_FID)
		ninep_fid_remove(self, s, job->fid);
	if (needs & WRITES && !request_may_write(job))
		return -EROFS;
	/* linux takes ENOSYS of statfs for "make something up". */
	return requests[job->msg.type].run      ? 0
	       : job->msg.type == NINEP_TSTATFS ? -ENOSYS
						: -EOPNOTSUPP;
}

size_t ninep_request_short_answer(struct ninep_job *job, int32_t r)
{
	struct ninep_msg answer = { .type = r < 0 ? NINEP_RLERROR : job->msg.type + 1,
				    .tag = job->msg.tag,
				    .code = (uint32_t)-r };

	if (!job->out)
		job->out = mem_alloc(1, SHORT_ANSWER);
	return job->out ? ninep_encode(&answer, job->out, SHORT_ANSWER) : 0;
}

/* Data is where it belongs already; else there is room for an answer of its own. */
static size_t put_answer(struct ninep_job *job, const struct ninep_msg *answer)
{
	if (job->out)
		return ninep_encode(answer, job->out, NINEP_DATA_HEAD + answer->count);
	job->out = mem_alloc(1, ANSWER);
	return job->out ? ninep_encode(answer, job->out, ANSWER) : 0;
}

/* Those of fids as they are now: a rename changes them while requests wait. NULL: no memory. */
static char *make_paths(struct ninep_job *job)
{
	const char *fid = job->fid ? job->fid->path : "",
		   *other = job->other ? job->other->path : "";
	size_t n_fid = strlen(fid) + 1, n_other = strlen(other) + 1;
	char *paths = mem_alloc(1, 2 * (SONDE_FS_PATH_MAX + 1) + n_fid + n_other);

	if (!paths)
		return NULL;
	job->path = paths;
	job->to = job->path + SONDE_FS_PATH_MAX + 1;
	job->fid_path = memcpy(job->to + SONDE_FS_PATH_MAX + 1, fid, n_fid);
	job->other_path = memcpy(job->fid_path + n_fid, other, n_other);
	return paths;
}

size_t ninep_request_run(struct sonde_task *self, struct ninep_job *job)
{
	struct ninep_msg answer = { .type = job->msg.type + 1, .tag = job->msg.tag };
	char *paths = make_paths(job);
	int32_t r = paths ? requests[job->msg.type].run(self, job, &answer) : -ENOMEM;
	size_t len;

	if (r < 0) {
		mem_release(job->out);
		job->out = NULL;
	}
	len = r < 0 ? ninep_request_short_answer(job, r) : put_answer(job, &answer);
	mem_release(paths);
	return len;
}

void ninep_request_end(struct sonde_task *self, struct ninep_job *job)
{
	if (job->fid)
		ninep_fid_release(self, job->session, job->fid);
	if (job->other)
		ninep_fid_release(self, job->session, job->other);
	job->fid = job->other = NULL;
}
