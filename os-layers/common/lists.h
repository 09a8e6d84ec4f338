/* SPDX-License-Identifier: MIT */
/*
 * The lists an OS layer fills: an arena that owns everything in them, the items, and a line on what
 * could not be followed.
 */
#ifndef SONDE_COMMON_LISTS_H
#define SONDE_COMMON_LISTS_H

#include <sonde/os.h>

#include "base/arena.h"

#define LIST_OF(item)                                                                              \
	{                                                                                          \
		struct arena arena; /* strings of the items, and whatever else dies with them */   \
		struct item *items; /* [n], room for cap; heap                                */   \
		size_t n, cap;                                                                     \
		const char *damage; /* NULL, or one line; in the arena                        */   \
	}

struct sonde_processes LIST_OF(sonde_process);
struct sonde_modules LIST_OF(sonde_module);
struct sonde_mappings LIST_OF(sonde_mapping);
struct sonde_log LIST_OF(sonde_log_record);

/* A zeroed new item at the end; NULL out of memory. The pointer lives until the next add. */
struct sonde_process *processes_add(struct sonde_processes *list);
struct sonde_module *modules_add(struct sonde_modules *list);
struct sonde_mapping *mappings_add(struct sonde_mappings *list);
struct sonde_log_record *log_add(struct sonde_log *list);

/* Note damage; the first line said stays. */
#define LIST_DAMAGE(list, ...)                                                                     \
	((list)->damage ? (void)0                                                                  \
			: (void)((list)->damage = arena_printf(&(list)->arena, __VA_ARGS__)))

#endif
