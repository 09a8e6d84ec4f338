/* SPDX-License-Identifier: MIT */
/*
 * The loop: what runs when on one thread. A map of this folder:
 *
 *   request.c   a request's states, accounting and end
 *   loop.c      turning, waiting, posts from other threads, the store of file operations
 *   timer.c     timers
 *   engine.c    choosing an engine; engine_*.c are the engines, engine_sync.c the reference
 */
#include "io/loop.h"

#include <errno.h>
#include <poll.h>
#include <sonde/error.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "io/engine.h"
#include "io/request.h"

#define DEPTH_DEFAULT 128u
#define DEPTH_MAX 4096u
#define DELAY_MAX 64u              /* passes a flush waits for ready work to end     */
#define RETRY_NS UINT64_C(1000000) /* the kernel was short of something: how soon again */

static int store_open(struct sonde_loop *loop)
{
	loop->ops = calloc(loop->depth, sizeof(*loop->ops));
	if (!loop->ops)
		return SONDE_E_NO_MEMORY;
	for (uint32_t i = loop->depth; i-- > 0;) {
		loop->ops[i].next = loop->free_ops;
		loop->free_ops = &loop->ops[i];
	}
	return SONDE_OK;
}

static uint32_t clamp_depth(uint32_t depth)
{
	if (depth == 0)
		return DEPTH_DEFAULT;
	return depth > DEPTH_MAX ? DEPTH_MAX : depth;
}

static void take_options(struct sonde_loop_options *own, const struct sonde_loop_options *given)
{
	if (given)
		memcpy(own, given, given->size < sizeof(*own) ? given->size : sizeof(*own));
	own->size = sizeof(*own);
	own->depth = clamp_depth(own->depth);
}

int sonde_loop_create(const struct sonde_loop_options *options, struct sonde_loop **ret,
		      struct sonde_error *err)
{
	struct sonde_loop_options own = { 0 };
	struct sonde_loop *loop = calloc(1, sizeof(*loop));
	int r;

	take_options(&own, options);
	if (!loop)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "loop: out of memory");
	loop->owner = pthread_self();
	loop->ready_tail = &loop->ready_head;
	loop->flush_tail = &loop->flush_head;
	loop->done_tail = &loop->done_head;
	loop->op_waiters_tail = &loop->op_waiters;
	loop->poll_fd = loop->timer_fd = -1;
	loop->depth = own.depth;
	loop->kind = own.engine;
	pthread_mutex_init(&loop->fragments_lock, NULL);
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0) {
		r = sonde_error_os(err, errno, "loop: eventfd");
		goto out;
	}
	r = store_open(loop);
	if (r < 0) {
		sonde_error_set(err, r, "loop: out of memory");
		goto out;
	}
	r = engine_open(loop, &own, &loop->engine_ops, &loop->engine, loop->why, sizeof(loop->why),
			err);
	if (r < 0)
		goto out;
	*ret = loop;
	return SONDE_OK;
out:
	sonde_loop_destroy(loop);
	return r;
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void sonde_loop_destroy(struct sonde_loop *loop)
{
	if (!loop)
		return;
	if (loop->engine)
		loop->engine_ops->close(loop->engine);
	if (loop->stack_pool)
		loop->stack_pool_free(loop->stack_pool);
	close_fd(loop->wake_fd);
	close_fd(loop->poll_fd);
	close_fd(loop->timer_fd);
	pthread_mutex_destroy(&loop->fragments_lock);
	free(loop->fragments);
	free(loop->spare_fragments);
	free(loop->ops);
	free(loop);
}

const char *sonde_loop_engine(const struct sonde_loop *loop, const char **ret_why)
{
	if (ret_why)
		*ret_why = loop->why;
	if (loop->engine_ops)
		return loop->engine_ops->name;
	return loop->kind == SONDE_ENGINE_SYNC ? "sync" : "direct";
}

/* ---- nodes ---------------------------------------------------------------------------- */

void loop_changed(struct sonde_loop *loop)
{
	if (loop->poll_fd >= 0 && !loop->inside)
		sonde_loop_fd(loop);
}

void loop_add_ready(struct sonde_loop *loop, struct loop_ready *ready)
{
	ready->next = NULL;
	*loop->ready_tail = ready;
	loop->ready_tail = &ready->next;
	loop_changed(loop);
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

void loop_add_done(struct sonde_loop *loop, struct sonde_io *io)
{
	io_core(io)->next = NULL;
	*loop->done_tail = io;
	loop->done_tail = &io_core(io)->next;
}

static void signal_work(struct sonde_loop *loop)
{
	uint64_t one = 1;
	int saved = errno;
	ssize_t r = write(loop->wake_fd, &one, sizeof(one));

	(void)r; /* EAGAIN: the counter is full, so it is readable already */
	errno = saved;
}

void sonde_loop_wake(struct sonde_loop *loop)
{
	atomic_store(&loop->woken, true);
	signal_work(loop);
}

void loop_post(struct sonde_loop *loop, struct loop_post *post)
{
	struct loop_post *head = atomic_load_explicit(&loop->posts, memory_order_relaxed);

	do {
		post->next = head;
	} while (!atomic_compare_exchange_weak_explicit(
		&loop->posts, &head, post, memory_order_release, memory_order_relaxed));
	if (!head)
		signal_work(loop);
}

void loop_post_fragment(struct sonde_loop *loop, const struct loop_fragment *fragment)
{
	pthread_mutex_lock(&loop->fragments_lock);
	if (loop->n_fragments == loop->cap_fragments) {
		size_t cap = loop->cap_fragments ? 2 * loop->cap_fragments : 64;
		void *grown = realloc(loop->fragments, cap * sizeof(*loop->fragments));
		if (grown) {
			loop->fragments = grown;
			loop->cap_fragments = cap;
		}
	}
	/* Without room the stretch is never told, and io_finish makes its piece an error. */
	if (loop->n_fragments < loop->cap_fragments)
		loop->fragments[loop->n_fragments++] = *fragment;
	bool first = !atomic_exchange_explicit(&loop->has_fragments, true, memory_order_relaxed);
	pthread_mutex_unlock(&loop->fragments_lock);
	if (first)
		signal_work(loop);
}

/* ---- the store of file operations -------------------------------------------------------- */

struct file_op *loop_get_op(struct sonde_loop *loop)
{
	struct file_op *op = loop->free_ops;

	if (op) {
		loop->free_ops = op->next;
		op->next = NULL;
		loop->ops_in_use++;
	}
	return op;
}

void loop_put_op(struct sonde_loop *loop, struct file_op *op)
{
	op->next = loop->free_ops;
	loop->free_ops = op;
	loop->ops_in_use--;
}

/* One waiter a pass, as long as there is something to have: a waiter may leave operations unused. */
static void serve_op_waiter(struct sonde_loop *loop)
{
	struct loop_flush *flush = loop->op_waiters;

	if (!flush || !loop->free_ops)
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

/* Two buffers change places, so that no lock is held while watchers are told. */
static int account_fragments(struct sonde_loop *loop)
{
	if (!atomic_load_explicit(&loop->has_fragments, memory_order_relaxed))
		return 0;
	pthread_mutex_lock(&loop->fragments_lock);
	struct loop_fragment *told = loop->fragments;
	size_t n = loop->n_fragments, cap = loop->cap_fragments;
	loop->fragments = loop->spare_fragments;
	loop->cap_fragments = loop->cap_spare;
	loop->n_fragments = 0;
	atomic_store_explicit(&loop->has_fragments, false, memory_order_relaxed);
	pthread_mutex_unlock(&loop->fragments_lock);
	loop->spare_fragments = told;
	loop->cap_spare = cap;
	for (size_t i = 0; i < n; i++)
		io_account(told[i].io, told[i].piece, told[i].off, told[i].len, told[i].err);
	return n > 0;
}

static struct loop_post *take_posts(struct sonde_loop *loop)
{
	struct loop_post *newest, *oldest = NULL;

	if (!atomic_load_explicit(&loop->posts, memory_order_relaxed))
		return NULL;
	newest = atomic_exchange_explicit(&loop->posts, NULL, memory_order_acquire);
	while (newest) {
		struct loop_post *next = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	return oldest;
}

static int run_posts(struct sonde_loop *loop)
{
	struct loop_post *post = take_posts(loop);
	/* A request's fragments were told before it was posted, so they are all here. */
	int ran = account_fragments(loop);

	while (post) {
		struct loop_post *next = post->next;
		post->run(post);
		post = next;
		ran++;
	}
	return ran;
}

static int run_done(struct sonde_loop *loop)
{
	struct sonde_io *io = loop->done_head;
	int ran = 0;

	loop->done_head = NULL;
	loop->done_tail = &loop->done_head;
	while (io) {
		struct sonde_io *next = io_core(io)->next;
		io_set_state(io, SONDE_IO_IDLE);
		io->done(io);
		io = next;
		ran++;
	}
	return ran;
}

static int run_ready(struct sonde_loop *loop)
{
	struct loop_ready *ready = loop->ready_head;
	int ran = 0;

	loop->ready_head = NULL;
	loop->ready_tail = &loop->ready_head;
	while (ready) {
		struct loop_ready *next = ready->next;
		ready->run(ready);
		ready = next;
		ran++;
	}
	return ran;
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

	return ops && ops->reap && loop->ops_in_use ? ops->reap(loop->engine) : 0;
}

static void kick(struct sonde_loop *loop)
{
	const struct engine_ops *ops = loop->engine_ops;

	loop->unsent = ops && ops->kick && loop->ops_in_use && ops->kick(loop->engine);
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

/* One pass; a flush runs only when nothing else could. Returns what ran, the flush as one. */
static int pass(struct sonde_loop *loop)
{
	int ran = timers_fire(loop);

	ran += run_posts(loop);
	ran += reap(loop);
	ran += run_done(loop);
	ran += run_ready(loop);
	serve_op_waiter(loop);
	if (may_flush(loop)) {
		run_flush(loop);
		ran++;
	}
	kick(loop);
	return ran;
}

static bool has_work(const struct sonde_loop *loop)
{
	return loop->ready_head || loop->done_head || loop->flush_head;
}

static void clear_wake(struct sonde_loop *loop)
{
	uint64_t count;
	ssize_t r = read(loop->wake_fd, &count, sizeof(count));

	(void)r; /* EAGAIN: nobody woke us */
}

static int engine_fd(const struct sonde_loop *loop)
{
	const struct engine_ops *ops = loop->engine_ops;

	return ops && ops->fd && loop->ops_in_use ? ops->fd(loop->engine) : -1;
}

static void wait_for_events(struct sonde_loop *loop, uint64_t timeout_ns)
{
	uint64_t next = timers_next(loop), now;
	struct pollfd fds[2] = { { .fd = loop->wake_fd, .events = POLLIN },
				 { .fd = engine_fd(loop), .events = POLLIN } };
	struct timespec ts, *limit = NULL;

	if (loop->unsent && timeout_ns > RETRY_NS)
		timeout_ns = RETRY_NS;
	if (next != UINT64_MAX) {
		now = sonde_now_ns();
		if (next <= now)
			return;
		if (next - now < timeout_ns)
			timeout_ns = next - now;
	}
	if (timeout_ns != UINT64_MAX) {
		ts.tv_sec = (time_t)(timeout_ns / 1000000000u);
		ts.tv_nsec = (long)(timeout_ns % 1000000000u);
		limit = &ts;
	}
	ppoll(fds, 2, limit, NULL);
	if (fds[0].revents & POLLIN)
		clear_wake(loop);
}

int sonde_loop_turn(struct sonde_loop *loop)
{
	if (loop->inside || loop->current)
		return SONDE_E_BUSY;
	loop->inside++;
	if (loop->poll_fd >= 0)
		clear_wake(loop);
	int ran = pass(loop);
	while (has_work(loop) && ran < 4096)
		ran += pass(loop);
	loop->inside--;
	/* Embedded in a foreign loop: leave the descriptor readable while work is left. */
	if (loop->poll_fd >= 0)
		sonde_loop_fd(loop);
	return ran;
}

int sonde_loop_wait(struct sonde_loop *loop, uint64_t timeout_ns)
{
	int ran = sonde_loop_turn(loop);

	if (ran == 0) {
		/* A wake that came before the wait ends it as well. */
		if (!atomic_load(&loop->woken))
			wait_for_events(loop, timeout_ns);
		ran = sonde_loop_turn(loop);
	}
	if (ran >= 0)
		atomic_store(&loop->woken, false);
	return ran;
}

static bool is_idle(const struct sonde_loop *loop)
{
	return !has_work(loop) && !loop->n_inflight && !loop->n_tasks && !loop->n_timers;
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

/* ---- embedding ---------------------------------------------------------------------------- */

static int watch(int poll_fd, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int poll_open(struct sonde_loop *loop)
{
	const struct engine_ops *ops = loop->engine_ops;

	loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	loop->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->timer_fd < 0 || loop->poll_fd < 0)
		return SONDE_E_IO;
	if (watch(loop->poll_fd, loop->wake_fd) || watch(loop->poll_fd, loop->timer_fd))
		return SONDE_E_IO;
	if (ops && ops->fd && watch(loop->poll_fd, ops->fd(loop->engine)))
		return SONDE_E_IO;
	return SONDE_OK;
}

int sonde_loop_fd(struct sonde_loop *loop)
{
	uint64_t next = timers_next(loop);
	struct itimerspec when = { 0 };

	if (loop->poll_fd < 0 && poll_open(loop) < 0) {
		close_fd(loop->timer_fd);
		close_fd(loop->poll_fd);
		loop->timer_fd = loop->poll_fd = -1;
		return SONDE_E_IO;
	}
	if (next != UINT64_MAX) {
		when.it_value.tv_sec = (time_t)(next / 1000000000u);
		when.it_value.tv_nsec = (long)(next % 1000000000u);
		if (next == 0)
			when.it_value.tv_nsec = 1; /* all zero would disarm it */
	}
	timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
	if (has_work(loop))
		signal_work(loop);
	return loop->poll_fd;
}
