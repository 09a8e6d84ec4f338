/* SPDX-License-Identifier: MIT */
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int refuse(const struct sonde_host *host, struct sonde_error *err, const char *path,
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
		return refuse(host, err, path, "is a folder, not an image");
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return refuse(
			host, err, path,
			"is neither a regular file nor a block device: copy it to a file first");
	return 0;
}

static int add_file(struct flat_files *files, const struct sonde_host *host, const char *path,
		    int writable, struct sonde_error *err)
{
	int r = check_path(host, path, err);

	if (r < 0)
		return r;
	int fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return host->error_os(err, errno, "flat: '%.300s'", path);
	files->at[files->n] = (struct flat_file){ .fd = fd, .start = files->size };
	struct flat_file *file = &files->at[files->n++];
	off_t size = lseek(fd, 0, SEEK_END); /* st_size is 0 for block devices */
	if (size < 0)
		return host->error_os(err, errno, "flat: '%.300s': size", path);
	if (size == 0)
		return refuse(host, err, path, "is empty");
	file->len = (uint64_t)size;
	if (file->len > INT64_MAX - files->size)
		return refuse(host, err, path, "the parts are longer than any file");
	files->size += file->len;
	return 0;
}

/* ---- names of parts ----------------------------------------------------------------------------- */

/* The name of the n-th part behind the first, whose name ends in a dot and digits. Returns 0 where it has none. */
static int name_part(char *ret, size_t cap, const char *first, unsigned n)
{
	size_t len = strlen(first), digits = 0;
	unsigned long number = 0;

	while (digits < len && first[len - digits - 1] >= '0' && first[len - digits - 1] <= '9')
		digits++;
	if (digits == 0 || digits > 6 || digits == len || first[len - digits - 1] != '.')
		return 0;
	for (size_t i = len - digits; i < len; i++)
		number = number * 10 + (unsigned long)(first[i] - '0');
	int used = snprintf(ret, cap, "%.*s%0*lu", (int)(len - digits), first, (int)digits,
			    number + n);
	return used > 0 && (size_t)used < cap;
}

static int is_there(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

static int add_parts(struct flat_files *files, const struct sonde_host *host, const char *first,
		     int writable, struct sonde_error *err)
{
	char name[4096], behind[4096];

	if (!name_part(name, sizeof(name), first, 1))
		return host->error_set(err, SONDE_E_BAD_ARG,
				       "flat: '%.300s': parts=all: the name of the first part ends "
				       "in a dot and a number, as in image.001",
				       first);
	for (unsigned n = 1; name_part(name, sizeof(name), first, n) && is_there(name); n++) {
		if (files->n == FLAT_FILES_MAX)
			return host->error_set(err, SONDE_E_LIMIT,
					       "flat: '%.300s': more than %u parts", first,
					       FLAT_FILES_MAX);
		int r = add_file(files, host, name, writable, err);
		if (r < 0)
			return r;
	}
	if (name_part(behind, sizeof(behind), first, (unsigned)files->n + 1) && is_there(behind))
		return host->error_set(
			err, SONDE_E_TRUNCATED,
			"flat: '%.300s': this part is missing, and '%.300s' is there", name,
			behind);
	return 0;
}

/* ---- all of them -------------------------------------------------------------------------------- */

int flat_files_open(struct flat_files *ret, const struct sonde_host *host, const char *path,
		    int parts, int writable, struct sonde_error *err)
{
	int r = add_file(ret, host, path, writable, err);

	return r == 0 && parts ? add_parts(ret, host, path, writable, err) : r;
}

void flat_files_close(struct flat_files *files)
{
	for (size_t i = 0; i < files->n; i++)
		close(files->at[i].fd);
	files->n = 0;
}

int flat_files_tell(const struct flat_files *files, uint64_t addr, uint64_t off, uint64_t len,
		    uint32_t flags, sonde_extent_fn *fn, void *user)
{
	for (size_t i = 0; len && i < files->n; i++) {
		const struct flat_file *file = &files->at[i];
		if (off - file->start >= file->len)
			continue;
		uint64_t left = file->len - (off - file->start);
		struct sonde_extent extent = {
			.addr = addr,
			.len = len < left ? len : left,
			.kind = SONDE_EXTENT_FILE,
			.flags = flags,
			.off = off - file->start,
			.fd = file->fd,
		};
		int r = fn(user, &extent);
		if (r != 0)
			return r;
		addr += extent.len;
		off += extent.len;
		len -= extent.len;
	}
	struct sonde_extent lack = {
		.addr = addr, .len = len, .kind = SONDE_EXTENT_ABSENT, .err = SONDE_E_TRUNCATED
	};
	return len ? fn(user, &lack) : 0;
}
