/* SPDX-License-Identifier: MIT */
/*
 * The inside of a loop: what waits to run, in which order. It knows engines and
 * posts; tasks and spaces hang their work into it through the nodes below.
 *
 * One turn: timers and posts from other threads, then completions of the engine, then
 * callbacks and ready tasks; only when none of those is left do the flush nodes run, which
 * is what makes one batch of all that was asked for.
 */
#ifndef SONDE_IO_LOOP_H
#define SONDE_IO_LOOP_H

#include <pthread.h>
#include <sonde/io.h>
#include <sonde/loop.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct engine;
struct engine_ops;
struct file_op;
struct sonde_task;

/* Work that comes home from another thread; run is called on the loop's thread. */
struct loop_post {
	struct loop_post *next;
	void (*run)(struct loop_post *post);
};

/* Something to run soon, in order: a task, a callback. */
struct loop_ready {
	struct loop_ready *next;
	void (*run)(struct loop_ready *ready);
};

/* Something to send off when nothing else can run. */
struct loop_flush {
	struct loop_flush *next;
	void (*flush)(struct loop_flush *flush);
	bool queued;
};

/* A fragment told by another thread, kept until the loop's own thread accounts for it. */
struct loop_fragment {
	struct sonde_io *io;
	uint32_t piece, off, len;
	int32_t err;
};

struct sonde_loop {
	pthread_t owner;
	struct sonde_task *current; /* the task that runs, NULL in plain code            */
	unsigned inside;            /* how deep in turn/callbacks: blocking is refused   */
	void *switch_context;       /* task layer: where a suspending task goes back to  */
	void *stack_pool;           /* task layer: stacks for the next tasks             */
	void (*stack_pool_free)(void *pool);

	struct loop_ready *ready_head, **ready_tail;
	struct loop_flush *flush_head, **flush_tail;
	struct sonde_io *done_head, **done_tail; /* completion door: callbacks to call */
	struct sonde_timer *timers;              /* pairing heap, earliest at the root */
	struct sonde_timer *new_timers;          /* started while timers fire          */
	bool firing;
	size_t n_timers, n_tasks, n_inflight; /* what sonde_loop_run waits for      */

	_Atomic(struct loop_post *) posts; /* from any thread, newest first */
	pthread_mutex_t fragments_lock;
	struct loop_fragment *fragments; /* [n_fragments], room for cap_fragments */
	size_t n_fragments, cap_fragments;
	struct loop_fragment *spare_fragments; /* the other buffer, [cap_spare]        */
	size_t cap_spare;
	atomic_bool has_fragments;
	int wake_fd; /* eventfd: something was posted                            */
	int poll_fd; /* epoll over wake, engine and timer descriptors; -1 unused */
	int timer_fd;
	atomic_bool woken;  /* sonde_loop_wake was called; no wait has answered yet          */
	bool unsent;        /* the engine could not give the kernel all it has: try again    */
	unsigned n_delayed; /* passes a flush has waited for ready work to end               */

	uint32_t kind; /* enum sonde_engine that was asked for                   */
	const struct engine_ops *engine_ops; /* NULL: bytes move in the submitting call */
	struct engine *engine;
	char why[192];
	struct file_op *ops, *free_ops; /* [depth]; the free ones               */
	uint32_t depth, ops_in_use;
	struct loop_flush *op_waiters, **op_waiters_tail; /* who wants an operation */
};

static inline bool loop_is_here(const struct sonde_loop *loop)
{
	return pthread_equal(loop->owner, pthread_self());
}

/* Work or a timer was added: where that happens outside a turn, a foreign loop must see it. */
void loop_changed(struct sonde_loop *loop);

void loop_add_ready(struct sonde_loop *loop, struct loop_ready *ready);
void loop_add_flush(struct sonde_loop *loop, struct loop_flush *flush);
/* Any thread. */
void loop_post(struct sonde_loop *loop, struct loop_post *post);
/* Any thread but the loop's: account for a fragment before its request is posted; wakes the loop. */
void loop_post_fragment(struct sonde_loop *loop, const struct loop_fragment *fragment);
/* Call io->done from the loop, not from here. */
void loop_add_done(struct sonde_loop *loop, struct sonde_io *io);

/*
 * Turn, waiting for work if there is none, until *done. Plain code only.
 * Returns 0; SONDE_E_BUSY inside the loop.
 */
int loop_pump(struct sonde_loop *loop, const bool *done);

/* An operation from the loop's fixed store; NULL: all in flight, use loop_wait_op. */
struct file_op *loop_get_op(struct sonde_loop *loop);
void loop_put_op(struct sonde_loop *loop, struct file_op *op);
/* flush runs once when operations are free again. */
void loop_wait_op(struct sonde_loop *loop, struct loop_flush *flush);

/* timer.c: the earliest time, UINT64_MAX for none; fire what is due, returns how many. */
uint64_t timers_next(const struct sonde_loop *loop);
int timers_fire(struct sonde_loop *loop);

#endif
