/* SPDX-License-Identifier: MIT */
/* What files hold, and directories. */
#include <errno.h>

#include "base/mem.h"
#include "ninep/request.h"

enum { LIST_BYTES = 16 << 10 /* of entries asked for at once */ };

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
	return request_ask(self, job, &io);
}

/* Room for count bytes of data in the answer, or as many as a message takes. */
static uint8_t *data_room(struct ninep_job *job, uint32_t *ret_count)
{
	uint32_t most = job->session->msize - NINEP_DATA_HEAD;

	*ret_count = job->msg.count < most ? job->msg.count : most;
	job->out = mem_alloc(1, NINEP_DATA_HEAD + *ret_count);
	return job->out ? job->out + NINEP_DATA_HEAD : NULL;
}

int32_t request_read(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	uint32_t count;
	uint8_t *data = data_room(job, &count);
	int32_t r = data ? move_bytes(self, job, SONDE_FS_READ, data, count) : -ENOMEM;

	answer->count = r < 0 ? 0 : (uint32_t)r;
	return r < 0 ? r : 0;
}

int32_t request_write(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	void *data = (void *)(uintptr_t)job->msg.data;
	int32_t r = move_bytes(self, job, SONDE_FS_WRITE, data, job->msg.count);

	answer->count = r < 0 ? 0 : (uint32_t)r;
	return r < 0 ? r : 0;
}

int32_t request_fsync(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
{
	struct sonde_fs_io io = { .op = SONDE_FS_SYNC,
				  .file = job->fid->handle,
				  .flags = job->msg.flags ? SONDE_FS_DATA : 0 };

	(void)answer;
	return job->fid->handle < 0 ? -EBADF : request_ask(self, job, &io);
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
	int32_t r = entries ? request_ask(self, job, &io) : -ENOMEM;

	if (r > 0)
		r = tell_entries(entries, r, to, cap);
	mem_release(entries);
	return r;
}

int32_t request_readdir(struct sonde_task *self, struct ninep_job *job, struct ninep_msg *answer)
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
