/* SPDX-License-Identifier: MIT */
/* Reference: a loop around pread. */
#include <errno.h>
#include <unistd.h>

#include "contenders.h"

static int open_work(const struct contender *contender, struct work *work, void **ret)
{
	(void)contender;
	*ret = work;
	return 0;
}

static int run(void *state, struct work *work)
{
	struct walk walk = walk_start(work);
	uint32_t depth = work->shape.depth, size = work->shape.size;

	(void)state;
	for (uint64_t i = 0, k = 0; i < work->n_ops; i++, k = k + 1 == depth ? 0 : k + 1) {
		struct slot *slot = &work->slots[k];
		slot->off = walk_next(&walk);
		if (pread(work->file->fd, slot->buf, size, (off_t)slot->off) != (ssize_t)size)
			return -EIO;
	}
	return 0;
}

const struct contender contenders_pread[] = {
	{ .name = "pread", .open = open_work, .run = run },
	{ 0 },
};
