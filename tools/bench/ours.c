/* SPDX-License-Identifier: MIT */
/*
 * Sonde at the file, through its public interface: the completion door (each operation a request of one
 * piece, refilled in its callback), the blocking door, and tasks that read one piece after another.
 */
#include "ours.h"

#include <errno.h>
#include <sonde/error.h>
#include <sonde/io.h>
#include <sonde/task.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contenders.h"

#define PAGE 4096u
#define DEPTH_MAX 256u

int ours_errno(int code)
{
	switch (code) {
	case SONDE_E_NO_MEMORY:
		return -ENOMEM;
	case SONDE_E_NOT_FOUND:
		return -ENOENT;
	case SONDE_E_NO_ACCESS:
		return -EACCES;
	default:
		return code < 0 ? -EIO : 0;
	}
}

/* ---- opening --------------------------------------------------------------------------------------- */

/* "NAME", or "past NAME" for one that reads past the page cache. true: this build has it. */
static bool parse_engine(const char *engine, struct sonde_loop_options *options)
{
	options->past_cache = strncmp(engine, "past ", 5) == 0;
	return sonde_engine_parse(engine + (options->past_cache ? 5 : 0), &options->engine) == 0;
}

static int open_loop(const struct contender *contender, const char *engine, struct ours *ours)
{
	struct sonde_loop_options options = { .size = sizeof(options), .depth = DEPTH_MAX };
	struct sonde_error err = { 0 };

	if (!parse_engine(engine, &options))
		return bench_skip(contender, "this build has no such engine");
	int r = sonde_loop_create(&options, &ours->loop, &err);
	if (r == SONDE_E_UNSUPPORTED || r == SONDE_E_NO_ACCESS)
		return bench_skip(contender, err.text);
	return ours_errno(r);
}

int ours_create(const struct contender *contender, const char *engine, const char *target,
		unsigned flags, struct ours **ret)
{
	struct sonde_target_options options = { .size = sizeof(options),
						.write = flags & OURS_WRITE };
	struct ours *ours = calloc(1, sizeof(*ours));
	struct sonde_error err = { 0 };
	int r = ours ? open_loop(contender, engine, ours) : -ENOMEM;

	if (r == 0) {
		r = sonde_target_open(ours->loop, target, &options, &ours->target, &err);
		if (r < 0) {
			fprintf(stderr, "bench: %s\n", err.text);
			r = ours_errno(r);
		}
	}
	if (r != 0) {
		ours_destroy(ours);
		return r;
	}
	ours->space = sonde_target_memory(ours->target);
	*ret = ours;
	return 0;
}

void ours_destroy(struct ours *ours)
{
	if (!ours)
		return;
	sonde_target_close(ours->target);
	sonde_loop_destroy(ours->loop);
	free(ours);
}

void ours_name(const struct bench_file *file, char *out, size_t cap)
{
	size_t n = (size_t)snprintf(out, cap, "flat:");

	for (const char *from = file->path; *from && n + 2 < cap; from++) {
		if (strchr(",|\\", *from))
			out[n++] = '\\';
		out[n++] = *from;
	}
	snprintf(out + n, cap - n, ",length=%llu", (unsigned long long)file->size);
}

int ours_touch(struct ours *ours, uint64_t size)
{
	enum { BATCH = 1024 };
	static struct sonde_xfer xfers[BATCH];
	static uint8_t bytes[BATCH];

	for (uint64_t at = 0; at < size;) {
		size_t n = 0;
		for (; n < BATCH && at < size; n++, at += PAGE)
			xfers[n] = (struct sonde_xfer){ .addr = at, .buf = &bytes[n], .len = 1 };
		if (sonde_space_read(ours->space, xfers, n) != (int)n)
			return -EIO;
	}
	return 0;
}

/* The loop of that engine on the file, opened once: mapping a large file takes longer than a round. */
int ours_borrow(const struct contender *contender, const char *engine, struct bench_file *file,
		struct ours **ret)
{
	char name[2 * sizeof(file->path) + 32];
	struct sonde_loop_options options = { 0 };

	if (!parse_engine(engine, &options) || options.engine >= FILE_ENGINES)
		return bench_skip(contender, "this build has no such engine");
	struct ours **kept = &file->loops[options.past_cache * FILE_ENGINES + options.engine];
	if (!*kept) {
		ours_name(file, name, sizeof(name));
		int r = ours_create(contender, engine, name, 0, kept);
		if (r != 0)
			return r;
		if (options.engine == SONDE_ENGINE_AUTO || options.engine == SONDE_ENGINE_DIRECT)
			r = ours_touch(*kept, file->size);
		if (r < 0)
			return r;
	}
	*ret = *kept;
	return 0;
}

/* ---- a run in progress ----------------------------------------------------------------------------- */

struct operation {
	struct sonde_io io;
	struct sonde_xfer x;
	struct slot *slot;
	struct ours_run *run;
};

struct ours_run {
	struct ours *ours;
	struct walk walk;
	uint64_t n_left; /* to be submitted */
	void *bufs;      /* registered      */
	int error;       /* the first one   */
	struct operation *ops;
};

int ours_run_create(struct ours *ours, struct work *work, struct ours_run **ret)
{
	struct ours_run *run = calloc(1, sizeof(*run));

	if (run)
		run->ops = calloc(work->shape.depth, sizeof(*run->ops));
	if (!run || !run->ops) {
		free(run);
		return -ENOMEM;
	}
	/* As the ring by hand has it; an engine without a use for it says so, and nothing changes. */
	sonde_loop_register(ours->loop, work->bufs, work->bufs_len);
	run->ours = ours;
	run->bufs = work->bufs;
	*ret = run;
	return 0;
}

void ours_run_destroy(struct ours_run *run)
{
	if (!run)
		return;
	sonde_loop_unregister(run->ours->loop, run->bufs);
	free(run->ops);
	free(run);
}

static int run_open(const struct contender *contender, struct work *work, void **ret)
{
	struct ours_run *run;
	struct ours *ours;
	int r = ours_borrow(contender, contender->arg, work->file, &ours);

	if (r == 0)
		r = ours_run_create(ours, work, &run);
	if (r == 0)
		*ret = run;
	return r;
}

static void run_close(void *state)
{
	ours_run_destroy(state);
}

static void run_start(struct ours_run *run, const struct work *work)
{
	run->walk = walk_start(work);
	run->n_left = work->n_ops;
	run->error = 0;
	for (uint32_t i = 0; i < work->shape.depth; i++) {
		struct operation *op = &run->ops[i];
		op->slot = &work->slots[i];
		op->run = run;
		op->x = (struct sonde_xfer){ .buf = op->slot->buf, .len = work->shape.size };
	}
}

static inline void aim(struct operation *op)
{
	op->run->n_left--;
	op->x.addr = op->slot->off = walk_next(&op->run->walk);
}

/* ---- completions ------------------------------------------------------------------------------------ */

static void submit(struct operation *op)
{
	aim(op);
	int r = sonde_io_submit(op->run->ours->space, &op->io);
	if (r < 0)
		op->run->error = ours_errno(r);
}

static void completed(struct sonde_io *io)
{
	struct operation *op = io->user;

	if (io->result != 1)
		op->run->error = ours_errno(op->x.err);
	if (op->run->n_left && !op->run->error)
		submit(op);
}

int ours_run_completions(struct ours_run *run, struct work *work)
{
	run_start(run, work);
	for (uint32_t i = 0; i < work->shape.depth && run->n_left && !run->error; i++) {
		struct operation *op = &run->ops[i];
		op->io =
			(struct sonde_io){ .xfers = &op->x, .n = 1, .done = completed, .user = op };
		submit(op);
	}
	int r = sonde_loop_run(run->ours->loop);
	return r < 0 ? ours_errno(r) : run->error;
}

static int run_completions(void *state, struct work *work)
{
	return ours_run_completions(state, work);
}

/* ---- the blocking door -------------------------------------------------------------------------------- */

static int run_blocking(void *state, struct work *work)
{
	struct ours_run *run = state;

	run_start(run, work);
	while (run->n_left) {
		aim(run->ops);
		if (sonde_space_read(run->ours->space, &run->ops->x, 1) != 1)
			return ours_errno(run->ops->x.err);
	}
	return 0;
}

/* ---- tasks -------------------------------------------------------------------------------------------- */

/* The next place is common to all tasks: what they want together lies side by side. */
static int reader(struct sonde_task *task, void *arg)
{
	struct operation *op = arg;
	struct ours_run *run = op->run;

	while (run->n_left && !run->error) {
		aim(op);
		if (sonde_task_read(task, run->ours->space, &op->x, 1) != 1)
			run->error = ours_errno(op->x.err);
	}
	return 0;
}

static int run_tasks(void *state, struct work *work)
{
	struct ours_run *run = state;

	run_start(run, work);
	for (uint32_t i = 0; i < work->shape.depth; i++) {
		int r = sonde_task_spawn(run->ours->loop, reader, &run->ops[i], NULL);
		if (r < 0)
			run->error = ours_errno(r);
	}
	int r = sonde_loop_run(run->ours->loop);
	return r < 0 ? ours_errno(r) : run->error;
}

#define DOOR(door, label, engine)                                                                  \
	{                                                                                          \
		.name = label "." #door, .arg = engine, .open = run_open, .run = run_##door,       \
		.close = run_close                                                                 \
	}
#define ENGINE(label, engine)                                                                      \
	DOOR(completions, label, engine), DOOR(blocking, label, engine), DOOR(tasks, label, engine)

const struct contender contenders_ours[] = {
	ENGINE("sync", "sync"),
	ENGINE("threads", "threads"),
	ENGINE("uring", "io_uring"),
	ENGINE("direct", "direct"),
	ENGINE("auto", "auto"),
	ENGINE("epoll", "epoll"),
	DOOR(completions, "uring.past", "past io_uring"),
	DOOR(completions, "threads.past", "past threads"),
	{ 0 },
};
