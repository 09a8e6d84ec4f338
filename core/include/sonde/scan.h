/* SPDX-License-Identifier: MIT */
/*
 * Searching all of a space for byte patterns, on as many threads as there are processors, the caller's among them: each of
 * the others has a loop and a clone of the space (sonde_space_clone). Memory that can be borrowed is searched where it lies, the rest is read
 * in large batches, one on its way while the one before is searched.
 *
 * Hits come in the order of their addresses, each once, wherever it crosses a page, a region or what two threads
 * share. Bytes that cannot be read are skipped and counted; nothing matches across them.
 */
#ifndef SONDE_SCAN_H
#define SONDE_SCAN_H

#include <sonde/error.h>
#include <sonde/space.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SONDE_PATTERN_MAX 4096u /* bytes of one pattern                              */
#define SONDE_PATTERNS_MAX 64u  /* of one scan: each is a pass over the bytes       */

/* What is looked for. The caller's; borrowed for the call. */
struct sonde_pattern {
	const void *bytes; /* [len]                                                          */
	const void *mask;  /* [len] bits that have to agree, some at least; NULL: all of them */
	uint32_t len;      /* 1 .. SONDE_PATTERN_MAX                                         */
	uint32_t align;    /* a power of two: hits at its multiples only; 0: anywhere        */
};

struct sonde_scan_hit {
	uint64_t addr;
	uint32_t
		pattern; /* index into patterns; of several at one address the lowest comes first */
	uint32_t pad;    /* 0                                                                     */
};

struct sonde_scan_progress {
	uint64_t total;    /* bytes to look at                                         */
	uint64_t done;     /* ... of which all hits have been told, skipped ones counted */
	uint64_t skipped;  /* bytes that could not be read                             */
	uint64_t borrowed; /* bytes searched where they lie, without a copy            */
	uint64_t n_hits;
	uint32_t n_threads; /* that took part                                          */
	uint32_t pad;       /* 0                                                       */
};

/*
 * Both run on the thread that called sonde_scan, which may read the space in them; any result but 0 stops the
 * scan and is handed back.
 */
typedef int sonde_scan_hit_fn(void *user, const struct sonde_scan_hit *hit);
typedef int sonde_scan_progress_fn(void *user, const struct sonde_scan_progress *progress);

/* Zero it; sonde_scan_cancel ends the scans that were given it, begun or not. */
struct sonde_scan_cancel {
	uint32_t asked;
};

/* Any thread; async-signal-safe. */
void sonde_scan_cancel(struct sonde_scan_cancel *cancel);

struct sonde_scan_options {
	uint32_t size; /* sizeof(struct sonde_scan_options)                                   */
	uint32_t
		n_threads; /* 0: one a processor. At most 64; small spaces need fewer             */
	uint64_t first,
		last; /* addresses, inclusive; last 0: to the end. A hit lies in them whole  */
	uint32_t
		region_flags; /* only regions with all of enum sonde_region_flag; 0: _READ           */
	uint32_t pad;      /* 0                                                                   */
	uint64_t max_hits; /* told at most; 0: no limit                                           */
	uint64_t
		deadline_ns; /* 0, or sonde_now_ns() time                                           */
	struct sonde_scan_cancel
		*cancel; /* NULL: nobody cancels                                     */
	sonde_scan_progress_fn
		*progress; /* NULL, or called a few times a second and more often      */
};

/*
 * Look for n patterns in the regions of a space. options, ret and err may be NULL; user goes to both callbacks.
 *
 * Returns   0: all was looked at, as far as it can be read; what a callback returned to stop;
 *           SONDE_E_LIMIT      there are more hits than max_hits, which were told;
 *           SONDE_E_CANCELLED, SONDE_E_TIMED_OUT
 *           SONDE_E_BAD_ARG    no pattern, or too many; one that is empty, longer than
 *                              SONDE_PATTERN_MAX, of wildcards only, or whose align is no power of two;
 *                              a range that ends before it begins;
 *           SONDE_E_UNSUPPORTED  the space cannot list its regions and no last address is given;
 *           SONDE_E_BUSY       called from a completion callback;
 *           SONDE_E_NO_MEMORY, and what sonde_space_regions says.
 * Context   blocks. The thread of the space's loop, with nothing in flight in the space or below it. A space
 *           that cannot be cloned, and one of which there is little, is searched on this thread. Threads, loops and
 *           buffers are made at the start; nothing is allocated behind it.
 * Owns      nothing. *ret tells how far it came, in every case but BAD_ARG.
 */
int sonde_scan(struct sonde_space *space, const struct sonde_pattern *patterns, size_t n,
	       const struct sonde_scan_options *options, sonde_scan_hit_fn *fn, void *user,
	       struct sonde_scan_progress *ret, struct sonde_error *err);

#ifdef __cplusplus
}
#endif
#endif
