/* SPDX-License-Identifier: MIT */
/* What scans are measured on: the beginning of the bench file, and what is looked for in it. */
#ifndef BENCH_SCAN_H
#define BENCH_SCAN_H

#include "bench.h"

#define SCAN_IMAGE (UINT64_C(512) << 20)
#define SCAN_BYTE 0xa5 /* one in 256, in random bytes */

static inline uint64_t scan_len(const struct work *work)
{
	return work->file->size < SCAN_IMAGE ? work->file->size : SCAN_IMAGE;
}

/* How many there are by the plainest loop: what every contender has to find. */
static inline uint64_t scan_count(const uint8_t *bytes, uint64_t len)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < len; i++)
		n += bytes[i] == SCAN_BYTE;
	return n;
}

/* An operation is a MiB. */
static inline double scan_per_mib(uint64_t ns, uint64_t len)
{
	return (double)ns * (double)(1 << 20) / (double)len;
}

#endif
