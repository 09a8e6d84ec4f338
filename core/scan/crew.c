/* SPDX-License-Identifier: MIT */
/*
 * A scan by several threads, the caller's among them. Each takes the next chunk when it is through with one, as long
 * as it is not too far ahead of what has been told. The caller tells the hits chunk by chunk in their order, and
 * searches chunks of its own while there is nothing to tell.
 *
 *	chunk:  taken by a worker ──▶ hits into its slot ──▶ done ──▶ told by the caller ──▶ slot free
 *	                                └─ full: waits until the caller has come to it ─┘
 */
#include <pthread.h>
#include <signal.h>
#include <sonde/error.h>
#include <stdlib.h>
#include <string.h>

#include "scan/scan.h"
#include "space/space.h"

#define SLOTS_A_WORKER 4u /* chunks that it may be ahead */
#define SLOT_HITS 16384u  /* one in 128 bytes of a chunk */

/* One chunk in work. Between full and told its worker keeps away from it. */
struct slot {
	uint64_t number;
	bool full, done;
	size_t n_hits;
	uint64_t len, skipped, borrowed;
	struct sonde_scan_hit hits[SLOT_HITS];
};

struct worker {
	struct crew *crew;
	pthread_t thread;
	struct sweep sweep;
	struct slot *slot; /* of its chunk */
};

struct crew {
	struct scan *scan;
	pthread_mutex_t lock;
	pthread_cond_t room, news;      /* for workers; for the caller                       */
	bool stop;                      /* atomic                                            */
	int result;                     /* of the first worker that failed                   */
	uint32_t n_starting, n_at_work; /* workers that have no clone yet; that have one     */
	uint32_t n_waiting;             /* ... for room                                      */
	uint64_t n_taken, n_told;       /* chunks; those between are in the slots            */
	bool all_taken;
	uint32_t n_slots, n_workers;
	struct slot *slots;     /* [n_slots]   */
	struct worker *workers; /* [n_workers] */
	struct worker *caller;  /* no thread   */
};

static void call_workers(struct crew *crew)
{
	if (crew->n_waiting)
		pthread_cond_broadcast(&crew->room);
}

static void stop(struct crew *crew, int r)
{
	if (crew->result == 0)
		crew->result = r;
	__atomic_store_n(&crew->stop, true, __ATOMIC_RELAXED);
	call_workers(crew);
	pthread_cond_signal(&crew->news);
}

/* ---- workers --------------------------------------------------------------------------------------------- */

static void wait_for_room(struct crew *crew)
{
	crew->n_waiting++;
	pthread_cond_wait(&crew->room, &crew->lock);
	crew->n_waiting--;
}

/* Under the lock. false: there is none left, or no room. */
static bool take_chunk(struct worker *worker, struct chunk *ret)
{
	struct crew *crew = worker->crew;

	if (crew->stop || crew->all_taken || crew->n_taken - crew->n_told >= crew->n_slots)
		return false;
	if (!spans_take(&crew->scan->spans, SCAN_CHUNK, ret)) {
		crew->all_taken = true;
		call_workers(crew);
		pthread_cond_signal(&crew->news);
		return false;
	}
	worker->slot = &crew->slots[crew->n_taken % crew->n_slots];
	worker->slot->number = crew->n_taken++;
	worker->slot->n_hits = 0;
	worker->slot->full = worker->slot->done = false;
	return true;
}

/* As take_chunk, when there is room. */
static bool await_chunk(struct worker *worker, struct chunk *ret)
{
	struct crew *crew = worker->crew;

	pthread_mutex_lock(&crew->lock);
	bool taken = take_chunk(worker, ret);
	while (!taken && !crew->stop && !crew->all_taken) {
		wait_for_room(crew);
		taken = take_chunk(worker, ret);
	}
	pthread_mutex_unlock(&crew->lock);
	return taken;
}

/* The slot has no room: the caller empties it when he has told all chunks before. */
static int hand_over(struct crew *crew, struct slot *slot)
{
	int r = 0;

	pthread_mutex_lock(&crew->lock);
	slot->full = true;
	if (slot->number == crew->n_told)
		pthread_cond_signal(&crew->news);
	while (slot->full && !crew->stop)
		wait_for_room(crew);
	r = crew->stop ? SONDE_E_CANCELLED : 0;
	pthread_mutex_unlock(&crew->lock);
	return r;
}

static void keep(struct slot *slot, const struct sonde_scan_hit *hits, size_t n)
{
	memcpy(slot->hits + slot->n_hits, hits, n * sizeof(*hits));
	slot->n_hits += n;
}

static bool has_room(const struct slot *slot, size_t n)
{
	return n <= SLOT_HITS - slot->n_hits;
}

static int keep_hits(void *user, const struct sonde_scan_hit *hits, size_t n)
{
	struct worker *worker = user;
	int r = has_room(worker->slot, n) ? 0 : hand_over(worker->crew, worker->slot);

	if (r == 0)
		keep(worker->slot, hits, n);
	return r;
}

static void end_chunk(struct worker *worker, int r)
{
	struct crew *crew = worker->crew;
	struct slot *slot = worker->slot;

	pthread_mutex_lock(&crew->lock);
	slot->len = worker->sweep.len;
	slot->skipped = worker->sweep.skipped;
	slot->borrowed = worker->sweep.borrowed;
	slot->done = r == 0;
	if (r != 0)
		stop(crew, r);
	else if (slot->number == crew->n_told)
		pthread_cond_signal(&crew->news);
	pthread_mutex_unlock(&crew->lock);
}

/* The space itself is at rest until each has a clone, one after the other. */
static struct sonde_space *clone_in_turn(struct crew *crew, struct sonde_loop *loop)
{
	struct sonde_space *clone = NULL;

	pthread_mutex_lock(&crew->lock);
	if (loop)
		sonde_space_clone(crew->scan->space, loop, &clone, NULL);
	crew->n_starting--;
	crew->n_at_work += clone != NULL;
	pthread_cond_signal(&crew->news);
	pthread_mutex_unlock(&crew->lock);
	return clone;
}

/* What is all mapped needs nothing that would have to be set up first. */
static struct sonde_loop *create_loop(const struct sonde_space *space)
{
	struct sonde_loop_options options = { .size = sizeof(options),
					      .engine = space->loop->kind };
	struct sonde_loop *loop = NULL;

	if (*space->resident && options.engine == SONDE_ENGINE_AUTO)
		options.engine = SONDE_ENGINE_DIRECT;
	sonde_loop_create(&options, &loop, NULL);
	return loop;
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	struct crew *crew = worker->crew;
	struct sonde_loop *loop = create_loop(crew->scan->space);
	struct chunk chunk;

	struct sonde_space *clone = clone_in_turn(crew, loop);
	if (clone) {
		scan_sweep(crew->scan, clone, keep_hits, worker, &worker->sweep);
		worker->sweep.stop = &crew->stop;
		while (await_chunk(worker, &chunk))
			end_chunk(worker, sweep_chunk(&worker->sweep, &chunk));
		sweep_finish(&worker->sweep);
		sonde_space_close(clone);
	}
	sonde_loop_destroy(loop);
	return NULL;
}

/* ---- the caller ---------------------------------------------------------------------------------------- */

static int tell_slot(struct scan *scan, const struct slot *slot)
{
	int r = scan_tell(scan, slot->hits, slot->n_hits);

	if (r == 0 && slot->done)
		r = scan_chunk_done(scan, slot->len, slot->skipped, slot->borrowed);
	return r;
}

/* The slot whose turn it is to be told; NULL: not yet. Under the lock, as what follows. */
static struct slot *next_to_tell(struct crew *crew)
{
	struct slot *slot = &crew->slots[crew->n_told % crew->n_slots];

	return crew->n_told < crew->n_taken && (slot->full || slot->done) ? slot : NULL;
}

/* The lock is open while the user's functions run. */
static int tell(struct crew *crew, struct slot *slot)
{
	pthread_mutex_unlock(&crew->lock);
	int r = tell_slot(crew->scan, slot);
	pthread_mutex_lock(&crew->lock);
	slot->n_hits = 0;
	slot->full = false;
	crew->n_told += slot->done;
	call_workers(crew);
	return r ? r : crew->result;
}

/* What the caller finds has its turn when all in front of it, which others have in work, is told. */
static int tell_up_to(struct crew *crew, uint64_t number)
{
	int r = 0;

	pthread_mutex_lock(&crew->lock);
	while (r == 0 && crew->n_told < number) {
		struct slot *slot = next_to_tell(crew);
		if (slot)
			r = tell(crew, slot);
		else if ((r = crew->result) == 0)
			pthread_cond_wait(&crew->news, &crew->lock);
	}
	pthread_mutex_unlock(&crew->lock);
	return r;
}

/* Only the caller moves n_told. */
static int tell_or_keep(void *user, const struct sonde_scan_hit *hits, size_t n)
{
	struct worker *caller = user;
	struct crew *crew = caller->crew;
	struct slot *slot = caller->slot;
	int r = 0;

	if (slot->number != crew->n_told) {
		if (has_room(slot, n)) {
			keep(slot, hits, n);
			return 0;
		}
		r = tell_up_to(crew, slot->number);
	}
	if (r == 0)
		r = scan_tell(crew->scan, slot->hits, slot->n_hits);
	slot->n_hits = 0;
	return r ? r : scan_tell(crew->scan, hits, n);
}

static int sweep_own(struct worker *caller, const struct chunk *chunk)
{
	pthread_mutex_unlock(&caller->crew->lock);
	int r = sweep_chunk(&caller->sweep, chunk);
	end_chunk(caller, r);
	pthread_mutex_lock(&caller->crew->lock);
	return r;
}

static int tell_chunks(struct crew *crew)
{
	struct chunk chunk;
	int r = 0;

	while (r == 0 && !crew->result && !(crew->all_taken && crew->n_told == crew->n_taken)) {
		struct slot *slot = next_to_tell(crew);
		if (slot)
			r = tell(crew, slot);
		else if (take_chunk(crew->caller, &chunk))
			r = sweep_own(crew->caller, &chunk);
		else if (!(crew->all_taken && crew->n_told == crew->n_taken))
			pthread_cond_wait(&crew->news, &crew->lock);
	}
	return crew->result ? crew->result : r;
}

static int run(struct crew *crew)
{
	int r = SONDE_E_UNSUPPORTED;

	pthread_mutex_lock(&crew->lock);
	while (crew->n_starting)
		pthread_cond_wait(&crew->news, &crew->lock);
	if (crew->n_at_work) {
		crew->scan->progress.n_threads = crew->n_at_work + 1;
		r = tell_chunks(crew);
	}
	if (r != 0)
		stop(crew, r);
	pthread_mutex_unlock(&crew->lock);
	return r;
}

/* Workers take no signals but the faults of their own: the others belong to the program's threads. */
static void start_workers(struct crew *crew, uint32_t n)
{
	sigset_t all, old;

	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_BLOCK, &all, &old);
	pthread_mutex_lock(&crew->lock);
	while (crew->n_workers < n) {
		struct worker *worker = &crew->workers[crew->n_workers];
		worker->crew = crew;
		if (pthread_create(&worker->thread, NULL, work, worker))
			break;
		crew->n_workers++;
		crew->n_starting++;
	}
	pthread_mutex_unlock(&crew->lock);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void crew_init(struct crew *crew, struct scan *scan, uint32_t n)
{
	*crew = (struct crew){ .scan = scan, .n_slots = n * SLOTS_A_WORKER };
	crew->slots = calloc(crew->n_slots, sizeof(*crew->slots));
	crew->workers = calloc(n, sizeof(*crew->workers));
	pthread_mutex_init(&crew->lock, NULL);
	pthread_cond_init(&crew->room, NULL);
	pthread_cond_init(&crew->news, NULL);
}

static void crew_finish(struct crew *crew)
{
	pthread_cond_destroy(&crew->news);
	pthread_cond_destroy(&crew->room);
	pthread_mutex_destroy(&crew->lock);
	free(crew->workers);
	free(crew->slots);
}

int scan_by_crew(struct scan *scan, uint32_t n)
{
	struct crew crew;
	int r = SONDE_E_UNSUPPORTED;

	crew_init(&crew, scan, n);
	if (crew.slots && crew.workers) {
		crew.caller = &crew.workers[n - 1];
		crew.caller->crew = &crew;
		scan_sweep(scan, scan->space, tell_or_keep, crew.caller, &crew.caller->sweep);
		crew.caller->sweep.stop = &crew.stop;
		start_workers(&crew, n - 1);
		r = run(&crew);
		sweep_finish(&crew.caller->sweep);
	}
	for (uint32_t i = 0; i < crew.n_workers; i++)
		pthread_join(crew.workers[i].thread, NULL);
	crew_finish(&crew);
	return r;
}
