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

#include <sonde/io.h>
#include <sonde/loop.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "io/host.h"

#define LOOP_RETRY_NS UINT64_C(1000000) /* the kernel was short of something: how soon again */
#define LOOP_RAN_MAX 256u /* ready nodes of one pass, when they come from nowhere but each other */

struct engine;
struct engine_ops;
struct file_op;
struct sonde_task;
struct task_side;

/* Something to run soon, in order: a task, a callback. */
struct loop_ready {
	struct loop_ready *next;
	void (*run)(struct loop_ready *ready);
};

/* Somebody who wants to know that something has happened, in the list of the one who tells. */
struct loop_watch {
	struct loop_watch *next, *prev;
	void (*fire)(struct loop_watch *watch, int result); /* once, after it has left the list */
};

static inline void loop_watch_add(struct loop_watch **list, struct loop_watch *watch)
{
	watch->next = *list;
	watch->prev = NULL;
	if (*list)
		(*list)->prev = watch;
	*list = watch;
}

static inline void loop_watch_remove(struct loop_watch **list, struct loop_watch *watch)
{
	*(watch->prev ? &watch->prev->next : list) = watch->next;
	if (watch->next)
		watch->next->prev = watch->prev;
}

static inline void loop_watch_fire_all(struct loop_watch **list, int result)
{
	while (*list) {
		struct loop_watch *watch = *list;
		loop_watch_remove(list, watch);
		watch->fire(watch, result);
	}
}

/* Something to send off when nothing else can run. */
struct loop_flush {
	struct loop_flush *next;
	void (*flush)(struct loop_flush *flush);
	bool queued;
};

/* What makes work beside the engine, timers and posts: descriptors that are waited for (fd.h). */
struct loop_source {
	int (*reap)(struct loop_source *source); /* returns how many                          */
	/* Host: as engine_ops' wait, for one that waits for descriptors itself; or NULL. */
	bool (*sleep)(struct loop_source *source, uint64_t timeout_ns, bool *ret_woken);
	void (*close)(struct loop_source *source);
	int fd;            /* host: readable when reap has work; -1: none yet                 */
	bool due;          /* it may have work: the host saw fd, or nobody looked for a while */
	unsigned n_waits;  /* what waits for fd; nothing: it is not looked at                 */
	unsigned n_passes; /* since it was looked at                                          */
};

struct sonde_loop {
	struct loop_host *host;     /* the host's own, set where the loop is made       */
	struct sonde_task *current; /* the task that runs, NULL in plain code            */
	unsigned inside;            /* how deep in turn/callbacks: blocking is refused   */
	struct task_side *tasks;    /* what the task layer keeps; NULL: no task yet      */
	void (*tasks_free)(struct task_side *tasks);

	struct loop_ready *ready_head, **ready_tail;
	struct loop_ready *pass_ready; /* taken from there, to run in this pass       */
	unsigned n_ran;                /* of those, since the pass began              */
	unsigned n_called;             /* callbacks that a flush called               */
	struct loop_flush *flush_head, **flush_tail;
	struct sonde_io *done_head, **done_tail; /* completion door: callbacks to call */
	struct sonde_timer *timers;              /* pairing heap, earliest at the root */
	struct sonde_timer *new_timers;          /* started while timers fire          */
	bool firing;
	size_t n_timers, n_tasks, n_inflight; /* what sonde_loop_run waits for      */

	atomic_bool woken;    /* sonde_loop_wake was called; no wait has answered yet          */
	atomic_bool embedded; /* a foreign loop waits for us: host.h, loop_arm                 */
	bool in_call; /* a callback asks a resident space: the answer must be there when the call ends */
	bool unsent;          /* the engine could not give the kernel all it has: try again    */
	unsigned n_delayed;   /* passes a flush has waited for ready work to end               */
	uint32_t select_seed; /* task layer: where the next select begins to look          */

	uint32_t kind; /* enum sonde_engine that was asked for                   */
	const struct engine_ops *engine_ops; /* NULL: bytes move in the submitting call */
	struct engine *engine;
	char why[192];
	void *ops_room;
	struct file_op *ops, *free_ops; /* [depth], in ops_room; the free ones  */
	uint32_t depth;
	uint32_t n_moves;    /* of files, that the engine has: at most depth               */
	uint32_t n_steps;    /* ... and what it has of other descriptors                   */
	uint32_t merge_gap;  /* as sonde_loop_options; never 0                             */
	uint32_t past_cache; /* as sonde_loop_options                                      */
	struct loop_flush *op_waiters, **op_waiters_tail; /* who wants an operation */
	struct loop_source *source;                       /* NULL: none             */
};

/*
 * A loop without engine and host, which whoever makes it sets; depth file operations, at most.
 * SONDE_E_NO_MEMORY: finish it all the same.
 */
int loop_init(struct sonde_loop *loop, uint32_t depth);
void loop_finish(struct sonde_loop *loop);

/* Work or a timer was added: where that happens outside a turn, a foreign loop must see it. */
void loop_changed(struct sonde_loop *loop);

static inline void loop_add_ready(struct sonde_loop *loop, struct loop_ready *ready)
{
	ready->next = NULL;
	*loop->ready_tail = ready;
	loop->ready_tail = &ready->next;
	if (!loop->inside)
		loop_changed(loop);
}

void loop_add_flush(struct sonde_loop *loop, struct loop_flush *flush);

/* Does the engine have anything? */
static inline bool loop_engine_has(const struct sonde_loop *loop)
{
	return loop->n_moves || loop->n_steps;
}

/*
 * The next node to run in this pass, NULL for none; it stays there until it is taken. Where the
 * loop has nothing to do but come back for more of them, more of them belong to this pass.
 */
static inline struct loop_ready *loop_next_ready(struct sonde_loop *loop)
{
	if (loop->pass_ready)
		return loop->pass_ready;
	if (loop->n_ran >= LOOP_RAN_MAX || loop->timers || loop->n_inflight ||
	    loop_engine_has(loop) || loop->done_head || loop->flush_head)
		return NULL;
	loop->pass_ready = loop->ready_head;
	loop->ready_head = NULL;
	loop->ready_tail = &loop->ready_head;
	return loop->pass_ready;
}

static inline void loop_take_ready(struct sonde_loop *loop)
{
	loop->pass_ready = loop->pass_ready->next;
	loop->n_ran++;
}

/* Is there something to run without waiting? */
bool loop_has_work(const struct sonde_loop *loop);

/*
 * Turn, waiting for work if there is none, until *done. Plain code only.
 * Returns 0; SONDE_E_BUSY inside the loop.
 */
int loop_pump(struct sonde_loop *loop, const bool *done);

/* flush runs once when operations are free again: engine.h, loop_get_op. */
void loop_wait_op(struct sonde_loop *loop, struct loop_flush *flush);

/* timer.c: the earliest time, UINT64_MAX for none; fire what is due, returns how many. */
uint64_t timers_next(const struct sonde_loop *loop);
int timers_fire(struct sonde_loop *loop);

#endif
