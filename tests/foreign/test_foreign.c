/* SPDX-License-Identifier: MIT */
/*
 * Inside an event loop of somebody else's: both get on, each wake-up is for something, an idle loop
 * costs nothing, and no wake-up is lost, whoever it comes from. Every case runs in every loop there
 * is (foreign.h), on every engine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sonde/sonde.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "foreign.h"

#define LIMIT_MS 100000u /* of what is to end by itself: it hangs */

static const struct foreign *const loops[] = {
	&foreign_epoll,
#ifdef HAVE_GLIB
	&foreign_glib,
#endif
#ifdef HAVE_LIBUV
	&foreign_libuv,
#endif
};

static const char *const engines[] = { "epoll", "threads", "io_uring", "auto" };

struct world {
	struct watched watched; /* first: callbacks are given it */
	const struct foreign *foreign;
	void *state;
	const char *engine;
	struct sonde_loop *loop;
	struct sonde_target *target; /* whose reads end on another thread    */
	int ends[2];                 /* a pipe                               */
	unsigned n_wakes, n_ticks;   /* of the foreign loop                  */
	unsigned n_rounds;           /* of the case                          */
	atomic_uint n_asked;         /* stress: wakes asked for              */
	unsigned n_answered;         /* ... and answered                     */
	sem_t answers;
	atomic_bool over, late;
};

static void ready(struct watched *watched)
{
	struct world *w = (struct world *)(void *)watched;

	w->n_wakes++;
	sonde_loop_turn(w->loop);
	for (unsigned asked = atomic_load(&w->n_asked); w->n_answered != asked; w->n_answered++)
		sem_post(&w->answers);
	if (atomic_load(&w->over))
		w->foreign->quit(w->state);
}

static void quit(struct world *w)
{
	atomic_store(&w->over, true);
	w->foreign->quit(w->state);
}

static bool open_world(struct world *w, const struct foreign *foreign, const char *engine,
		       void (*tick)(struct watched *watched))
{
	struct sonde_loop_options options = { .size = sizeof(options) };
	struct sonde_error err = { 0 };

	memset(w, 0, sizeof(*w));
	w->foreign = foreign;
	w->engine = engine;
	sonde_engine_parse(engine, &options.engine);
	int r = sonde_loop_create(&options, &w->loop, &err);
	if (r == SONDE_E_NO_ACCESS || r == SONDE_E_UNSUPPORTED)
		return false;
	assert_int_equal(r, 0);
	if (sonde_target_open(w->loop, "ram:4k,mode=submit", NULL, &w->target, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(pipe(w->ends), 0);
	sem_init(&w->answers, 0, 0);
	w->watched = (struct watched){ .fd = sonde_loop_fd(w->loop), .ready = ready, .tick = tick };
	w->state = foreign->open(&w->watched);
	assert_non_null(w->state);
	return true;
}

/* What the case began has ended; the foreign loop sees to the rest. */
static void close_world(struct world *w)
{
	w->foreign->close(w->state);
	close(w->ends[1]);
	sonde_loop_run(w->loop);
	close(w->ends[0]);
	sonde_target_close(w->target);
	sonde_loop_destroy(w->loop);
	sem_destroy(&w->answers);
}

static void everywhere(void (*run)(struct world *w), void (*tick)(struct watched *watched))
{
	static struct world w;

	for (size_t l = 0; l < sizeof(loops) / sizeof(loops[0]); l++) {
		for (size_t e = 0; e < sizeof(engines) / sizeof(engines[0]); e++) {
			if (!open_world(&w, loops[l], engines[e], tick))
				continue;
			run(&w);
			close_world(&w);
		}
	}
}

static void at_most(const struct world *w, const char *what, unsigned got, unsigned most)
{
	if (got > most)
		fail_msg("%s, engine %s: %u %s, want %u at most", w->foreign->name, w->engine, got,
			 what, most);
}

static void run_to_the_end(struct world *w)
{
	w->foreign->run(w->state, LIMIT_MS);
	if (!atomic_load(&w->over))
		fail_msg("%s, engine %s: got stuck in round %u", w->foreign->name, w->engine,
			 w->n_rounds);
}

/* ---- both sides ------------------------------------------------------------------------------ */

enum { ROUNDS = 40 };

/* Their timer writes what our task reads; our timer decides when it reads on. */
static void write_a_byte(struct watched *watched)
{
	struct world *w = (struct world *)(void *)watched;

	if (w->n_ticks == w->n_rounds && w->n_rounds < ROUNDS) {
		w->n_ticks++;
		assert_int_equal(write(w->ends[1], "x", 1), 1);
	}
}

static int read_and_rest(struct sonde_task *task, void *arg)
{
	struct world *w = arg;
	char byte;

	for (int i = 0; i < ROUNDS; i++) {
		if (sonde_fd_read(task, w->loop, w->ends[0], &byte, 1) != 1)
			return 1;
		sonde_task_sleep(task, 200000);
		w->n_rounds++;
	}
	quit(w);
	return 0;
}

static void take_turns(struct world *w)
{
	struct sonde_task *task;

	sonde_task_spawn(w->loop, read_and_rest, w, &task);
	run_to_the_end(w);
	assert_int_equal(sonde_task_join(NULL, task), 0);
	assert_int_equal(w->n_ticks, ROUNDS);
	/* A byte, a timer; a ring tells of what it did in the turn once more. */
	at_most(w, "wake-ups of 40 reads and 40 timers", w->n_wakes, 4 * ROUNDS + 10);
}

static void both_sides_get_on(void **state)
{
	(void)state;
	everywhere(take_turns, write_a_byte);
}

/* ---- how often ------------------------------------------------------------------------------- */

enum { REQUESTS = 1000 };

struct chain {
	struct sonde_fd_io io;
	struct world *w;
	char byte;
};

/* Each writes the byte that the next reads, so none can go before the one before has ended. */
static void next_link(struct sonde_fd_io *io)
{
	struct chain *chain = (struct chain *)(void *)io;
	struct world *w = chain->w;

	assert_int_equal(io->result, 1);
	if (++w->n_rounds == REQUESTS) {
		quit(w);
		return;
	}
	sonde_fd_submit(w->loop, io);
	assert_int_equal(write(w->ends[1], "x", 1), 1);
}

static void chain_of_reads(struct world *w)
{
	struct chain chain = { .w = w };

	chain.io = (struct sonde_fd_io){ .fd = w->ends[0],
					 .op = SONDE_FD_READ,
					 .buf = &chain.byte,
					 .len = 1,
					 .done = next_link };
	assert_int_equal(sonde_fd_submit(w->loop, &chain.io), 0);
	assert_int_equal(write(w->ends[1], "x", 1), 1);
	run_to_the_end(w);
	at_most(w, "wake-ups of 1000 requests", w->n_wakes, 2 * REQUESTS + 10);
}

static void a_request_costs_two_wake_ups_at_most(void **state)
{
	(void)state;
	everywhere(chain_of_reads, NULL);
}

static void never_done(struct sonde_fd_io *io)
{
	(void)io;
}

static void wait_for_nothing(struct world *w)
{
	char byte;
	struct sonde_fd_io io = {
		.fd = w->ends[0], .op = SONDE_FD_READ, .buf = &byte, .len = 1, .done = never_done
	};
	struct sonde_timer timer = { .at_ns = UINT64_MAX / 2 };

	assert_int_equal(sonde_fd_submit(w->loop, &io), 0);
	sonde_timer_start(w->loop, &timer);
	w->foreign->run(w->state, 20);
	w->n_wakes = 0;
	w->foreign->run(w->state, 60);
	at_most(w, "wake-ups while nothing happens", w->n_wakes, 0);
	sonde_timer_stop(w->loop, &timer);
	sonde_fd_cancel(&io);
	sonde_loop_run(w->loop);
	assert_int_equal(io.result, SONDE_E_CANCELLED);
}

static void an_idle_loop_is_left_alone(void **state)
{
	(void)state;
	everywhere(wait_for_nothing, NULL);
}

/* ---- from another thread --------------------------------------------------------------------- */

enum { EVENTS = 2500, BURST_MAX = 12 };

/* What a byte asks for; the last: the end. */
enum { ANSWER = 0, ANSWER_AFTER_A_POST, ANSWER_AFTER_A_TIMER, WAKE, N_KINDS, END };

static int answer(struct sonde_task *task, void *arg)
{
	struct world *w = arg;
	char kind = END;

	while (sonde_fd_read(task, w->loop, w->ends[0], &kind, 1) == 1 && kind != END) {
		char bytes[16];
		struct sonde_xfer x = { .addr = 0x100, .buf = bytes, .len = sizeof(bytes) };
		if (kind == ANSWER_AFTER_A_TIMER)
			sonde_task_sleep(task, 30000);
		if (kind == ANSWER_AFTER_A_POST &&
		    sonde_task_read(task, sonde_target_memory(w->target), &x, 1) != 1)
			return 1;
		w->n_rounds++;
		sem_post(&w->answers);
	}
	quit(w);
	return 0;
}

static bool wait_answer(struct world *w)
{
	struct timespec until;
	int r;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += LIMIT_MS / 2000;
	do
		r = sem_timedwait(&w->answers, &until);
	while (r < 0 && errno == EINTR);
	return r == 0;
}

static void ask_for(struct world *w, char kind)
{
	if (kind != WAKE) {
		assert_int_equal(write(w->ends[1], &kind, 1), 1);
		return;
	}
	atomic_fetch_add(&w->n_asked, 1);
	sonde_loop_wake(w->loop);
}

/* A few at once, then all answers: nothing else would wake the loop where one was lost. */
static void *ask(void *arg)
{
	struct world *w = arg;
	uint32_t state32 = 20261126;
	bool late = false;

	for (unsigned n = 0; n < EVENTS && !late;) {
		unsigned burst = 1 + (state32 >> 16) % BURST_MAX;
		for (unsigned i = 0; i < burst; i++) {
			state32 = state32 * 1103515245u + 12345u;
			ask_for(w, (char)((state32 >> 20) % N_KINDS));
		}
		for (unsigned i = 0; i < burst && !late; i++)
			late = !wait_answer(w);
		n += burst;
	}
	atomic_store(&w->late, late);
	ask_for(w, END);
	return NULL;
}

static void be_asked(struct world *w)
{
	struct sonde_task *task;
	pthread_t thread;

	sonde_task_spawn(w->loop, answer, w, &task);
	assert_int_equal(pthread_create(&thread, NULL, ask, w), 0);
	run_to_the_end(w);
	pthread_join(thread, NULL);
	if (atomic_load(&w->late))
		fail_msg("%s, engine %s: a wake-up was lost after round %u", w->foreign->name,
			 w->engine, w->n_rounds);
	assert_int_equal(sonde_task_join(NULL, task), 0);
	assert_true(w->n_rounds + w->n_answered >= EVENTS);
}

static void no_wake_up_is_lost(void **state)
{
	(void)state;
	everywhere(be_asked, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sides_get_on),
		cmocka_unit_test(a_request_costs_two_wake_ups_at_most),
		cmocka_unit_test(an_idle_loop_is_left_alone),
		cmocka_unit_test(no_wake_up_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
