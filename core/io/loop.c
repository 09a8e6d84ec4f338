/* SPDX-License-Identifier: MIT */
/*
 * The loop: what runs when on one thread. Freestanding: threads, waiting and the clock are the
 * host's (host.h). A map of this folder:
 *
 *   request.c      a request's states, accounting and end
 *   loop.c         turning, nodes, the store of file operations
 *   timer.c        timers
 *   host_linux.c   waiting, posts from other threads, embedding; clock_posix.c the clock
 *   fd.c           requests on descriptors without offsets; fd_steps.c moves them, fd_table.c keeps their
 *                  order, fd_try_linux.c attempts, poller_linux.c waits
 *   net_posix.c    sockets that listen and connect; net_address_posix.c their addresses
 *   path_call_linux.c  operations on files that are no moves, as calls; their requests are core/fs's
 *   create.c       making a loop from its options
 *   engine.c       choosing an engine; engine_*.c are the engines, engine_sync.c the reference
 */
#include "io/loop.h"

#include <sonde/error.h>

#include "base/mem.h"
#include "io/engine.h"
#include "io/request.h"

#define DELAY_MAX 64u     /* passes a flush waits for ready work to end     */
#define LOTS_MAX 64u      /* lots of completions in one pass              */
#define SOURCE_PASSES 32u /* passes without a look at the source            */

int loop_init(struct sonde_loop *loop, uint32_t depth)
{
	*loop = (struct sonde_loop){ .depth = depth };
	loop->ready_tail = &loop->ready_head;
	loop->flush_tail = &loop->flush_head;
	loop->done_tail = &loop->done_head;
	loop->op_waiters_tail = &loop->op_waiters;
	loop->ops_room = mem_alloc((size_t)depth + 1, sizeof(*loop->ops));
	if (!loop->ops_room)
		return SONDE_E_NO_MEMORY;
	loop->ops = (struct file_op *)(((uintptr_t)loop->ops_room + FILE_OP_ALIGN - 1) &
				       ~(uintptr_t)(FILE_OP_ALIGN - 1));
	for (uint32_t i = depth; i-- > 0;) {
		loop->ops[i].next = loop->free_ops;
		loop->free_ops = &loop->ops[i];
	}
	return SONDE_OK;
}

void loop_finish(struct sonde_loop *loop)
{
	if (loop->tasks)
		loop->tasks_free(loop->tasks);
	mem_release(loop->ops_room);
}

/* ---- nodes ---------------------------------------------------------------------------- */

void loop_changed(struct sonde_loop *loop)
{
	if (loop->embedded && !loop->inside)
		loop_arm(loop);
}

void loop_add_flush(struct sonde_loop *loop, struct loop_flush *flush)
{
	if (flush->queued)
		return;
	flush->queued = true;
	flush->next = NULL;
	*loop->flush_tail = flush;
	loop->flush_tail = &flush->next;
	loop_changed(loop);
}

/* ---- the store of file operations -------------------------------------------------------- */

/* One waiter a pass, as long as there is something to have: a waiter may leave operations unused. */
static void serve_op_waiter(struct sonde_loop *loop)
{
	struct loop_flush *flush = loop->op_waiters;

	if (!flush || !loop_may_move(loop))
		return;
	loop->op_waiters = flush->next;
	if (!loop->op_waiters)
		loop->op_waiters_tail = &loop->op_waiters;
	flush->queued = false;
	loop_add_flush(loop, flush);
}

void loop_wait_op(struct sonde_loop *loop, struct loop_flush *flush)
{
	if (flush->queued)
		return;
	flush->queued = true;
	flush->next = NULL;
	*loop->op_waiters_tail = flush;
	loop->op_waiters_tail = &flush->next;
}

/* ---- turning ---------------------------------------------------------------------------- */

static int run_done(struct sonde_loop *loop)
{
	struct sonde_io *io = loop->done_head;
	int ran = 0;

	loop->done_head = NULL;
	loop->done_tail = &loop->done_head;
	while (io) {
		struct sonde_io *next = io_core(io)->next;
		io_set_state(io, SONDE_IO_IDLE);
		loop_watch_fire_all(&io_core(io)->watches, SONDE_OK);
		io->done(io);
		io = next;
		ran++;
	}
	return ran;
}

/* What becomes ready meanwhile waits for the next pass, unless loop_next_ready sees no use in that. */
static int run_ready(struct sonde_loop *loop)
{
	struct loop_ready *ready;

	loop->n_ran = 0;
	loop->pass_ready = loop->ready_head;
	loop->ready_head = NULL;
	loop->ready_tail = &loop->ready_head;
	while ((ready = loop_next_ready(loop))) {
		loop_take_ready(loop);
		ready->run(ready);
	}
	return (int)loop->n_ran;
}

static void run_flush(struct sonde_loop *loop)
{
	struct loop_flush *flush = loop->flush_head;

	loop->flush_head = NULL;
	loop->flush_tail = &loop->flush_head;
	while (flush) {
		struct loop_flush *next = flush->next;
		flush->queued = false;
		flush->flush(flush);
		flush = next;
	}
}

static int reap(struct sonde_loop *loop)
{
	const struct engine_ops *ops = loop->engine_ops;

	return ops && ops->reap ? ops->reap(loop->engine) : 0;
}

/*
 * A lot of completions, then their callbacks, whose requests are in the nearest cache yet; all there are before
 * anything is sent, for that makes one batch of it. Not for ever: callbacks may be quick, and engines as well.
 */
static int reap_lots(struct sonde_loop *loop)
{
	int ran = 0, lot;

	for (unsigned i = 0; i < LOTS_MAX; i++) {
		lot = reap(loop);
		ran += lot + run_done(loop);
		if (lot < ENGINE_LOT)
			break;
	}
	return ran;
}

/* A system call each time, so not in every pass. */
static int reap_source(struct sonde_loop *loop)
{
	struct loop_source *source = loop->source;

	/* A foreign loop sees also what is told to nobody, until it is fetched. */
	if (!source || source->fd < 0 || (!source->n_waits && !loop->embedded))
		return 0;
	if (!source->due && ++source->n_passes < SOURCE_PASSES)
		return 0;
	source->due = false;
	source->n_passes = 0;
	return source->reap(source);
}

static void kick(struct sonde_loop *loop)
{
	const struct engine_ops *ops = loop->engine_ops;

	loop->unsent = ops && ops->kick && loop_engine_has(loop) && ops->kick(loop->engine);
}

/* A flush waits until nothing else can run, but not for ever: tasks may yield to each other without end. */
static bool may_flush(struct sonde_loop *loop)
{
	if (!loop->flush_head)
		return false;
	if ((loop->ready_head || loop->done_head) && ++loop->n_delayed < DELAY_MAX)
		return false;
	loop->n_delayed = 0;
	return true;
}

/* One pass; a flush runs only when nothing else could. Returns what ran, the flush as one beside its callbacks. */
static int pass(struct sonde_loop *loop)
{
	int ran = timers_fire(loop);

	ran += loop_run_posts(loop);
	ran += reap_lots(loop);
	ran += reap_source(loop);
	ran += run_done(loop);
	ran += run_ready(loop);
	serve_op_waiter(loop);
	if (may_flush(loop)) {
		loop->n_called = 0;
		run_flush(loop);
		ran += 1 + (int)loop->n_called;
	}
	kick(loop);
	return ran;
}

bool loop_has_work(const struct sonde_loop *loop)
{
	return loop->ready_head || loop->done_head || loop->flush_head;
}

static void wait_for_events(struct sonde_loop *loop, uint64_t timeout_ns)
{
	uint64_t next = timers_next(loop), now;

	if (loop->unsent && timeout_ns > LOOP_RETRY_NS)
		timeout_ns = LOOP_RETRY_NS;
	if (next != UINT64_MAX) {
		now = sonde_now_ns();
		if (next <= now)
			return;
		if (next - now < timeout_ns)
			timeout_ns = next - now;
	}
	loop_sleep(loop, timeout_ns);
}

static int turn(struct sonde_loop *loop)
{
	if (loop->inside || loop->current)
		return SONDE_E_BUSY;
	loop->inside++;
	if (loop->embedded)
		loop_disarm(loop);
	int ran = pass(loop);
	while (loop_has_work(loop) && ran < 4096)
		ran += pass(loop);
	loop->inside--;
	/* Embedded in a foreign loop: leave the descriptor readable while work is left. */
	if (loop->embedded)
		loop_arm(loop);
	return ran;
}

int sonde_loop_turn(struct sonde_loop *loop)
{
	if (loop->source)
		loop->source->due = true;
	return turn(loop);
}

/* The source is not looked at before the sleep, for that does it. */
int sonde_loop_wait(struct sonde_loop *loop, uint64_t timeout_ns)
{
	int ran = turn(loop);

	if (ran == 0) {
		/* A wake that came before the wait ends it as well. */
		if (!atomic_load(&loop->woken))
			wait_for_events(loop, timeout_ns);
		ran = turn(loop);
	}
	if (ran >= 0)
		atomic_store(&loop->woken, false);
	return ran;
}

static bool is_idle(const struct sonde_loop *loop)
{
	return !loop_has_work(loop) && !loop->n_inflight && !loop->n_tasks && !loop->n_timers;
}

int sonde_loop_run(struct sonde_loop *loop)
{
	if (loop->inside || loop->current)
		return SONDE_E_BUSY;
	while (!is_idle(loop))
		sonde_loop_wait(loop, UINT64_MAX);
	return SONDE_OK;
}

int loop_pump(struct sonde_loop *loop, const bool *done)
{
	if (loop->inside || loop->current)
		return SONDE_E_BUSY;
	while (!*done) {
		loop->inside++;
		int ran = pass(loop);
		loop->inside--;
		if (ran == 0 && !*done)
			wait_for_events(loop, UINT64_MAX);
	}
	loop_changed(loop);
	return SONDE_OK;
}
