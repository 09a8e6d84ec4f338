/* SPDX-License-Identifier: MIT */
/*
 * Rounds and clocks. How many operations a run has is found by doubling, which warms up too. After
 * each run the bytes in every slot are compared with the file.
 */
#include "measure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "image.h"

#define ROUNDS_MAX 32
#define EVICTIONS_MAX 4
#define OPS_MAX (UINT64_C(1) << 26)
#define HOT (UINT64_C(4) << 20)

/* A contender in its contest. */
struct entrant {
	const struct contender *contender;
	void *state;
	uint64_t n_ops;
	struct sample samples[ROUNDS_MAX];
	uint32_t n_samples;
	bool open, skipped;
};

size_t contest_add(struct contest *contest, const struct contender *contender)
{
	for (size_t i = 0; i < contest->n; i++) {
		if (contest->contenders[i] == contender)
			return i;
	}
	contest->contenders[contest->n] = contender;
	return contest->n++;
}

static double now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* ---- the work ---------------------------------------------------------------------------------- */

static uint64_t place_len(const struct contest *contest, bool quick)
{
	switch (contest->shape.place) {
	case PLACE_NEAR:
		return UINT64_C(256) << 10;
	case PLACE_FAR:
		return UINT64_C(64) << 20;
	case PLACE_IMAGE:
		return quick ? IMAGE_SIZE_QUICK : IMAGE_SIZE;
	case PLACE_IMAGE_HOT:
		return UINT64_C(1) << 20;
	case PLACE_DUMP:
		return UINT64_C(256) << (quick ? 14 : 20);
	case PLACE_PROCESS:
		return UINT64_C(16) << 20;
	case PLACE_PROCESS_FEW:
		return UINT64_C(32) << 10;
	case PLACE_HOT:
		return contest->file->size < HOT ? contest->file->size : HOT;
	default:
		return contest->file ? contest->file->size : 0;
	}
}

static int work_init(struct work *work, const struct contest *contest, const struct effort *effort)
{
	size_t stride = ((size_t)contest->shape.size + 63) / 64 * 64;

	*work = (struct work){ .shape = contest->shape,
			       .file = contest->file,
			       .len = place_len(contest, effort->quick),
			       .seed = 1,
			       .quick = effort->quick };
	work->bufs_len = (stride * contest->shape.depth + 4095) / 4096 * 4096;
	work->slots = calloc(contest->shape.depth, sizeof(*work->slots));
	work->bufs = aligned_alloc(4096, work->bufs_len);
	if (!work->slots || !work->bufs)
		return -ENOMEM;
	memset(work->bufs, 0, work->bufs_len);
	for (uint32_t i = 0; i < contest->shape.depth; i++)
		work->slots[i] = (struct slot){ UINT64_MAX, work->bufs + i * stride };
	return 0;
}

static void work_finish(struct work *work)
{
	free(work->slots);
	free(work->bufs);
}

static bool is_there(const struct work *work, uint64_t off, uint8_t *want)
{
	uint32_t size = work->shape.size;

	if (work->file)
		return pread(work->file->fd, want, size, (off_t)off) == (ssize_t)size;
	memcpy(want, work->memory + off, size);
	return true;
}

/* Every slot that was used holds what stands there. */
static int verify(struct work *work, const struct contender *contender)
{
	uint8_t *want = malloc(work->shape.size);
	int r = want ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < work->shape.depth && r == 0; i++) {
		struct slot *slot = &work->slots[i];
		if (slot->off == UINT64_MAX)
			continue;
		if (!is_there(work, slot->off, want) ||
		    memcmp(want, slot->buf, work->shape.size) != 0) {
			fprintf(stderr, "bench: %s read wrong bytes at %llu\n", contender->name,
				(unsigned long long)slot->off);
			r = -EILSEQ;
		}
		slot->off = UINT64_MAX;
	}
	free(want);
	return r;
}

/* ---- one run ------------------------------------------------------------------------------------ */

/* Pages that the kernel is just busy with stay: asked again, they go. */
static int prepare(struct work *work)
{
	int r = work->shape.place == PLACE_COLD ? -EBUSY : 0;

	for (int i = 0; i < EVICTIONS_MAX && r < 0; i++)
		r = file_evict(work->file);
	if (r < 0)
		fprintf(stderr, "bench: the page cache does not let go of %s\n", work->file->path);
	return r;
}

static int timed_run(struct entrant *e, struct work *work, struct sample *ret)
{
	work->seed++;
	if (e->contender->measure)
		return e->contender->measure(e->state, work, ret);
	double cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID), wall = now_ns(CLOCK_MONOTONIC);
	int r = e->contender->run(e->state, work);
	ret->wall_ns = (now_ns(CLOCK_MONOTONIC) - wall) / (double)work->n_ops;
	ret->cpu_ns = (now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu) / (double)work->n_ops;
	return r;
}

static int run_once(struct entrant *e, struct work *work, struct sample *ret)
{
	work->n_ops = e->n_ops;
	int r = prepare(work);
	if (r == 0)
		r = timed_run(e, work, ret);
	if (r < 0)
		fprintf(stderr, "bench: %s failed: %s\n", e->contender->name, strerror(-r));
	return r < 0 ? r : verify(work, e->contender);
}

/* Doubled until a run takes an eighth of its time, then scaled. */
static int calibrate(struct entrant *e, struct work *work, const struct effort *effort)
{
	struct sample sample = { 0 };
	uint32_t longer = e->contender->longer;
	double run_ns = (double)effort->run_ns * (longer && !effort->quick ? longer : 1);

	e->n_ops = 2u * work->shape.depth;
	if (e->contender->measure)
		return 0;
	for (;;) {
		int r = run_once(e, work, &sample);
		if (r < 0)
			return r;
		if (sample.wall_ns * (double)e->n_ops > run_ns / 8 || e->n_ops >= OPS_MAX)
			break;
		e->n_ops *= 2;
	}
	double n = run_ns / sample.wall_ns;
	uint64_t in_depth = n < work->shape.depth ? 1 : (uint64_t)n / work->shape.depth;
	e->n_ops = in_depth * work->shape.depth;
	return 0;
}

/* ---- the contest ---------------------------------------------------------------------------------- */

static int by_wall(const void *a, const void *b)
{
	const struct sample *left = a, *right = b;

	return (left->wall_ns > right->wall_ns) - (left->wall_ns < right->wall_ns);
}

static int by_cpu(const void *a, const void *b)
{
	const struct sample *left = a, *right = b;

	return (left->cpu_ns > right->cpu_ns) - (left->cpu_ns < right->cpu_ns);
}

static struct sample median(struct entrant *e)
{
	struct sample ret = { 0 };

	if (e->n_samples == 0)
		return ret;
	qsort(e->samples, e->n_samples, sizeof(e->samples[0]), by_wall);
	ret.wall_ns = e->samples[e->n_samples / 2].wall_ns;
	qsort(e->samples, e->n_samples, sizeof(e->samples[0]), by_cpu);
	ret.cpu_ns = e->samples[e->n_samples / 2].cpu_ns;
	return ret;
}

static int open_entrant(struct entrant *e, struct work *work, const struct effort *effort)
{
	int r = e->contender->open(e->contender, work, &e->state);

	if (r < 0)
		fprintf(stderr, "bench: %s cannot begin: %s\n", e->contender->name, strerror(-r));
	e->open = r == 0;
	e->skipped = r == BENCH_SKIPPED;
	return r == 0 ? calibrate(e, work, effort) : r < 0 ? r : 0;
}

static int run_rounds(struct entrant *entrants, size_t n, struct work *work,
		      const struct effort *effort)
{
	int r = 0;

	for (uint32_t round = 0; round < effort->n_rounds && round < ROUNDS_MAX; round++) {
		for (size_t i = 0; i < n && r == 0; i++) {
			struct entrant *e = &entrants[i];
			uint32_t most =
				effort->quick && e->contender->measure ? 1 : e->contender->n_rounds;
			if (e->open && (!most || round < most))
				r = run_once(e, work, &e->samples[e->n_samples++]);
		}
	}
	return r;
}

int contest_run(struct contest *contest, const struct effort *effort)
{
	struct entrant *entrants = calloc(CONTEST_MAX, sizeof(*entrants));
	struct work work;
	int r = work_init(&work, contest, effort);

	if (!entrants)
		r = -ENOMEM;
	for (size_t i = 0; i < contest->n && r == 0; i++) {
		entrants[i].contender = contest->contenders[i];
		r = open_entrant(&entrants[i], &work, effort);
	}
	if (r == 0)
		r = run_rounds(entrants, contest->n, &work, effort);
	for (size_t i = 0; entrants && i < contest->n; i++) {
		contest->medians[i] = median(&entrants[i]);
		contest->skipped[i] = entrants[i].skipped;
		if (entrants[i].open && entrants[i].contender->close)
			entrants[i].contender->close(entrants[i].state);
	}
	work_finish(&work);
	free(entrants);
	return r;
}

int contest_once(const struct contender *contender, const struct shape *shape,
		 struct bench_file *file, uint64_t n_ops)
{
	struct contest contest = { .shape = *shape, .file = file };
	void *state;
	struct work work;
	int r = work_init(&work, &contest, &(struct effort){ .quick = true });

	work.n_ops = n_ops;
	if (r == 0)
		r = contender->open(contender, &work, &state);
	if (r == 0) {
		r = contender->run ? contender->run(state, &work) : -EINVAL;
		if (contender->close)
			contender->close(state);
	}
	work_finish(&work);
	return r;
}
