/* SPDX-License-Identifier: MIT */
/* Between module.c (finds and reads all modules) and module_symbols.c (the symbols they bring). */
#ifndef SONDE_LINUX_MODULE_H
#define SONDE_LINUX_MODULE_H

#include "linux/addr_map.h"
#include "linux/linux.h"

struct module {
	uint64_t addr, next, base, size, state, refs, kallsyms;
	char name[64]; /* MODULE_NAME_LEN is 56 */
	int32_t err, next_err;
	bool in_list;
};

struct module_walk {
	struct linux_os *lx;
	struct sonde_batch *batch;
	struct addr_map map; /* of modules */
	struct module *modules;
	uint32_t n, cap, n_read;
	uint32_t *order; /* [n_order]: as the list has them */
	uint32_t n_order;
	uint64_t head; /* address of `modules`            */
	uint64_t first;
	int32_t first_err;
	struct arena arena;
	const char *damage; /* NULL, or one line; in the arena    */
};

/*
 * Fill a zeroed walk (only lx is set). What is lost is in w->damage; err says why nothing could be
 * read. modules_finish in any case.
 */
int modules_collect(struct module_walk *w, struct sonde_error *err);
void modules_finish(struct module_walk *w);

#endif
