/* SPDX-License-Identifier: MIT */
#include "crew.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#define CREW_MAX 63u
#define ITEMS_AT_ONCE 4u

struct worker {
	struct crew *crew;
	unsigned index;
	pthread_t thread;
};

struct crew {
	unsigned n_wanted, n;
	size_t n_at_once; /* items a thread takes at a time; fewer than twice as many are done sooner than a thread is woken */
	struct worker workers[CREW_MAX];

	void (*do_item)(void *user, unsigned worker, size_t i);
	void *user;
	size_t n_items;
	atomic_size_t next;

	pthread_mutex_t lock;
	pthread_cond_t begin, end;
	unsigned round;  /* under lock: rises with each work                          */
	bool open;       /* under lock: there may be items left; who comes later stays out */
	unsigned n_busy; /* under lock: workers that came in                          */
	bool closing;    /* under lock                                                */
};

static void share(struct crew *crew, unsigned worker)
{
	size_t from;

	while ((from = atomic_fetch_add(&crew->next, crew->n_at_once)) < crew->n_items) {
		size_t left = crew->n_items - from;
		size_t n = left < crew->n_at_once ? left : crew->n_at_once;
		for (size_t i = 0; i < n; i++)
			crew->do_item(crew->user, worker, from + i);
	}
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct crew *crew = worker->crew;
	unsigned seen = 0;

	pthread_mutex_lock(&crew->lock);
	for (;;) {
		while ((crew->round == seen || !crew->open) && !crew->closing)
			pthread_cond_wait(&crew->begin, &crew->lock);
		if (crew->closing)
			break;
		seen = crew->round;
		crew->n_busy++;
		pthread_mutex_unlock(&crew->lock);
		share(crew, worker->index);
		pthread_mutex_lock(&crew->lock);
		if (--crew->n_busy == 0)
			pthread_cond_signal(&crew->end);
	}
	pthread_mutex_unlock(&crew->lock);
	return NULL;
}

struct crew *crew_create(unsigned n)
{
	struct crew *crew = calloc(1, sizeof(*crew));

	if (!crew)
		return NULL;
	crew->n_at_once = ITEMS_AT_ONCE;
	crew->n_wanted = n < CREW_MAX ? n : CREW_MAX;
	pthread_mutex_init(&crew->lock, NULL);
	pthread_cond_init(&crew->begin, NULL);
	pthread_cond_init(&crew->end, NULL);
	return crew;
}

void crew_destroy(struct crew *crew)
{
	if (!crew)
		return;
	pthread_mutex_lock(&crew->lock);
	crew->closing = true;
	pthread_cond_broadcast(&crew->begin);
	pthread_mutex_unlock(&crew->lock);
	for (unsigned i = 0; i < crew->n; i++)
		pthread_join(crew->workers[i].thread, NULL);
	pthread_cond_destroy(&crew->begin);
	pthread_cond_destroy(&crew->end);
	pthread_mutex_destroy(&crew->lock);
	free(crew);
}

void crew_at_once(struct crew *crew, size_t n)
{
	crew->n_at_once = n;
}

/* Signals are the program's: none comes to these threads. Where no thread is to be had the caller does all. */
static void start(struct crew *crew)
{
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (crew->n < crew->n_wanted) {
		struct worker *worker = &crew->workers[crew->n];
		*worker = (struct worker){ .crew = crew, .index = crew->n + 1 };
		if (pthread_create(&worker->thread, NULL, work, worker) != 0)
			crew->n_wanted = crew->n;
		else
			crew->n++;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void crew_run(struct crew *crew, size_t n, void (*do_item)(void *user, unsigned worker, size_t i),
	      void *user)
{
	bool alone = n < 2 * crew->n_at_once;

	if (!alone && crew->n < crew->n_wanted)
		start(crew);
	crew->do_item = do_item;
	crew->user = user;
	crew->n_items = n;
	atomic_store(&crew->next, 0);
	if (alone || !crew->n) {
		share(crew, 0);
		return;
	}
	pthread_mutex_lock(&crew->lock);
	crew->round++;
	crew->open = true;
	pthread_cond_broadcast(&crew->begin);
	pthread_mutex_unlock(&crew->lock);
	share(crew, 0);
	pthread_mutex_lock(&crew->lock);
	crew->open = false;
	while (crew->n_busy)
		pthread_cond_wait(&crew->end, &crew->lock);
	pthread_mutex_unlock(&crew->lock);
}
