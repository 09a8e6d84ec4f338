/* SPDX-License-Identifier: MIT */
/*
 * Spaces: the three doors and the queue behind them. Requests to a resident space (all of
 * it mapped memory) are done in the calling function; the others wait in the space's
 * queue until nothing else can run, and leave as one batch.
 */
#include "space/space.h"

#include <sonde/error.h>
#include <sonde/task.h>

#include "task/task.h"

void space_count(struct sonde_space *space, const struct sonde_io *io)
{
	const struct sonde_xfer *x = io->xfers;
	const uint32_t n = io->n;
	uint64_t bytes = 0;

	space->stats.pieces += n;
	if (n == 1) {
		space->stats.bytes += x->len;
		return;
	}
#pragma GCC unroll 4
	for (uint32_t i = 0; i < n; i++)
		bytes += x[i].len;
	space->stats.bytes += bytes;
}

static void uncount(struct sonde_space *space, const struct sonde_io *io)
{
	for (uint32_t i = 0; i < io->n; i++)
		space->stats.bytes -= io->xfers[i].len;
	space->stats.pieces -= io->n;
}

/* What leaves now. A request that was cancelled while it waited ends here instead. */
static struct sonde_io *take_queue(struct sonde_space *space)
{
	struct sonde_io *at = space->queue_head, *list = NULL, **tail = &list;
	bool some_stopped = space->n_stopped;

	space->queue_head = NULL;
	space->queue_tail = &space->queue_head;
	space->n_queued = space->n_stopped = 0;
	if (space->ops->takes_queued && !some_stopped)
		return at;
	while (at) {
		struct sonde_io *io = at;
		at = io_core(io)->next;
		if (some_stopped && io_core(io)->flags & IO_ASKED_CANCEL) {
			uncount(space, io);
			io_finish_unsent(io);
			continue;
		}
		__builtin_prefetch(io->xfers);
		io->state = SONDE_IO_IN_FLIGHT; /* nothing in a queue is anything but QUEUED */
		*tail = io;
		tail = &io_core(io)->next;
	}
	*tail = NULL;
	return list;
}

/* Each of them was one piece and one move. */
static void count_sent(const struct sonde_space *space, struct sonde_space_stats *stats)
{
	stats->pieces += space->n_sent;
	stats->bytes += space->n_sent_bytes;
	stats->moves += space->n_sent;
	stats->moved += space->n_sent_bytes;
}

/* A pass is over. */
static void end_at_once(struct sonde_space *space)
{
	count_sent(space, &space->stats);
	space->n_sent = 0;
	space->n_sent_bytes = 0;
	if (space->at_once)
		space->at_once--;
}

static void flush_queue(struct loop_flush *flush)
{
	struct sonde_space *space =
		(struct sonde_space *)((char *)flush - offsetof(struct sonde_space, flush));
	uint32_t n = space->n_queued;
	struct sonde_io *list = take_queue(space);

	if (list || space->n_sent || space->n_kept)
		space->stats.trips++;
	end_at_once(space);
	/* Callbacks run in it: the last of them may close the space, where nothing is left. */
	if (space->n_kept)
		space->ops->submit_kept(space);
	if (list) {
		space->n_leaving = n;
		space->ops->submit(space, list);
	}
}

const bool space_always = true, space_never = false;

void space_init(struct sonde_space *space, const struct space_ops *ops, struct sonde_loop *loop,
		const bool *resident)
{
	space->ops = ops;
	space->loop = loop;
	space->flush.flush = flush_queue;
	space->queue_tail = &space->queue_head;
	space->resident = resident;
}

int space_enter_first(struct sonde_space *space)
{
	loop_add_flush(space->loop, &space->flush);
	return SONDE_OK;
}

static inline void queue(struct sonde_space *space, struct sonde_io *io)
{
	struct io_core *core = io_core(io);

	core->next = NULL;
	io->state = SONDE_IO_QUEUED;
	space_enter(space, io);
	space_count(space, io);
	*space->queue_tail = io;
	space->queue_tail = &core->next;
	space->n_queued++;
}

void space_queue(struct sonde_space *space, struct sonde_io *io)
{
	queue(space, io);
}

/* The short way: there is nothing to wait for. Those in the queue are not waited for either. */
static void run_resident(struct sonde_space *space, struct sonde_io *io)
{
	io_core(io)->next = NULL;
	io_core(io)->space = space;
	io->state = SONDE_IO_IN_FLIGHT;
	space->loop->n_inflight++;
	space->n_leaving = 1;
	space->stats.trips++;
	space_count(space, io);
	space->ops->submit(space, io);
}

/* Every complete function ends the count that space_queue and run_resident began. */
static struct sonde_loop *leave_flight(struct sonde_io *io)
{
	struct io_core *core = io_core(io);
	struct sonde_space *space = core->space;
	struct sonde_loop *loop = space->loop;

	loop->n_inflight--;
	space->stats.failed += core->n_failed;
	if (core->flags & IO_TIMER)
		sonde_timer_stop(loop, &core->deadline);
	return loop;
}

void space_leave(struct sonde_io *io)
{
	leave_flight(io);
}

/* ---- door: completion ------------------------------------------------------------------ */

void space_complete_by_callback(struct sonde_io *io)
{
	loop_add_done(leave_flight(io), io);
}

static void complete_with_timer(struct sonde_io *io)
{
	space_complete_by_callback(io);
}

static void tell_holder(struct sonde_timer *timer)
{
	struct sonde_io *io = timer->user;
	struct sonde_space *space = io_core(io)->space;

	if (space->ops->cancel)
		space->ops->cancel(space, io);
}

/* Its deadline has no meaning any more, so the timer of that one calls. */
static void tell_holder_soon(struct sonde_io *io)
{
	struct io_core *core = io_core(io);
	struct sonde_loop *loop = core->space->loop;

	if (core->flags & IO_TIMER)
		sonde_timer_stop(loop, &core->deadline);
	core->deadline = (struct sonde_timer){ .fire = tell_holder, .user = io };
	core->flags |= IO_TIMER;
	if (core->complete == space_complete_by_callback)
		core->complete = complete_with_timer;
	sonde_timer_start(loop, &core->deadline);
}

int space_stop(struct sonde_io *io, int32_t code)
{
	struct io_core *core = io_core(io);

	if (io->state != SONDE_IO_QUEUED && io->state != SONDE_IO_IN_FLIGHT)
		return 0;
	if (core->flags & IO_ASKED_CANCEL)
		return 1;
	core->flags |= IO_ASKED_CANCEL | (code == SONDE_E_TIMED_OUT ? IO_TIMED_OUT : 0);
	if (io->state == SONDE_IO_QUEUED)
		core->space->n_stopped++;
	else if (core->space->ops->cancel)
		tell_holder_soon(io);
	return 1;
}

int sonde_io_cancel(struct sonde_io *io)
{
	return space_stop(io, SONDE_E_CANCELLED);
}

static void deadline_passed(struct sonde_timer *timer)
{
	space_stop(timer->user, SONDE_E_TIMED_OUT);
}

static void start_deadline(struct sonde_space *space, struct sonde_io *io)
{
	struct io_core *core = io_core(io);

	if (!io->deadline_ns)
		return;
	core->deadline = (struct sonde_timer){ .at_ns = io->deadline_ns,
					       .fire = deadline_passed,
					       .user = io };
	core->flags |= IO_TIMER;
	sonde_timer_start(space->loop, &core->deadline);
}

int sonde_io_submit(struct sonde_space *space, struct sonde_io *io)
{
	return space->at_once ? space->ops->submit_at_once(space, io) : space_submit(space, io);
}

int space_submit(struct sonde_space *space, struct sonde_io *io)
{
	if (!io->done)
		return SONDE_E_BAD_ARG;
	int r = io_prepare(io);
	if (r < 0)
		return r;
	io_begin(io, io->deadline_ns ? complete_with_timer : space_complete_by_callback);
	io_core(io)->watches = NULL;
	start_deadline(space, io);
	queue(space, io);
	return SONDE_OK;
}

/* ---- inner door: a space over a space -------------------------------------------------------- */

void space_issue_prepared(struct sonde_space *space, struct sonde_io *io,
			  void (*complete)(struct sonde_io *io))
{
	*io_core(io) = (struct io_core){ .complete = complete };
	start_deadline(space, io);
	if (*space->resident)
		run_resident(space, io);
	else
		space_queue(space, io);
}

int space_issue(struct sonde_space *space, struct sonde_io *io,
		void (*complete)(struct sonde_io *io))
{
	int r = io_prepare(io);

	if (r == SONDE_OK)
		space_issue_prepared(space, io, complete);
	return r;
}

/* ---- doors: blocking and task ------------------------------------------------------------- */

/* A request on somebody's stack, and who waits for it. */
struct waiter {
	struct sonde_io io;
	struct task_wait wait;
};

static void complete_waiter(struct sonde_io *io)
{
	struct waiter *waiter = (struct waiter *)(void *)io;

	leave_flight(io);
	task_wake(&waiter->wait, io->result);
}

/* Its buffers are the waiter's: the end of what is in flight is waited for. */
static void stop_waiter(struct task_wait *wait, int code)
{
	struct waiter *waiter = (struct waiter *)((char *)wait - offsetof(struct waiter, wait));

	space_stop(&waiter->io, code);
}

static int transfer(struct sonde_space *space, struct sonde_xfer *xfers, size_t n, uint32_t op)
{
	struct sonde_loop *loop = space->loop;
	struct waiter waiter;

	waiter.wait = (struct task_wait){ .stop = stop_waiter };
	waiter.io.xfers = xfers;
	waiter.io.n = (uint32_t)n;
	waiter.io.op = op;
	waiter.io.fragment = NULL;
	waiter.io.state = SONDE_IO_IDLE;
	if (n > 0x7fffffff)
		return SONDE_E_BAD_ARG;
	int r = io_prepare(&waiter.io);
	if (r < 0)
		return r;
	r = task_stop_here(loop);
	if (r < 0)
		return io_refuse(&waiter.io, r);
	io_begin(&waiter.io, complete_waiter);
	if (*space->resident) {
		bool outer = loop->in_call; /* a watcher of fragments may have called */
		loop->in_call = loop->inside && !loop->current;
		run_resident(space, &waiter.io);
		loop->in_call = outer;
	} else {
		r = task_may_wait(loop);
		if (r < 0)
			return r;
		space_queue(space, &waiter.io);
	}
	return task_wait(loop, &waiter.wait);
}

int sonde_space_read(struct sonde_space *space, struct sonde_xfer *xfers, size_t n)
{
	return transfer(space, xfers, n, SONDE_IO_READ);
}

int sonde_space_write(struct sonde_space *space, struct sonde_xfer *xfers, size_t n)
{
	return transfer(space, xfers, n, SONDE_IO_WRITE);
}

int sonde_task_read(struct sonde_task *self, struct sonde_space *space, struct sonde_xfer *xfers,
		    size_t n)
{
	if (!self || self != space->loop->current)
		return SONDE_E_BAD_ARG;
	return transfer(space, xfers, n, SONDE_IO_READ);
}

int sonde_task_write(struct sonde_task *self, struct sonde_space *space, struct sonde_xfer *xfers,
		     size_t n)
{
	if (!self || self != space->loop->current)
		return SONDE_E_BAD_ARG;
	return transfer(space, xfers, n, SONDE_IO_WRITE);
}

/* ---- the rest ------------------------------------------------------------------------------- */

struct region_check {
	sonde_region_fn *fn;
	void *user;
};

/* A plugin may tell what its file or peer says: one of no bytes is none, one that wraps ends with the addresses. */
static int check_region(void *user, const struct sonde_region *told)
{
	const struct region_check *check = user;
	struct sonde_region region = *told;

	if (region.len == 0)
		return 0;
	if (region.len - 1 > UINT64_MAX - region.addr)
		region.len = UINT64_MAX - region.addr + 1;
	return check->fn(check->user, &region);
}

int sonde_space_regions(struct sonde_space *space, sonde_region_fn *fn, void *user)
{
	struct region_check check = { fn, user };

	if (!space->ops->regions)
		return SONDE_E_UNSUPPORTED;
	return space->ops->regions(space, check_region, &check);
}

const void *sonde_space_borrow_run(struct sonde_space *space, uint64_t addr, size_t cap,
				   size_t *ret_len)
{
	const void *at = space->ops->borrow && cap ? space->ops->borrow(space, addr, &cap) : NULL;

	if (at)
		*ret_len = cap;
	return at;
}

const void *sonde_space_borrow(struct sonde_space *space, uint64_t addr, size_t len)
{
	size_t run = 0;
	const void *at = sonde_space_borrow_run(space, addr, len, &run);

	return run == len ? at : NULL;
}

void sonde_space_trim(struct sonde_space *space)
{
	if (space->ops->trim)
		space->ops->trim(space);
}

void sonde_space_invalidate(struct sonde_space *space)
{
	if (space->ops->invalidate)
		space->ops->invalidate(space);
}

int space_cpu(struct sonde_space *space, uint32_t index, struct sonde_cpu *ret)
{
	return space->ops->cpu ? space->ops->cpu(space, index, ret) : SONDE_E_UNSUPPORTED;
}

int64_t space_note(struct sonde_space *space, const char *name, void *buf, size_t cap)
{
	return space->ops->note ? space->ops->note(space, name, buf, cap) : SONDE_E_NOT_FOUND;
}

int space_refuse_clone(struct sonde_error *err)
{
	return sonde_error_set(err, SONDE_E_UNSUPPORTED,
			       "this memory belongs to one thread, for its connector or one of its "
			       "layers does: open the target again on the other loop");
}

int sonde_space_clone(struct sonde_space *space, struct sonde_loop *loop, struct sonde_space **ret,
		      struct sonde_error *err)
{
	if (!space || !loop || !ret)
		return sonde_error_set(err, SONDE_E_BAD_ARG,
				       "clone: space, loop and ret must be given");
	return space->ops->clone ? space->ops->clone(space, loop, ret, err)
				 : space_refuse_clone(err);
}

void space_own(struct sonde_space *upper, struct sonde_space *lower)
{
	lower->next_owned = upper->owned;
	upper->owned = lower;
}

void sonde_space_close(struct sonde_space *space)
{
	struct sonde_space *owned = space ? space->owned : NULL;

	if (space)
		space->ops->destroy(space);
	while (owned) {
		struct sonde_space *next = owned->next_owned;
		sonde_space_close(owned);
		owned = next;
	}
}

size_t sonde_space_how(const struct sonde_space *space, char *text, size_t cap)
{
	if (cap)
		*text = 0;
	return space->ops->how ? space->ops->how(space, text, cap) : 0;
}

void sonde_space_stats(const struct sonde_space *space, struct sonde_space_stats *ret)
{
	*ret = space->stats;
	count_sent(space, ret);
}
