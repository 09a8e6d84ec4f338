/* SPDX-License-Identifier: MIT */
/* Workers take chunks of the image in turn, so that a slow one does not hold up the others. */
#include "ram_copy.h"

#include <pthread.h>
#include <sys/uio.h>
#include <unistd.h>

#define CHUNK ((uint64_t)4 << 20)
#define WORKERS_MAX 8

struct copying {
	pid_t pid;
	const struct memory_map *map;
	const uint64_t *at;
	uint8_t *image, *bad; /* bad: written by any worker */
	uint64_t limit;
	uint64_t next; /* first byte of the image that nobody has taken */
};

static int copy_bytes(const struct copying *copying, uint64_t hva, uint64_t to, uint64_t len)
{
	while (len > 0) {
		struct iovec local = { .iov_base = copying->image + to, .iov_len = len };
		struct iovec remote = { .iov_base = (void *)(uintptr_t)hva, .iov_len = len };
		ssize_t n = process_vm_readv(copying->pid, &local, 1, &remote, 1, 0);
		if (n <= 0)
			return 0;
		hva += (uint64_t)n;
		to += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 1;
}

/* What of range i lies in [first, end) of the image. */
static void copy_range(const struct copying *copying, size_t i, uint64_t first, uint64_t end)
{
	const struct memory_range *range = &copying->map->ranges[i];
	uint64_t begin = copying->at[i];
	uint64_t from = first > begin ? first : begin;
	uint64_t to = end < begin + range->len ? end : begin + range->len;

	if (from < to && !copy_bytes(copying, range->hva + (from - begin), from, to - from))
		__atomic_store_n(&copying->bad[i], 1, __ATOMIC_RELAXED);
}

static void *work(void *arg)
{
	struct copying *copying = arg;
	uint64_t first;

	while ((first = __atomic_fetch_add(&copying->next, CHUNK, __ATOMIC_RELAXED)) <
	       copying->limit) {
		uint64_t left = copying->limit - first;
		uint64_t end = first + (left < CHUNK ? left : CHUNK);
		for (size_t i = 0; i < copying->map->n; i++)
			copy_range(copying, i, first, end);
	}
	return NULL;
}

static size_t count_workers(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : (size_t)n;
}

void ram_copy(pid_t pid, const struct memory_map *map, const uint64_t *at, uint8_t *image,
	      uint64_t limit, uint8_t *ret_bad)
{
	struct copying copying = {
		.pid = pid, .map = map, .at = at, .image = image, .bad = ret_bad, .limit = limit
	};
	pthread_t threads[WORKERS_MAX];
	size_t n = 0, wanted = count_workers() - 1;

	while (n < wanted && pthread_create(&threads[n], NULL, work, &copying) == 0)
		n++;
	work(&copying);
	while (n > 0)
		pthread_join(threads[--n], NULL);
}
