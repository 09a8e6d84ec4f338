/* SPDX-License-Identifier: MIT */
/*
 * The description that comes with the image of a process: SONDE_NOTE_PROCESS of sonde/target.h, taken apart. A connector makes it
 * of what a file says, and files lie: a line that makes no sense is counted and left out.
 */
#ifndef SONDE_PROCESS_DESCRIPTION_H
#define SONDE_PROCESS_DESCRIPTION_H

#include <sonde/os.h>

#include "../connectors/common/maps.h"
#include "base/arena.h"

struct described_thread {
	int32_t tid;                            /* 0: not known */
	const struct sonde_register *registers; /* [n] */
	uint32_t n;
};

struct described_module {
	uint64_t base, size;
	const char *path;
};

/* What is not known is 0 or NULL. Strings lie in the text or the arena. */
struct description {
	const char *system, *release;
	int32_t pid, ppid;
	uint32_t uid, gid;
	uint32_t has_uid; /* uid and gid are known */
	char state;
	const char *name, *exe;
	const char *args; /* [args_len], each ended by NUL */
	uint64_t args_len;
	struct described_thread *threads; /* [n_threads] */
	size_t n_threads;
	struct maps_line *maps; /* [n_maps] */
	size_t n_maps;
	struct described_module *modules; /* [n_modules] */
	size_t n_modules;
	size_t n_bad; /* lines that made no sense */
};

/* text: terminated, changed in place, to live as long as *ret does. Returns 0; SONDE_E_NO_MEMORY. */
int description_parse(char *text, struct arena *arena, struct description *ret);

#endif
