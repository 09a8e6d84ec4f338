/* SPDX-License-Identifier: MIT */
/*
 * The threads engine: a pool that runs the reference move. Threads start with the first
 * work, not with the loop. Work is handed over a list at a time, and each
 * worker takes a share of what waits, so a batch costs few locks.
 */
#include "io/engine.h"

#include <pthread.h>
#include <signal.h>
#include <sonde/error.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS_MAX 64u

struct engine {
	struct sonde_loop *loop;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct file_op *head, **tail; /* [n_waiting], under lock          */
	size_t n_waiting;
	bool closing; /* under lock                       */
	uint32_t n_threads, n_wanted;
	pthread_t threads[THREADS_MAX];
};

static void come_home(struct loop_post *post)
{
	struct file_op *op = (struct file_op *)((char *)post - offsetof(struct file_op, post));

	op->done(op);
}

static void move_list(struct engine *engine, struct file_op *list)
{
	while (list) {
		struct file_op *next = list->next;
		if (list->work)
			list->work(list);
		else
			list->result =
				file_move(list->fd, list->write, list->off, list->buf, list->len);
		list->post.run = come_home;
		loop_post(engine->loop, &list->post);
		list = next;
	}
}

/* A share of what waits: all of it split over the threads, at least one. */
static struct file_op *take_share(struct engine *engine)
{
	size_t share = engine->n_waiting / engine->n_wanted;
	struct file_op *list = engine->head, *last = list;

	if (!list)
		return NULL;
	engine->n_waiting--;
	while (share-- > 1 && last->next) {
		last = last->next;
		engine->n_waiting--;
	}
	engine->head = last->next;
	if (!engine->head)
		engine->tail = &engine->head;
	last->next = NULL;
	return list;
}

static void *worker(void *arg)
{
	struct engine *engine = arg;

	pthread_mutex_lock(&engine->lock);
	while (!engine->closing) {
		struct file_op *list = take_share(engine);
		if (!list) {
			pthread_cond_wait(&engine->more, &engine->lock);
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
	engine->tail = &engine->head;
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

static void threads_submit(struct engine *engine, struct file_op *list)
{
	if (engine->n_threads == 0)
		start_workers(engine);
	if (engine->n_threads == 0) {
		/* The host gives no thread at all: the reference still moves the bytes. */
		move_list(engine, list);
		return;
	}
	size_t n = 0;
	pthread_mutex_lock(&engine->lock);
	*engine->tail = list;
	while (*engine->tail) {
		engine->tail = &(*engine->tail)->next;
		n++;
	}
	engine->n_waiting += n;
	if (n > 1)
		pthread_cond_broadcast(&engine->more);
	else
		pthread_cond_signal(&engine->more);
	pthread_mutex_unlock(&engine->lock);
}

const struct engine_ops engine_threads = {
	.name = "threads",
	.open = threads_open,
	.close = threads_close,
	.submit = threads_submit,
};
