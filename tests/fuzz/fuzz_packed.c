/* SPDX-License-Identifier: MIT */
/*
 * Packed images: any bytes as a file. What is opened has to answer reads of all over it, each of its own length, and what it
 * says twice has to be the same.
 */
#include "image/image.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define PIECE 5000u

struct file {
	struct sonde_image image;
	const uint8_t *bytes;
};

static void file_read(struct sonde_image *image, struct sonde_image_read *reads, size_t n)
{
	const struct file *file = (const struct file *)(const void *)image;

	for (size_t i = 0; i < n; i++) {
		if (reads[i].len > image->size - reads[i].off)
			abort();
		memcpy(reads[i].buf, file->bytes + reads[i].off, reads[i].len);
		reads[i].done = reads[i].len;
	}
}

static void file_close(struct sonde_image *image)
{
	image_finish(image);
	free(image);
}

static const struct image_ops file_ops = { .read = file_read, .close = file_close };

static struct sonde_image *make(const uint8_t *bytes, size_t len)
{
	struct file *file = calloc(1, sizeof(*file));

	if (!file || image_init(&file->image, "input") < 0)
		abort();
	file->image.ops = &file_ops;
	file->image.size = len;
	file->bytes = bytes;
	return &file->image;
}

static uint32_t left_at(const struct sonde_image *image, uint64_t off)
{
	return image->size - off < PIECE ? (uint32_t)(image->size - off) : PIECE;
}

/* From both ends, in one call; then each by itself. */
static void read_all(struct sonde_image *image)
{
	enum { N = 64 };
	static uint8_t got[N][PIECE], again[PIECE];
	struct sonde_image_read reads[N];
	uint64_t stride = image->size / N + 1;

	for (uint32_t i = 0; i < N; i++) {
		uint64_t off = i * stride < image->size ? i * stride : image->size - 1;
		reads[N - 1 - i] = (struct sonde_image_read){ .off = off,
							      .buf = got[i],
							      .len = left_at(image, off) };
	}
	image_read(image, reads, N);
	for (uint32_t i = 0; i < N; i++) {
		int64_t n = image_read_at(image, reads[i].off, again, reads[i].len);
		if (reads[i].done > reads[i].len || (reads[i].done < reads[i].len && !reads[i].err))
			abort();
		if (n >= 0 && (n != reads[i].done || memcmp(again, reads[i].buf, (size_t)n) != 0))
			abort();
		if (n < 0 && image_failure(image, NULL) == 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct sonde_image *image = make(bytes, len);
	struct sonde_error err = { 0 };

	setenv("SONDE_UNPACK_MAX", "1", 1);
	int r = image_unpack("fuzz", &image, 0, &err);
	if (r < 0 && (err.code != r || !err.text[0]))
		abort();
	if (r == 0 && image->ops != &file_ops && image->size)
		read_all(image);
	if (r == 0)
		image_unref(image);
	return 0;
}
