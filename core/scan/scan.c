/* SPDX-License-Identifier: MIT */
/*
 * Searching a space: what was asked is checked and made ready, then the chunks of all spans are swept, on this
 * thread or by a crew (crew.c). find.c looks for one pattern in some bytes, stream.c for all of them over bytes that
 * come in parts, sweep.c brings the bytes of a chunk.
 */
#include "scan/scan.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/guard.h"
#include "space/space.h"
#include "task/task.h"

void sonde_scan_cancel(struct sonde_scan_cancel *cancel)
{
	__atomic_store_n(&cancel->asked, 1, __ATOMIC_RELAXED);
}

/* ---- on the caller's thread --------------------------------------------------------------------------- */

int scan_tell(struct scan *scan, const struct sonde_scan_hit *hits, size_t n)
{
	uint64_t most = scan->options.max_hits ? scan->options.max_hits : UINT64_MAX;
	uint64_t room = most - scan->progress.n_hits;
	size_t n_told = n < room ? n : (size_t)room;
	sonde_scan_hit_fn *fn = scan->fn;
	void *user = scan->user;

	for (size_t i = 0; i < n_told; i++) {
		int r = fn(user, &hits[i]);
		if (r != 0) {
			scan->progress.n_hits += i + 1;
			return r;
		}
	}
	scan->progress.n_hits += n_told;
	return n_told < n ? SONDE_E_LIMIT : 0;
}

int scan_chunk_done(struct scan *scan, uint64_t len, uint64_t skipped, uint64_t borrowed)
{
	scan->progress.done += len;
	scan->progress.skipped += skipped;
	scan->progress.borrowed += borrowed;
	return scan->options.progress ? scan->options.progress(scan->user, &scan->progress) : 0;
}

void scan_sweep(const struct scan *scan, struct sonde_space *space, stream_hits_fn *hits,
		void *user, struct sweep *ret)
{
	sweep_init(ret, space, &scan->spans, scan->finds, scan->n_finds, hits, user);
	ret->deadline_ns = scan->options.deadline_ns;
	ret->cancel = scan->options.cancel;
}

static int tell_at_once(void *user, const struct sonde_scan_hit *hits, size_t n)
{
	return scan_tell(user, hits, n);
}

static int scan_here(struct scan *scan)
{
	struct sweep *sweep = calloc(1, sizeof(*sweep));
	struct chunk chunk;
	int r = 0;

	if (!sweep)
		return SONDE_E_NO_MEMORY;
	scan_sweep(scan, scan->space, tell_at_once, scan, sweep);
	scan->progress.n_threads = 1;
	while (r == 0 && spans_take(&scan->spans, SCAN_CHUNK, &chunk)) {
		r = sweep_chunk(sweep, &chunk);
		if (r == 0)
			r = scan_chunk_done(scan, sweep->len, sweep->skipped, sweep->borrowed);
	}
	sweep_finish(sweep);
	free(sweep);
	return r;
}

/* ---- what was asked ------------------------------------------------------------------------------------- */

static int add_pattern(struct scan *scan, const struct sonde_pattern *pattern,
		       struct sonde_error *err)
{
	size_t i = scan->n_finds;

	if (!pattern->bytes || pattern->len == 0)
		return sonde_error_set(err, SONDE_E_BAD_ARG, "scan: pattern %zu is empty", i);
	if (pattern->len > SONDE_PATTERN_MAX)
		return sonde_error_set(err, SONDE_E_BAD_ARG,
				       "scan: pattern %zu has %u bytes: more than %u", i,
				       pattern->len, SONDE_PATTERN_MAX);
	if (pattern->align & (pattern->align - 1))
		return sonde_error_set(err, SONDE_E_BAD_ARG,
				       "scan: pattern %zu: align %u is no power of two", i,
				       pattern->align);
	if (!find_init(&scan->finds[i], pattern))
		return sonde_error_set(err, SONDE_E_BAD_ARG,
				       "scan: pattern %zu is of wildcards only", i);
	scan->n_finds++;
	return 0;
}

static int add_patterns(struct scan *scan, const struct sonde_pattern *patterns, size_t n,
			struct sonde_error *err)
{
	int r = 0;

	if (!patterns || n == 0 || n > SONDE_PATTERNS_MAX)
		return sonde_error_set(err, SONDE_E_BAD_ARG, "scan: %zu patterns: 1 to %u", n,
				       SONDE_PATTERNS_MAX);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_pattern(scan, &patterns[i], err);
	return r;
}

static int find_spans(struct scan *scan, struct sonde_error *err)
{
	const struct sonde_scan_options *options = &scan->options;
	uint64_t last = options->last ? options->last : UINT64_MAX;

	if (options->first > last)
		return sonde_error_set(err, SONDE_E_BAD_ARG,
				       "scan: the range ends before it begins");
	int r = spans_init(&scan->spans, scan->space, options->first, last,
			   options->region_flags ? options->region_flags : SONDE_REGION_READ);
	scan->progress.total = scan->spans.total;
	if (r == SONDE_E_UNSUPPORTED)
		return sonde_error_set(err, r,
				       "scan: this space cannot list its regions: say which range");
	return r < 0 ? sonde_error_set(err, r, "scan: regions: %s", sonde_strerror(r)) : 0;
}

/* A chunk each at least. */
static uint32_t wanted_threads(const struct scan *scan)
{
	uint64_t n_chunks = scan->spans.total / SCAN_CHUNK + 1;
	uint32_t n = scan->options.n_threads;
	long n_cpus = n ? 0 : sysconf(_SC_NPROCESSORS_ONLN);

	if (n == 0)
		n = n_cpus > 0 ? (uint32_t)n_cpus : 1;
	if (n > SCAN_THREADS_MAX)
		n = SCAN_THREADS_MAX;
	return n < n_chunks ? n : (uint32_t)n_chunks;
}

static int run(struct scan *scan)
{
	uint32_t n = wanted_threads(scan);
	int r = n > 1 ? scan_by_crew(scan, n) : 0;

	return scan->progress.n_threads ? r : scan_here(scan);
}

static int prepare(struct scan *scan, const struct sonde_pattern *patterns, size_t n,
		   struct sonde_error *err)
{
	struct sonde_loop *loop = scan->space->loop;
	int r = add_patterns(scan, patterns, n, err);

	if (r == 0 && (r = task_may_begin(loop, loop->current)) < 0)
		r = sonde_error_set(err, r, "scan: %s", sonde_strerror(r));
	if (r == 0 && guard_install())
		r = sonde_error_set(err, SONDE_E_UNSUPPORTED, "scan: SIGBUS cannot be handled");
	return r == 0 ? find_spans(scan, err) : r;
}

/* The end that has a cause of its own is told by its callback, or is no news. */
static int explain(int r, struct sonde_error *err)
{
	if (r == SONDE_E_NO_MEMORY || r == SONDE_E_LIMIT || r == SONDE_E_TIMED_OUT ||
	    r == SONDE_E_CANCELLED)
		sonde_error_set(err, r, "scan: %s", sonde_strerror(r));
	return r;
}

int sonde_scan(struct sonde_space *space, const struct sonde_pattern *patterns, size_t n,
	       const struct sonde_scan_options *options, sonde_scan_hit_fn *fn, void *user,
	       struct sonde_scan_progress *ret, struct sonde_error *err)
{
	if (!space || !fn)
		return sonde_error_set(err, SONDE_E_BAD_ARG, "scan: space and fn must be given");
	struct scan *scan = calloc(1, sizeof(*scan));
	if (!scan)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, "scan: out of memory");
	if (options)
		memcpy(&scan->options, options,
		       options->size < sizeof(scan->options) ? options->size
							     : sizeof(scan->options));
	scan->space = space;
	scan->fn = fn;
	scan->user = user;
	int r = prepare(scan, patterns, n, err);
	if (r == 0)
		r = explain(run(scan), err);
	if (ret && r != SONDE_E_BAD_ARG)
		*ret = scan->progress;
	spans_finish(&scan->spans);
	free(scan);
	return r;
}
