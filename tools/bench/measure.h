/* SPDX-License-Identifier: MIT */
/* Contenders at one work, in turns: ours, theirs, ours, theirs …; the median of each. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "bench.h"

#define CONTEST_MAX 32

struct contest {
	struct shape shape;
	struct bench_file *file;
	const struct contender *contenders[CONTEST_MAX];
	struct sample medians[CONTEST_MAX]; /* out: valid where not skipped */
	bool skipped[CONTEST_MAX];          /* out                          */
	size_t n;
};

/* How long one run shall take, and how often. */
struct effort {
	uint64_t run_ns;
	uint32_t n_rounds;
	bool quick;
};

/* Add one; the same again is the same place. Returns its index. */
size_t contest_add(struct contest *contest, const struct contender *contender);

/*
 * Returns 0 or -errno, said on stderr: an operation failed, or bytes were read that do not stand in
 * the file.
 */
int contest_run(struct contest *contest, const struct effort *effort);

/* One contender, once, no clock and no check: for tools that look at a process from outside. */
int contest_once(const struct contender *contender, const struct shape *shape,
		 struct bench_file *file, uint64_t n_ops);

#endif
