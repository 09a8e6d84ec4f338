/* SPDX-License-Identifier: MIT */
/*
 * A memory-backend-file or -memfd with share=on is one file in two processes. Its name may be
 * gone (memfd, deleted, another mount namespace), so it is opened through /proc/PID/map_files,
 * else by its path or among /proc/PID/fd, where the inode then has to be the same.
 */
#include "backing.h"

#include "maps.h"

#include <sonde/plugin.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int add_line(struct backings *backings, char *line)
{
	struct maps_line map;

	line[strcspn(line, "\n")] = '\0';
	if (!maps_parse(line, &map))
		return 0;
	if (backings->n == backings->cap) {
		size_t cap = backings->cap ? backings->cap * 2 : 256;
		struct backing *at = realloc(backings->at, cap * sizeof(*at));
		if (!at)
			return SONDE_E_NO_MEMORY;
		backings->at = at;
		backings->cap = cap;
	}
	struct backing *backing = &backings->at[backings->n++];
	*backing = (struct backing){
		.start = map.start,
		.end = map.end,
		.off = map.off,
		.inode = map.inode,
		.flags = map.flags,
		.fd = -1,
	};
	snprintf(backing->path, sizeof(backing->path), "%s", map.path);
	return 0;
}

int backings_read(struct backings *ret, pid_t pid)
{
	char path[48], *line = NULL;
	size_t cap = 0;
	int r = 0;

	*ret = (struct backings){ .pid = pid };
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	FILE *maps = fopen(path, "re");
	if (!maps)
		return errno == EACCES || errno == EPERM ? SONDE_E_NO_ACCESS : SONDE_E_GONE;
	while (r == 0 && getline(&line, &cap, maps) > 0)
		r = add_line(ret, line);
	free(line);
	fclose(maps);
	return r;
}

void backings_finish(struct backings *backings)
{
	for (size_t i = 0; i < backings->n; i++) {
		if (backings->at[i].fd >= 0)
			close(backings->at[i].fd);
	}
	free(backings->at);
	memset(backings, 0, sizeof(*backings));
}

struct backing *backings_find(struct backings *backings, uint64_t hva)
{
	for (size_t i = 0; i < backings->n; i++) {
		if (hva >= backings->at[i].start && hva < backings->at[i].end)
			return &backings->at[i];
	}
	return NULL;
}

/* The file at path, if it is the one that is mapped. /dev/zero and the like are no files of RAM. */
static int open_same(const char *path, const struct backing *backing, int flags)
{
	struct stat st;
	int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_ino == backing->inode &&
	    (uint64_t)st.st_size >= backing->off + (backing->end - backing->start))
		return fd;
	close(fd);
	return -1;
}

static int open_among_fds(pid_t pid, const struct backing *backing, int flags)
{
	char folder[48], path[320];
	struct dirent *entry;
	struct stat st;
	int fd = -1;

	snprintf(folder, sizeof(folder), "/proc/%d/fd", (int)pid);
	DIR *dir = opendir(folder);
	while (dir && fd < 0 && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		/* stat first: opening a pipe or a device could do something to it. */
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_ino == backing->inode)
			fd = open_same(path, backing, flags);
	}
	if (dir)
		closedir(dir);
	return fd;
}

int backing_open(struct backings *backings, struct backing *backing, int write)
{
	int flags = write ? O_RDWR : O_RDONLY;
	char path[320];

	if (backing->fd >= 0)
		return 1;
	if (!(backing->flags & SONDE_REGION_SHARED) || !backing->inode)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, (int)backings->pid,
		 backing->start, backing->end);
	backing->fd = open_same(path, backing, flags);
	if (backing->fd < 0) {
		snprintf(path, sizeof(path), "/proc/%d/root%s", (int)backings->pid, backing->path);
		backing->fd = open_same(path, backing, flags);
	}
	if (backing->fd < 0)
		backing->fd = open_among_fds(backings->pid, backing, flags);
	return backing->fd >= 0;
}

int backings_shared(struct backings *backings, uint64_t hva, uint64_t len, int write)
{
	while (len > 0) {
		struct backing *backing = backings_find(backings, hva);
		if (!backing || !backing_open(backings, backing, write))
			return 0;
		uint64_t step = backing->end - hva;
		step = step < len ? step : len;
		hva += step;
		len -= step;
	}
	return 1;
}

struct backing *backings_of_size(struct backings *backings, uint64_t size)
{
	struct backing *found = NULL;

	for (size_t i = 0; i < backings->n; i++) {
		struct backing *backing = &backings->at[i];
		if (backing->end - backing->start != size ||
		    !(backing->flags & SONDE_REGION_WRITE) || (backing->flags & SONDE_REGION_EXEC))
			continue;
		if (found)
			return NULL;
		found = backing;
	}
	return found;
}
