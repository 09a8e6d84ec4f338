/* SPDX-License-Identifier: MIT */
/* The file of a dump, of this machine or behind a URL: opened, read as a source, and told as an extent. */
#ifndef IMAGE_FILE_H
#define IMAGE_FILE_H

#include <sonde/plugin.h>

#include "source.h"

struct image_file {
	const struct sonde_host *host;
	struct sonde_image *image; /* NULL: none is open                              */
	int fd;                    /* -1: image_file_read alone reads it              */
	uint64_t size;
};

/* Open what name names. Errors as image_open of plugin.h. Owns *ret: image_file_close. */
static inline int image_file_open_name(struct image_file *ret, const struct sonde_host *host,
				       const struct sonde_args *args, const char *name,
				       struct sonde_error *err)
{
	struct sonde_image_info info;

	*ret = (struct image_file){ .host = host, .fd = -1 };
	int r = host->image_open(args, name, &ret->image, err);
	if (r < 0)
		return r;
	host->image_info(ret->image, &info);
	ret->fd = info.fd;
	ret->size = info.bytes;
	return 0;
}

/* The argument path; NULL with err filled where it is not given. connector: for messages. */
static inline const char *image_file_path(const struct sonde_host *host,
					  const struct sonde_args *args, const char *connector,
					  struct sonde_error *err)
{
	const char *path = host->arg(args, "path");

	if (!path)
		host->error_set(err, SONDE_E_BAD_ARG, "%s: no file given: write %s:FILE or %s:URL",
				connector, connector, connector);
	return path;
}

/* As image_file_open_name, of what the argument path names. */
static inline int image_file_open(struct image_file *ret, const struct sonde_host *host,
				  const struct sonde_args *args, const char *connector,
				  struct sonde_error *err)
{
	const char *path = image_file_path(host, args, connector, err);

	*ret = (struct image_file){ .host = host, .fd = -1 };
	return path ? image_file_open_name(ret, host, args, path, err) : SONDE_E_BAD_ARG;
}

static inline void image_file_close(struct image_file *file)
{
	if (file->image)
		file->host->image_close(file->image);
	file->image = NULL;
}

/* What it is called in messages. */
static inline const char *image_file_name(const struct image_file *file)
{
	struct sonde_image_info info;

	file->host->image_info(file->image, &info);
	return info.name;
}

/* Any thread. Returns how many of len bytes at off came, fewer only where the file ends; a code. */
static inline int64_t image_file_read(const struct image_file *file, uint64_t off, void *buf,
				      size_t len)
{
	size_t done = 0;

	while (done < len && off <= UINT64_MAX - done) {
		struct sonde_image_read read = { .off = off + done, .buf = (char *)buf + done };
		read.len = len - done < 1u << 30 ? (uint32_t)(len - done) : 1u << 30;
		uint32_t wanted = read.len;
		file->host->image_read(file->image, &read, 1);
		if (read.err)
			return read.err;
		done += read.done;
		if (read.done < wanted)
			break;
	}
	return (int64_t)done;
}

static inline int64_t image_file_source_read(void *user, uint64_t off, void *buf, size_t len)
{
	return image_file_read(user, off, buf, len);
}

static inline void image_file_source_ahead(void *user, struct sonde_image_read *reads, size_t n)
{
	const struct image_file *file = user;

	file->host->image_read(file->image, reads, n);
}

/* Its bytes. Valid while *file stays where it is. */
static inline struct source image_file_source(struct image_file *file)
{
	return (struct source){ .read = image_file_source_read,
				.ahead = file->fd < 0 ? image_file_source_ahead : NULL,
				.user = file,
				.size = file->size };
}

/* Of one that gives no codes: how many bytes came, 0 where none could. */
static inline size_t image_file_some(void *user, uint64_t off, void *buf, size_t len)
{
	int64_t n = image_file_read(user, off, buf, len);

	return n < 0 ? 0 : (size_t)n;
}

/* err of an open that failed by r: where a read failed, that is why; else what the format has to say. */
static inline int image_file_refuse(const struct image_file *file, const char *connector, int r,
				    const char *why, struct sonde_error *err)
{
	struct sonde_error failure;
	int code = file->host->image_failure(file->image, &failure);

	if (code)
		return file->host->error_set(err, code, "%s: %s", connector, failure.text);
	return file->host->error_set(err, r, "%s: '%.300s': %s", connector, image_file_name(file),
				     why);
}

/* len bytes of memory from addr on that lie at off. */
static inline struct sonde_extent image_file_extent(const struct image_file *file, uint64_t addr,
						    uint64_t len, uint32_t flags, uint64_t off)
{
	return (struct sonde_extent){
		.addr = addr,
		.len = len,
		.kind = file->fd < 0 ? SONDE_EXTENT_IMAGE : SONDE_EXTENT_FILE,
		.flags = flags,
		.off = off,
		.ptr = file->fd < 0 ? file->image : NULL,
		.fd = file->fd,
	};
}

/* Memory that a file holds: len bytes from addr on, of which the first have lie at off; it lacks the rest. */
struct image_stretch {
	uint64_t addr, len, off, have;
};

/* Tell what is there of it, or (missing) what is not. */
static inline int image_file_tell(const struct image_file *file,
				  const struct image_stretch *stretch, uint32_t flags, int missing,
				  sonde_extent_fn *fn, void *user)
{
	struct sonde_extent extent =
		image_file_extent(file, stretch->addr, stretch->have, flags, stretch->off);

	if (missing)
		extent = (struct sonde_extent){ .addr = stretch->addr + stretch->have,
						.len = stretch->len - stretch->have,
						.kind = SONDE_EXTENT_ABSENT,
						.err = SONDE_E_TRUNCATED };
	return extent.len ? fn(user, &extent) : 0;
}

#endif
