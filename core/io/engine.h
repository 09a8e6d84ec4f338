/* SPDX-License-Identifier: MIT */
/*
 * An engine moves bytes between files and buffers. It knows nothing of spaces: it is
 * given file operations and hands each back, once, on the loop's thread. One with a ring takes
 * steps on descriptors without offsets as well; those of all others are waited for by fd_wait.c.
 *
 * To add one: a file engine_NAME.c with an engine_ops, one line in engine_open (engine.c),
 * and one in the conformance table's list.
 */
#ifndef SONDE_IO_ENGINE_H
#define SONDE_IO_ENGINE_H

#include <sonde/loop.h>

#include "io/loop.h"

/* One contiguous move: a cache line. The issuer owns it; result is written before done is called. */
struct file_op {
	struct file_op *next;
	void (*done)(struct file_op *op); /* loop's thread, never inside submit  */
	void *owner;                      /* the issuer's                        */
	union {
		uint64_t off;                     /* in the file                 */
		void (*work)(struct file_op *op); /* threads engine, if works    */
	};
	void *buf;
	void *cargo;    /* the issuer's: what is moved                           */
	uint32_t len;   /* bytes, > 0                                            */
	int32_t fd;     /*                                                       */
	int32_t result; /* bytes moved (0: end of file), or -errno               */
	int16_t slot;   /* fd in the engine's table (add_file); -1: it is not there */
	uint8_t write;  /* 0 read, 1 write                                       */
	bool works;     /* call work instead of a move                           */
};
#define FILE_OP_ALIGN 64u
_Static_assert(sizeof(void *) != 8 || sizeof(struct file_op) == FILE_OP_ALIGN, "one cache line");

/* Moves of file operations and of lone requests (engine_ops.read_lone): as many as the loop is deep. */
static inline bool loop_may_move(const struct sonde_loop *loop)
{
	return loop->n_moves < loop->depth;
}

/* An operation from the loop's fixed store; NULL: all in flight, use loop_wait_op. */
static inline struct file_op *loop_get_op(struct sonde_loop *loop)
{
	struct file_op *op = loop_may_move(loop) ? loop->free_ops : NULL;

	if (op) {
		loop->free_ops = op->next;
		__builtin_prefetch(op->next, 1);
		op->next = NULL;
		loop->n_moves++;
	}
	return op;
}

static inline void loop_put_op(struct sonde_loop *loop, struct file_op *op)
{
	op->next = loop->free_ops;
	loop->free_ops = op;
	loop->n_moves--;
}

#define ENGINE_LOT 32 /* completions that a ring hands over in one call */

/* A step on a descriptor without offsets. WRITE and SEND never raise SIGPIPE; none uses an offset. */
enum fd_step {
	FD_READ = 0,    /* some bytes; 0: the end                                    */
	FD_WRITE,       /* some bytes                                                */
	FD_RECV,        /* FD_READ, FD_WRITE of what is known to be a socket         */
	FD_SEND,        /*                                                           */
	FD_ACCEPT,      /* a connection                                              */
	FD_ACCEPT_MANY, /* one after another, until stopped: see more                */
	FD_POLL,        /* the events of poll(2) in len                              */
	FD_STEPS
};

/* The issuer (fd.c) owns it; result is written before done is called. */
struct fd_op {
	struct fd_op *next, **prev;     /* the engine's, while it has it                 */
	void (*done)(struct fd_op *op); /* loop's thread, never inside start or stop */
	void *buf;
	uint32_t len; /* bytes                                                       */
	int32_t fd;
	uint32_t step;  /* enum fd_step                                              */
	int32_t result; /* bytes, descriptor or events; -errno. EAGAIN: not ready, poll first */
	uint32_t stage; /* the engine's, as many is                                  */
	bool more;      /* ACCEPT_MANY: another result follows                       */
	bool many;
};

struct engine;
struct path_op; /* path_op.h */

struct engine_ops {
	const char *name;
	int (*open)(struct sonde_loop *loop, const struct sonde_loop_options *options,
		    struct engine **ret, struct sonde_error *err);
	void (*close)(struct engine *engine); /* no operation in flight */
	/* Take every operation of the list (at most the loop's depth are ever in flight). */
	void (*submit)(struct engine *engine, struct file_op *list);
	/*
	 * Optional, of one whose kick sends: prepare a read of the one piece of a request, at off of a file,
	 * without an operation. One attempt is made, and io_core.moved told of its result, as file_op.result. false: there
	 * is no room, and nothing was done.
	 */
	bool (*read_lone)(struct engine *engine, struct sonde_io *io, int32_t fd, int32_t slot,
			  uint64_t off);
	/* Hand back what has completed; returns how many. NULL: they come by loop_post. */
	int (*reap)(struct engine *engine); /* ENGINE_LOT or more: there may be others */
	/* Send what submit prepared to the kernel; true: some is left. NULL: nothing to send. */
	bool (*kick)(struct engine *engine);
	/* A descriptor readable when reap has work; NULL: none. */
	int (*fd)(struct engine *engine);
	/*
	 * Optional: as kick, then wait until something can be reaped or wake_fd is readable, at most
	 * timeout_ns (UINT64_MAX: no limit). *ret_woken: wake_fd is. false: it cannot wait, poll fd instead.
	 */
	bool (*wait)(struct engine *engine, int wake_fd, uint64_t timeout_ns, bool *ret_woken);
	/*
	 * Optional: a foreign loop waits from now on: signal wake_fd, an eventfd, whenever reap has work.
	 * false: it cannot; fd polls readable then, and the loop looks every now and then as well.
	 */
	bool (*embed)(struct engine *engine, int wake_fd);
	/* Optional: enter a descriptor into the engine's own table; its slot 0..63, -1: no room or no table. */
	int32_t (*add_file)(struct engine *engine, int32_t fd);
	void (*remove_file)(struct engine *engine, int32_t slot);
	/* Optional: as sonde_loop_register, sonde_loop_unregister. */
	int (*add_memory)(struct engine *engine, void *base, size_t len);
	void (*remove_memory)(struct engine *engine, void *base);
	/*
	 * Descriptors without offsets. fd_steps: bit s set: fd_start takes enum fd_step s. Where FD_POLL is
	 * not among them (or this is NULL) the loop's poller waits for descriptors, on its thread.
	 */
	uint32_t (*fd_steps)(struct engine *engine);
	void (*fd_start)(struct engine *engine, struct fd_op *op);
	/* True: it had not left yet, and done will not come; false: asked, done comes. */
	bool (*fd_stop)(struct engine *engine, struct fd_op *op);
	/*
	 * Optional: begin an operation on files that is no move, and hand it back as a move. false: it
	 * cannot, at this moment or at all, and nothing was done.
	 */
	bool (*path_start)(struct engine *engine, struct path_op *op);
};

extern const struct engine_ops engine_threads;
extern const struct engine_ops engine_uring;

/* The code of a piece whose file operation failed with this errno; op: enum sonde_io_op. */
int32_t errno_code(int os_code, uint32_t op);

/* The one reference: move all of it now, retrying short moves. Result as file_op.result. */
int32_t file_move(int fd, uint32_t write, uint64_t off, void *buf, uint32_t len);

/* Can it be read at an offset? Pipes, sockets and the like cannot, nor what is not open. */
bool file_has_offsets(int fd);

/* "auto", "sync" ... of an enum sonde_engine that engine_open took. */
const char *engine_name(uint32_t kind);

/*
 * Choose and open. On success *ret_ops is NULL for the sync, direct and epoll engines (bytes of files
 * move in the submitting call), and why, [cap], says why this one in words.
 */
int engine_open(struct sonde_loop *loop, const struct sonde_loop_options *options,
		const struct engine_ops **ret_ops, struct engine **ret, char *why, size_t cap,
		struct sonde_error *err);

#endif
