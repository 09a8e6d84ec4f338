/* SPDX-License-Identifier: MIT */
/*
 * System calls of many operations in flight, counted by strace: this program itself, doing them and
 * nothing else, less the same with none of them. And numbers to compare with, that nobody measures.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "contenders.h"

#define OPERATIONS 20000u

struct calls {
	double all, transfers; /* transfers: read and write, which is all an eventfd gets */
};

/* One line of strace -c: "% time, seconds, usecs/call, calls, [errors,] syscall", "total" at the end. */
static void parse_line(const char *line, struct calls *calls)
{
	const char *name = strrchr(line, ' ');
	double n;

	if (!name++ || sscanf(line, "%*f %*f %*f %lf", &n) != 1)
		return;
	if (strcmp(name, "total") == 0)
		calls->all = n;
	else if (strcmp(name, "read") == 0 || strcmp(name, "write") == 0)
		calls->transfers += n;
}

static int parse(char *text, struct calls *ret)
{
	char *rest = text;

	*ret = (struct calls){ -1, 0 };
	for (char *line; (line = strsep(&rest, "\n"));)
		parse_line(line, ret);
	return ret->all < 0 ? -EPROTO : 0;
}

static int count(const struct work *work, uint32_t n_ops, struct calls *ret)
{
	struct command command = { 0 };
	char out[16384], self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return -errno;
	self[n] = 0;
	command_add(&command, "strace");
	command_add(&command, "-cf");
	command_add(&command, "-o/dev/stdout");
	command_add(&command, self);
	command_addf(&command, "--file=%s", work->file->path);
	command_addf(&command, "--size=%llu", (unsigned long long)work->file->size);
	command_add(&command, "--only=uring.completions");
	command_addf(&command, "--ops=%u", n_ops);
	int r = command_run(&command, out, sizeof(out));
	return r < 0 ? r : r > 0 ? -EPERM : parse(out, ret);
}

static int open_calls(const struct contender *contender, struct work *work, void **ret)
{
	struct calls calls;
	int r = count(work, 0, &calls);

	if (r == -ENOENT)
		return bench_skip(contender, "strace is not installed");
	if (r < 0)
		return bench_skip(contender, "strace may not trace here");
	*ret = (void *)(uintptr_t)contender;
	return 0;
}

static int measure(void *state, struct work *work, struct sample *ret)
{
	const struct contender *contender = state;
	struct calls none, all;
	int r = count(work, 0, &none);

	if (r == 0)
		r = count(work, OPERATIONS, &all);
	if (r < 0)
		return r;
	ret->wall_ns =
		strcmp(contender->arg, "all") ? all.transfers - none.transfers : all.all - none.all;
	return 0;
}

/* ---- a number from elsewhere ------------------------------------------------------------------------- */

static int open_constant(const struct contender *contender, struct work *work, void **ret)
{
	(void)work;
	*ret = (void *)(uintptr_t)contender;
	return 0;
}

static int measure_constant(void *state, struct work *work, struct sample *ret)
{
	const struct contender *contender = state;

	(void)work;
	ret->wall_ns = strtod(contender->arg, NULL);
	return 0;
}

#define CONSTANT(label, number)                                                                    \
	{                                                                                          \
		.name = label, .arg = number, .n_rounds = 1, .open = open_constant,                \
		.measure = measure_constant                                                        \
	}

const struct contender contenders_calls[] = {
	{ .name = "uring.syscalls",
	  .arg = "all",
	  .n_rounds = 1,
	  .open = open_calls,
	  .measure = measure },
	{ .name = "uring.transfers",
	  .arg = "transfers",
	  .n_rounds = 1,
	  .open = open_calls,
	  .measure = measure },
	CONSTANT("limit of calls", "80"),
	CONSTANT("none at all", "0"),
	CONSTANT("limit of bytes", "9216"),
	CONSTANT("limit of trips", "5"),
	CONSTANT("limit of time", "20"),
	CONSTANT("limit of memory", "32"),
	CONSTANT("limit of 256 in 5 ms", "19531.25"),
	{ 0 },
};
