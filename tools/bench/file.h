/* SPDX-License-Identifier: MIT */
/*
 * The file that is read: random bytes, made once and kept, in the page cache or out of it. What takes
 * long to prepare over a large file (a filled map, a loop whose engine has mapped it) is kept with it.
 */
#ifndef BENCH_FILE_H
#define BENCH_FILE_H

#include <stdbool.h>
#include <stdint.h>

#define FILE_ENGINES 8

struct ours;

struct bench_file {
	char path[4096];
	uint64_t size;      /* that are used, whole places of 64 KiB       */
	int fd;             /* read-only                                   */
	const uint8_t *map; /* NULL until file_map                         */
	struct ours *loops
		[2 *
		 FILE_ENGINES]; /* by enum sonde_engine, then those past the page cache; NULL until first used */
};

/*
 * Open the first size bytes of path; where there is no such file, one of random bytes is made. A
 * machine short of memory or disk gets fewer: said on stderr. Returns 0 or -errno, said on stderr.
 */
int file_open(struct bench_file *file, const char *path, uint64_t size);
void file_close(struct bench_file *file);

/* Read all of it into the page cache. */
int file_warm(struct bench_file *file);

/* Drop it from the page cache, after file_forget. -EBUSY where the system would not. */
int file_evict(struct bench_file *file);

/* A map of it with every page present; NULL: -errno in errno. */
const uint8_t *file_map(struct bench_file *file);

/* Give back the map and the engines. */
void file_forget(struct bench_file *file);

#endif
