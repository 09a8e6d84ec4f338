/* SPDX-License-Identifier: MIT */
/* A dump from its beginning to its end: the batches of all stretches, one read while the one before is packed and written. */
#include "digest.h"
#include "exclusion.h"
#include "format.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MAX 64u
#define HASHED_AT_ONCE (1u << 20)

struct run {
	const struct dump_source *source;
	const struct dump_options *options;
	const struct dump_watch *watch;
	struct dump_report *report;
	struct dump_plan plan;
	struct dump_file file;
	struct dump_writer writer;
	struct crew *crew;
	unsigned n_workers;
	struct packer *packers[THREADS_MAX]; /* [n_workers], where the format packs */
	struct exclusion exclusion;
	struct batch batches[2];
	size_t stretch;   /* where the next batch begins: this stretch ... */
	uint64_t off;     /* ... and this byte of it                       */
	uint64_t done;    /* bytes of the plan                             */
	uint64_t resumed; /* the file has what lies below this address   */
	uint64_t known;   /* ... and what lies below this one is not read again */
};

static int out_of_memory(struct sonde_error *err)
{
	return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
}

static int other_memory(const struct run *run, struct sonde_error *err)
{
	return sonde_error_set(err, SONDE_E_CHANGED,
			       "'%.300s' was written from other memory: remove it and begin anew",
			       run->file.partial);
}

/* ---- making ready ------------------------------------------------------------------------------------ */

static uint32_t unit_of(const struct run *run)
{
	const struct dump_format *format = run->options->format;

	if (format->packing == PACKING_NONE)
		return 0;
	return format->unit ? format->unit : run->source->page_size;
}

static int make_workers(struct run *run, struct sonde_error *err)
{
	enum packing packing = run->options->format->packing;
	long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = run->options->n_threads ? run->options->n_threads
		     : n_cpus > 0            ? (unsigned)n_cpus
					     : 1;

	run->n_workers = n < THREADS_MAX ? n : THREADS_MAX;
	run->crew = crew_create(run->n_workers - 1);
	if (!run->crew)
		return out_of_memory(err);
	for (unsigned i = 0; packing != PACKING_NONE && i < run->n_workers; i++) {
		run->packers[i] = packer_create(packing);
		if (!run->packers[i])
			return out_of_memory(err);
	}
	for (int i = 0; i < 2; i++) {
		if (batch_init(&run->batches[i], run->source->page_size, unit_of(run)) < 0)
			return out_of_memory(err);
	}
	return exclusion_init(&run->exclusion, run->source) < 0 ? out_of_memory(err) : 0;
}

static int make_plan(struct run *run, struct sonde_error *err)
{
	uint32_t grain = run->options->format->has_pages ? run->source->page_size : 1;
	int r = dump_plan_make(&run->plan, run->source->memory, grain, err);

	run->report->memory = run->plan.total;
	return r;
}

/*
 * What the file holds up to its last whole batch is not written again. Of what stands still the last of it, as much as a
 * batch takes, is compared.
 */
static int find_known(struct run *run, struct sonde_error *err)
{
	const struct dump_plan *plan = &run->plan;
	const uint64_t resumed = run->file.size;

	if (resumed && resumed - 1 > plan->last)
		return other_memory(run, err);
	run->resumed = run->known = resumed;
	for (size_t i = 0; !run->source->is_live && i < plan->n && plan->at[i].addr < resumed;
	     i++) {
		const uint64_t left = resumed - plan->at[i].addr;
		const uint64_t n = left < plan->at[i].len ? left : plan->at[i].len;
		run->known = plan->at[i].addr + n - (n < BATCH_SIZE ? n : BATCH_SIZE);
	}
	return 0;
}

static int make_file(struct run *run, struct sonde_error *err)
{
	const struct dump_options *options = run->options;
	int r = dump_file_open(&run->file, options->path, options->resume ? BATCH_SIZE : 0, err);

	if (r < 0)
		return r;
	run->writer = (struct dump_writer){ .source = run->source,
					    .plan = &run->plan,
					    .file = &run->file,
					    .format = options->format };
	r = find_known(run, err);
	if (r == 0)
		r = options->format->begin(&run->writer, err);
	if (r == 0 && options->format->can_resume)
		run->file.is_kept = true;
	return r;
}

/* ---- batches ------------------------------------------------------------------------------------------ */

/* A stretch that is in the file already, or its beginning. */
static void pass_over(struct run *run, const struct dump_stretch *stretch)
{
	uint64_t addr = stretch->addr + run->off, left = stretch->len - run->off;
	uint64_t n = addr >= run->known ? 0 : run->known - addr < left ? run->known - addr : left;

	run->off += n;
	run->done += n;
	run->report->skipped += n;
}

static int read_batch(struct run *run, struct batch *batch, uint64_t addr, uint32_t len,
		      struct sonde_error *err)
{
	const struct dump_source *source = run->source;

	batch_place(batch, addr, len);
	int r = exclusion_mark(&run->exclusion, batch);
	if (r < 0)
		return sonde_error_set(err, r, "what page frames are used for: %s",
				       sonde_strerror(r));
	r = batch_read(batch, source->loop, source->memory, source->is_live);
	return r < 0 ? sonde_error_set(err, r, "memory at 0x%llx: %s", (unsigned long long)addr,
				       sonde_strerror(r))
		     : 0;
}

/* Start to read what comes next into a batch; one of length 0 where nothing does. */
static int read_next(struct run *run, struct batch *batch, struct sonde_error *err)
{
	batch->len = 0;
	while (run->stretch < run->plan.n) {
		const struct dump_stretch *stretch = &run->plan.at[run->stretch];
		pass_over(run, stretch);
		if (run->off < stretch->len) {
			uint64_t addr = stretch->addr + run->off;
			uint32_t len = batch_fit(batch, addr, stretch->len - run->off);
			run->off += len;
			return read_batch(run, batch, addr, len, err);
		}
		run->stretch++;
		run->off = 0;
	}
	return 0;
}

/* Bytes beside a region that does not end with a page: there is no memory, so none is missing. */
static uint32_t padding_of(const struct run *run, const struct batch_page *page)
{
	return run->options->format->has_pages && page->state != PAGE_MISSING ? page->n_no_mem : 0;
}

static void count(struct run *run, const struct batch *batch)
{
	struct dump_report *report = run->report;

	for (uint32_t i = 0; i < batch->n_pages; i++) {
		const struct batch_page *page = &batch->pages[i];
		uint32_t len = batch_offset(batch, i + 1) - batch_offset(batch, i);
		if (page->state == PAGE_EXCLUDED) {
			report->excluded += len;
			continue;
		}
		report->saved += len - page->n_bad;
		report->zeros += page->state == PAGE_ZERO ? len - page->n_bad : 0;
		const uint32_t n_padding = padding_of(run, page);
		report->memory -= n_padding;
		if (page->n_bad > n_padding) {
			uint32_t at = page->state == PAGE_MISSING ? batch_offset(batch, i)
								  : page->first_bad;
			report->missing += page->n_bad - n_padding;
			run->watch->missing(run->watch->user, batch->addr + at,
					    page->n_bad - n_padding, page->err);
		}
	}
}

/*
 * The batch in front of where a resumed dump goes on: the file has to hold the same.
 * Only a format whose bytes lie at their address in the file can be resumed.
 */
static int compare(struct run *run, const struct batch *batch, struct sonde_error *err)
{
	uint64_t left = run->resumed - batch->addr;
	size_t len = left < batch->len ? (size_t)left : batch->len;
	uint8_t *bytes = malloc(len);
	int r = bytes ? dump_file_read(&run->file, batch->addr, bytes, len, err)
		      : out_of_memory(err);
	if (r == 0 && memcmp(bytes, batch->bytes, len) != 0)
		r = other_memory(run, err);
	free(bytes);
	return r;
}

static int write_batch(struct run *run, struct batch *batch, struct sonde_error *err)
{
	const struct dump_format *format = run->options->format;
	const unsigned states = 1u << PAGE_SAVED | (format->packs_zeros ? 1u << PAGE_ZERO : 0u);

	int r = exclusion_confirm(&run->exclusion, batch);
	if (r < 0)
		return sonde_error_set(err, r, "what page frames are used for: %s",
				       sonde_strerror(r));
	batch_look(batch, run->crew);
	if (format->packing != PACKING_NONE)
		batch_pack(batch, run->crew, run->packers, states, unit_of(run));
	count(run, batch);
	r = batch->addr < run->resumed ? compare(run, batch, err) : 0;
	if (r == 0)
		r = format->batch(&run->writer, batch, err);
	run->done += batch->len;
	return r;
}

static int tell(struct run *run, enum dump_phase phase, uint64_t done, uint64_t total,
		struct sonde_error *err)
{
	int r = run->watch->progress(run->watch->user, phase, done, total);

	return r ? sonde_error_set(err, r, "ended before it was whole") : 0;
}

/* While one is read the other is packed and written. */
static int write_all(struct run *run, struct sonde_error *err)
{
	struct batch *now = &run->batches[0], *next = &run->batches[1];
	int r = read_next(run, now, err);

	while (r == 0 && now->len) {
		struct batch *spare = now;
		r = batch_wait(now, run->source->loop);
		if (r < 0)
			return sonde_error_set(err, r, "waiting for memory: %s", sonde_strerror(r));
		r = read_next(run, next, err);
		if (r == 0)
			r = write_batch(run, now, err);
		if (r == 0)
			r = tell(run, DUMP_WRITING, run->done, run->plan.total, err);
		now = next;
		next = spare;
	}
	return r;
}

/* ---- the end ------------------------------------------------------------------------------------------- */

static int hash_file(struct run *run, struct digest *digest, uint8_t *bytes,
		     struct sonde_error *err)
{
	int r = 0;

	for (uint64_t off = 0, n; r == 0 && off < run->file.size; off += n) {
		n = run->file.size - off;
		n = n < HASHED_AT_ONCE ? n : HASHED_AT_ONCE;
		r = dump_file_read(&run->file, off, bytes, (size_t)n, err);
		if (r == 0)
			r = tell(run, DUMP_HASHING, off + n, run->file.size, err);
		if (r == 0)
			digest_add(digest, bytes, (size_t)n);
	}
	if (r == 0)
		digest_text(digest, run->report->sha256);
	return r;
}

static int end(struct run *run, struct sonde_error *err)
{
	struct digest *digest = digest_create();
	uint8_t *bytes = malloc(HASHED_AT_ONCE);
	int r = run->options->format->end(&run->writer, err);

	if (r == 0 && !bytes)
		r = out_of_memory(err);
	if (r == 0 && digest)
		r = hash_file(run, digest, bytes, err);
	if (r == 0)
		r = dump_file_commit(&run->file, err);
	run->report->file_size = run->file.size;
	digest_destroy(digest);
	free(bytes);
	return r;
}

/* A batch that is on its way has to come home before its memory goes. */
static void finish(struct run *run)
{
	if (run->options->format->finish)
		run->options->format->finish(&run->writer);
	for (int i = 0; i < 2; i++) {
		batch_cancel(&run->batches[i], run->source->loop);
		batch_finish(&run->batches[i]);
	}
	for (unsigned i = 0; i < run->n_workers; i++)
		packer_destroy(run->packers[i]);
	crew_destroy(run->crew);
	exclusion_finish(&run->exclusion);
	dump_file_close(&run->file);
	dump_plan_finish(&run->plan);
}

int dump_write(const struct dump_source *source, const struct dump_options *options,
	       const struct dump_watch *watch, struct dump_report *ret, struct sonde_error *err)
{
	struct run run = { .source = source,
			   .options = options,
			   .watch = watch,
			   .report = ret,
			   .file = { .fd = -1 } };

	*ret = (struct dump_report){ 0 };
	int r = make_plan(&run, err);
	if (r == 0)
		r = make_workers(&run, err);
	if (r == 0)
		r = make_file(&run, err);
	if (r == 0)
		r = write_all(&run, err);
	if (r == 0)
		r = end(&run, err);
	finish(&run);
	return r;
}
