/* SPDX-License-Identifier: MIT */
/* The header, and the index that sets.c or tables.c fill. */
#include "hiber_file.h"
#include "index.h"

#include <sonde/error.h>
#include <sonde/types.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	char signature[5];
	const char *state;
} states[] = { { "HIBR", "hibernated" }, { "hibr", "hibernated" }, { "WAKE", "resumed" },
	       { "wake", "resumed" },    { "RSTR", "resuming" },   { "rstr", "resuming" } };

int hiber_probe(const uint8_t *head, size_t len)
{
	for (size_t i = 0; len >= 4 && i < sizeof(states) / sizeof(states[0]); i++) {
		if (memcmp(head, states[i].signature, 4) == 0)
			return 1;
	}
	return 0;
}

const char *hiber_state(const struct hiber_file *file)
{
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (strcmp(file->signature, states[i].signature) == 0)
			return states[i].state;
	}
	return "not known";
}

const char *hiber_windows(const struct hiber_file *file)
{
	return file->layout->windows;
}

uint32_t hiber_bits(const struct hiber_file *file)
{
	return file->layout->word * 8;
}

uint64_t hiber_word(const struct hiber_file *file, const uint8_t *at)
{
	return sonde_load(at, file->layout->word, SONDE_LITTLE);
}

int hiber_fail(struct hiber_file *file, int code, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(file->why, sizeof(file->why), fmt, args);
	va_end(args);
	return code;
}

int hiber_get(struct hiber_file *file, uint64_t off, void *buf, size_t len)
{
	source_scan(&file->scan, file->source, off, len);
	int r = source_read(file->source, off, buf, len);

	return r < 0 && r != SONDE_E_TRUNCATED ? hiber_fail(file, r, "cannot be read") : r;
}

/* ---- the index ------------------------------------------------------------------------------------- */

/* Room for one more of size bytes. Returns 0; SONDE_E_LIMIT, _NO_MEMORY. */
static int make_room(struct hiber_file *file, void **at, size_t n, size_t *cap, size_t size,
		     size_t max)
{
	if (n < *cap)
		return 0;
	if (n == max)
		return hiber_fail(file, SONDE_E_LIMIT,
				  "has more sets or runs of pages than are taken");
	size_t wanted = *cap ? *cap * 2 : 256;
	void *grown = realloc(*at, wanted * size);
	if (!grown)
		return hiber_fail(file, SONDE_E_NO_MEMORY, "out of memory");
	*at = grown;
	*cap = wanted;
	return 0;
}

int hiber_add_set(struct hiber_file *file, const struct hiber_set *set)
{
	void *at = file->sets;
	int r = make_room(file, &at, file->n_sets, &file->cap_sets, sizeof(*set), HIBER_SETS_MAX);

	file->sets = at;
	if (r < 0)
		return r;
	file->cut |= set->cut;
	file->sets[file->n_sets++] = *set;
	return 0;
}

int hiber_add_run(struct hiber_file *file, uint64_t page, uint32_t first, uint32_t n)
{
	void *at = file->runs;
	int r = make_room(file, &at, file->n_runs, &file->cap_runs, sizeof(*file->runs),
			  HIBER_RUNS_MAX);

	file->runs = at;
	if (r < 0)
		return r;
	file->runs[file->n_runs++] = (struct hiber_run){ .page = page,
							 .set = (uint32_t)(file->n_sets - 1),
							 .first = (uint16_t)first,
							 .n = (uint16_t)n };
	file->n_pages += n;
	return 0;
}

/* By page, and of the same one by set: that is the file's order. */
static int by_page(const void *a, const void *b)
{
	const struct hiber_run *x = a, *y = b;

	if (x->page != y->page)
		return x->page < y->page ? -1 : 1;
	return x->set != y->set ? (x->set < y->set ? -1 : 1) : x->first - y->first;
}

/* Where runs overlap, the one that begins first keeps the pages; of those that begin together the first in the file. */
static void settle(struct hiber_file *file)
{
	uint64_t end = 0;
	size_t n = 0;

	if (file->n_runs)
		qsort(file->runs, file->n_runs, sizeof(*file->runs), by_page);
	for (size_t i = 0; i < file->n_runs; i++) {
		struct hiber_run run = file->runs[i];
		uint64_t twice = end > run.page ? end - run.page : 0;
		twice = twice < run.n ? twice : run.n;
		file->n_twice += twice;
		if (twice == run.n)
			continue;
		run.page += twice;
		run.first = (uint16_t)(run.first + twice);
		run.n = (uint16_t)(run.n - twice);
		end = run.page + run.n;
		file->runs[n++] = run;
	}
	file->n_runs = n;
}

size_t hiber_file_find(const struct hiber_file *file, uint64_t page)
{
	size_t low = 0, high = file->n_runs;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (file->runs[middle].page + file->runs[middle].n > page)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* ---- the header ------------------------------------------------------------------------------------ */

static int is_empty(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i])
			return 0;
	}
	return 1;
}

static int refuse_empty(struct hiber_file *file)
{
	return hiber_fail(
		file, SONDE_E_NOT_SAVED,
		"its header is zeros: Windows has not hibernated into it, or has zeroed it "
		"as it was resumed; there is no memory in it");
}

static int read_header(struct hiber_file *file, uint8_t *header)
{
	int r = source_read(file->source, 0, header, HIBER_HEADER_MAX);

	if (r < 0)
		return hiber_fail(file, r,
				  r == SONDE_E_TRUNCATED ? "ends within its header"
							 : "cannot be read");
	if (is_empty(header, HIBER_HEADER_MAX))
		return refuse_empty(file);
	if (!hiber_probe(header, HIBER_HEADER_MAX))
		return hiber_fail(file, SONDE_E_BAD_FORMAT,
				  "begins with neither HIBR, WAKE nor RSTR, in either case");
	memcpy(file->signature, header, 4);
	uint32_t length = sonde_le32(header + HIBER_LENGTH_SELF);
	file->layout = hiber_layout_of(length);
	if (!file->layout)
		return hiber_fail(file, SONDE_E_UNSUPPORTED,
				  "its header has 0x%x bytes, as that of no Windows that is known "
				  "here (7, 8, 8.1, 10, 11)",
				  length);
	file->time = sonde_le64(header + file->layout->time);
	uint32_t page_size = sonde_le32(header + file->layout->page_size);
	return page_size == HIBER_PAGE
		       ? 0
		       : hiber_fail(file, SONDE_E_CORRUPT, "its pages have %u bytes", page_size);
}

/* A file of which nothing is left but the header is the usual one: Windows zeroes the rest as it resumes. */
static int nothing_left(struct hiber_file *file)
{
	if (strcmp(hiber_state(file), "resumed") == 0)
		return hiber_fail(
			file, SONDE_E_NOT_SAVED,
			"was resumed from (its signature is %s), and Windows has zeroed the "
			"memory that was in it",
			file->signature);
	return hiber_fail(file, SONDE_E_CORRUPT,
			  "no set of pages is where the header (of Windows %s, %u bits) says",
			  hiber_windows(file), hiber_bits(file));
}

int hiber_file_read(struct hiber_file *ret, const struct source *source)
{
	uint8_t header[HIBER_HEADER_MAX];

	*ret = (struct hiber_file){ .source = source };
	int r = read_header(ret, header);
	if (r == 0)
		r = ret->layout->first_table ? hiber_read_tables(ret, header)
					     : hiber_read_sets(ret, header);
	if (r < 0)
		return r;
	settle(ret);
	if (!ret->n_runs)
		return nothing_left(ret);
	hiber_read_processor(ret);
	return 0;
}

void hiber_file_finish(struct hiber_file *file)
{
	free(file->sets);
	free(file->runs);
	file->sets = NULL;
	file->runs = NULL;
	file->n_sets = file->n_runs = 0;
}
