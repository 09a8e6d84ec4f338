/* SPDX-License-Identifier: MIT */
/*
 * A process that somebody wrote down: a core of ELF, a minidump. What its system said of it came along as a description
 * (description.h); what the bytes say, its images, is read.
 */
#ifndef SONDE_PROCESS_PROCESS_H
#define SONDE_PROCESS_PROCESS_H

#include <sonde/sonde.h>

#include "common/lists.h"
#include "common/os.h"
#include "process/description.h"

struct process_os {
	struct sonde_os os;
	struct sonde_target *target;
	struct description said;
	char *text; /* what said points into */
	struct arena arena;
};

static inline struct process_os *process_of(struct sonde_os *os)
{
	return (struct process_os *)(void *)os;
}

/* lists.c, as the slots of os_layer. */
int process_tasks(struct sonde_os *os, enum os_tasks what, int32_t pid, uint32_t fields,
		  struct sonde_processes *list, struct sonde_error *err);
int process_mappings(struct sonde_os *os, int32_t pid, struct sonde_mappings *list,
		     struct sonde_error *err);
int process_modules(struct sonde_os *os, struct sonde_modules *list, struct sonde_error *err);

/* pid is this process's, or 0. Returns 0; SONDE_E_NOT_FOUND. */
int process_check(const struct process_os *process, int32_t pid, struct sonde_error *err);

#endif
