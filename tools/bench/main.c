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
	const char *path, *cases;
	uint64_t size;
	struct effort effort;
	bool list;
};

static const char usage[] =
	"usage: sonde-bench --file PATH [--size BYTES] [--cases PATTERN] [--quick] [--list]\n"
	"           [--run-ms N] [--rounds N]\n"
	"Measure, a line of JSON a case. tools/bench/bench.py makes tables of them.\n";

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
	o->effort.run_ns = (run_ms ? run_ms : o->effort.quick ? 2 : 60) * 1000000;
	o->effort.n_rounds = rounds ? (uint32_t)rounds : o->effort.quick ? 3 : 7;
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
	contest_add(contest, contender_find(row->ours));
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
		fprintf(stderr, "bench: no %s: %s is missing\n", row->name,
			ours < 0 ? row->ours : "its reference");
		return;
	}
	double mine = cost(row, &contest->medians[ours]);
	double theirs = cost(row, &contest->medians[best]);
	printf("{\"case\": \"%s\", \"ours\": %.2f, \"unit\": \"%s\", \"reference\": \"%s\", "
	       "\"theirs\": %.2f, \"ratio\": %.3f}\n",
	       row->name, mine, row->unit, contest->contenders[best]->name, theirs, theirs / mine);
	fflush(stdout);
}

static bool is_known(const struct row *row)
{
	if (contender_find(row->ours))
		return true;
	fprintf(stderr, "bench: no %s: this build has no %s\n", row->name, row->ours);
	return false;
}

static int run_contest(const struct rows *rows, size_t first, bool *done, struct bench_file *file,
		       const struct effort *effort)
{
	struct contest contest = { .shape = rows->at[first].shape, .file = file };

	for (size_t i = first; i < rows->n; i++) {
		if (same_shape(&rows->at[i].shape, &contest.shape) && is_known(&rows->at[i]))
			gather(&contest, &rows->at[i]);
	}
	if (contest.shape.place == PLACE_COLD)
		file_forget(file);
	int r = contest.n ? contest_run(&contest, effort) : 0;
	for (size_t i = first; i < rows->n && r == 0; i++) {
		if (!same_shape(&rows->at[i].shape, &contest.shape))
			continue;
		done[i] = true;
		if (contender_find(rows->at[i].ours))
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

int main(int argc, char **argv)
{
	struct options o = { .size = UINT64_C(8) << 30 };
	struct bench_file file;
	struct rows rows;

	if (parse(argc, argv, &o) < 0) {
		fputs(usage, stderr);
		return 2;
	}
	if (rows_create(o.cases, &rows) < 0)
		return 1;
	int r = 0;
	if (o.list) {
		for (size_t i = 0; i < rows.n; i++)
			puts(rows.at[i].name);
	} else {
		r = file_open(&file, o.path, o.size);
		if (r == 0) {
			r = run_all(&rows, &file, &o.effort);
			file_close(&file);
		}
	}
	rows_finish(&rows);
	return r < 0;
}
