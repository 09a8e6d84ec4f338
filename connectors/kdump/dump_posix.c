/* SPDX-License-Identifier: MIT */
#include "dump.h"
#include "../common/read_at.h"
#include "kdump_format.h"
#include "spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int64_t read_fd(void *user, uint64_t off, void *buf, size_t len)
{
	return read_at((int)(intptr_t)user, off, buf, len);
}

static void close_part(struct dump_part *part, struct kdump_file *file)
{
	kdump_file_finish(file);
	flattened_finish(&part->flat);
	if (part->fd >= 0)
		close(part->fd);
	part->fd = -1;
}

/* What fd holds, made plain. Neither may move afterwards. On failure *ret_why says what is wrong. */
static int open_part(struct dump_part *part, struct kdump_file *file, const char **ret_why)
{
	uint8_t head[FLAT_HEAD_SIZE];
	off_t size = lseek(part->fd, 0, SEEK_END);
	struct source source = { .read = read_fd,
				 .user = (void *)(intptr_t)part->fd,
				 .size = size > 0 ? (uint64_t)size : 0 };
	int64_t n = read_fd(source.user, 0, head, sizeof(head));
	int r = 0;

	*ret_why = n < 0 ? "cannot be read" : "is empty";
	if (n <= 0)
		return n < 0 ? SONDE_E_IO : SONDE_E_TRUNCATED;
	part->is_flat = flattened_probe(head, (size_t)n);
	if (part->is_flat) {
		r = flattened_open(&part->flat, &source, ret_why);
		source = flattened_source(&part->flat);
	}
	return r == 0 ? kdump_file_open(file, &source, ret_why) : r;
}

/* Opening a pipe waits for its writer: this one is asked for by "-" or by its own name. */
static int open_path(const struct sonde_host *host, const char *path, struct sonde_error *err)
{
	struct stat st;

	if (strcmp(path, "-") == 0)
		return spool(host, STDIN_FILENO, "standard input", err);
	if (stat(path, &st) < 0)
		return host->error_os(err, errno, "kdump: '%.300s'", path);
	int pipe = S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode);
	if (!pipe && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return host->error_set(err, SONDE_E_BAD_FORMAT,
				       "kdump: '%.300s': is no file: name a dump", path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return host->error_os(err, errno, "kdump: '%.300s'", path);
	if (!pipe)
		return fd;
	int file = spool(host, fd, path, err);
	close(fd);
	return file;
}

/* ---- the other parts ---------------------------------------------------------------------------- */

/* Written at the same moment by the same machine: what stands in each head. */
static int same_dump(const struct kdump_file *a, const struct kdump_file *b)
{
	return b->split && a->seconds == b->seconds && a->n_pages == b->n_pages &&
	       a->page_size == b->page_size && a->version == b->version && a->big == b->big &&
	       strcmp(a->machine, b->machine) == 0 && strcmp(a->release, b->release) == 0 &&
	       memcmp(a->saved, b->saved, (size_t)(a->n_pages / 8)) == 0;
}

static int has_pages(const struct dump *dump, const struct kdump_file *file)
{
	for (size_t i = 0; i < dump->n; i++) {
		if (file->first < dump->files[i].end && dump->files[i].first < file->end)
			return 1;
	}
	return 0;
}

/* Is it a regular file that begins as a dump does? Then it is opened. */
static int open_other(int folder, const char *name)
{
	char head[KDUMP_SIGNATURE_SIZE];
	struct stat st;
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
	    (memcmp(head, KDUMP_SIGNATURE, sizeof(head)) == 0 ||
	     memcmp(head, "makedump", sizeof(head)) == 0))
		return fd;
	close(fd);
	return -1;
}

/* Another part of the same dump stays open; the rest is none of ours. */
static void try_other(struct dump *dump, int folder, const char *name)
{
	struct dump_part *part = &dump->parts[dump->n];
	struct kdump_file *file = &dump->files[dump->n];
	const char *why;

	*part = (struct dump_part){ .fd = open_other(folder, name) };
	if (part->fd < 0)
		return;
	if (open_part(part, file, &why) == 0 && same_dump(&dump->files[0], file) &&
	    file->first < file->end && !has_pages(dump, file)) {
		snprintf(part->name, sizeof(part->name), "%.255s", name);
		dump->n++;
	} else {
		close_part(part, file);
	}
}

static void find_others(struct dump *dump, const char *path)
{
	char copy[4096];

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return;
	DIR *folder = opendir(dirname(copy));
	struct dirent *entry;
	while (folder && dump->n < DUMP_PARTS_MAX && (entry = readdir(folder)))
		try_other(dump, dirfd(folder), entry->d_name);
	if (folder)
		closedir(folder);
}

/* ---- all of it ---------------------------------------------------------------------------------- */

int dump_open(struct dump *ret, const struct sonde_host *host, const char *path, int alone,
	      struct sonde_error *err)
{
	const char *why = "";

	ret->n = 0;
	ret->parts = calloc(DUMP_PARTS_MAX, sizeof(*ret->parts));
	ret->files = calloc(DUMP_PARTS_MAX, sizeof(*ret->files));
	if (!ret->parts || !ret->files)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	int fd = open_path(host, path, err);
	if (fd < 0)
		return fd;
	ret->parts[0].fd = fd;
	ret->n = 1;
	int r = open_part(&ret->parts[0], &ret->files[0], &why);
	if (r < 0)
		return host->error_set(err, r, "kdump: '%.300s': %s", path, why);
	if (ret->files[0].split && !alone)
		find_others(ret, path);
	return 0;
}

void dump_close(struct dump *dump)
{
	for (size_t i = 0; i < dump->n; i++)
		close_part(&dump->parts[i], &dump->files[i]);
	free(dump->parts);
	free(dump->files);
	*dump = (struct dump){ 0 };
}
