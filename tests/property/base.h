/* SPDX-License-Identifier: MIT */
/*
 * The connectors at the bottom of a tree: bytes of a store, told as stretches, served in every way that the
 * contract allows and in some that it does not.
 */
#ifndef TESTS_PROPERTY_BASE_H
#define TESTS_PROPERTY_BASE_H

#include <sonde/plugin.h>

#include "plan.h"
#include "store.h"

enum {
	TOLD_MAX = 64,
	HELD_MAX = 16,
	LAYOUTS = 8,
	LAYOUT_END = 2,   /* the extent is longer than the file     */
	LAYOUT_PARTS = 3, /* many small stretches, of two files     */
	LAYOUT_BIG = 7,   /* NODE_FILE only; its store is STORE_BIG */
};

/* Where STORE_FIRST ends in a file of LAYOUT_END: in the middle of a page. */
#define LAYOUT_END_LEN (STORE_FIRST - 0xedd)
#define LAYOUT_HIGH_AT (UINT64_MAX - STORE_FIRST + 1) /* LAYOUT 6 ends where all addresses end */

/* A stretch, as sonde_extent has it: the one told first counts. */
struct told {
	uint64_t addr, len;
	uint64_t off; /* in the store */
	uint32_t kind, flags;
	int32_t err;
	int32_t said; /* what the connector says instead, where not 0: no code */
};

/* A request that a NODE_SUBMIT holds. */
struct held_io {
	struct sonde_io *io;
	uint32_t piece; /* the next that is to be served */
};

struct base {
	struct store store;
	struct told told[TOLD_MAX]; /* [n_told] */
	size_t n_told;
	const struct plan_node *node; /* of the case at hand */
	struct sonde_loop *loop;
	struct sonde_space *space;
	struct numbers numbers;
	struct held_io held[HELD_MAX]; /* [n_held] */
	size_t n_held;
	struct sonde_timer timer;
	bool serving;
};

/* The one that counts at addr, NULL a hole; *ret_len of the next max bytes share it. */
const struct told *base_at(const struct base *base, uint64_t addr, uint32_t max, uint32_t *ret_len);

/* Does the connector lie about a piece that has bytes here? */
const struct plan_bad *base_lies(const struct base *base, uint64_t addr, uint32_t len);

/*
 * Tell what node says, over a store that is open, and open base->space. A NODE_FILE may keep it from case to
 * case: it has nothing of its own but the layout.
 */
bool base_open(struct base *base, const struct plan_node *node, struct sonde_loop *loop,
	       uint64_t seed);
void base_close(struct base *base);

/* The thread of MANNER_THREAD, started when it is first wanted. */
void base_thread_stop(void);

#endif
