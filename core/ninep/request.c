/* SPDX-License-Identifier: MIT */
/*
 * What each message does on the file system that is served. One function a message, one table. Every
 * request has BENEATH and follows no link at the end of a path: links are the client's to follow.
 */
#include <errno.h>

#include "base/mem.h"
#include "ninep/server.h"

enum {
	SHORT_ANSWER = 64,     /* bytes                                            */
	ANSWER = 6 << 10,      /* ... what has no data: the text of a link at most */
	LIST_BYTES = 16 << 10, /* ... of entries asked for at once                 */
};

typedef int32_t request_fn(struct sonde_task *self, struct ninep_job *job,
			   struct ninep_msg *answer);

/* ---- requests to the file system ----------------------------------------------------------------- */

/* Returns the result, or -errno. */
static int32_t ask(struct sonde_task *self, struct ninep_job *job, struct sonde_fs_io *io)
{
	io->flags |= SONDE_FS_BENEATH;
	int r = sonde_fs_run(self, job->session->server->fs, io);

	return r < 0 ? -(int32_t)ninep_code(r, io->os_code) : r;
}

static const char *or_root(const char *path)
{
	return *path ? path : ".";
}

static struct sonde_fs_io io_of(enum sonde_fs_op op, const char *path)
{
	return (struct sonde_fs_io){
		.op = op, .dir = SONDE_FS_ROOT, .to_dir = SONDE_FS_ROOT, .path = or_root(path)
	};
}

static int32_t stat_path(struct sonde_task *self, struct ninep_job *job, const char *path,
			 struct sonde_fs_info *ret)
{
	struct sonde_fs_io io = io_of(SONDE_FS_STAT, path);

	io.flags = SONDE_FS_NO_FOLLOW;
	io.info = ret;
	return ask(self, job, &io);
}

static int32_t stat_fid(struct sonde_task *self, struct ninep_job *job, struct sonde_fs_info *ret)
{
	struct sonde_fs_io io = { .op = SONDE_FS_STAT, .file = job->fid->handle, .info = ret };

	if (job->fid->handle < 0)
		return stat_path(self, job, job->fid_path, ret);
	return ask(self, job, &io);
}

/* Of what was just made; where it is not to be had, made it was all the same, and kind is known. */
static struct ninep_qid qid_of_new(struct sonde_task *self, struct ninep_job *job, uint32_t kind)
{
	struct sonde_fs_info info;

	if (stat_path(self, job, job->path, &info) < 0)
		info = (struct sonde_fs_info){ .kind = kind };
	return ninep_qid_of(&info);
}

static bool may_write(const struct ninep_job *job)
{
	return job->session->server->flags & SONDE_FS_SERVER_WRITES;
}

/* ---- paths --------------------------------------------------------------------------------------- */

static bool is_text(const struct ninep_text *name, const char *text, uint16_t len)
{
	return name->len == len && memcmp(name->at, text, len) == 0;
}

/* What a client calls a name may be a way to somewhere else. */
static int32_t check_name(const struct ninep_text *name)
{
	if (name->len == 0)
		return -ENOENT;
	if (mem_find(name->at, '/', name->len) || mem_find(name->at, 0, name->len))
		return -EINVAL;
	return name->len > SONDE_FS_NAME_MAX ? -ENAMETOOLONG : 0;
}

/* path, which is at to or elsewhere, and a name behind it. */
static int32_t add_name(const char *path, const struct ninep_text *name, char *to)
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

/* The path of something in a directory. */
static int32_t name_in(const char *dir, const struct ninep_text *name, char *to)
{
	int32_t r = check_name(name);

	if (r < 0)
		return r;
	if (is_text(name, ".", 1) || is_text(name, "..", 2))
		return -EINVAL;
	return add_name(dir, name, to);
}

static void drop_name(char *path)
{
	char *slash = strrchr(path, '/');

	*(slash ? slash : path) = 0;
}

/* ---- sessions ------------------------------------------------------------------------------------ */

static int32_t do_attach(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	struct ninep_session *s = job->session;
	const struct ninep_text *tree = &job->msg.other_name;
	struct sonde_fs_info info;
	int32_t r;

	if (job->msg.other_fid != NINEP_NO_FID)
		return -EINVAL;
	if (tree->len && !is_text(tree, "/", 1))
		return -ENOENT;
	r = stat_path(self, job, "", &info);
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
static int32_t do_auth(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	(void)self, (void)job;
	answer->type = NINEP_RLERROR;
	answer->code = 0;
	return 0;
}

static int32_t do_clunk(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	(void)self, (void)job, (void)answer;
	return 0;
}

/* ---- walking ------------------------------------------------------------------------------------- */

/* One name on, from a directory at path. Above the root is the root. */
static int32_t step(struct sonde_task *self, struct ninep_job *job, const struct ninep_text *name,
		    struct sonde_fs_info *info)
{
	int32_t r = check_name(name);

	if (r < 0)
		return r;
	if (info->kind != SONDE_KIND_DIRECTORY)
		return -ENOTDIR;
	if (is_text(name, "..", 2))
		drop_name(job->path);
	else if (!is_text(name, ".", 1))
		r = add_name(job->path, name, job->path);
	return r < 0 ? r : stat_path(self, job, job->path, info);
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
static int32_t do_walk(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
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

/* ---- opening ------------------------------------------------------------------------------------- */

static int32_t open_path(struct sonde_task *self, struct ninep_job *job, const char *path,
			 uint32_t flags, uint32_t mode)
{
	struct sonde_fs_io io = io_of(SONDE_FS_OPEN, path);

	io.flags = flags | SONDE_FS_NO_FOLLOW;
	io.mode = mode;
	return ask(self, job, &io);
}

/* Open path, which is of this kind as far as is known, for fid. */
static int32_t open_fid(struct sonde_task *self, struct ninep_job *job, const char *path,
			uint32_t flags, uint32_t kind, struct ninep_msg *answer)
{
	struct ninep_fid *fid = job->fid;
	struct sonde_fs_info info;

	if (fid->is_opening)
		return -EBADF;
	fid->is_opening = true;
	int32_t r = open_path(self, job, path, flags, job->msg.mode & 07777);
	if (r < 0) {
		fid->is_opening = false;
		return r;
	}
	fid->handle = r;
	fid->flags = flags;
	if (stat_fid(self, job, &info) < 0)
		info = (struct sonde_fs_info){ .kind = kind };
	fid->kind = info.kind;
	answer->qid = ninep_qid_of(&info);
	return 0;
}

static int32_t do_lopen(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	uint32_t flags = ninep_fs_flags(job->msg.flags & ~(NINEP_CREATE | NINEP_EXCLUSIVE));
	bool writes = flags & (SONDE_FS_FOR_WRITE | SONDE_FS_APPEND);

	if (writes && !may_write(job))
		return -EROFS;
	if (job->fid->kind == SONDE_KIND_OTHER) /* opening a device may do something */
		return -EACCES;
	if (job->fid->kind == SONDE_KIND_DIRECTORY)
		flags = writes ? flags : SONDE_FS_DIRECTORY;
	return open_fid(self, job, job->fid_path, flags, job->fid->kind, answer);
}

static int32_t do_lcreate(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	uint32_t wire = (job->msg.flags | NINEP_CREATE) & ~(uint32_t)NINEP_DIRECTORY;
	int32_t r = name_in(job->fid_path, &job->msg.name, job->path);

	if (r == 0)
		r = open_fid(self, job, job->path, ninep_fs_flags(wire), SONDE_KIND_FILE, answer);
	return r < 0 ? r : ninep_fid_set_path(job->session, job->fid, job->path);
}

/* ---- bytes --------------------------------------------------------------------------------------- */

static int32_t move_bytes(struct sonde_task *self, struct ninep_job *job, enum sonde_fs_op op,
			  void *buf, uint32_t len)
{
	struct sonde_fs_io io = {
		.op = op, .file = job->fid->handle, .off = job->msg.off, .buf = buf, .len = len
	};

	if (job->fid->handle < 0)
		return -EBADF;
	if (op == SONDE_FS_READ && job->fid->kind == SONDE_KIND_DIRECTORY)
		return -EISDIR;
	if (op == SONDE_FS_WRITE && job->fid->flags & SONDE_FS_APPEND)
		io.off = 0;
	return ask(self, job, &io);
}

/* Room for count bytes of data in the answer, or as many as a message takes. */
static uint8_t *data_room(struct ninep_job *job, uint32_t *ret_count)
{
	uint32_t most = job->session->msize - NINEP_DATA_HEAD;

	*ret_count = job->msg.count < most ? job->msg.count : most;
	job->out = mem_alloc(1, NINEP_DATA_HEAD + *ret_count);
	return job->out ? job->out + NINEP_DATA_HEAD : NULL;
}

static int32_t do_read(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	uint32_t count;
	uint8_t *data = data_room(job, &count);
	int32_t r = data ? move_bytes(self, job, SONDE_FS_READ, data, count) : -ENOMEM;

	answer->count = r < 0 ? 0 : (uint32_t)r;
	return r < 0 ? r : 0;
}

static int32_t do_write(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	void *data = (void *)(uintptr_t)job->msg.data;
	int32_t r = move_bytes(self, job, SONDE_FS_WRITE, data, job->msg.count);

	answer->count = r < 0 ? 0 : (uint32_t)r;
	return r < 0 ? r : 0;
}

static int32_t do_fsync(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	struct sonde_fs_io io = { .op = SONDE_FS_SYNC,
				  .file = job->fid->handle,
				  .flags = job->msg.flags ? SONDE_FS_DATA : 0 };

	(void)answer;
	return job->fid->handle < 0 ? -EBADF : ask(self, job, &io);
}

/* ---- lists --------------------------------------------------------------------------------------- */

/* Entries as the protocol has them, as many as there is room for. -EINVAL: not even one. */
static int32_t tell_entries(const uint8_t *list, int32_t len, uint8_t *to, uint32_t cap)
{
	const struct sonde_fs_entry *entry;
	uint32_t used = 0;

	for (int32_t at = 0; at < len; at += entry->size) {
		entry = (const void *)(list + at);
		const struct ninep_entry told = {
			.qid = { .type = entry->kind == SONDE_KIND_DIRECTORY ? NINEP_QID_DIRECTORY
					 : entry->kind == SONDE_KIND_SYMLINK ? NINEP_QID_SYMLINK
									     : 0,
				 .path = entry->node },
			.next = (uint64_t)entry->next,
			.type = ninep_entry_type(entry->kind),
			.name = { entry->name, (uint16_t)strlen(entry->name) },
		};
		size_t n = ninep_encode_entry(&told, to + used, cap - used);
		if (n == 0)
			break;
		used += (uint32_t)n;
	}
	return len && !used ? -EINVAL : (int32_t)used;
}

static int32_t list(struct sonde_task *self, struct ninep_job *job, uint8_t *to, uint32_t cap)
{
	uint8_t *entries = mem_alloc(1, LIST_BYTES);
	struct sonde_fs_io io = { .op = SONDE_FS_LIST,
				  .file = job->fid->handle,
				  .off = job->msg.off,
				  .buf = entries,
				  .len = LIST_BYTES };
	int32_t r = entries ? ask(self, job, &io) : -ENOMEM;

	if (r > 0)
		r = tell_entries(entries, r, to, cap);
	mem_release(entries);
	return r;
}

static int32_t do_readdir(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	struct ninep_fid *fid = job->fid;
	uint32_t count;
	uint8_t *data = data_room(job, &count);

	if (!data)
		return -ENOMEM;
	if (fid->handle < 0 || fid->is_listing)
		return fid->is_listing ? -EBUSY : -EBADF;
	fid->is_listing = true;
	int32_t r = list(self, job, data, count);
	fid->is_listing = false;
	answer->count = r < 0 ? 0 : (uint32_t)r;
	return r < 0 ? r : 0;
}

/* ---- attributes ---------------------------------------------------------------------------------- */

static int32_t do_getattr(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	struct sonde_fs_info info;
	int32_t r = stat_fid(self, job, &info);

	if (r == 0) {
		answer->qid = ninep_qid_of(&info);
		ninep_tell_attr(&info, &answer->attr);
	}
	return r;
}

static int32_t set_mode(struct sonde_task *self, struct ninep_job *job)
{
	struct sonde_fs_io io = io_of(SONDE_FS_SET_MODE, job->fid_path);

	if (job->fid->kind == SONDE_KIND_SYMLINK)
		return -EOPNOTSUPP;
	if (job->fid->handle >= 0) {
		io.path = NULL;
		io.file = job->fid->handle;
	}
	io.mode = job->msg.attr.mode & 07777;
	return ask(self, job, &io);
}

static int32_t set_length_of(struct sonde_task *self, struct ninep_job *job, int32_t handle)
{
	struct sonde_fs_io io = { .op = SONDE_FS_SET_LENGTH,
				  .file = handle,
				  .off = job->msg.attr.size };

	return job->msg.attr.size > INT64_MAX ? -EINVAL : ask(self, job, &io);
}

static int32_t set_length(struct sonde_task *self, struct ninep_job *job)
{
	if (job->fid->handle >= 0)
		return set_length_of(self, job, job->fid->handle);
	int32_t handle = open_path(self, job, job->fid_path, SONDE_FS_FOR_WRITE, 0);
	if (handle < 0)
		return handle;
	int32_t r = set_length_of(self, job, handle);
	sonde_fs_close(self, job->session->server->fs, handle);
	return r;
}

/* Owners and times cannot be set; those that change with the length do that by themselves. */
static int32_t do_setattr(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
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

/* ---- names --------------------------------------------------------------------------------------- */

static int32_t do_mkdir(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	int32_t r = name_in(job->fid_path, &job->msg.name, job->path);
	struct sonde_fs_io io = io_of(SONDE_FS_MKDIR, job->path);

	io.mode = job->msg.mode & 07777;
	if (r == 0)
		r = ask(self, job, &io);
	if (r == 0)
		answer->qid = qid_of_new(self, job, SONDE_KIND_DIRECTORY);
	return r;
}

static int32_t do_symlink(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	const struct ninep_text *text = &job->msg.other_name;
	int32_t r = name_in(job->fid_path, &job->msg.name, job->path);
	struct sonde_fs_io io = io_of(SONDE_FS_SYMLINK, job->path);

	if (text->len > SONDE_FS_PATH_MAX)
		return -ENAMETOOLONG;
	if (mem_find(text->at, 0, text->len))
		return -EINVAL;
	memcpy(job->to, text->at, text->len);
	job->to[text->len] = 0;
	io.to = job->to;
	if (r == 0)
		r = ask(self, job, &io);
	if (r == 0)
		answer->qid = qid_of_new(self, job, SONDE_KIND_SYMLINK);
	return r;
}

static int32_t do_readlink(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	struct sonde_fs_io io = io_of(SONDE_FS_READ_LINK, job->fid_path);

	io.buf = job->to;
	io.len = SONDE_FS_PATH_MAX;
	int32_t r = ask(self, job, &io);
	if (r >= 0)
		answer->name = (struct ninep_text){ job->to, (uint16_t)r };
	return r < 0 ? r : 0;
}

static int32_t do_link(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	int32_t r = name_in(job->fid_path, &job->msg.name, job->to);
	struct sonde_fs_io io = io_of(SONDE_FS_LINK, job->other_path);

	(void)answer;
	io.to = job->to;
	if (job->other->handle >= 0) {
		io.path = NULL;
		io.file = job->other->handle;
	}
	return r < 0 ? r : ask(self, job, &io);
}

/* path to to; fids go along. */
static int32_t rename_path(struct sonde_task *self, struct ninep_job *job)
{
	struct sonde_fs_io io = io_of(SONDE_FS_RENAME, job->path);

	io.to = job->to;
	int32_t r = ask(self, job, &io);
	if (r == 0)
		ninep_fids_moved(job->session->server, job->path, job->to);
	return r;
}

static int32_t do_renameat(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	int32_t r = name_in(job->fid_path, &job->msg.name, job->path);

	(void)answer;
	if (r == 0)
		r = name_in(job->other_path, &job->msg.other_name, job->to);
	return r < 0 ? r : rename_path(self, job);
}

static int32_t do_rename(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	int32_t r = name_in(job->other_path, &job->msg.name, job->to);

	(void)answer;
	memcpy(job->path, job->fid_path, strlen(job->fid_path) + 1);
	return r < 0 ? r : rename_path(self, job);
}

static int32_t remove_path(struct sonde_task *self, struct ninep_job *job, const char *path,
			   bool directory)
{
	struct sonde_fs_io io = io_of(SONDE_FS_REMOVE, path);

	io.flags = directory ? SONDE_FS_DIRECTORY : 0;
	return ask(self, job, &io);
}

static int32_t do_unlinkat(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	int32_t r = name_in(job->fid_path, &job->msg.name, job->path);

	(void)answer;
	return r < 0 ? r
		     : remove_path(self, job, job->path, job->msg.flags & NINEP_REMOVE_DIRECTORY);
}

static int32_t do_remove(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	(void)answer;
	memcpy(job->path, job->fid_path, strlen(job->fid_path) + 1);
	return remove_path(self, job, job->path, job->fid->kind == SONDE_KIND_DIRECTORY);
}

/* ---- all of them --------------------------------------------------------------------------------- */

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
	[NINEP_TLOPEN] = { do_lopen, HAS_FID },
	[NINEP_TLCREATE] = { do_lcreate, HAS_FID | WRITES },
	[NINEP_TSYMLINK] = { do_symlink, HAS_FID | WRITES },
	[NINEP_TRENAME] = { do_rename, HAS_FID | HAS_OTHER | WRITES },
	[NINEP_TREADLINK] = { do_readlink, HAS_FID },
	[NINEP_TGETATTR] = { do_getattr, HAS_FID },
	[NINEP_TSETATTR] = { do_setattr, HAS_FID | WRITES },
	[NINEP_TREADDIR] = { do_readdir, HAS_FID },
	[NINEP_TFSYNC] = { do_fsync, HAS_FID },
	[NINEP_TLINK] = { do_link, HAS_FID | HAS_OTHER | WRITES },
	[NINEP_TMKDIR] = { do_mkdir, HAS_FID | WRITES },
	[NINEP_TRENAMEAT] = { do_renameat, HAS_FID | HAS_OTHER | WRITES },
	[NINEP_TUNLINKAT] = { do_unlinkat, HAS_FID | WRITES },
	[NINEP_TAUTH] = { do_auth, 0 },
	[NINEP_TATTACH] = { do_attach, 0 },
	[NINEP_TWALK] = { do_walk, HAS_FID },
	[NINEP_TREAD] = { do_read, HAS_FID },
	[NINEP_TWRITE] = { do_write, HAS_FID | WRITES },
	[NINEP_TCLUNK] = { do_clunk, HAS_FID | ENDS_FID },
	[NINEP_TREMOVE] = { do_remove, HAS_FID | ENDS_FID | WRITES },
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
	if (needs & WRITES && !may_write(job))
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
