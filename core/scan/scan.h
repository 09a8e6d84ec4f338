/* SPDX-License-Identifier: MIT */
/* The inside of a scan: what is asked, how far it is, and the two ways: here, or by a crew of threads. */
#ifndef SONDE_SCAN_SCAN_H
#define SONDE_SCAN_SCAN_H

#include "scan/sweep.h"

#define SCAN_CHUNK (UINT64_C(2) << 20)
#define SCAN_THREADS_MAX 64u

struct scan {
	struct sonde_space *space;
	struct sonde_scan_options options;
	struct find finds[SONDE_PATTERNS_MAX]; /* [n_finds] */
	size_t n_finds;
	struct spans spans;
	sonde_scan_hit_fn *fn;
	void *user;
	struct sonde_scan_progress progress;
};

/* Hits, in order: to the user. 0, or why it is the end. */
int scan_tell(struct scan *scan, const struct sonde_scan_hit *hits, size_t n);
/* All of a chunk was told. Likewise. */
int scan_chunk_done(struct scan *scan, uint64_t len, uint64_t skipped, uint64_t borrowed);
/* A sweep over space, for this scan. */
void scan_sweep(const struct scan *scan, struct sonde_space *space, stream_hits_fn *hits,
		void *user, struct sweep *ret);

/*
 * crew.c: all of it by n threads. Returns as sonde_scan. Where progress.n_threads is 0 then nothing was done, for
 * there is no thread, no memory for one, or no clone.
 */
int scan_by_crew(struct scan *scan, uint32_t n);

#endif
