/* SPDX-License-Identifier: MIT */
/*
 * Reference: io_uring by hand, as short as it can be. A registered file, one registered buffer, every
 * free place filled before each call, every completion taken after it. With the flags its name says; through the
 * page cache, through it without noting the time of the access, or past it.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "contenders.h"

#ifdef IORING_SETUP_DEFER_TASKRUN
#define DEFER (IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN)
#endif
#ifdef IORING_SETUP_COOP_TASKRUN
#define COOP IORING_SETUP_COOP_TASKRUN
#endif

static const struct {
	const char *name;
	unsigned flags;
	int open_flags;
} variants[] = {
	{ "plain", 0, 0 },
#ifdef COOP
	{ "coop", COOP, 0 },
#endif
#ifdef DEFER
	{ "defer", DEFER, 0 }, { "quiet", DEFER, O_NOATIME }, { "direct", DEFER, O_DIRECT },
#else
	{ "quiet", 0, O_NOATIME },
	{ "direct", 0, O_DIRECT },
#endif
};

#define N_VARIANTS (sizeof(variants) / sizeof(variants[0]))

struct hand {
	struct io_uring ring;
	int fd;
	bool fixed; /* the buffer is registered: locked memory was to be had */
};

static int start(struct hand *hand, const struct work *work, size_t variant)
{
	struct iovec all = { work->bufs, work->bufs_len };

	hand->fd = open(work->file->path, O_RDONLY | O_CLOEXEC | variants[variant].open_flags);
	if (hand->fd < 0)
		return -errno;
	int r = io_uring_queue_init(work->shape.depth, &hand->ring, variants[variant].flags);
	if (r < 0) {
		close(hand->fd);
		return r;
	}
	hand->fixed = io_uring_register_buffers(&hand->ring, &all, 1) == 0;
	r = io_uring_register_files(&hand->ring, &hand->fd, 1);
	if (r == 0 && io_uring_register_ring_fd(&hand->ring) < 0)
		r = 0; /* linux before 5.18: the ring is found by its descriptor */
	return r;
}

static int open_hand(const struct contender *contender, struct work *work, void **ret)
{
	struct hand *hand = calloc(1, sizeof(*hand));
	size_t v = 0;

	if (!hand)
		return -ENOMEM;
	while (v < N_VARIANTS && strcmp(variants[v].name, contender->arg))
		v++;
	int r = v < N_VARIANTS ? start(hand, work, v) : -EINVAL;
	if (r < 0) {
		free(hand);
		return bench_skip(contender, strerror(-r));
	}
	if (!hand->fixed)
		fprintf(stderr, "bench: %s without a fixed buffer: ulimit -l\n", contender->name);
	*ret = hand;
	return 0;
}

static void close_hand(void *state)
{
	struct hand *hand = state;

	io_uring_queue_exit(&hand->ring);
	close(hand->fd);
	free(hand);
}

static inline void issue(struct hand *hand, struct work *work, struct walk *walk, uint64_t k)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&hand->ring);
	struct slot *slot = &work->slots[k];

	slot->off = walk_next(walk);
	if (hand->fixed)
		io_uring_prep_read_fixed(sqe, 0, slot->buf, work->shape.size, slot->off, 0);
	else
		io_uring_prep_read(sqe, 0, slot->buf, work->shape.size, slot->off);
	sqe->flags |= IOSQE_FIXED_FILE;
	sqe->user_data = k;
}

static int run(void *state, struct work *work)
{
	struct hand *hand = state;
	struct walk walk = walk_start(work);
	struct io_uring_cqe *cqe;
	uint64_t issued = 0, done = 0;

	for (; issued < work->shape.depth && issued < work->n_ops; issued++)
		issue(hand, work, &walk, issued);
	while (done < work->n_ops) {
		unsigned head, n = 0;
		int r = io_uring_submit_and_wait(&hand->ring, 1);
		if (r < 0 && r != -EINTR)
			return r;
		io_uring_for_each_cqe(&hand->ring, head, cqe)
		{
			if (cqe->res != (int)work->shape.size)
				return cqe->res < 0 ? cqe->res : -EIO;
			if (issued < work->n_ops) {
				issue(hand, work, &walk, cqe->user_data);
				issued++;
			}
			n++;
		}
		io_uring_cq_advance(&hand->ring, n);
		done += n;
	}
	return 0;
}

#define HAND(variant)                                                                              \
	{                                                                                          \
		.name = "liburing." variant, .arg = variant, .open = open_hand, .run = run,        \
		.close = close_hand                                                                \
	}

const struct contender contenders_uring[] = {
	HAND("plain"), HAND("coop"), HAND("defer"), HAND("quiet"), HAND("direct"), { 0 },
};
