/* SPDX-License-Identifier: MIT */
/* An image that lies in memory: a file without a name, so that engines map it as any other. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image/packed.h"

struct memory_image {
	struct sonde_image image;
	char how[64];
};

static void memory_figures(struct sonde_image *image, struct sonde_image_figures *ret)
{
	const struct memory_image *memory = (const struct memory_image *)(const void *)image;

	*ret = (struct sonde_image_figures){ .name = image->shown,
					     .how = memory->how,
					     .size = image->size,
					     .unpacked = image->size,
					     .blocks = 1 };
}

static void memory_close(struct sonde_image *image)
{
	if (image->fd >= 0)
		close(image->fd);
	image_unref(image->below);
	image_finish(image);
	free(image);
}

static const struct image_ops memory_ops = { .read = image_file_read,
					     .close = memory_close,
					     .figures = memory_figures };

int image_memory_create(const char *name, const char *how, struct sonde_image **ret,
			struct sonde_error *err)
{
	struct memory_image *memory = calloc(1, sizeof(*memory));

	if (!memory || image_init(&memory->image, name) < 0) {
		free(memory);
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	}
	memory->image.ops = &memory_ops;
	snprintf(memory->how, sizeof(memory->how), "%s", how);
	memory->image.fd = memfd_create("sonde-unpacked", MFD_CLOEXEC);
	if (memory->image.fd < 0) {
		int r = sonde_error_os(err, errno, "a file in memory for '%.300s'",
				       memory->image.shown);
		memory_close(&memory->image);
		return r;
	}
	*ret = &memory->image;
	return 0;
}
