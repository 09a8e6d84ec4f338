/* SPDX-License-Identifier: MIT */
/* The inside of a remote file system: its handles, the way from a path to a fid, reads and writes. */
#ifndef SONDE_NINEP_REMOTE_H
#define SONDE_NINEP_REMOTE_H

#include "fs/fs.h"
#include "ninep/client.h"

struct remote_handle {
	uint32_t fid;   /* opened; NINEP_NO_FID: the handle is free                   */
	uint32_t dir;   /* of a directory: one more, for a fid that is open cannot be
			 * walked from; else NINEP_NO_FID                             */
	uint32_t flags; /* enum sonde_fs_flag it was opened with                      */
};

struct remote_work;

struct remote {
	struct ninep_client client;
	uint32_t root, flags;          /* a fid; enum sonde_fs_flag every request has */
	struct remote_handle *handles; /* [n_handles] */
	size_t n_handles;
	size_t first_free;                 /* none below it is free */
	struct remote_work *first, **last; /* requests that wait for one of REMOTE_DEPTH to end */
	uint32_t n_working;
};

enum { REMOTE_DEPTH = 256 };

/* ---- remote.c ---- */

extern const struct sonde_fs_ops remote_ops;
/* Close the connection, free. */
void remote_finish(struct sonde_task *self, struct remote *remote);

/* ---- place.c ---- */

/* A way through a path. */
struct place {
	struct ninep_client *client;
	uint32_t root;        /* where links to "/..." begin                                  */
	uint32_t fid;         /* how far it went                                              */
	bool owns_fid;        /* else it is a handle's                                        */
	struct ninep_qid qid; /* ... of it                                                    */
	bool beneath;
	uint32_t depth; /* directories below the one it began in                        */
	uint32_t n_links;
	char *text, *scratch;   /* [SONDE_FS_PATH_MAX + 1] each                                 */
	char *rest;             /* in text: what is still to go                                 */
	struct ninep_text last; /* the last name, not walked to; len 0: "." or ".." or "/" was it */
	bool slash;             /* something stood behind the last name: a directory is meant   */
};

/* From a directory, along path. 0, -errno. place_finish, also then. */
int32_t place_begin(struct place *place, struct remote *remote, int32_t dir, const char *path,
		    uint32_t flags);
void place_finish(struct place *place);
/* To the directory the last name is in. */
int32_t place_parent(struct place *place);
/* To the end; follow: a link there, too. */
int32_t place_end(struct place *place, bool follow);
/* Behind place_parent: the way goes on where the link says that last is, whose fid is taken. */
int32_t place_follow_last(struct place *place, uint32_t link);
/* The fid, the caller's from now on: a further one where it is a handle's. */
int32_t place_take(struct place *place, uint32_t *ret);

/* One name on from where place is, to see whether it is there: *ret is the caller's. */
int32_t place_look(struct place *place, uint32_t *ret, struct ninep_qid *qid);

/* One Twalk, to a new fid. *ret only where all of the way was gone; *n: how many names. */
int32_t place_walk(struct ninep_client *client, uint32_t from, const struct ninep_text *names,
		   uint16_t *n, struct ninep_qid *qids, uint32_t *ret);

/* ---- what requests do, each a kind of io: its result, or -errno ---- */

typedef int32_t remote_fn(struct remote *remote, const struct sonde_fs_io *io);

/* remote_open.c */
remote_fn remote_open, remote_close;
/* NULL: no such. */
struct remote_handle *remote_handle(struct remote *remote, int32_t handle);

/* remote_move.c: reads and writes, in pieces that are under way together */
remote_fn remote_move, remote_sync;

/* remote_attr.c */
remote_fn remote_stat, remote_set_mode, remote_set_length;
/* The fid a request is about: of its handle, or where its path leads. place_finish, also where it fails. */
int32_t remote_find(struct remote *remote, const struct sonde_fs_io *io, bool follow,
		    struct place *place, uint32_t *ret);

/* remote_names.c */
remote_fn remote_rename, remote_remove, remote_mkdir, remote_link, remote_symlink, remote_read_link;

/* remote_list.c */
remote_fn remote_list;

#endif
