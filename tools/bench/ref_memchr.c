/* SPDX-License-Identifier: MIT */
/*
 * Reference: memchr over a map with every page present, again and again behind each hit; by one thread, or by two. And
 * what the memory itself takes: two threads that only read each cache line.
 */
#include <errno.h>
#include <pthread.h>
#include <sonde/loop.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "contenders.h"
#include "scan.h"

struct image {
	uint8_t *bytes;
	uint64_t len, n_hits;
};

static int open_image(const struct contender *contender, struct work *work, void **ret)
{
	struct image *image = calloc(1, sizeof(*image));

	(void)contender;
	if (!image)
		return -ENOMEM;
	image->len = scan_len(work);
	image->bytes =
		mmap(NULL, image->len, PROT_READ, MAP_SHARED | MAP_POPULATE, work->file->fd, 0);
	if (image->bytes == MAP_FAILED) {
		free(image);
		return -errno;
	}
	image->n_hits = scan_count(image->bytes, image->len);
	*ret = image;
	return 0;
}

static void close_image(void *state)
{
	struct image *image = state;

	munmap(image->bytes, image->len);
	free(image);
}

/* A share of the image, and what there is in it. */
struct share {
	const uint8_t *at, *end;
	uint64_t n;
};

static void *search(void *arg)
{
	struct share *share = arg;
	const uint8_t *at = share->at;

	while (at < share->end && (at = memchr(at, SCAN_BYTE, (size_t)(share->end - at)))) {
		share->n++;
		at++;
	}
	return NULL;
}

#define LINE 64u

static void *touch(void *arg)
{
	struct share *share = arg;
	uint64_t all = 0;

	for (const uint8_t *at = share->at; at < share->end; at += LINE) {
		__builtin_prefetch(at + 8192, 0, 2);
		all |= *(const volatile uint64_t *)(const volatile void *)at;
	}
	share->n = all;
	return NULL;
}

static int measure(void *state, struct work *work, struct sample *ret)
{
	const struct image *image = state;
	struct share all = { image->bytes, image->bytes + image->len, 0 };
	uint64_t start = sonde_now_ns();

	(void)work;
	search(&all);
	ret->wall_ns = scan_per_mib(sonde_now_ns() - start, image->len);
	return all.n == image->n_hits ? 0 : -EILSEQ;
}

/* What two processors can do at best that share caches and memory. */
static int by_two(const struct image *image, void *(*work)(void *), uint64_t *ret_n, double *ret_ns)
{
	const uint8_t *middle = image->bytes + image->len / 2;
	struct share low = { image->bytes, middle, 0 },
		     high = { middle, image->bytes + image->len, 0 };
	uint64_t start = sonde_now_ns();
	pthread_t thread;

	int r = pthread_create(&thread, NULL, work, &high);
	if (r != 0)
		return -r;
	work(&low);
	pthread_join(thread, NULL);
	*ret_ns = scan_per_mib(sonde_now_ns() - start, image->len);
	*ret_n = low.n + high.n;
	return 0;
}

static int measure_two(void *state, struct work *work, struct sample *ret)
{
	const struct image *image = state;
	uint64_t n;
	int r = by_two(image, search, &n, &ret->wall_ns);

	(void)work;
	return r == 0 && n != image->n_hits ? -EILSEQ : r;
}

static int measure_reading(void *state, struct work *work, struct sample *ret)
{
	uint64_t ignored;

	(void)work;
	return by_two(state, touch, &ignored, &ret->wall_ns);
}

const struct contender contenders_memchr[] = {
	{ .name = "memchr", .open = open_image, .measure = measure, .close = close_image },
	{ .name = "memchr.2threads",
	  .open = open_image,
	  .measure = measure_two,
	  .close = close_image },
	{ .name = "reading.2threads",
	  .open = open_image,
	  .measure = measure_reading,
	  .close = close_image },
	{ 0 },
};
