/* SPDX-License-Identifier: MIT */
/* The clock of deadlines and timers. */
#include <sonde/loop.h>
#include <time.h>

uint64_t sonde_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}
