/* SPDX-License-Identifier: MIT */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_path(const char *path, struct sonde_error *err)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == ENOENT ? 0 : sonde_error_os(err, errno, "'%.300s'", path);
	if (!S_ISREG(st.st_mode))
		return sonde_error_set(err, SONDE_E_BAD_ARG,
				       "'%.300s' is no regular file, and a dump takes the place of "
				       "what has its name: give another",
				       path);
	return 0;
}

/* Another program may have finished it since it was opened: under its own name it is a whole dump. */
static bool is_partial_yet(const struct dump_file *file, const struct stat *st)
{
	struct stat named;

	return lstat(file->partial, &named) == 0 && named.st_dev == st->st_dev &&
	       named.st_ino == st->st_ino;
}

/* Is the partial file ours alone? In a folder that all may write anybody could have put one there. */
static int check_partial(const struct dump_file *file, struct stat *st, struct sonde_error *err)
{
	if (fstat(file->fd, st) < 0)
		return sonde_error_os(err, errno, "'%.300s'", file->partial);
	if (!S_ISREG(st->st_mode) || st->st_uid != geteuid() || st->st_nlink != 1)
		return sonde_error_set(
			err, SONDE_E_NO_ACCESS,
			"'%.300s' is there, and somebody else's: remove it, or write "
			"into another folder",
			file->partial);
	if (flock(file->fd, LOCK_EX | LOCK_NB) < 0 || !is_partial_yet(file, st))
		return sonde_error_set(err, SONDE_E_BUSY,
				       "'%.300s' is being written by another program",
				       file->partial);
	return 0;
}

static int open_partial(struct dump_file *file, uint32_t grain, struct sonde_error *err)
{
	const int how = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	struct stat st;

	file->fd = open(file->partial, how | (grain ? 0 : O_CREAT), 0600);
	if (file->fd < 0 && grain && errno == ENOENT)
		return sonde_error_set(err, SONDE_E_NOT_FOUND,
				       "'%.300s' is not there: nothing to resume", file->partial);
	if (file->fd < 0)
		return sonde_error_os(err, errno, "'%.300s'", file->partial);
	int r = check_partial(file, &st, err);
	if (r < 0) {
		file->is_kept = true; /* it is not ours to remove */
		return r;
	}
	file->is_kept = grain != 0;
	file->size = grain ? (uint64_t)st.st_size / grain * grain : 0;
	if (ftruncate(file->fd, (off_t)file->size) < 0 || fchmod(file->fd, 0600) < 0)
		return sonde_error_os(err, errno, "'%.300s'", file->partial);
	return 0;
}

int dump_file_open(struct dump_file *ret, const char *path, uint32_t grain, struct sonde_error *err)
{
	*ret = (struct dump_file){ .fd = -1 };
	ret->path = strdup(path);
	if (!ret->path || asprintf(&ret->partial, "%s.partial", path) < 0)
		return sonde_error_set(err, SONDE_E_NO_MEMORY, NULL);
	int r = check_path(path, err);
	return r < 0 ? r : open_partial(ret, grain, err);
}

static int refuse_write(const struct dump_file *file, int os_code, struct sonde_error *err)
{
	if (os_code == EFBIG || os_code == EINVAL)
		return sonde_error_os(err, os_code,
				      "'%.300s': no file may be so long here (file system, ulimit "
				      "-f); the formats "
				      "elf, lime and kdump need less",
				      file->partial);
	return sonde_error_os(err, os_code, "'%.300s'", file->partial);
}

int dump_file_write(struct dump_file *file, uint64_t off, const void *bytes, size_t len,
		    struct sonde_error *err)
{
	for (size_t done = 0; done < len;) {
		uint64_t at = off + done;
		ssize_t n = at > INT64_MAX ? -1
					   : pwrite(file->fd, (const uint8_t *)bytes + done,
						    len - done, (off_t)at);
		if (n < 0 && at <= INT64_MAX && errno == EINTR)
			continue;
		if (n < 0)
			return refuse_write(file, at > INT64_MAX ? EFBIG : errno, err);
		done += (size_t)n;
		file->size = at + (uint64_t)n > file->size ? at + (uint64_t)n : file->size;
	}
	return 0;
}

int dump_file_read(const struct dump_file *file, uint64_t off, void *bytes, size_t len,
		   struct sonde_error *err)
{
	for (size_t done = 0; done < len;) {
		ssize_t n =
			pread(file->fd, (uint8_t *)bytes + done, len - done, (off_t)(off + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return sonde_error_os(err, errno, "'%.300s'", file->partial);
		if (n == 0)
			return sonde_error_set(err, SONDE_E_TRUNCATED,
					       "'%.300s' has become shorter while it was written",
					       file->partial);
		done += (size_t)n;
	}
	return 0;
}

int dump_file_extend(struct dump_file *file, uint64_t size, struct sonde_error *err)
{
	if (size <= file->size)
		return 0;
	if (size > INT64_MAX)
		return refuse_write(file, EFBIG, err);
	if (ftruncate(file->fd, (off_t)size) < 0)
		return refuse_write(file, errno, err);
	file->size = size;
	return 0;
}

/* The name is on the disk when its folder is; a file system that cannot say so has it anyway. */
static void sync_folder(const char *path)
{
	char *copy = strdup(path);
	int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(copy);
}

int dump_file_commit(struct dump_file *file, struct sonde_error *err)
{
	if (fsync(file->fd) < 0)
		return sonde_error_os(err, errno, "'%.300s': to the disk", file->partial);
	if (rename(file->partial, file->path) < 0)
		return sonde_error_os(err, errno, "'%.300s' to '%.150s'", file->partial,
				      file->path);
	file->is_kept = true;
	sync_folder(file->path);
	return 0;
}

void dump_file_close(struct dump_file *file)
{
	if (file->fd >= 0 && !file->is_kept)
		unlink(file->partial);
	if (file->fd >= 0)
		close(file->fd);
	free(file->path);
	free(file->partial);
	*file = (struct dump_file){ .fd = -1 };
}
