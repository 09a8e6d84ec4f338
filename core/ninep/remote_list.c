/* SPDX-License-Identifier: MIT */
/* Lists: entries of a directory as sonde/fs.h has them. */
#include <errno.h>

#include "base/mem.h"
#include "ninep/remote.h"

enum { LIST_ROUNDS = 64, ENTRY_ALIGN = 8 };

static bool is_dots(const struct ninep_text *name)
{
	return name->at[0] == '.' && (name->len == 1 || (name->len == 2 && name->at[1] == '.'));
}

static bool is_name(const struct ninep_text *name)
{
	return name->len && name->len <= SONDE_FS_NAME_MAX && !mem_find(name->at, '/', name->len) &&
	       !mem_find(name->at, 0, name->len);
}

/* An entry as the caller gets it. Returns its bytes; 0: no room. */
static uint32_t tell_entry(const struct ninep_entry *from, void *to, uint32_t cap)
{
	struct sonde_fs_entry *entry = to;
	size_t size = offsetof(struct sonde_fs_entry, name) + from->name.len + 1u;

	size = (size + ENTRY_ALIGN - 1) & ~(size_t)(ENTRY_ALIGN - 1);
	if (size > cap)
		return 0;
	entry->node = from->qid.path;
	entry->next = (int64_t)from->next;
	entry->size = (uint16_t)size;
	entry->kind = (uint8_t)ninep_entry_kind(from->type);
	memcpy(entry->name, from->name.at, from->name.len);
	entry->name[from->name.len] = 0;
	return (uint32_t)size;
}

/* Returns bytes; *next: where the list goes on behind what was told or left out. */
static int32_t tell_list(const uint8_t *from, uint32_t len, const struct sonde_fs_io *io,
			 uint64_t *next)
{
	struct ninep_entry entry;
	uint32_t used = 0;

	for (size_t n; len; from += n, len -= (uint32_t)n) {
		n = ninep_decode_entry(from, len, &entry);
		if (n == 0 || entry.next > INT64_MAX || !is_name(&entry.name))
			return -EPROTO;
		if (!is_dots(&entry.name)) {
			uint32_t size = tell_entry(&entry, (char *)io->buf + used, io->len - used);
			if (size == 0)
				break;
			used += size;
		}
		*next = entry.next;
	}
	return (int32_t)used;
}

/* As many rounds as it takes to meet something that is told: "." and ".." are none. */
static int32_t list(struct remote *remote, uint32_t fid, const struct sonde_fs_io *io,
		    uint8_t *room, uint32_t cap)
{
	uint64_t off = io->off;

	for (int round = 0; round < LIST_ROUNDS; round++) {
		struct ninep_msg msg = {
			.type = NINEP_TREADDIR, .fid = fid, .off = off, .count = cap
		};
		struct ninep_call call = { .data = room, .cap = cap };
		int32_t r = ninep_call_begin(&remote->client, &msg, &call);
		if (r == 0)
			r = ninep_call_end(&call);
		if (r < 0 || call.count == 0)
			return r;
		r = tell_list(room, call.count, io, &off);
		if (r)
			return r;
	}
	return -EPROTO;
}

int32_t remote_list(struct remote *remote, const struct sonde_fs_io *io)
{
	const struct remote_handle *handle = remote_handle(remote, io->file);
	uint32_t most = remote->client.msize - NINEP_IO_HEAD;
	uint32_t cap = io->len < most ? io->len : most;

	if (!handle || handle->dir == NINEP_NO_FID)
		return handle ? -ENOTDIR : -EBADF;
	uint8_t *room = mem_alloc(1, cap);
	int32_t r = room ? list(remote, handle->fid, io, room, cap) : -ENOMEM;
	mem_release(room);
	return r;
}
