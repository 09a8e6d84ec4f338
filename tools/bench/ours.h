/* SPDX-License-Identifier: MIT */
/* A loop of some engine with the bench file open as a target: kept with the file, by its engine. */
#ifndef BENCH_OURS_H
#define BENCH_OURS_H

#include <sonde/loop.h>
#include <sonde/space.h>
#include <sonde/target.h>

#include "bench.h"

struct ours {
	struct sonde_loop *loop;
	struct sonde_target *target;
	struct sonde_space *space;
};

enum ours_flag { OURS_WRITE = 1 };

/* Open a target by name; flags of enum ours_flag. Returns 0; BENCH_SKIPPED where the engine is not to be had; -errno, said. */
int ours_create(const struct contender *contender, const char *engine, const char *target,
		unsigned flags, struct ours **ret);
/* Read one byte of each page, so that an engine that maps has its pages, as the reference has. 0 or -errno. */
int ours_touch(struct ours *ours, uint64_t size);
void ours_destroy(struct ours *ours); /* NULL is allowed */

/* The loop of that engine on the file, every page of it seen once. As ours_create; it is the file's. */
int ours_borrow(const struct contender *contender, const char *engine, struct bench_file *file,
		struct ours **ret);

/* flat:PATH of the file, as much of it as is read, with a backslash where the name of a target needs one. */
void ours_name(const struct bench_file *file, char *out, size_t cap);

/* Operations at once at a target, each a request of one piece, refilled in its callback. 0 or -errno. */
struct ours_run;
int ours_run_create(struct ours *ours, struct work *work, struct ours_run **ret);
int ours_run_completions(struct ours_run *run, struct work *work);
void ours_run_destroy(struct ours_run *run); /* NULL is allowed */

/* As the errno nearest to a code of ours, below zero. */
int ours_errno(int code);

#endif
