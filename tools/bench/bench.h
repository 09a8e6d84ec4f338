/* SPDX-License-Identifier: MIT */
/*
 * The words of the benchmark. A *contender* does operations some way: one of ours, a reference
 * written as short as can be, somebody else's program. A *work* says which operations. A *contest*
 * is several contenders at one work, in turns. A *row* compares two of a contest.
 *
 * To add a figure: a contender (a file beside this one, its array named in contenders.c) and a line
 * in the table of rows.c.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "file.h"

#define BENCH_SKIPPED 1 /* open: not on this machine; why has been written */

/* Where the bytes lie when a round begins. */
enum place {
	PLACE_WARM,        /* the large file, in the page cache       */
	PLACE_HOT,         /* 4 MiB of a file, in the processor's caches, nearly */
	PLACE_COLD,        /* the large file, on its disk             */
	PLACE_NEAR,        /* memory, 256 KiB: in the second-level cache */
	PLACE_FAR,         /* memory, 64 MiB: mostly out of every cache */
	PLACE_IMAGE,       /* a machine's memory, 512 MiB in the page cache: image.h */
	PLACE_IMAGE_HOT,   /* 1 MiB of it                                  */
	PLACE_PROCESS,     /* memory of another process, 16 MiB            */
	PLACE_DUMP,        /* a machine's memory in a packed dump, 256 MiB of it */
	PLACE_NETWORK,     /* connections over loopback: echo.h            */
	PLACE_PROCESS_FEW, /* eight pages of it: pieces of a batch share them */
};

/* Which operations: reads of size bytes, depth of them in flight where the contender can. */
struct shape {
	enum place place;
	bool random; /* else one after another */
	uint32_t size;
	uint32_t depth;
};

/* One operation's own place: what it last read, and where to. */
struct slot {
	uint64_t off;
	uint8_t *buf;
};

struct work {
	struct shape shape;
	struct bench_file *file; /* NULL where the place is memory             */
	const uint8_t *memory;   /* what is read there, set by open or run     */
	uint64_t len;            /* only that many bytes are gone over         */
	uint64_t n_ops;          /* of one run                                 */
	uint64_t seed;           /* another one each run: no run warms the next */
	struct slot *slots;      /* [shape.depth]                              */
	uint8_t *bufs;           /* of all slots, page-aligned                 */
	size_t bufs_len;
	bool quick; /* little time: a check that all of it works */
};

/* Cost of one operation. */
struct sample {
	double wall_ns, cpu_ns;
};

struct contender {
	const char *name;
	const char *arg;   /* its variant, read by open */
	uint32_t n_rounds; /* at most so many rounds; 0: all of them */
	uint32_t
		longer; /* a run takes so many times as long, for what begins or ends slowly; 0: once */
	/* 0; BENCH_SKIPPED; -errno. *ret is the state of the next three. */
	int (*open)(const struct contender *contender, struct work *work, void **ret);
	/* Do work->n_ops operations. Sets the off of each slot used. 0 or -errno. */
	int (*run)(void *state, struct work *work);
	/* Instead of run: has its own clock. */
	int (*measure)(void *state, struct work *work, struct sample *ret);
	void (*close)(void *state);
};

/* contenders.c: the one of that name, NULL. */
const struct contender *contender_find(const char *name);

/* Say on stderr why a contender is left out. Returns BENCH_SKIPPED. */
int bench_skip(const struct contender *contender, const char *why);

/* What may not be optimised away. */
static inline void bench_keep(const void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

/* ---- where the next operation goes ------------------------------------------------------- */

struct walk {
	uint64_t state, n_places, size, at;
	bool random;
};

static inline struct walk walk_start(const struct work *work)
{
	struct walk walk = { .state = work->seed * UINT64_C(0x9e3779b97f4a7c15) | 1,
			     .n_places = work->len / work->shape.size,
			     .size = work->shape.size,
			     .random = work->shape.random };

	walk.at = (uint64_t)((unsigned __int128)walk.state * walk.n_places >> 64) * walk.size;
	return walk;
}

/* xorshift64 (Marsaglia 2003), scaled to the places there are; or the next place, round and round. */
static inline uint64_t walk_next(struct walk *walk)
{
	uint64_t at = walk->at;

	if (!walk->random) {
		walk->at += walk->size;
		if (walk->at >= walk->n_places * walk->size)
			walk->at = 0;
		return at;
	}
	walk->state ^= walk->state << 13;
	walk->state ^= walk->state >> 7;
	walk->state ^= walk->state << 17;
	return (uint64_t)((unsigned __int128)walk->state * walk->n_places >> 64) * walk->size;
}

#endif
