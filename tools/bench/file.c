/* SPDX-License-Identifier: MIT */
/* Making the file of random bytes, and moving it into and out of the page cache. */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "ours.h"

#define CHUNK (UINT64_C(1) << 20)
#define SPARE (UINT64_C(2) << 30) /* memory and disk left to everybody else */
#define SMALLEST (UINT64_C(64) << 20)
#define PLACE (UINT64_C(64) << 10) /* the largest read */

static int complain(const char *path, const char *what)
{
	int error = errno;

	fprintf(stderr, "bench: %s: %s: %s\n", path, what, strerror(error));
	return -error;
}

/* ---- how large ------------------------------------------------------------------------------- */

/* MemAvailable of /proc/meminfo(5), bytes; what cannot be told is taken for plenty. */
static uint64_t memory_available(void)
{
	unsigned long long kib = UINT64_MAX >> 10;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof(line), f) && sscanf(line, "MemAvailable: %llu", &kib) != 1)
		;
	if (f)
		fclose(f);
	return (uint64_t)kib << 10;
}

static uint64_t disk_available(const char *path)
{
	char folder[4096];
	struct statvfs st;

	snprintf(folder, sizeof(folder), "%s", path);
	char *slash = strrchr(folder, '/');
	if (slash)
		*slash = 0;
	if (statvfs(slash ? folder : ".", &st) < 0)
		return UINT64_MAX;
	return (uint64_t)st.f_bavail * st.f_frsize;
}

static bool fits(uint64_t size, uint64_t available)
{
	uint64_t spare = size < SPARE ? size / 4 : SPARE;

	return available >= spare && size <= available - spare;
}

/* Halved until it fits; a file that is there needs no more disk. */
static uint64_t affordable(const char *path, uint64_t size, uint64_t existing)
{
	uint64_t memory = memory_available(), wanted = size;
	uint64_t disk = existing ? existing + SPARE : disk_available(path);

	while (size > SMALLEST && (!fits(size, memory) || !fits(size, disk)))
		size /= 2;
	if (size != wanted)
		fprintf(stderr,
			"bench: %llu MiB instead of %llu: free are %llu MiB of memory, %llu MiB of "
			"disk\n",
			(unsigned long long)(size >> 20), (unsigned long long)(wanted >> 20),
			(unsigned long long)(memory >> 20),
			(unsigned long long)(disk_available(path) >> 20));
	return size;
}

/* ---- making and opening ------------------------------------------------------------------------ */

/* xorshift64* (Vigna 2016): no disk and no file system makes such bytes smaller. */
static void fill(uint64_t *words, size_t n, uint64_t *state)
{
	for (size_t i = 0; i < n; i++) {
		*state ^= *state >> 12;
		*state ^= *state << 25;
		*state ^= *state >> 27;
		words[i] = *state * UINT64_C(0x2545f4914f6cdd1d);
	}
}

static int write_all(int fd, const uint8_t *from, uint64_t len)
{
	while (len) {
		ssize_t n = write(fd, from, len);
		if (n < 0 && errno != EINTR)
			return -1;
		from += n > 0 ? n : 0;
		len -= n > 0 ? (uint64_t)n : 0;
	}
	return 0;
}

static int write_random(int fd, uint64_t size)
{
	uint64_t state = UINT64_C(0x853c49e6748fea9b);
	uint64_t *chunk = malloc(CHUNK);
	int r = chunk ? 0 : -1;

	for (uint64_t done = 0; done < size && r == 0;) {
		uint64_t step = size - done < CHUNK ? size - done : CHUNK;
		fill(chunk, CHUNK / 8, &state);
		r = write_all(fd, (const uint8_t *)chunk, step);
		done += step;
	}
	free(chunk);
	/* Dirty pages can neither be evicted nor do they read like clean ones. */
	return r < 0 ? r : fsync(fd);
}

/* Under another name until it is whole. */
static int make(const char *path, uint64_t size)
{
	char part[4096 + 8];

	fprintf(stderr, "bench: writing %llu MiB of random bytes to %s\n",
		(unsigned long long)(size >> 20), path);
	snprintf(part, sizeof(part), "%s.part", path);
	int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return complain(part, "cannot be made");
	int r = write_random(fd, size);
	if (r == 0)
		r = rename(part, path);
	if (r < 0) {
		r = complain(part, "cannot be written");
		unlink(part);
	}
	close(fd);
	return r;
}

/* A file that is there is somebody's: it is read as it is, up to size. */
int file_open(struct bench_file *file, const char *path, uint64_t size)
{
	struct stat st;
	uint64_t existing = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
	int r = 0;

	memset(file, 0, sizeof(*file));
	snprintf(file->path, sizeof(file->path), "%s", path);
	file->size = affordable(path, existing && existing < size ? existing : size, existing);
	file->size -= file->size % PLACE;
	file->fd = -1;
	if (file->size == 0) {
		fprintf(stderr, "bench: %s: less than 64 KiB are too little\n", path);
		return -EINVAL;
	}
	if (!existing)
		r = make(path, file->size);
	if (r < 0)
		return r;
	file->fd = open(path, O_RDONLY | O_CLOEXEC);
	return file->fd < 0 ? complain(path, "cannot be opened") : 0;
}

void file_forget(struct bench_file *file)
{
	for (int i = 0; i < 2 * FILE_ENGINES; i++) {
		ours_destroy(file->loops[i]);
		file->loops[i] = NULL;
	}
	if (file->map)
		munmap((void *)(uintptr_t)file->map, file->size);
	file->map = NULL;
}

void file_close(struct bench_file *file)
{
	file_forget(file);
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}

/* ---- the page cache ---------------------------------------------------------------------------- */

int file_warm(struct bench_file *file)
{
	uint8_t *chunk = malloc(CHUNK);
	int r = chunk ? 0 : -ENOMEM;

	for (uint64_t off = 0; off < file->size && r == 0;) {
		uint64_t step = file->size - off < CHUNK ? file->size - off : CHUNK;
		ssize_t n = pread(file->fd, chunk, step, (off_t)off);
		if (n <= 0)
			r = complain(file->path, "cannot be read");
		else
			off += (uint64_t)n;
	}
	free(chunk);
	return r;
}

const uint8_t *file_map(struct bench_file *file)
{
	if (file->map)
		return file->map;
	void *map = mmap(NULL, file->size, PROT_READ, MAP_SHARED | MAP_POPULATE, file->fd, 0);
	file->map = map == MAP_FAILED ? NULL : map;
	return file->map;
}

/* In a thousand, by mincore(2) of a map that touches nothing. */
static uint64_t resident_permille(const struct bench_file *file)
{
	uint64_t n_pages = (file->size + 4095) / 4096, n = 0;
	unsigned char *present = malloc(n_pages);
	void *map = mmap(NULL, file->size, PROT_READ, MAP_SHARED, file->fd, 0);

	if (present && map != MAP_FAILED && mincore(map, file->size, present) == 0) {
		for (uint64_t i = 0; i < n_pages; i++)
			n += present[i] & 1;
	}
	if (map != MAP_FAILED)
		munmap(map, file->size);
	free(present);
	return n * 1000 / n_pages;
}

int file_evict(struct bench_file *file)
{
	posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED);
	return resident_permille(file) > 10 ? -EBUSY : 0;
}
