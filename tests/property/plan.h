/* SPDX-License-Identifier: MIT */
/*
 * A case of the property test as data: a loop, a tree of spaces, requests, and the steps in which they
 * are submitted, cancelled and turned. It is made from a seed (generate.c), run (run.c), and where that fails
 * made smaller (shrink.c) and printed. Everything that happens follows from it, but for what threads and
 * the kernel do.
 */
#ifndef TESTS_PROPERTY_PLAN_H
#define TESTS_PROPERTY_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
	NODES_MAX = 7,
	BAD_MAX = 2,
	STRETCHES_MAX = 4,
	REQUESTS_MAX = 10,
	PIECES_MAX = 6,
	STEPS_MAX = 28,
	NOBODY = 255, /* no node, no request */
};

/* NODE_FILE to NODE_SUBMIT are bases; the others lie over the one below. */
enum node_kind {
	NODE_FILE,     /* extents of a file, through the engine; variant: which layout (bases.c) */
	NODE_MEMORY,   /* extents of memory; variant: layout                                     */
	NODE_TRANSFER, /* a blocking call a batch                                                */
	NODE_SUBMIT,   /* a queue of its own; variant: enum manner                               */
	NODE_PAGING,   /* page tables; variant: 0 four levels, 1 five                            */
	NODE_REMAP,    /* stretches, of several spaces                                           */
	NODE_LAYER,    /* a plugin; variant: which, with which arguments (layers.c)              */
	NODE_KINDS
};

/* How a NODE_SUBMIT serves its queue. */
enum manner {
	MANNER_AT_ONCE, /* all, inside the call                                  */
	MANNER_LATER,   /* takes all, ends one a turn, in its order              */
	MANNER_ODD,     /* takes few, ends them in any order, piece by piece      */
	MANNER_POLITE,  /* as ODD, and gives up what is cancelled                */
	MANNER_THREAD,  /* takes few, ended by another thread in any order       */
	MANNERS
};

/* A stretch of a base in which reading and writing fail, or which its connector lies about. */
enum bad_kind {
	BAD_ERROR,   /* fails with err                                            */
	BAD_FORGETS, /* the last byte of a piece that has one here is never told  */
	BAD_TWICE,   /* ... or told twice                                         */
	BAD_OUTSIDE, /* ... or as bytes behind the piece                          */
	BAD_NO_CODE, /* fails with a number that is no code                       */
	BAD_KINDS
};

struct plan_bad {
	uint64_t addr, len;
	int32_t err;
	uint8_t kind;
};

struct plan_stretch {
	uint64_t addr, len, at;
	uint8_t node;
};

struct plan_node {
	uint8_t kind, variant;
	uint8_t below; /* index, lower than its own */
	uint8_t n_bad, n_stretches;
	struct plan_bad bad[BAD_MAX];
	struct plan_stretch stretches[STRETCHES_MAX];
};

/* repeat pieces, each stride behind the one before. */
struct plan_piece {
	uint64_t addr;
	uint32_t len;
	int32_t stride;
	uint16_t repeat;
	uint8_t node; /* DOOR_BATCH; the others have one for all */
};

enum door {
	DOOR_CALLBACK,
	DOOR_FRAGMENTS, /* ... and each fragment is told */
	DOOR_BLOCKING,
	DOOR_TASK,
	DOOR_BATCH,
	DOOR_TASK_BATCH,
	DOOR_STREAM, /* of fragments */
	DOOR_TASK_STREAM,
	DOOR_GET, /* sonde_space_get and _put: one piece */
	DOORS
};

static inline bool door_is_batch(unsigned door)
{
	return door == DOOR_BATCH || door == DOOR_TASK_BATCH;
}

static inline bool door_is_stream(unsigned door)
{
	return door == DOOR_STREAM || door == DOOR_TASK_STREAM;
}

enum limit { LIMIT_NONE, LIMIT_PAST, LIMIT_SOON }; /* a deadline */

struct plan_request {
	uint8_t door, node, write, n_pieces;
	uint8_t deadline; /* enum limit: of the request, of a task's timeout                      */
	uint8_t cancels;  /* when it is done, in its callback: that request is cancelled; NOBODY */
	uint8_t submits;  /* ... that one is submitted; NOBODY                                    */
	uint8_t stop_early; /* cancel itself, or leave the stream, with its first fragment          */
	uint8_t yields; /* a task: that often before it reads                                   */
	uint8_t child;  /* a task: below the one before, where that is alive                    */
	struct plan_piece pieces[PIECES_MAX];
};

enum step_kind {
	STEP_SUBMIT,     /* request arg                                            */
	STEP_CANCEL,     /* request arg, or the task that runs it                  */
	STEP_TURN,       /* once                                                   */
	STEP_BARRIER,    /* until everything has ended                             */
	STEP_CUT,        /* node arg, a file: truncated to value bytes             */
	STEP_BORROW,     /* value bytes at where the first piece of request arg is */
	STEP_TRIM,       /* node arg                                               */
	STEP_INVALIDATE, /* node arg                                               */
	STEP_KINDS
};

struct plan_step {
	uint8_t kind, arg;
	uint32_t value;
};

struct plan {
	uint64_t seed; /* it was generated from                         */
	uint8_t loop;  /* index into loop_kinds (world.c)               */
	uint8_t fresh; /* with a loop and files that nobody used before */
	uint8_t n_nodes, n_requests, n_steps;
	struct plan_node nodes[NODES_MAX];
	struct plan_request requests[REQUESTS_MAX];
	struct plan_step steps[STEPS_MAX];
};

static inline bool node_is_base(const struct plan_node *node)
{
	return node->kind <= NODE_SUBMIT;
}

/* generate.c */
void plan_generate(struct plan *plan, uint64_t seed);

/* print.c: as text for a person. */
void plan_print(const struct plan *plan, FILE *to);

/* shrink.c: fails(user, plan) says whether a plan still fails; *plan becomes the smallest found. */
typedef bool plan_fails_fn(void *user, const struct plan *plan);
void plan_shrink(struct plan *plan, plan_fails_fn *fails, void *user);

/* Numbers that follow from a seed. Source: Steele, Lea, Flood: splitmix64, OOPSLA 2014. */
struct numbers {
	uint64_t state;
};

static inline uint64_t numbers_next(struct numbers *numbers)
{
	uint64_t z = numbers->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* 0 .. n-1 */
static inline uint32_t numbers_below(struct numbers *numbers, uint32_t n)
{
	return (uint32_t)((numbers_next(numbers) >> 32) * n >> 32);
}

#endif
