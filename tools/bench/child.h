/* SPDX-License-Identifier: MIT */
/* Run another program and read what it prints, or a function in a process of its own. */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include <stddef.h>

#define CHILD_ARGS_MAX 40

/* Words of a command line, some of them made here. */
struct command {
	const char *words[CHILD_ARGS_MAX];
	size_t n;
	char text[16384];
	size_t used;
};

void command_add(struct command *command, const char *word); /* borrowed until it has run */
void command_addf(struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Run it; its standard output goes to out, cut to cap - 1 bytes and terminated, its complaints nowhere.
 * Returns how it exited, 0..255; -ENOENT: no such program; -errno.
 */
int command_run(struct command *command, char *out, size_t cap);

/* What fn makes of arg in a copy of this process, which ends then. 0 or -errno; fn's numbers below 0 are failures. */
int child_number(double (*fn)(void *arg), void *arg, double *ret);
/* Bytes of memory that this process has, by /proc/self/statm (proc(5)). */
double child_resident(void);

#endif
