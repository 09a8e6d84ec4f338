/* SPDX-License-Identifier: MIT */
/*
 * Running a plan: run.c takes the steps, doors.c submits and is called back, check.c judges what came.
 */
#ifndef TESTS_PROPERTY_RUN_H
#define TESTS_PROPERTY_RUN_H

#include <sonde/batch.h>
#include <sonde/io.h>
#include <sonde/task.h>
#include <string.h>

#include "oracle.h"

enum { EXPANDED_MAX = 6000, BYTES_MAX = 3 << 20 };

enum life { LIFE_NEW, LIFE_WAITS /* for others to end */, LIFE_FLIES, LIFE_OVER };

/* A piece of a request, and what became of it. */
struct part {
	struct sonde_xfer x; /* buf: of the request's bytes */
	unsigned node;
};

struct live {
	struct run *run;
	const struct plan_request *plan;
	unsigned index;
	enum life life;
	struct part *parts; /* [n] */
	uint32_t n;
	size_t n_bytes;
	uint8_t *bytes; /* of all pieces, with edges between them                         */
	bool lent;      /* bytes are the world's, not to be freed                           */
	uint8_t *
		told; /* where fragments are told: [n_bytes] 0, or TOLD_RIGHT, or the code negated */
	struct sonde_io *io; /* completion doors, while it flies; its pieces lie behind it      */
	struct sonde_task *task;
	int32_t result;
	bool asked;   /* to end early: CANCELLED is an answer                   */
	bool limited; /* it has a deadline: TIMED_OUT is one                    */
	bool stopped; /* stop_early: has been done                              */
	bool unsent;  /* it was cancelled before it left                        */
};

enum { TOLD_RIGHT = 200 };

struct run {
	struct world world;
	const struct plan *plan;
	struct live lives[REQUESTS_MAX];
	bool inside;  /* a submit of ours: nobody may be called back         */
	bool closing; /* no callback submits any more                         */
	bool alone;   /* what flies must not meet anything else: a write to a layer that keeps it */
	unsigned n_writing;
	uint32_t stale;  /* bit i: node i, a cache, keeps what has been written since */
	bool compares;   /* a digest is wanted              */
	uint64_t digest; /* of the outcomes of all requests */
};

/*
 * Run a plan from the first step to the last, and where that must come out the same, on the reference engine
 * as well. False: it makes no sense. What is wrong ends in fail_now.
 */
bool plan_run(struct pool *pool, const struct plan *plan);

/* property.c: the case has failed, and why; does not return. */
void fail_now(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* doors.c */
void live_submit(struct live *live);
void live_cancel(struct live *live);
/* Its pieces as a request has them, to be freed; and their outcome. */
struct sonde_xfer *live_xfers(const struct live *live);
void live_take(struct live *live, const struct sonde_xfer *xfers);
/* Fragments are told from now on; one is. */
void live_listen(struct live *live);
void live_hear(struct live *live, const struct sonde_fragment *fragment);

/* doors_wait.c: go through the door, and wait; task NULL: in plain code. Returns what the door does. */
int wait_move(struct live *live, struct sonde_task *task);
int wait_get(struct live *live);

/* run.c: wait until everything has ended. */
void run_barrier(struct run *run);

/* check.c: it is over, parts hold what came, and it has brought result. Takes note of what was written. */
void live_check(struct live *live);

/* What is to be written from byte off of a piece on; *len is how much of it is wanted, and then how much it is. */
const uint8_t *live_pattern(const struct live *live, uint32_t part, uint32_t off, uint32_t *len);

static inline bool bytes_are(const uint8_t *at, uint32_t len, uint8_t byte)
{
	return at[0] == byte && memcmp(at, at + 1, len - 1) == 0;
}

enum { EDGE = 8, EDGE_BYTE = 0xa5, FRESH_BYTE = 0xee };

#endif
