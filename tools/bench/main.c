/* SPDX-License-Identifier: MIT */
/*
 * Measure: a line of JSON a row on stdout, what goes on on stderr. bench.py runs this and makes
 * tables of it. A slow figure is a figure; only an operation that fails or wrong bytes are errors.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "measure.h"
#include "rows.h"

struct options {
	const char *path, *cases, *only;
	uint64_t size, n_ops;
	struct effort effort;
	bool list;
};

static const char usage[] =
	"usage: sonde-bench --file PATH [--size BYTES] [--cases PATTERN] [--quick] [--run-ms N]\n"
	"                   [--rounds N]\n"
	"       sonde-bench --list\n"
	"       sonde-bench --file PATH --only CONTENDER --ops N\n"
	"Measure, a line of JSON a case: tools/bench/bench.py makes tables of them. Or list the "
	"cases.\n"
	"Or do N random reads of 256 bytes, 256 in flight, and nothing else: for strace and "
	"perf.\n";

static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "file", required_argument, NULL, 'f' },
		{ "size", required_argument, NULL, 's' },
		{ "cases", required_argument, NULL, 'c' },
		{ "quick", no_argument, NULL, 'q' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "run-ms", required_argument, NULL, 'm' },
		{ "list", no_argument, NULL, 'l' },
		{ "only", required_argument, NULL, 'o' },
		{ "ops", required_argument, NULL, 'n' },
		{ 0 },
	};
	uint64_t run_ms = 0, rounds = 0;

	for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		switch (c) {
		case 'f':
			o->path = optarg;
			break;
		case 's':
			o->size = strtoull(optarg, NULL, 0);
			break;
		case 'c':
			o->cases = optarg;
			break;
		case 'q':
			o->effort.quick = true;
			break;
		case 'l':
			o->list = true;
			break;
		case 'o':
			o->only = optarg;
			break;
		case 'n':
			o->n_ops = strtoull(optarg, NULL, 0);
			break;
		case 'r':
			rounds = strtoull(optarg, NULL, 0);
			break;
		case 'm':
			run_ms = strtoull(optarg, NULL, 0);
			break;
		default:
			return -EINVAL;
		}
	}
	o->effort.run_ns = (run_ms ? run_ms : o->effort.quick ? 2 : 40) * 1000000;
	o->effort.n_rounds = rounds ? (uint32_t)rounds : o->effort.quick ? 3 : 21;
	return optind == argc && (o->path || o->list) ? 0 : -EINVAL;
}

static double cost(const struct row *row, const struct sample *sample)
{
	return row->cpu ? sample->cpu_ns : sample->wall_ns;
}

/* ---- one contest: all rows of one shape ---------------------------------------------------------- */

static bool same_shape(const struct shape *a, const struct shape *b)
{
	return a->place == b->place && a->random == b->random && a->size == b->size &&
	       a->depth == b->depth;
}

static void gather(struct contest *contest, const struct row *row)
{
	const struct contender *ours = contender_find(row->ours);

	if (ours)
		contest_add(contest, ours);
	for (size_t i = 0; i < REFERENCES_MAX && row->references[i]; i++) {
		const struct contender *reference = contender_find(row->references[i]);
		if (reference)
			contest_add(contest, reference);
	}
}

/* Its place in the contest where it took part, else -1. */
static int find(const struct contest *contest, const char *name)
{
	for (size_t i = 0; i < contest->n; i++) {
		if (strcmp(contest->contenders[i]->name, name) == 0)
			return contest->skipped[i] ? -1 : (int)i;
	}
	return -1;
}

/* Of costs: how many times as much theirs is. Where theirs is nothing, so must ours be. */
static double ratio(double ours, double theirs)
{
	if (theirs <= 0)
		return ours <= 0 ? 1 : 0;
	return ours > 0 ? theirs / ours : theirs;
}

static void print_absent(const struct row *row, const char *why)
{
	fprintf(stderr, "bench: no %s: %s\n", row->name, why);
}

static void print_row(const struct contest *contest, const struct row *row)
{
	int ours = find(contest, row->ours), best = -1;

	for (size_t i = 0; i < REFERENCES_MAX && row->references[i]; i++) {
		int k = find(contest, row->references[i]);
		if (k >= 0 && (best < 0 || cost(row, &contest->medians[k]) <
						   cost(row, &contest->medians[best])))
			best = k;
	}
	if (ours < 0 || best < 0) {
		print_absent(row, ours < 0 ? "ours is missing" : "its reference is missing");
		return;
	}
	double mine = cost(row, &contest->medians[ours]);
	double theirs = cost(row, &contest->medians[best]);
	printf("{\"case\": \"%s\", \"ours\": %.2f, \"unit\": \"%s\", \"reference\": \"%s\", "
	       "\"theirs\": %.2f, \"ratio\": %.3f}\n",
	       row->name, mine, row->unit, contest->contenders[best]->name, theirs,
	       ratio(mine, theirs));
	fflush(stdout);
}

/* A file in memory (tmpfs), or one that others have mapped, stays where it is. NULL: it can be. */
static const char *why_not(const struct shape *shape, struct bench_file *file)
{
	if (shape->place != PLACE_COLD)
		return NULL;
	file_forget(file);
	return file_evict(file) == 0 ? NULL : "the file does not leave the page cache";
}

static int run_contest(const struct rows *rows, size_t first, bool *done, struct bench_file *file,
		       const struct effort *effort)
{
	struct shape shape = rows->at[first].shape;
	bool in_memory = shape.place >= PLACE_NEAR;
	struct contest contest = { .shape = shape, .file = in_memory ? NULL : file };
	const char *why = why_not(&shape, file);

	for (size_t i = first; i < rows->n; i++) {
		if (same_shape(&rows->at[i].shape, &shape))
			gather(&contest, &rows->at[i]);
	}
	int r = why ? 0 : contest_run(&contest, effort);
	for (size_t i = first; i < rows->n && r == 0; i++) {
		if (!same_shape(&rows->at[i].shape, &shape))
			continue;
		done[i] = true;
		if (why)
			print_absent(&rows->at[i], why);
		else
			print_row(&contest, &rows->at[i]);
	}
	return r;
}

static int run_all(const struct rows *rows, struct bench_file *file, const struct effort *effort)
{
	bool *done = calloc(rows->n + 1, sizeof(*done));
	int r = done ? file_warm(file) : -ENOMEM;

	for (size_t i = 0; i < rows->n && r == 0; i++) {
		if (!done[i])
			r = run_contest(rows, i, done, file, effort);
	}
	free(done);
	return r;
}

/* ---- what is asked for ---------------------------------------------------------------------------- */

static int list(const struct options *o)
{
	struct rows rows;
	int r = rows_create(o->cases, &rows);

	for (size_t i = 0; r == 0 && i < rows.n; i++)
		puts(rows.at[i].name);
	rows_destroy(&rows);
	return r;
}

static int run_only(const struct options *o)
{
	const struct contender *contender = contender_find(o->only);
	struct bench_file file;

	if (!contender) {
		fprintf(stderr, "bench: there is no %s\n", o->only);
		return -ENOENT;
	}
	int r = file_open(&file, o->path, o->size);
	if (r == 0)
		r = contest_once(contender, &(struct shape){ PLACE_WARM, true, 256, 256 }, &file,
				 o->n_ops);
	file_close(&file);
	return r;
}

static int run_rows(const struct options *o)
{
	struct bench_file file;
	struct rows rows;
	int r = rows_create(o->cases, &rows);

	if (r == 0) {
		r = file_open(&file, o->path, o->size);
		if (r == 0)
			r = run_all(&rows, &file, &o->effort);
		file_close(&file);
	}
	rows_destroy(&rows);
	return r;
}

int main(int argc, char **argv)
{
	struct options o = { .size = UINT64_C(8) << 30 };

	if (parse(argc, argv, &o) < 0) {
		fputs(usage, stderr);
		return 2;
	}
	int r = o.list ? list(&o) : o.only ? run_only(&o) : run_rows(&o);
	return r != 0;
}
