/* SPDX-License-Identifier: MIT */
/* What `ps` and `threads` share: a list of processes, and the wording of their fields. */
#ifndef SONDE_TOOL_PROCESS_H
#define SONDE_TOOL_PROCESS_H

#include "table.h"

/* One value: the fields of missing as words, the error as its name, the start as a time. */
void process_missing(struct table *t, const struct sonde_process *p);
void process_error(struct table *t, const struct sonde_process *p);
void process_start(struct table *t, const struct sonde_process *p, uint64_t boot_time_ns);
/* The style of a row: kernel threads dim, zombies and damaged records red. */
enum table_style process_style(const struct sonde_process *p);

/* Unix time in ns as "2026-11-23T00:44:56Z". */
void time_text(char text[32], uint64_t unix_ns);

/* Tell of what the list lacks. Returns 0 or EXIT_PARTIAL. */
int processes_complete(struct ctx *ctx, const struct sonde_processes *list, const char *what);

#endif
