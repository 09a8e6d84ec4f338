/* SPDX-License-Identifier: MIT */
/*
 * A loop pumps completions on one thread. It owns an engine (how bytes of files
 * move), the tasks and the timers. One per thread; nothing here may be called from
 * another thread except sonde_loop_wake.
 */
#ifndef SONDE_LOOP_H
#define SONDE_LOOP_H

#include <sonde/error.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sonde_loop; /* handle */

enum sonde_engine {
	SONDE_ENGINE_AUTO =
		0, /* maps while their pages are in memory, else io_uring, else threads */
	SONDE_ENGINE_SYNC = 1,    /* pread/pwrite in the loop: the reference                 */
	SONDE_ENGINE_DIRECT = 2,  /* memory maps; what cannot be mapped goes through sync    */
	SONDE_ENGINE_URING = 3,   /* io_uring                                                */
	SONDE_ENGINE_THREADS = 4, /* a pool of threads                                       */
	SONDE_ENGINE_EPOLL = 5,   /* descriptors (fd.h) by epoll, files as sync              */
};

struct sonde_loop_options {
	uint32_t size;      /* sizeof(struct sonde_loop_options)                        */
	uint32_t engine;    /* enum sonde_engine                                        */
	uint32_t depth;     /* operations in flight; 0: 256. Clamped to 1..4096         */
	uint32_t n_threads; /* of the threads engine; 0: 2 per processor. Clamped 1..64 */
	/*
	 * Pieces of a batch that lie close together in a file are moved by one operation: bytes between
	 * two of them that nobody asked for. 0: 1024. UINT32_MAX: each piece is moved on its own.
	 */
	uint32_t merge_gap;
	/*
	 * 1: what an engine reads of files goes past the page cache where a move is of whole blocks (mostly
	 * 512 bytes or 4 KiB) into memory that is aligned like one: for bytes that are read once, of files larger than memory. All
	 * else, and what a file system refuses, is read as ever. Maps, and engines that read in the call, know no such way.
	 */
	uint32_t past_cache;
};

/*
 * Make a loop. options may be NULL: all defaults.
 *
 * Returns   0; SONDE_E_NO_MEMORY, _EXHAUSTED; SONDE_E_UNSUPPORTED or _NO_ACCESS when the engine
 *           asked for by name is refused by the kernel or a sandbox (err says which setting).
 *           AUTO never fails for that: it falls back, and sonde_loop_engine says why.
 * Owns      *ret: sonde_loop_destroy, after every target of it is closed.
 */
int sonde_loop_create(const struct sonde_loop_options *options, struct sonde_loop **ret,
		      struct sonde_error *err);
/*
 * NULL is allowed. No request is in flight, and every task has ended: one that has not never runs again,
 * and what it holds is lost.
 */
void sonde_loop_destroy(struct sonde_loop *loop);

/*
 * The engine that moves file bytes ("io_uring"). ret_why, where not NULL, is set to why it
 * was chosen ("io_uring refused: Operation not permitted (…)"). Both live as long as loop.
 */
const char *sonde_loop_engine(const struct sonde_loop *loop, const char **ret_why);

/*
 * Tell the loop of memory that requests will read into, or write from, again and again. An engine that can
 * keeps its pages at hand, which makes each operation cheaper (io_uring: registered buffers). Requests need
 * not know: pieces whose buffers lie in it profit.
 *
 * Returns   0; SONDE_E_UNSUPPORTED when the engine has no use for it; SONDE_E_LIMIT when it was refused
 *           (16 already, more than 1 GiB, or above the limit of locked memory: ulimit -l); SONDE_E_BAD_ARG
 *           (NULL, no bytes, or known already).
 * Context   makes a system call. The loop's thread, with no request in flight that uses the memory.
 * Owns      nothing: base stays the caller's, and mapped until unregistered or the loop is destroyed.
 */
int sonde_loop_register(struct sonde_loop *loop, void *base, size_t len);
void sonde_loop_unregister(struct sonde_loop *loop, void *base); /* what is not known is nothing */

/* "auto", "sync", "direct", "io_uring", "threads", "epoll" to enum sonde_engine; SONDE_E_NOT_FOUND. */
int sonde_engine_parse(const char *name, uint32_t *ret);

/*
 * Do everything that can be done now, without waiting: run ready tasks and callbacks,
 * send off what was submitted, reap what has completed.
 *
 * Returns   how many tasks and callbacks ran; SONDE_E_BUSY from inside the loop.
 */
int sonde_loop_turn(struct sonde_loop *loop);

/* As sonde_loop_turn, but wait up to timeout_ns (UINT64_MAX: no limit) for the first of them. */
int sonde_loop_wait(struct sonde_loop *loop, uint64_t timeout_ns);

/* Turn until no request, task or timer is left. Returns 0; SONDE_E_BUSY from inside the loop. */
int sonde_loop_run(struct sonde_loop *loop);

/*
 * A descriptor that polls readable when sonde_loop_turn has work; for foreign event loops.
 *
 * Returns   the descriptor, which is the loop's own; SONDE_E_EXHAUSTED, _NO_MEMORY: there is none, and the
 *           loop goes on as before.
 */
int sonde_loop_fd(struct sonde_loop *loop);

/* Make a waiting loop return. Any thread; async-signal-safe. */
void sonde_loop_wake(struct sonde_loop *loop);

/* Monotonic clock in ns, the one deadlines and timers are given in. */
uint64_t sonde_now_ns(void);

/* A timer lives in its caller until it has fired or was stopped. Zero it before first use. */
struct sonde_timer {
	uint64_t at_ns; /* when it fires                      */
	void (*fire)(struct sonde_timer *timer);
	void *user;    /* the caller's                       */
	void *core[4]; /* the library's while it is running  */
};

/* Start at at_ns (past times fire in the next turn). Returns 0; SONDE_E_BAD_ARG if running. */
int sonde_timer_start(struct sonde_loop *loop, struct sonde_timer *timer);
/* Returns 1 when it was running and will not fire, else 0. */
int sonde_timer_stop(struct sonde_loop *loop, struct sonde_timer *timer);

#ifdef __cplusplus
}
#endif
#endif
