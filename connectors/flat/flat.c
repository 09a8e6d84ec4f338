/* SPDX-License-Identifier: MIT */
/*
 * flat: a raw image: byte i of the file is byte base + i of memory. The smallest
 * connector: it says where the bytes lie and leaves reading them to the engines. It is
 * never sniffed, because any file could be one. To write a new connector, copy this folder.
 */
#include "../common/note.h"

#include <sonde/plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct flat {
	int fd;
	uint64_t off;  /* of the first byte used, in the file      */
	uint64_t len;  /* bytes used, > 0                          */
	uint64_t base; /* address of that byte; base + len <= 2^64 */
	uint32_t writable;
	char detail[80];
};

static int flat_error(const struct sonde_host *host, struct sonde_error *err, const char *path,
		      const char *why)
{
	return host->error_set(err, SONDE_E_BAD_FORMAT, "flat: '%.300s': %s", path, why);
}

/* Opening a pipe would wait for its writer, so what a path is comes before open. */
static int check_path(const struct sonde_host *host, const char *path, struct sonde_error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return host->error_os(err, errno, "flat: '%.300s'", path);
	if (S_ISDIR(st.st_mode))
		return flat_error(host, err, path, "is a folder, not an image");
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return flat_error(
			host, err, path,
			"is neither a regular file nor a block device: copy it to a file first");
	return 0;
}

/* The stretch of the file that is used; all numbers come from the user. */
static int set_range(struct flat *flat, const struct sonde_host *host,
		     const struct sonde_args *args, const char *path, uint64_t file_size,
		     struct sonde_error *err)
{
	uint64_t length = 0;

	if (host->arg_u64(args, "offset", &flat->off, err) < 0 ||
	    host->arg_u64(args, "base", &flat->base, err) < 0)
		return SONDE_E_BAD_ARG;
	int given = host->arg_u64(args, "length", &length, err);
	if (given < 0)
		return given;

	if (file_size == 0)
		return flat_error(host, err, path, "is empty");
	if (flat->off >= file_size)
		return host->error_set(err, SONDE_E_BAD_ARG,
				       "flat: '%.300s': offset=%llu: the file has only %llu bytes",
				       path, (unsigned long long)flat->off,
				       (unsigned long long)file_size);
	flat->len = file_size - flat->off;
	if (given && (length == 0 || length > flat->len))
		return host->error_set(
			err, SONDE_E_BAD_ARG,
			"flat: '%.300s': length=%llu: from offset %llu on there are %llu bytes",
			path, (unsigned long long)length, (unsigned long long)flat->off,
			(unsigned long long)flat->len);
	if (given)
		flat->len = length;
	if (flat->len - 1 > UINT64_MAX - flat->base)
		return host->error_set(
			err, SONDE_E_BAD_ARG,
			"flat: '%.300s': base=0x%llx: the image would end beyond 2^64", path,
			(unsigned long long)flat->base);
	return 0;
}

static int open_file(struct flat *flat, const struct sonde_host *host,
		     const struct sonde_args *args, struct sonde_error *err)
{
	const char *path = host->arg(args, "path");
	if (!path)
		return host->error_set(err, SONDE_E_BAD_ARG,
				       "flat: no file given: write flat:FILE");
	int r = check_path(host, path, err);
	if (r < 0)
		return r;

	flat->writable = host->arg_write(args) ? 1 : 0;
	flat->fd = open(path, (flat->writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
	if (flat->fd < 0)
		return host->error_os(err, errno, "flat: '%.300s'", path);
	off_t size = lseek(flat->fd, 0, SEEK_END); /* st_size is 0 for block devices */
	if (size < 0)
		return host->error_os(err, errno, "flat: '%.300s': size", path);
	return set_range(flat, host, args, path, (uint64_t)size, err);
}

static void flat_close(void *conn)
{
	struct flat *flat = conn;

	if (flat->fd >= 0)
		close(flat->fd);
	free(flat);
}

static int flat_open(const struct sonde_host *host, const struct sonde_args *args, void **ret_conn,
		     struct sonde_error *err)
{
	struct flat *flat = calloc(1, sizeof(*flat));
	if (!flat)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);

	flat->fd = -1;
	int r = open_file(flat, host, args, err);
	if (r < 0) {
		flat_close(flat);
		return r;
	}
	snprintf(flat->detail, sizeof(flat->detail), "raw image, %llu bytes at 0x%llx",
		 (unsigned long long)flat->len, (unsigned long long)flat->base);
	*ret_conn = flat;
	return 0;
}

static void flat_info(void *conn, struct sonde_target_info *ret)
{
	struct flat *flat = conn;

	ret->detail = flat->detail;
	ret->flags = SONDE_TARGET_PHYSICAL | (flat->writable ? SONDE_TARGET_WRITABLE : 0);
}

static int flat_extents(void *conn, sonde_extent_fn *fn, void *user, struct sonde_error *err)
{
	struct flat *flat = conn;
	struct sonde_extent extent = {
		.addr = flat->base,
		.len = flat->len,
		.kind = SONDE_EXTENT_FILE,
		.flags = SONDE_REGION_RAM | SONDE_REGION_READ |
			 (flat->writable ? SONDE_REGION_WRITE : 0),
		.off = flat->off,
		.fd = flat->fd,
	};

	(void)err;
	return fn(user, &extent);
}

static int64_t flat_note(void *conn, const char *name, void *buf, size_t cap)
{
	const struct flat *flat = conn;

	if (strcmp(name, SONDE_NOTE_IDENTITY) != 0)
		return SONDE_E_NOT_FOUND;
	return note_text(flat->detail, buf, cap);
}

static const struct sonde_connector_ops flat_ops = {
	.size = sizeof(flat_ops),
	.open = flat_open,
	.close = flat_close,
	.info = flat_info,
	.extents = flat_extents,
	.note = flat_note,
};

SONDE_PLUGIN(.name = "flat", .summary = "raw image of memory, byte for byte", .main_arg = "path",
	     .args_help = "path=FILE  image to read: a regular file or a block device (required)\n"
			  "offset=N  first byte used in the file (0)\n"
			  "base=ADDR  physical address of that byte (0)\n"
			  "length=N  bytes used (the rest of the file)\n",
	     .connector = &flat_ops);
