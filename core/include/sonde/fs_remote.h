/* SPDX-License-Identifier: MIT */
/*
 * File systems of other machines: a client and a server of 9P2000.L, the protocol that Linux mounts
 * (mount -t 9p) and that diod and QEMU speak. One changed line takes a program from sonde_fs_native
 * to sonde_fs_remote, and any file system of sonde/fs.h can be served. docs/serve.md says why this
 * protocol, and what of it.
 *
 * Nothing is encrypted, and nobody is asked who he is: see which addresses you listen at.
 */
#ifndef SONDE_FS_REMOTE_H
#define SONDE_FS_REMOTE_H

#include <sonde/error.h>
#include <sonde/fs.h>
#include <sonde/net.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the client ---------------------------------------------------------------------------------- */

/* Zero it, set size and what is wanted. */
struct sonde_fs_remote_options {
	uint32_t size;        /* sizeof(struct sonde_fs_remote_options)                      */
	uint32_t flags;       /* 0 or SONDE_FS_BENEATH, which every request has then          */
	const char *tree;     /* which of the server's (aname); NULL: the one it has          */
	const char *user;     /* who asks (uname); NULL: nobody in particular                 */
	uint32_t uid;         /* ... as a number, where has_uid                               */
	uint32_t has_uid;     /* 0, 1                                                         */
	uint32_t msize;       /* bytes of a message at most, 8192..131072; 0: the most        */
	uint32_t keepalive_s; /* as struct sonde_net_options; 0: 60                           */
	uint64_t deadline_ns; /* of connecting: 0, or sonde_now_ns() time: then TIMED_OUT     */
	uint64_t patience_ns; /* from asking for the end of a request until it ends without
				* the server; 0: a second                                      */
	uint64_t silence_ns;  /* while answers are owed nothing comes, and nothing leaves, for
				* this long, or up to a quarter more: TIMED_OUT for all of them;
				* 0: 30 seconds; UINT64_MAX: it may be silent for ever         */
};

/*
 * The files of a server. address: as sonde/net.h; options may be NULL. Requests leave as they are
 * submitted, whatever others wait for, and end as their answers come; up to 256 are under way at
 * once, the others wait for one of these to end. Reads and writes larger than a message go in pieces
 * that are under way together. Of a request whose end is asked for the server is told (Tflush); where
 * it says nothing for patience_ns, the request ends without it, and may still be done. Links are followed here, so
 * that BENEATH holds whatever the server answers.
 *
 * What differs from this machine's files: COPY and UNNAMED are UNSUPPORTED; DIRECT changes nothing;
 * RENAME with NO_REPLACE looks first and then renames; the device of a file is 0; ".." at the root of
 * the tree stays there; the umask that applies to new files is the server's.
 *
 * Returns   0; as sonde_net_connect; GONE (it hung up), TIMED_OUT (it says nothing), BAD_FORMAT (it
 *           does not speak 9P2000.L), as the server says of tree and user; BAD_ARG (options); NO_MEMORY.
 * Errors    of requests: GONE once the connection is lost or the server broke the protocol, TIMED_OUT
 *           once it was silent for silence_ns: what came before stays told, and no later request of
 *           this file system succeeds.
 * Context   parks self, or the running task where self is NULL; in plain code pumps the loop.
 * Owns      *ret: sonde_fs_destroy, which waits for the socket to close as sonde_fd_close does: not
 *           in a callback. Open handles end with it.
 */
int sonde_fs_remote(struct sonde_task *self, struct sonde_loop *loop, const char *address,
		    const struct sonde_fs_remote_options *options, struct sonde_fs **ret,
		    struct sonde_error *err);

/* ---- the server ---------------------------------------------------------------------------------- */

struct sonde_fs_server; /* handle */

enum sonde_fs_server_flag {
	SONDE_FS_SERVER_WRITES = 1u << 0, /* clients may change what is there; else EROFS */
};

struct sonde_fs_server_options {
	uint32_t size;         /* sizeof(struct sonde_fs_server_options)                      */
	uint32_t flags;        /* enum sonde_fs_server_flag                                   */
	uint32_t max_sessions; /* at once; 0: 32. One more is hung up on, or takes the place of the
				* oldest that has not attached yet                           */
};

/*
 * Serve a file system, from its root on down: every request to it has SONDE_FS_BENEATH. listener: a
 * socket of sonde_net_listen. Requests of a session are worked on together, up to 32, and answered as
 * they end. Bounded whatever clients send: messages of 128 KiB, 4096 fids a session with 1 MiB of
 * paths, 10 seconds to attach, 60 for the rest of a message or to take the next answer.
 *
 * Returns   0; SONDE_E_NO_MEMORY; SONDE_E_BAD_ARG (options); as sonde_acceptor_open.
 * Owns      *ret: sonde_fs_server_stop. fs and listener are kept until then and stay the caller's.
 */
int sonde_fs_server_start(struct sonde_loop *loop, struct sonde_fs *fs, int listener,
			  const struct sonde_fs_server_options *options,
			  struct sonde_fs_server **ret);

struct sonde_fs_server_figures {
	uint64_t accepted; /* connections                                 */
	uint64_t attached; /* ... that went on to files                   */
	uint64_t now;      /* sessions at this moment                     */
};
void sonde_fs_server_figures(const struct sonde_fs_server *server,
			     struct sonde_fs_server_figures *ret);

/*
 * Hang up on all clients, wait for what is under way, free. NULL is allowed. Parks self, or the
 * running task where self is NULL; in plain code pumps the loop. Returns 0; SONDE_E_BUSY in a
 * callback: nothing was done.
 */
int sonde_fs_server_stop(struct sonde_task *self, struct sonde_fs_server *server);

#ifdef __cplusplus
}
#endif
#endif
