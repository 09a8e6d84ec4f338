/* SPDX-License-Identifier: MIT */
/*
 * Every case (case.c) on every subject (subject.c), every engine and every door. A new connector
 * is a line in subjects[], a new door one in doors[] (door.c), a new engine one below.
 *
 * Prints each failure with its case, subject, engine, door, got and want; at the end a count.
 * With a word on the command line only subjects whose name holds it are run.
 */
#include <sonde/error.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case.h"
#include "confine.h"
#include "door.h"
#include "subject.h"

static unsigned n_passed, n_failed, n_skipped;

static const char *const engines[] = { "sync", "direct", "io_uring", "threads", "epoll", "auto" };
#define N_ENGINES (sizeof(engines) / sizeof(engines[0]))

/* ---- one case --------------------------------------------------------------------------------- */

static void run_case(const struct test_case *c, struct subject *subject, const char *engine,
		     size_t door)
{
	char text[256] = "got no memory";
	struct run run;

	if (run_make(&run, c, subject) == 0) {
		int32_t result = doors[door].run(subject, &run);
		run_check(&run, result, doors[door].fragments, text, sizeof(text));
		run_apply(&run, subject);
	}
	if (*text) {
		n_failed++;
		printf("FAIL %s: %s, engine %s, door %s: %s\n", c->name, subject->name, engine,
		       doors[door].name, text);
	} else {
		n_passed++;
	}
	run_free(&run);
}

/* ---- subject x engine ---------------------------------------------------------------------------- */

static void skip(const struct subject *subject, const char *engine, const char *why)
{
	n_skipped += n_cases * n_doors;
	printf("skipped: %s, engine %s: %s\n", subject->name, engine, why);
}

static void run_subject(struct subject *subject, struct sonde_loop *loop, const char *engine)
{
	struct sonde_error err = { 0 };

	if (subject_open(subject, loop, &err) < 0) {
		n_failed++;
		printf("FAIL open: %s, engine %s: got %s\n", subject->name, engine, err.text);
	} else {
		for (size_t door = 0; door < n_doors; door++) {
			for (unsigned i = 0; i < n_cases; i++) {
				if (!doors[door].few || !cases[i].n)
					run_case(&cases[i], subject, engine, door);
			}
		}
	}
	subject_close(subject);
}

static void run_engine(struct subject *subject, const char *engine)
{
	struct sonde_loop_options options = { .size = sizeof(options), .depth = 16 };
	struct sonde_error err = { 0 };
	struct sonde_loop *loop;

	sonde_engine_parse(engine, &options.engine);
	int r = sonde_loop_create(&options, &loop, &err);
	if (r < 0 && options.engine == SONDE_ENGINE_URING &&
	    (r == SONDE_E_NO_ACCESS || r == SONDE_E_UNSUPPORTED)) {
		skip(subject, engine, err.text);
		return;
	}
	if (r < 0) {
		n_failed++;
		printf("FAIL loop: engine %s: got %s\n", engine, err.text);
		return;
	}
	run_subject(subject, loop, engine);
	sonde_loop_destroy(loop);
}

/* Of a word only those with it in their name, of -word,word those without any. */
static bool is_asked_for(const struct subject *subject, const char *words)
{
	bool without = words && *words == '-', has_one = false;
	char word[32];

	for (const char *at = words ? words + without : ""; *at; at += *at == ',') {
		size_t len = strcspn(at, ",");
		snprintf(word, sizeof(word), "%.*s", (int)len, at);
		has_one = has_one || strstr(subject->name, word);
		at += len;
	}
	return !words || has_one != without;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (confine_as_asked() < 0)
		return 77;
	for (unsigned s = 0; s < n_subjects; s++) {
		const char *missing = subject_missing(&subjects[s]);
		if (!is_asked_for(&subjects[s], argc > 1 ? argv[1] : NULL))
			continue;
		for (size_t e = 0; e < N_ENGINES; e++) {
			char why[64];
			if (argc > 2 && strcmp(engines[e], argv[2]) != 0)
				continue;
			snprintf(why, sizeof(why), "%s is not built here", missing ? missing : "");
			if (missing)
				skip(&subjects[s], engines[e], why);
			else
				run_engine(&subjects[s], engines[e]);
		}
	}
	printf("%u passed, %u failed, %u skipped\n", n_passed, n_failed, n_skipped);
	return n_failed || !n_passed;
}
