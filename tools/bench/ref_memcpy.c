/* SPDX-License-Identifier: MIT */
/* Reference: memcpy of the same pieces, nothing around it. */
#include <errno.h>
#include <string.h>

#include "contenders.h"
#include "pieces.h"

static int open_pieces(const struct contender *contender, struct work *work, void **ret)
{
	(void)contender;
	*ret = pieces_create(work);
	return *ret ? 0 : -ENOMEM;
}

static void close_pieces(void *state)
{
	pieces_destroy(state);
}

static int run(void *state, struct work *work)
{
	struct pieces *pieces = state;

	for (uint64_t i = 0, k = 0; i < work->n_ops; i++, k = k + 1 == PIECES ? 0 : k + 1) {
		uint32_t len = pieces->xfers[k].len; /* not a constant, as in a real copy */
		memcpy(&pieces->values[k], pieces->memory + pieces->addrs[k], len);
	}
	bench_keep(pieces->values);
	pieces_show(pieces, work);
	return 0;
}

const struct contender contenders_memcpy[] = {
	{ .name = "memcpy", .open = open_pieces, .run = run, .close = close_pieces },
	{ 0 },
};
