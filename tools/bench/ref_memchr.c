/* SPDX-License-Identifier: MIT */
/* Reference: memchr over a map with every page present, again and again behind each hit. */
#include <errno.h>
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

static int measure(void *state, struct work *work, struct sample *ret)
{
	const struct image *image = state;
	const uint8_t *at = image->bytes, *end = at + image->len;
	uint64_t start = sonde_now_ns(), n = 0;

	(void)work;
	while ((at = memchr(at, SCAN_BYTE, (size_t)(end - at))) != NULL) {
		n++;
		if (++at == end)
			break;
	}
	ret->wall_ns = scan_per_mib(sonde_now_ns() - start, image->len);
	return n == image->n_hits ? 0 : -EILSEQ;
}

const struct contender contenders_memchr[] = {
	{ .name = "memchr", .open = open_image, .measure = measure, .close = close_image },
	{ 0 },
};
