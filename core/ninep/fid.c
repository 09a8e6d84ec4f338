/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "ninep/server.h"

static struct ninep_fid **bucket_of(struct ninep_session *s, uint32_t number)
{
	return &s->buckets[(number ^ number >> 16) & (SESSION_BUCKETS - 1)];
}

static struct ninep_fid **find(struct ninep_session *s, uint32_t number)
{
	struct ninep_fid **at = bucket_of(s, number);

	while (*at && (*at)->number != number)
		at = &(*at)->below;
	return at;
}

struct ninep_fid *ninep_fid_find(struct ninep_session *s, uint32_t number)
{
	struct ninep_fid *fid = *find(s, number);

	if (fid)
		fid->n_refs++;
	return fid;
}

int32_t ninep_path_take(struct ninep_session *s, const char *path, char **ret)
{
	size_t len = strlen(path);
	char *copy;

	if (len > SESSION_PATHS - s->n_path_bytes)
		return -ENFILE;
	copy = mem_alloc(1, len + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, path, len + 1);
	s->n_path_bytes += len;
	*ret = copy;
	return 0;
}

void ninep_path_drop(struct ninep_session *s, char *path)
{
	s->n_path_bytes -= path ? strlen(path) : 0;
	mem_release(path);
}

void ninep_fid_put_path(struct ninep_session *s, struct ninep_fid *fid, char *path)
{
	ninep_path_drop(s, fid->path);
	fid->path = path;
}

int32_t ninep_fid_set_path(struct ninep_session *s, struct ninep_fid *fid, const char *path)
{
	char *copy;
	int32_t r = ninep_path_take(s, path, &copy);

	if (r == 0)
		ninep_fid_put_path(s, fid, copy);
	return r;
}

int32_t ninep_fid_add(struct ninep_session *s, uint32_t number, const char *path, uint32_t kind)
{
	struct ninep_fid **at = find(s, number), *fid;
	int32_t r;

	if (*at || number == NINEP_NO_FID)
		return -EBADF;
	if (s->n_fids >= SESSION_FIDS)
		return -ENFILE;
	fid = mem_alloc(1, sizeof(*fid));
	if (!fid)
		return -ENOMEM;
	*fid = (struct ninep_fid){ .number = number, .n_refs = 1, .handle = -1, .kind = kind };
	r = ninep_fid_set_path(s, fid, path);
	if (r < 0) {
		mem_release(fid);
		return r;
	}
	*at = fid;
	s->n_fids++;
	return 0;
}

void ninep_fid_release(struct sonde_task *self, struct ninep_session *s, struct ninep_fid *fid)
{
	if (--fid->n_refs)
		return;
	if (fid->handle >= 0)
		sonde_fs_close(self, s->server->fs, fid->handle);
	s->n_fids--;
	ninep_path_drop(s, fid->path);
	mem_release(fid);
}

void ninep_fid_remove(struct sonde_task *self, struct ninep_session *s, struct ninep_fid *fid)
{
	struct ninep_fid **at = find(s, fid->number);

	if (*at != fid)
		return;
	*at = fid->below;
	ninep_fid_release(self, s, fid);
}

/* ---- all of them --------------------------------------------------------------------------------- */

/* A path that got too long stays as it was, and leads nowhere from now on. */
static void move(struct ninep_session *s, struct ninep_fid *fid, const char *from, const char *to)
{
	size_t n = strlen(from), n_to = strlen(to), rest;
	char *path;

	if (strncmp(fid->path, from, n) != 0 || (fid->path[n] && fid->path[n] != '/'))
		return;
	rest = strlen(fid->path + n);
	path = n_to + rest > SONDE_FS_PATH_MAX ? NULL : mem_alloc(1, n_to + rest + 1);
	if (!path)
		return;
	memcpy(path, to, n_to);
	memcpy(path + n_to, fid->path + n, rest);
	ninep_fid_set_path(s, fid, path);
	mem_release(path);
}

void ninep_fids_moved(struct sonde_fs_server *server, const char *from, const char *to)
{
	for (struct ninep_session *s = server->first; s; s = s->next) {
		for (size_t i = 0; i < SESSION_BUCKETS; i++) {
			for (struct ninep_fid *fid = s->buckets[i]; fid; fid = fid->below)
				move(s, fid, from, to);
		}
	}
}

void ninep_fids_finish(struct sonde_task *self, struct ninep_session *s)
{
	for (size_t i = 0; i < SESSION_BUCKETS; i++) {
		while (s->buckets[i])
			ninep_fid_remove(self, s, s->buckets[i]);
	}
}
