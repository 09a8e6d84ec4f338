/* SPDX-License-Identifier: MIT */
/*
 * Sonde at the memory of another process, in batches, beside process_vm_readv called once a piece. The process is
 * a child that waits, with the same bytes at the same addresses as here.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contenders.h"
#include "ours.h"

struct other {
	struct ours *ours; /* NULL: the reference */
	pid_t pid;
	uint8_t *memory; /* [len] */
	uint64_t len;
	struct sonde_xfer *xfers; /* [depth] */
};

static void fill(struct other *other)
{
	for (uint64_t i = 0, word = 1; i + 8 <= other->len; i += 8) {
		word = word * UINT64_C(6364136223846793005) + 1; /* Knuth, MMIX */
		memcpy(other->memory + i, &word, 8);
	}
}

/* Its pages are those of this program, until one of the two writes. */
static int start(struct other *other)
{
	pid_t parent = getpid();

	other->pid = fork();
	if (other->pid != 0)
		return other->pid < 0 ? -errno : 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == parent)
		pause();
	_exit(0);
}

static void close_other(void *state)
{
	struct other *other = state;

	ours_destroy(other->ours);
	if (other->pid > 0) {
		kill(other->pid, SIGKILL);
		waitpid(other->pid, NULL, 0);
	}
	if (other->memory)
		munmap(other->memory, other->len);
	free(other->xfers);
	free(other);
}

static int prepare(struct other *other, const struct work *work)
{
	void *memory =
		mmap(NULL, work->len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -errno;
	other->memory = memory;
	other->len = work->len;
	other->xfers = calloc(work->shape.depth, sizeof(*other->xfers));
	if (!other->xfers)
		return -ENOMEM;
	fill(other);
	return start(other);
}

static int open_ours(const struct contender *contender, struct other *other)
{
	char name[32];

	snprintf(name, sizeof(name), "process:%d", (int)other->pid);
	return ours_create(contender, "auto", name, 0, &other->ours);
}

static int open_other(const struct contender *contender, struct work *work, void **ret)
{
	struct other *other = calloc(1, sizeof(*other));

	if (!other)
		return -ENOMEM;
	int r = prepare(other, work);
	if (r == 0 && contender->arg)
		r = open_ours(contender, other);
	if (r != 0) {
		close_other(other);
		return r;
	}
	work->memory = other->memory;
	*ret = other;
	return 0;
}

static int read_ours(struct other *other, uint32_t depth)
{
	return sonde_space_read(other->ours->space, other->xfers, depth) == (int)depth ? 0 : -EIO;
}

static int read_by_call(struct other *other, uint32_t depth)
{
	for (uint32_t i = 0; i < depth; i++) {
		const struct sonde_xfer *x = &other->xfers[i];
		struct iovec to = { x->buf, x->len };
		struct iovec from = { (void *)(uintptr_t)x->addr, x->len };
		if (process_vm_readv(other->pid, &to, 1, &from, 1, 0) != (ssize_t)x->len)
			return -errno;
	}
	return 0;
}

static inline int run(struct other *other, struct work *work,
		      int (*read_batch)(struct other *other, uint32_t depth))
{
	struct walk walk = walk_start(work);
	uint32_t depth = work->shape.depth;
	int r = 0;

	for (uint64_t done = 0; done < work->n_ops && r == 0; done += depth) {
		for (uint32_t i = 0; i < depth; i++) {
			struct slot *slot = &work->slots[i];
			slot->off = walk_next(&walk);
			other->xfers[i] = (struct sonde_xfer){
				.addr = (uintptr_t)other->memory + slot->off,
				.buf = slot->buf,
				.len = work->shape.size,
			};
		}
		r = read_batch(other, depth);
	}
	return r;
}

static int run_ours(void *state, struct work *work)
{
	return run(state, work, read_ours);
}

static int run_by_call(void *state, struct work *work)
{
	return run(state, work, read_by_call);
}

const struct contender contenders_process[] = {
	{ .name = "process.batch",
	  .arg = "process",
	  .open = open_other,
	  .run = run_ours,
	  .close = close_other },
	{ .name = "process_vm_readv",
	  .open = open_other,
	  .run = run_by_call,
	  .close = close_other },
	{ 0 },
};
