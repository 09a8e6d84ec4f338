/* SPDX-License-Identifier: MIT */
/*
 * Peer: fio, an external program, with the settings that were fastest of those tried: fixed buffer and
 * file, 64 submitted and up to 256 reaped a call. It has its own clock; its bytes are its own business.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "child.h"
#include "contenders.h"

#define BATCH 64u
#define OUTPUT_MAX (size_t)65536

struct fio {
	const struct contender *contender;
	char *output; /* [OUTPUT_MAX] */
	struct command command;
};

static int open_fio(const struct contender *contender, struct work *work, void **ret)
{
	struct fio *fio = calloc(1, sizeof(*fio));
	char *output = malloc(OUTPUT_MAX);

	(void)work;
	if (!fio || !output) {
		free(fio);
		free(output);
		return -ENOMEM;
	}
	*fio = (struct fio){ .contender = contender, .output = output };
	command_add(&fio->command, "fio");
	command_add(&fio->command, "--version");
	if (command_run(&fio->command, output, OUTPUT_MAX) != 0) {
		free(output);
		free(fio);
		return bench_skip(contender, "fio is not installed");
	}
	*ret = fio;
	return 0;
}

static void close_fio(void *state)
{
	struct fio *fio = state;

	free(fio->output);
	free(fio);
}

/* A colon separates files in fio's name of a file. */
static void add_path(struct command *command, const char *path)
{
	char escaped[8192];
	size_t n = 0;

	for (; *path && n + 2 < sizeof(escaped); path++) {
		if (*path == ':' || *path == '\\')
			escaped[n++] = '\\';
		escaped[n++] = *path;
	}
	escaped[n] = 0;
	command_addf(command, "--filename=%s", escaped);
}

static void add_engine(struct command *command, const char *engine, uint32_t depth)
{
	bool direct = strcmp(engine, "direct") == 0;

	command_addf(command, "--ioengine=%s", direct ? "io_uring" : engine);
	if (direct)
		command_add(command, "--direct=1");
	if (!direct && strcmp(engine, "io_uring") != 0)
		return;
	command_add(command, "--fixedbufs=1");
	command_add(command, "--registerfiles=1");
	command_addf(command, "--iodepth=%u", depth);
	command_addf(command, "--iodepth_batch_submit=%u", depth < BATCH ? depth : BATCH);
	command_add(command, "--iodepth_batch_complete_min=1");
	command_addf(command, "--iodepth_batch_complete_max=%u", depth);
}

static void build(struct command *command, const struct contender *contender,
		  const struct work *work)
{
	static const char *const always[] = {
		"fio",
		"--name=bench",
		"--readonly",
		"--thread",
		"--output-format=json",
		"--gtod_reduce=1",
		"--time_based",
		"--invalidate=0",
		"--norandommap",
		"--randrepeat=0",
		"--random_generator=tausworthe64",
	};

	command->n = command->used = 0;
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		command_add(command, always[i]);
	command_addf(command, "--runtime=%ums", work->quick ? 50u : 400u);
	command_addf(command, "--rw=%s", work->shape.random ? "randread" : "read");
	command_addf(command, "--bs=%u", work->shape.size);
	command_addf(command, "--size=%llu", (unsigned long long)work->len);
	add_path(command, work->file->path);
	add_engine(command, contender->arg, work->shape.depth);
}

/* The number behind "key" : after a place; below zero: there is none. */
static double number_at(const char *text, const char *key)
{
	const char *at = text ? strstr(text, key) : NULL;
	double value;

	return at && sscanf(at + strlen(key), " : %lf", &value) == 1 ? value : -1;
}

static int measure(void *state, struct work *work, struct sample *ret)
{
	struct fio *fio = state;

	build(&fio->command, fio->contender, work);
	int r = command_run(&fio->command, fio->output, OUTPUT_MAX);
	const char *read = strstr(fio->output, "\"read\"");
	double iops = number_at(read, "\"iops\"");
	double busy = number_at(read, "\"usr_cpu\"") + number_at(read, "\"sys_cpu\"");
	if (r != 0 || number_at(fio->output, "\"error\"") != 0 || iops <= 0)
		return -EIO;
	ret->wall_ns = 1e9 / iops;
	ret->cpu_ns = ret->wall_ns * busy / 100;
	return 0;
}

#define FIO(engine)                                                                                \
	{                                                                                          \
		.name = "fio." engine, .arg = engine, .n_rounds = 3, .open = open_fio,             \
		.measure = measure, .close = close_fio                                             \
	}

const struct contender contenders_fio[] = {
	FIO("psync"), FIO("io_uring"), FIO("mmap"), FIO("direct"), { 0 },
};
