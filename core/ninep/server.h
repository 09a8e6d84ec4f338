/* SPDX-License-Identifier: MIT */
/* The inside of the server: sessions, the requests they work on, and the fids of their clients. */
#ifndef SONDE_NINEP_SERVER_H
#define SONDE_NINEP_SERVER_H

#include <sonde/channel.h>
#include <sonde/fs_remote.h>

#include "ninep/words.h"
#include "task/task.h"

enum {
	SESSIONS_DEFAULT = 32,
	SESSION_DEPTH = 32,      /* requests that are worked on at once       */
	SESSION_FIDS = 4096,     /* ... fids                                  */
	SESSION_PATHS = 1 << 20, /* bytes of their paths                      */
	SESSION_BUCKETS = 256,   /* a power of two                            */
	SESSION_IN = 16 << 10,   /* bytes read ahead                          */
};
#define SESSION_HANDSHAKE_NS (10 * UINT64_C(1000000000)) /* in which a client has to attach */
#define SESSION_STALL_NS                                                                           \
	(60 * UINT64_C(1000000000)) /* ... a message comes, the next answer is taken */

/* What a client has hold of: a path, and a handle where it was opened. Lives on while requests use it. */
struct ninep_fid {
	struct ninep_fid *below; /* in its bucket                                    */
	uint32_t number;
	uint32_t n_refs; /* of the table, while it is in it, and of requests */
	bool is_opening; /* or open: only once                               */
	bool is_listing; /* one request at a time                            */
	int32_t handle;  /* -1: not open                                     */
	uint32_t flags;  /* ... enum sonde_fs_flag it was opened with        */
	uint32_t kind;   /* enum sonde_fs_kind                               */
	char *path;      /* from the root, without '/' in front; "": it      */
};

struct ninep_session;

/* A request: from when its message has come until its answer has left. */
struct ninep_job {
	struct ninep_session *session;
	struct ninep_job *next_flush; /* a Tflush that waits for another: the next one that does */
	struct ninep_job *flushes;    /* ... answered behind this one                            */
	struct sonde_task *task;      /* NULL: it does not run, or not any more                  */
	struct ninep_fid *fid, *other;
	struct ninep_msg msg;
	uint8_t *in, *out;
	char *path, *to;             /* [SONDE_FS_PATH_MAX + 1] while it runs: what it names      */
	char *fid_path, *other_path; /* ... those of the two                    */
	struct sonde_fd_io write;
	bool is_busy;
};

struct ninep_session {
	struct sonde_fs_server *server;
	struct ninep_session *next, *prev; /* the server's */
	int fd;
	bool is_cut, is_attached;
	uint32_t msize; /* 0: no version yet */
	uint64_t attach_by_ns;
	struct ninep_fid *buckets[SESSION_BUCKETS];
	uint32_t n_fids;
	size_t n_path_bytes;
	struct ninep_job jobs[SESSION_DEPTH];
	struct sonde_channel *home; /* jobs that are free                       */
	uint32_t n_leaving;         /* answers that the client has not taken    */
	struct sonde_timer stall;   /* ... while there are some                 */
	size_t in_at, in_len;       /* of in: still to be taken                 */
	uint8_t in[SESSION_IN];
};

struct sonde_fs_server {
	struct sonde_loop *loop;
	struct sonde_fs *fs;
	uint32_t flags, max_sessions;
	uint64_t handshake_ns, stall_ns; /* SESSION_HANDSHAKE_NS, SESSION_STALL_NS */
	struct sonde_acceptor *acceptor;
	struct sonde_task *task;
	struct ninep_session *first, *last; /* the oldest first */
	uint32_t n_sessions;
	uint64_t n_accepted, n_attached;
	struct task_wait *stopper; /* told when the last session has ended */
};

/* ---- session.c ---- */

/* fd is taken, also where it fails. It tells the server of its end, and frees itself. */
int ninep_session_start(struct sonde_fs_server *server, int fd, struct ninep_session **ret);
/* Have it end soon. */
void ninep_session_cut(struct ninep_session *s);

/* ---- server.c ---- */

void ninep_session_ended(struct ninep_session *s);

/* ---- request.c ---- */

/* Take hold of what a message names, in the order messages came. 0, or -errno for an answer. */
int32_t ninep_request_begin(struct sonde_task *self, struct ninep_job *job);
/* Do it. Returns the bytes of the answer, which is in job->out. */
size_t ninep_request_run(struct sonde_task *self, struct ninep_job *job);
/* An answer without fields but a code's, or none. */
size_t ninep_request_short_answer(struct ninep_job *job, int32_t r);
void ninep_request_end(struct sonde_task *self, struct ninep_job *job);

/* ---- fid.c ---- */

/* NULL: no such. Owns *ret: ninep_fid_release. */
struct ninep_fid *ninep_fid_find(struct ninep_session *s, uint32_t number);
/* 0; -EBADF (the number is taken or none), -ENFILE, -ENOMEM. */
int32_t ninep_fid_add(struct ninep_session *s, uint32_t number, const char *path, uint32_t kind);
/* Out of the table: no message finds it from now on. */
void ninep_fid_remove(struct sonde_task *self, struct ninep_session *s, struct ninep_fid *fid);
/* The last one closes it. */
void ninep_fid_release(struct sonde_task *self, struct ninep_session *s, struct ninep_fid *fid);
/* A copy of a path, which counts as the session's from now on. -ENFILE, -ENOMEM. Owns *ret: drop, or fid_put_path. */
int32_t ninep_path_take(struct ninep_session *s, const char *path, char **ret);
void ninep_path_drop(struct ninep_session *s, char *path);
void ninep_fid_put_path(struct ninep_session *s, struct ninep_fid *fid, char *path);
/* Both in one, as ninep_path_take. */
int32_t ninep_fid_set_path(struct ninep_session *s, struct ninep_fid *fid, const char *path);
/* What lay at from, or below it, lies at to now: in all sessions. */
void ninep_fids_moved(struct sonde_fs_server *server, const char *from, const char *to);
void ninep_fids_finish(struct sonde_task *self, struct ninep_session *s);

#endif
