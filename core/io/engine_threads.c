/* SPDX-License-Identifier: MIT */
/*
 * The threads engine. What is in the page cache is read by the loop itself, without waiting; the pool gets
 * what would wait, writes, and its share of long lists. Threads start with the first
 * work, not with the loop. Work goes over and comes home a list at a time, so a batch costs few locks.
 *
 *   submit ──▶ fresh ──loop or worker──▶ moved ──▶ finished ──post──▶ done
 *                └─ would wait ─▶ slow ──worker──┘
 */
#include "io/engine.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sonde/error.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define THREADS_MAX 64u
#define SHARE 8u /* operations taken at once: a lock each that many, and callbacks soon */

struct op_list {
	struct file_op *head, **tail;
	size_t n;
};

struct engine {
	struct sonde_loop *loop;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct op_list fresh; /* under lock: reads that nobody has tried     */
	struct op_list slow;  /* under lock: for workers only                */
	uint32_t n_idle;      /* under lock: workers that wait for more      */
	bool closing;         /* under lock                                  */
	uint32_t n_threads, n_wanted;
	pthread_t threads[THREADS_MAX];
	int32_t waits_fd; /* the loop's: the last descriptor that cannot be read without waiting */
	_Atomic(struct file_op *) finished; /* newest first */
	struct loop_post home;              /* posted by who finds finished empty */
};

/* ---- lists ----------------------------------------------------------------------------------- */

static void list_init(struct op_list *list)
{
	list->head = NULL;
	list->tail = &list->head;
	list->n = 0;
}

static void list_add(struct op_list *list, struct file_op *op)
{
	op->next = NULL;
	*list->tail = op;
	list->tail = &op->next;
	list->n++;
}

static struct file_op *list_take(struct op_list *list, size_t n)
{
	struct file_op *first = list->head, **tail = &list->head;

	for (; *tail && n; n--, list->n--)
		tail = &(*tail)->next;
	list->head = *tail;
	if (!list->head)
		list->tail = &list->head;
	*tail = NULL;
	return first;
}

/* ---- workers ---------------------------------------------------------------------------------- */

/* The loop's thread: oldest first. */
static void come_home(struct loop_post *post)
{
	struct engine *engine = (struct engine *)((char *)post - offsetof(struct engine, home));
	struct file_op *newest = atomic_exchange(&engine->finished, NULL), *oldest = NULL;

	/* Some have ended since this was posted, and what they told comes before their end. */
	loop_run_fragments(engine->loop);
	while (newest) {
		struct file_op *next = newest->next;
		newest->next = oldest;
		oldest = newest;
		newest = next;
	}
	while (oldest) {
		struct file_op *next = oldest->next;
		oldest->done(oldest);
		oldest = next;
	}
}

static void finish(struct engine *engine, struct file_op *newest, struct file_op *oldest)
{
	struct file_op *before = atomic_load(&engine->finished);

	do {
		oldest->next = before;
	} while (!atomic_compare_exchange_weak(&engine->finished, &before, newest));
	if (!before)
		loop_post(engine->loop, &engine->home);
}

/* The reference move of each, in order, then home with all of them at once. */
static void move_list(struct engine *engine, struct file_op *list)
{
	struct file_op *newest = NULL, *oldest = list;

	while (list) {
		struct file_op *next = list->next;
		if (list->works)
			list->work(list);
		else
			list->result =
				file_move(list->fd, list->write, list->off, list->buf, list->len);
		list->next = newest;
		newest = list;
		list = next;
	}
	finish(engine, newest, oldest);
}

static void *worker(void *arg)
{
	struct engine *engine = arg;

	pthread_mutex_lock(&engine->lock);
	while (!engine->closing) {
		/* One that waits holds up only itself where others are free to take the next. */
		struct file_op *list = list_take(&engine->slow, engine->n_idle ? 1 : SHARE);
		if (!list)
			list = list_take(&engine->fresh, SHARE);
		if (!list) {
			engine->n_idle++;
			pthread_cond_wait(&engine->more, &engine->lock);
			engine->n_idle--;
			continue;
		}
		pthread_mutex_unlock(&engine->lock);
		move_list(engine, list);
		pthread_mutex_lock(&engine->lock);
	}
	pthread_mutex_unlock(&engine->lock);
	return NULL;
}

/* Workers take no signals: those belong to the program's own threads. */
static void start_workers(struct engine *engine)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	while (engine->n_threads < engine->n_wanted) {
		if (pthread_create(&engine->threads[engine->n_threads], NULL, worker, engine))
			break;
		engine->n_threads++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* Under lock. As many as there is work for; those that are not idle look for more by themselves. */
static void call_workers(struct engine *engine)
{
	size_t n = engine->slow.n + engine->fresh.n / SHARE;

	for (uint32_t i = 0; i < engine->n_idle && i < n; i++)
		pthread_cond_signal(&engine->more);
}

/* ---- the loop's side --------------------------------------------------------------------------- */

static uint32_t wanted_threads(uint32_t asked)
{
	long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	uint32_t n = asked ? asked : 2 * (n_cpus > 0 ? (uint32_t)n_cpus : 1);

	return n > THREADS_MAX ? THREADS_MAX : n;
}

static int threads_open(struct sonde_loop *loop, const struct sonde_loop_options *options,
			struct engine **ret, struct sonde_error *err)
{
	struct engine *engine = calloc(1, sizeof(*engine));

	if (!engine)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "threads: out of memory");
	engine->loop = loop;
	engine->home.run = come_home;
	engine->waits_fd = -1;
	list_init(&engine->fresh);
	list_init(&engine->slow);
	engine->n_wanted = wanted_threads(options->n_threads);
	pthread_mutex_init(&engine->lock, NULL);
	pthread_cond_init(&engine->more, NULL);
	*ret = engine;
	return SONDE_OK;
}

static void threads_close(struct engine *engine)
{
	pthread_mutex_lock(&engine->lock);
	engine->closing = true;
	pthread_cond_broadcast(&engine->more);
	pthread_mutex_unlock(&engine->lock);
	for (uint32_t i = 0; i < engine->n_threads; i++)
		pthread_join(engine->threads[i], NULL);
	pthread_cond_destroy(&engine->more);
	pthread_mutex_destroy(&engine->lock);
	free(engine);
}

/* Reads wait for the end of the turn: until then the list grows, and the loop may do them itself. */
static void threads_submit(struct engine *engine, struct file_op *list)
{
	if (engine->n_threads == 0)
		start_workers(engine);
	if (engine->n_threads == 0) {
		/* The host gives no thread at all: the reference still moves the bytes. */
		move_list(engine, list);
		return;
	}
	pthread_mutex_lock(&engine->lock);
	while (list) {
		struct file_op *next = list->next;
		list_add(list->works || list->write ? &engine->slow : &engine->fresh, list);
		list = next;
	}
	if (engine->slow.n)
		call_workers(engine);
	pthread_mutex_unlock(&engine->lock);
}

/* All of it, without waiting; false: that cannot be, or something is odd that the reference will name. */
static bool move_now(struct engine *engine, struct file_op *op)
{
	struct iovec iov = { op->buf, op->len };
	ssize_t r = -1;

	if (op->fd != engine->waits_fd && op->off <= (uint64_t)INT64_MAX - op->len)
		r = preadv2(op->fd, &iov, 1, (off_t)op->off, RWF_NOWAIT);
	if (r < 0 && errno == EOPNOTSUPP)
		engine->waits_fd = op->fd;
	op->result = (int32_t)r;
	return r == (ssize_t)op->len;
}

/* The end of a turn: one share for the loop, or nearly two; workers for the rest. */
static bool threads_kick(struct engine *engine)
{
	struct op_list slow;

	pthread_mutex_lock(&engine->lock);
	/* A rest that is too small for a worker would wait for a turn that may never come. */
	struct file_op *mine =
		list_take(&engine->fresh, engine->fresh.n < 2 * SHARE ? engine->fresh.n : SHARE);
	if (engine->fresh.n)
		call_workers(engine);
	pthread_mutex_unlock(&engine->lock);
	list_init(&slow);
	while (mine) {
		struct file_op *op = mine;
		mine = op->next;
		if (move_now(engine, op))
			op->done(op);
		else
			list_add(&slow, op);
	}
	if (!slow.n)
		return false;
	pthread_mutex_lock(&engine->lock);
	*engine->slow.tail = slow.head;
	engine->slow.tail = slow.tail;
	engine->slow.n += slow.n;
	call_workers(engine);
	pthread_mutex_unlock(&engine->lock);
	return false;
}

const struct engine_ops engine_threads = {
	.name = "threads",
	.open = threads_open,
	.close = threads_close,
	.submit = threads_submit,
	.kick = threads_kick,
};
