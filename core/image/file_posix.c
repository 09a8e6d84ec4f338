/* SPDX-License-Identifier: MIT */
/* An image that is a file of this machine, or a block device. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/quiet_open.h"
#include "image/image.h"
#include "io/engine.h"

static void read_one(struct sonde_image *image, struct sonde_image_read *read)
{
	while (read->done < read->len && read->off <= (uint64_t)INT64_MAX - read->done) {
		ssize_t n = pread(image->fd, (char *)read->buf + read->done, read->len - read->done,
				  (off_t)(read->off + read->done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			struct sonde_error why = { 0 };
			read->err = errno_code(errno, SONDE_IO_READ);
			sonde_error_os(&why, errno, "'%.300s'", image->shown);
			image_failed(image, &why);
		}
		if (n <= 0)
			return;
		read->done += (uint32_t)n;
	}
}

void image_file_read(struct sonde_image *image, struct sonde_image_read *reads, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (reads[i].buf)
			read_one(image, &reads[i]);
		else
			reads[i].done = reads[i].len; /* what is on a disk is always at hand */
	}
}

static void file_close(struct sonde_image *image)
{
	if (image->fd >= 0)
		close(image->fd);
	image_finish(image);
	free(image);
}

static const struct image_ops file_ops = { .read = image_file_read, .close = file_close };

/* Opening a pipe would wait for its writer, so what a path is comes before open. */
static int check_kind(const char *who, const char *path, struct sonde_error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return sonde_error_os(err, errno, "%s: '%.300s'", who, path);
	if (S_ISDIR(st.st_mode))
		return sonde_error_set(err, SONDE_E_BAD_FORMAT,
				       "%s: '%.300s': is a folder: name a file in it", who, path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return sonde_error_set(
			err, SONDE_E_BAD_FORMAT,
			"%s: '%.300s': is neither a regular file nor a block device: "
			"copy it to a file first",
			who, path);
	return 0;
}

int image_file_open(const char *who, const char *path, int write, struct sonde_image **ret,
		    struct sonde_error *err)
{
	int r = check_kind(who, path, err);
	if (r < 0)
		return r;
	struct sonde_image *image = calloc(1, sizeof(*image));
	if (!image || image_init(image, path) < 0) {
		free(image);
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	}
	image->ops = &file_ops;
	image->fd = quiet_open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
	/* Also right for block devices, where st_size is 0. */
	off_t size = image->fd < 0 ? -1 : lseek(image->fd, 0, SEEK_END);
	if (size < 0) {
		r = sonde_error_os(err, errno, "%s: '%.300s'", who, path);
		file_close(image);
		return r;
	}
	image->size = (uint64_t)size;
	*ret = image;
	return 0;
}
