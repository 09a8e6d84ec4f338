/* SPDX-License-Identifier: MIT */
/*
 * Every case (case.c) on every subject (subject.c), every engine and every door. A new connector
 * is a line in subjects[], a new engine or door a line below.
 *
 * Prints each failure with its case, subject, engine, door, got and want; at the end a count.
 * With a word on the command line only subjects whose name holds it are run.
 */
#include <sonde/error.h>
#include <sonde/task.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case.h"
#include "confine.h"
#include "subject.h"

static unsigned n_passed, n_failed, n_skipped;

/* ---- doors ---------------------------------------------------------------------------------- */

static int32_t by_blocking(struct subject *subject, struct run *run)
{
	return run->op == SONDE_IO_READ ? sonde_space_read(subject->space, run->xfers, run->n)
					: sonde_space_write(subject->space, run->xfers, run->n);
}

struct counted {
	struct sonde_io io;
	struct run *run;
	int done;
};

static void count_done(struct sonde_io *io)
{
	((struct counted *)(void *)io)->done++;
}

static int32_t submit(struct subject *subject, struct run *run, sonde_fragment_fn *fragment)
{
	struct counted counted = { .io = { .xfers = run->xfers,
					   .n = run->n,
					   .op = run->op,
					   .done = count_done,
					   .fragment = fragment,
					   .user = run } };
	int r = sonde_io_submit(subject->space, &counted.io);

	if (r < 0)
		return r;
	if (counted.done)
		return -1000; /* called back inside submit */
	while (!counted.done && r >= 0)
		r = sonde_loop_wait(sonde_target_loop(subject->opened), UINT64_C(10000000000));
	return counted.done == 1 ? counted.io.result : -1000 - counted.done;
}

static int32_t by_completion(struct subject *subject, struct run *run)
{
	return submit(subject, run, NULL);
}

static int32_t by_fragments(struct subject *subject, struct run *run)
{
	return submit(subject, run, run_fragment);
}

struct in_task {
	struct subject *subject;
	struct run *run;
};

static int task_main(struct sonde_task *task, void *arg)
{
	struct in_task *in = arg;

	if (in->run->op == SONDE_IO_READ)
		return sonde_task_read(task, in->subject->space, in->run->xfers, in->run->n);
	return sonde_task_write(task, in->subject->space, in->run->xfers, in->run->n);
}

static int32_t by_task(struct subject *subject, struct run *run)
{
	struct in_task in = { subject, run };
	struct sonde_task *task;
	int r = sonde_task_spawn(sonde_target_loop(subject->opened), task_main, &in, &task);

	return r < 0 ? r : sonde_task_join(NULL, task);
}

static const struct {
	const char *name;
	int32_t (*run)(struct subject *subject, struct run *run);
	int fragments;
} doors[] = {
	{ "blocking", by_blocking, 0 },
	{ "completion", by_completion, 0 },
	{ "fragments", by_fragments, 1 },
	{ "task", by_task, 0 },
};
#define N_DOORS (sizeof(doors) / sizeof(doors[0]))

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
	n_skipped += n_cases * N_DOORS;
	printf("skipped: %s, engine %s: %s\n", subject->name, engine, why);
}

static void run_subject(struct subject *subject, struct sonde_loop *loop, const char *engine)
{
	struct sonde_error err = { 0 };

	if (subject_open(subject, loop, &err) < 0) {
		n_failed++;
		printf("FAIL open: %s, engine %s: got %s\n", subject->name, engine, err.text);
	} else {
		for (size_t door = 0; door < N_DOORS; door++) {
			for (unsigned i = 0; i < n_cases; i++)
				run_case(&cases[i], subject, engine, door);
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

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (confine_as_asked() < 0)
		return 77;
	for (unsigned s = 0; s < n_subjects; s++) {
		const char *missing = subject_missing(&subjects[s]);
		if (argc > 1 && !strstr(subjects[s].name, argv[1]))
			continue;
		for (size_t e = 0; e < N_ENGINES; e++) {
			char why[64];
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
