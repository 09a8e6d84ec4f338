/* SPDX-License-Identifier: MIT */
/*
 * What each message does on the file system that is served. Every request has BENEATH and follows no
 * link at the end of a path: links are the client's to follow.
 */
#ifndef SONDE_NINEP_REQUEST_H
#define SONDE_NINEP_REQUEST_H

#include "ninep/server.h"

/* ---- one message each: fills in the answer, whose type and tag are set; 0, or -errno ---- */

typedef int32_t request_fn(struct sonde_task *self, struct ninep_job *job,
			   struct ninep_msg *answer);

request_fn request_attach, request_auth, request_walk, request_clunk;   /* request_walk.c  */
request_fn request_lopen, request_lcreate;                              /* request_open.c  */
request_fn request_read, request_write, request_fsync, request_readdir; /* request_data.c  */
request_fn request_getattr, request_setattr;                            /* request_attr.c  */
request_fn request_mkdir, request_symlink, request_readlink, request_link, request_renameat,
	request_rename, request_unlinkat, request_remove; /* request_names.c */

/* ---- request_ask.c ---- */

/* Ask the file system. Returns the result, or -errno. */
int32_t request_ask(struct sonde_task *self, struct ninep_job *job, struct sonde_fs_io *io);
/* About a path from the root. */
struct sonde_fs_io request_io(enum sonde_fs_op op, const char *path);
int32_t request_stat(struct sonde_task *self, struct ninep_job *job, const char *path,
		     struct sonde_fs_info *ret);
/* Of the first fid, open or not. */
int32_t request_stat_fid(struct sonde_task *self, struct ninep_job *job, struct sonde_fs_info *ret);
/* Returns a handle, or -errno; -EACCES: a device, a pipe, a socket: to open it may do something. */
int32_t request_open(struct sonde_task *self, struct ninep_job *job, const char *path,
		     uint32_t flags, uint32_t mode);
bool request_may_write(const struct ninep_job *job);

bool request_is_text(const struct ninep_text *name, const char *text, uint16_t len);
/* What a client calls a name may be a way to somewhere else. */
int32_t request_check_name(const struct ninep_text *name);
/* path, which is at to or elsewhere, and a name behind it: [SONDE_FS_PATH_MAX + 1] at to. */
int32_t request_add_name(const char *path, const struct ninep_text *name, char *to);
/* The path of something in a directory. */
int32_t request_name_in(const char *dir, const struct ninep_text *name, char *to);

#endif
