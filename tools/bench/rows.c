/* SPDX-License-Identifier: MIT */
/*
 * The table of figures. Each engine at each size, order and depth, from one rule; then the rows with
 * names of their own, written out. To add one, add a line to named[].
 */
#include "rows.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 512

#define BY_PREAD                                                                                   \
	{                                                                                          \
		"pread"                                                                            \
	}
#define BY_MMAP                                                                                    \
	{                                                                                          \
		"mmap+memcpy", "mmap+avx2"                                                         \
	}
#define BY_HAND                                                                                    \
	{                                                                                          \
		"liburing.defer", "liburing.coop", "liburing.plain"                                \
	}

static const struct row named[] = {
	{ "auto.rand.1", { PLACE_WARM, true, 1, 256 }, "auto.completions", BY_MMAP },
	{ "auto.rand.256", { PLACE_WARM, true, 256, 256 }, "auto.completions", BY_MMAP },
	{ "auto.rand.4096", { PLACE_WARM, true, 4096, 256 }, "auto.completions", BY_MMAP },
	{ "auto.rand.65536", { PLACE_WARM, true, 65536, 256 }, "auto.completions", BY_MMAP },
	{ "uring.seq.1.completions", { PLACE_WARM, false, 1, 256 }, "uring.completions", BY_PREAD },
	{ "uring.seq.1.tasks", { PLACE_WARM, false, 1, 256 }, "uring.tasks", BY_PREAD },
	{ "uring.hot.256", { PLACE_HOT, true, 256, 256 }, "uring.completions", BY_HAND },
	{ "uring.hot.256.cpu",
	  { PLACE_HOT, true, 256, 256 },
	  "uring.completions",
	  BY_HAND,
	  .cpu = true },
};

/* What each engine is measured by: what does the same the shortest way. */
static const struct {
	const char *label;
	const char *many[REFERENCES_MAX]; /* with several in flight */
	const char *one[REFERENCES_MAX];  /* with one               */
} engines[] = {
	{ "sync", BY_PREAD, BY_PREAD }, { "threads", BY_PREAD, BY_PREAD },
	{ "uring", BY_HAND, BY_HAND },  { "direct", BY_MMAP, BY_MMAP },
	{ "auto", BY_MMAP, BY_PREAD },
};

static const uint32_t sizes[] = { 1, 256, 4096, 65536 };
static const uint32_t depths[] = { 1, 64, 256 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Names of contenders, "auto.completions", made here once; rows point to them. */
static const char *contender_name(size_t engine, bool one)
{
	static char names[COUNT(engines)][2][32];
	char *name = names[engine][one];

	snprintf(name, sizeof(names[0][0]), "%s.%s", engines[engine].label,
		 one ? "blocking" : "completions");
	return name;
}

static void add(struct rows *rows, const char *pattern, const struct row *row)
{
	if (pattern && fnmatch(pattern, row->name, 0) != 0)
		return;
	if (rows->n < ROWS_MAX)
		rows->at[rows->n++] = *row;
}

static void add_shape(struct rows *rows, const char *pattern, const struct shape *shape)
{
	bool one = shape->depth == 1;

	for (size_t i = 0; i < COUNT(engines); i++) {
		struct row row = { .shape = *shape, .ours = contender_name(i, one) };
		memcpy(row.references, one ? engines[i].one : engines[i].many,
		       sizeof(row.references));
		snprintf(row.name, sizeof(row.name), "%s.%s.%u.qd%u", engines[i].label,
			 shape->random ? "rand" : "seq", shape->size, shape->depth);
		add(rows, pattern, &row);
	}
}

int rows_create(const char *pattern, struct rows *ret)
{
	*ret = (struct rows){ .at = calloc(ROWS_MAX, sizeof(*ret->at)) };
	if (!ret->at)
		return -ENOMEM;
	for (size_t order = 0; order < 2; order++) {
		for (size_t s = 0; s < COUNT(sizes); s++) {
			for (size_t d = 0; d < COUNT(depths); d++)
				add_shape(ret, pattern,
					  &(struct shape){ PLACE_WARM, order == 0, sizes[s],
							   depths[d] });
		}
	}
	for (size_t i = 0; i < COUNT(named); i++)
		add(ret, pattern, &named[i]);
	for (size_t i = 0; i < ret->n; i++)
		ret->at[i].unit = ret->at[i].unit ? ret->at[i].unit : "ns";
	return 0;
}

void rows_finish(struct rows *rows)
{
	free(rows->at);
	rows->at = NULL;
}
