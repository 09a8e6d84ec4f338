/* SPDX-License-Identifier: MIT */
/*
 * The maple tree: since v6.1 the kernel keeps the mappings of a process in one. It is read
 * breadth-first, one trip a level; every node is visited at most once, so a tree that contains
 * itself ends.
 *
 * Source: linux v6.1 lib/maple_tree.c, include/linux/maple_tree.h. Sizes of nodes, and where their
 * pivots and slots lie, come from the target's types.
 */
#ifndef SONDE_LINUX_MAPLE_H
#define SONDE_LINUX_MAPLE_H

#include <sonde/loop.h>
#include <sonde/space.h>

#include "linux/layout.h"

#define MAPLE_LEVELS_MAX 31u /* MAPLE_HEIGHT_MAX                  */
#define MAPLE_NODES_MAX (1u << 18)
#define MAPLE_ENTRIES_MAX (1u << 20)

struct maple_entries {
	uint64_t *items; /* [n], by rising index; heap: free()                              */
	size_t n, cap;
	uint32_t levels;    /* read: as many trips                                       */
	uint32_t n_damaged; /* nodes or links that could not be followed                 */
	int32_t err;        /* why, for the first of them                                */
	uint64_t err_addr;  /* that node                                                 */
};

/*
 * Collect the non-NULL entries of the tree whose ma_root is root.
 *
 * Returns   0, with ret->err set when parts are missing; SONDE_E_NO_TYPES, SONDE_E_NO_MEMORY,
 * SONDE_E_BUSY. Owns      ret->items, also after an error.
 */
int maple_collect(struct sonde_loop *loop, struct sonde_space *kernel, const struct layout *layout,
		  uint64_t root, struct maple_entries *ret);

#endif
