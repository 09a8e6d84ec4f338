/* SPDX-License-Identifier: MIT */
/* The stats slot of a layer whose figures stand in an array. */
#ifndef LAYERS_COMMON_STATS_H
#define LAYERS_COMMON_STATS_H

#include <sonde/plugin.h>
#include <stddef.h>

static inline int stats_tell(const struct sonde_stat *stats, size_t n, sonde_stat_fn *fn,
			     void *user)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = fn(user, &stats[i]);
	return r;
}

#define STATS_TELL(stats, fn, user) stats_tell(stats, sizeof(stats) / sizeof((stats)[0]), fn, user)

#endif
