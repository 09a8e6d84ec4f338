/* SPDX-License-Identifier: MIT */
#include "dump.h"
#include "../common/numbered.h"
#include "kdump_format.h"
#include "spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_part(struct dump_part *part, struct kdump_file *file)
{
	kdump_file_finish(file);
	flattened_finish(&part->flat);
	image_file_close(&part->file);
}

/* What its file holds, made plain. Neither may move afterwards. On failure *ret_why says what is wrong. */
static int open_part(struct dump_part *part, struct kdump_file *file, const char **ret_why)
{
	uint8_t head[FLAT_HEAD_SIZE];
	struct source source = image_file_source(&part->file);
	int64_t n = source.read(source.user, 0, head, sizeof(head));
	int r = 0;

	*ret_why = n < 0 ? "cannot be read" : "is empty";
	if (n <= 0)
		return n < 0 ? (int)n : SONDE_E_TRUNCATED;
	part->is_flat = flattened_probe(head, (size_t)n);
	if (part->is_flat) {
		r = flattened_open(&part->flat, &source, ret_why);
		source = flattened_source(&part->flat);
	}
	return r == 0 ? kdump_file_open(file, &source, ret_why) : r;
}

/* Opening a pipe waits for its writer: this one is asked for by "-" or by its own name. */
static int is_pipe(const char *path)
{
	struct stat st;

	return strcmp(path, "-") == 0 ||
	       (stat(path, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)));
}

static int open_pipe(struct image_file *ret, const struct sonde_host *host,
		     const struct sonde_args *args, const char *path, struct sonde_error *err)
{
	int named = strcmp(path, "-") != 0;
	const char *name = named ? path : "standard input";
	int pipe = named ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	char spooled[32];

	if (pipe < 0)
		return host->error_os(err, errno, "kdump: '%.300s'", name);
	int fd = spool(host, pipe, name, err);
	if (named)
		close(pipe);
	if (fd < 0)
		return fd;
	snprintf(spooled, sizeof(spooled), "/proc/self/fd/%d", fd);
	int r = image_file_open_name(ret, host, args, spooled, err);
	close(fd);
	return r;
}

/* ---- the other parts ---------------------------------------------------------------------------- */

/* Written at the same moment by the same machine: what stands in each head. */
static int same_dump(const struct kdump_file *a, const struct kdump_file *b)
{
	return b->split && a->seconds == b->seconds && a->n_pages == b->n_pages &&
	       a->page_size == b->page_size && a->version == b->version && a->big == b->big &&
	       strcmp(a->machine, b->machine) == 0 && strcmp(a->release, b->release) == 0 &&
	       bitmap_same(a->saved, b->saved) == 1;
}

static int has_pages(const struct dump *dump, const struct kdump_file *file)
{
	for (size_t i = 0; i < dump->n; i++) {
		if (file->first < dump->files[i].end && dump->files[i].first < file->end)
			return 1;
	}
	return 0;
}

/* Another part of the same dump stays open: 1; the rest is none of ours: 0. */
static int try_other(struct dump *dump, const struct sonde_host *host,
		     const struct sonde_args *args, const char *name)
{
	struct dump_part *part = &dump->parts[dump->n];
	struct kdump_file *file = &dump->files[dump->n];
	const char *why;

	*part = (struct dump_part){ 0 };
	if (image_file_open_name(&part->file, host, args, name, NULL) < 0)
		return 0;
	if (open_part(part, file, &why) == 0 && same_dump(&dump->files[0], file) &&
	    file->first < file->end && !has_pages(dump, file)) {
		dump->n++;
		return 1;
	}
	close_part(part, file);
	return 0;
}

/* Is it a regular file that begins as a dump does? */
static int looks_like_one(int folder, const char *name)
{
	char head[KDUMP_SIGNATURE_SIZE];
	struct stat st;
	int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	int fd = openat(folder, name, flags | O_NOATIME); /* evidence: its times stay */

	if (fd < 0 && errno == EPERM)
		fd = openat(folder, name, flags);
	if (fd < 0)
		return 0;
	int is = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		 pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
		 (memcmp(head, KDUMP_SIGNATURE, sizeof(head)) == 0 ||
		  memcmp(head, "makedump", sizeof(head)) == 0);
	close(fd);
	return is;
}

static void find_beside(struct dump *dump, const struct sonde_host *host,
			const struct sonde_args *args, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) + 1 : 0; /* of the folder, with its slash */
	char name[4096];

	if (len + NAME_MAX >= sizeof(name))
		return;
	snprintf(name, sizeof(name), "%.*s", (int)len, path);
	DIR *folder = opendir(len ? name : ".");
	struct dirent *entry;
	while (folder && dump->n < DUMP_PARTS_MAX && (entry = readdir(folder))) {
		snprintf(name + len, sizeof(name) - len, "%s", entry->d_name);
		if (looks_like_one(dirfd(folder), entry->d_name))
			try_other(dump, host, args, name);
	}
	if (folder)
		closedir(folder);
}

/* A server lists no folder: the next number is asked for until it is no part. */
static void find_counting(struct dump *dump, const struct sonde_host *host,
			  const struct sonde_args *args, const char *url)
{
	struct numbered numbered;
	char name[4096];

	if (!numbered_find(&numbered, url, 1))
		return;
	for (int up = 1; up >= 0; up--) {
		unsigned long number = numbered.number;
		while (dump->n < DUMP_PARTS_MAX && (up || number > 0)) {
			number = up ? number + 1 : number - 1;
			if (!numbered_name(&numbered, number, name, sizeof(name)) ||
			    !try_other(dump, host, args, name))
				break;
		}
	}
}

/* ---- all of it ---------------------------------------------------------------------------------- */

int dump_open(struct dump *ret, const struct sonde_host *host, const struct sonde_args *args,
	      const char *path, int alone, struct sonde_error *err)
{
	const char *why = "";

	ret->n = 0;
	ret->parts = calloc(DUMP_PARTS_MAX, sizeof(*ret->parts));
	ret->files = calloc(DUMP_PARTS_MAX, sizeof(*ret->files));
	if (!ret->parts || !ret->files)
		return host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	struct dump_part *first = &ret->parts[0];
	int pipe = is_pipe(path);
	int r = pipe ? open_pipe(&first->file, host, args, path, err)
		     : image_file_open_name(&first->file, host, args, path, err);
	if (r < 0)
		return r;
	ret->n = 1;
	r = open_part(first, &ret->files[0], &why);
	if (r < 0 && pipe)
		return host->error_set(err, r, "kdump: '%.300s': %s", path, why);
	if (r < 0)
		return image_file_refuse(&first->file, "kdump", r, why, err);
	if (ret->files[0].split && !alone && first->file.fd < 0)
		find_counting(ret, host, args, path);
	else if (ret->files[0].split && !alone)
		find_beside(ret, host, args, path);
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
