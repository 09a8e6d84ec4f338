/* SPDX-License-Identifier: MIT */
/*
 * Descriptors without offsets: pipes, sockets, terminals, eventfds, timerfds. The same three doors
 * as spaces have: a request with a callback, a call that parks its task, a call that pumps the
 * loop.
 *
 * Blocking and non-blocking descriptors both do, and neither is changed: no request makes the loop
 * wait in a system call. Requests of one direction on one descriptor run one after another in the
 * order they were submitted, so what two of them write is never mixed; reading, writing and polling
 * go on at the same time.
 */
#ifndef SONDE_FD_H
#define SONDE_FD_H

#include <sonde/io.h>
#include <sonde/task.h>

#ifdef __cplusplus
extern "C" {
#endif

enum sonde_fd_op {
	SONDE_FD_READ = 0,      /* 1..len bytes, as many as are there. Result: bytes; 0: the end */
	SONDE_FD_WRITE = 1,     /* 1..len bytes, as many as there is room for. Result: bytes     */
	SONDE_FD_READ_ALL = 2,  /* len bytes. Result: len; TRUNCATED: the stream ended before    */
	SONDE_FD_WRITE_ALL = 3, /* len bytes. Result: len                                        */
	SONDE_FD_ACCEPT = 4,    /* connections of a listening socket: see accepted               */
	SONDE_FD_CONNECT = 5,   /* the end of a connect(2) that was EINPROGRESS. Result: 0       */
	SONDE_FD_POLL = 6,      /* until one of events is there. Result: enum sonde_fd_event     */
	SONDE_FD_CLOSE = 7,     /* cancel all others on it, wait for their ends, close it        */
	SONDE_FD_SHUTDOWN = 8,  /* no more is written to this socket: behind the writes before
				 * it, the other side reads the end. Reading goes on. Result: 0 */
};

enum sonde_fd_event {
	SONDE_FD_READABLE = 1u << 0, /* a read would not wait; also at the end      */
	SONDE_FD_WRITABLE = 1u << 1, /* a write would not wait                      */
	SONDE_FD_HANGUP = 1u << 2,   /* out only: the other side is gone            */
	SONDE_FD_ERROR = 1u << 3,    /* out only: the next read or write says which */
};

struct sonde_fd_io;

/* Both run on the loop's thread. In done the request is idle again and may be reused or freed. */
typedef void sonde_fd_done_fn(struct sonde_fd_io *io);
/*
 * fd >= 0: a connection, the callee's from now on. fd < 0: an error (EXHAUSTED, NO_MEMORY,
 * NO_ACCESS; io->os_code) for which the request pauses a twentieth of a second and goes on: told
 * once, until a connection comes again.
 */
typedef void sonde_fd_accepted_fn(struct sonde_fd_io *io, int fd);

/*
 * A request. It lives in its caller until done has been called; zero it, set the in fields, submit.
 * The descriptor stays open as long: whoever closes it meanwhile (other than by SONDE_FD_CLOSE) may
 * leave the request waiting until it is cancelled, or see it done on what gets the same number
 * next. All requests of a loop have ended before it is destroyed.
 */
struct sonde_fd_io {
	int32_t fd;                     /* in:  the descriptor                                */
	uint32_t op;                    /* in:  enum sonde_fd_op                              */
	void *buf;                      /* in:  reads and writes: [len]; writes only read it  */
	uint32_t len;                   /* in:  0..2^31-1; of 0 bytes nothing is asked        */
	uint32_t events;                /* in:  POLL: READABLE, WRITABLE or both              */
	sonde_fd_done_fn *done;         /* in:  not NULL                                      */
	sonde_fd_accepted_fn *accepted; /* in:  ACCEPT: NULL: one connection, the result; else
					 *      stays armed until cancelled, told of each      */
	void *user;                     /* in:  the caller's                                  */
	uint64_t deadline_ns;           /* in:  0, or sonde_now_ns() time: then TIMED_OUT     */
	int32_t result;                 /* out: see the op; < 0: enum sonde_err               */
	int32_t os_code;                /* out: the errno where there was one, else 0         */
	uint32_t moved;                 /* out: bytes, also those before an error             */
	uint32_t state;                 /* out: enum sonde_io_state                           */
	uint64_t core[32];              /* the library's while in flight                      */
};

/*
 * Submit a request.
 *
 * Returns   0: done runs exactly once; it never runs after SONDE_E_BAD_ARG (an in field is out of
 *           its range, the request is not idle), SONDE_E_BUSY (a SONDE_FD_CLOSE of this descriptor
 *           waits) and SONDE_E_NO_MEMORY (first request of a loop).
 * Errors    in result: GONE (EPIPE, ECONNRESET; never a SIGPIPE), TRUNCATED, CANCELLED, TIMED_OUT,
 *           BAD_ARG (closed or of the wrong kind: EBADF, ENOTSOCK, EINVAL), REFUSED and
 *           UNREACHABLE (CONNECT), EXHAUSTED (EMFILE, ENFILE), others as sonde_error_os gives
 *           them.
 * Context   never blocks, never calls back; allocates with a loop's first request only. The loop's
 *           thread. A regular file is served at its position, and may make the loop wait for the
 *           disk.
 */
int sonde_fd_submit(struct sonde_loop *loop, struct sonde_fd_io *io);

/*
 * Ask for the end of a request. done still comes, with CANCELLED or with the result that won: bytes
 * that were moved, a connection that was accepted. ACCEPT with accepted may be told of connections
 * until done. A CLOSE goes on.
 *
 * Returns   1 asked, 0 nothing to cancel.
 */
int sonde_fd_cancel(struct sonde_fd_io *io);

/*
 * Submit and wait: parks self, or the running task where self is NULL; in plain code pumps the
 * loop. done and user are overwritten. Returns io->result, or what sonde_fd_submit refused with;
 * SONDE_E_BUSY from a completion callback.
 */
int sonde_fd_run(struct sonde_task *self, struct sonde_loop *loop, struct sonde_fd_io *io);

/* The same for each operation, without a deadline. Returns as it says; len at most 2^31-1. */
int sonde_fd_read(struct sonde_task *self, struct sonde_loop *loop, int fd, void *buf, size_t len);
int sonde_fd_write(struct sonde_task *self, struct sonde_loop *loop, int fd, const void *buf,
		   size_t len);
int sonde_fd_read_all(struct sonde_task *self, struct sonde_loop *loop, int fd, void *buf,
		      size_t len);
int sonde_fd_write_all(struct sonde_task *self, struct sonde_loop *loop, int fd, const void *buf,
		       size_t len);
/* A new descriptor, close-on-exec, the caller's. */
int sonde_fd_accept(struct sonde_task *self, struct sonde_loop *loop, int fd);
int sonde_fd_connected(struct sonde_task *self, struct sonde_loop *loop, int fd);
int sonde_fd_poll(struct sonde_task *self, struct sonde_loop *loop, int fd, uint32_t events);
int sonde_fd_close(struct sonde_task *self, struct sonde_loop *loop, int fd);
int sonde_fd_shutdown(struct sonde_task *self, struct sonde_loop *loop, int fd);

/*
 * Connections of a listener for code that asks for one after another, while a single request stays
 * armed. Some may be accepted ahead, a few dozen usually and never more than the listener's backlog
 * at once.
 */
struct sonde_acceptor; /* handle */

/*
 * Returns   0; SONDE_E_NO_MEMORY; as sonde_fd_submit.
 * Owns      *ret: sonde_acceptor_close. fd stays the caller's, and open until then.
 */
int sonde_acceptor_open(struct sonde_loop *loop, int fd, struct sonde_acceptor **ret);

/*
 * The next connection, in the order they came; any number of tasks may ask.
 *
 * Returns   a descriptor, close-on-exec, the caller's; EXHAUSTED, NO_MEMORY, NO_ACCESS: for now,
 *           ask again; SONDE_E_BUSY in a callback when none is there; another error of ACCEPT: no
 *           more come.
 * Context   parks self, or the running task where self is NULL; in plain code pumps the loop. May
 *           allocate.
 */
int sonde_acceptor_next(struct sonde_task *self, struct sonde_acceptor *acceptor);

/*
 * Stop, close the connections nobody took, free. Who waits for one gets SONDE_E_CANCELLED. Waits as
 * sonde_acceptor_next. Returns 0; SONDE_E_BUSY in a callback: nothing was done.
 */
int sonde_acceptor_close(struct sonde_task *self, struct sonde_acceptor *acceptor);

#ifdef __cplusplus
}
#endif
#endif
