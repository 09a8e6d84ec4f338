/* SPDX-License-Identifier: MIT */
/* Which figures there are: one row compares one of ours with the best of some references. */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include "bench.h"

#define REFERENCES_MAX 3

struct row {
	char name[64];
	struct shape shape;
	const char *ours;                       /* contender                                */
	const char *references[REFERENCES_MAX]; /* contenders; the best of them is compared */
	bool cpu;                               /* processor time instead of the clock's    */
	const char *unit;
};

struct rows {
	struct row *at;
	size_t n;
};

/* Every row whose name matches pattern (fnmatch(3)); NULL: all. Returns 0 or -ENOMEM. */
int rows_create(const char *pattern, struct rows *ret);
void rows_destroy(struct rows *rows);

#endif
