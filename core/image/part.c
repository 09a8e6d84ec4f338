/* SPDX-License-Identifier: MIT */
/* The rest of an image from a place on: what is packed behind a head of another format is opened by it. */
#include <sonde/error.h>
#include <stdlib.h>

#include "image/image.h"

#define READS_AT_ONCE 64u

struct part {
	struct sonde_image image;
	uint64_t begin;
};

static void tell_failure(struct sonde_image *image)
{
	struct sonde_error why;

	if (image_failure(image->below, &why))
		image_failed(image, &why);
}

static void part_read(struct sonde_image *image, struct sonde_image_read *reads, size_t n)
{
	const struct part *part = (const struct part *)image;

	while (n) {
		struct sonde_image_read below[READS_AT_ONCE];
		size_t lot = n < READS_AT_ONCE ? n : READS_AT_ONCE;
		for (size_t i = 0; i < lot; i++) {
			below[i] = reads[i];
			below[i].off += part->begin;
		}
		image_read(image->below, below, lot);
		for (size_t i = 0; i < lot; i++) {
			reads[i].done = below[i].done;
			reads[i].err = below[i].err;
			if (below[i].err)
				tell_failure(image);
		}
		reads += lot;
		n -= lot;
	}
}

static void part_close(struct sonde_image *image)
{
	image_unref(image->below);
	image_finish(image);
	free(image);
}

static const struct image_ops part_ops = { .read = part_read, .close = part_close };

int image_part_open(struct sonde_image *whole, uint64_t begin, struct sonde_image **ret)
{
	struct part *part = calloc(1, sizeof(*part));

	if (!part || image_init(&part->image, whole->name) < 0) {
		free(part);
		return SONDE_E_NO_MEMORY;
	}
	part->image.ops = &part_ops;
	part->image.below = whole;
	part->image.size = begin < whole->size ? whole->size - begin : 0;
	part->begin = begin;
	whole->refs++;
	*ret = &part->image;
	return 0;
}
