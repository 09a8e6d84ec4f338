/* SPDX-License-Identifier: MIT */
/*
 * A file that comes into being whole or not at all: it is written under a name beside its own, FILE.partial, brought to the
 * disk and renamed. What is not written of it is a hole. One program at a time writes it.
 */
#ifndef SONDE_TOOL_DUMP_FILE_H
#define SONDE_TOOL_DUMP_FILE_H

#include <sonde/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dump_file {
	char *path, *partial;
	int fd;        /* -1: closed                       */
	uint64_t size; /* of what was written, up to its last byte */
	bool is_kept;  /* dump_file_close leaves the partial file */
};

/*
 * Make the partial file of path; or, where grain is not 0, go on with the one there is, cut to a multiple of grain, and
 * keep it. Memory holds secrets: it is the owner's alone, and somebody else's file of that name is refused.
 *
 * Returns   0; SONDE_E_BAD_ARG (path is something else than a file), _NOT_FOUND (there is none to go on
 *           with), _BUSY, _NO_ACCESS and others of the system.
 * Owns      *ret: dump_file_close, also after an error.
 */
int dump_file_open(struct dump_file *ret, const char *path, uint32_t grain,
		   struct sonde_error *err);

int dump_file_write(struct dump_file *file, uint64_t off, const void *bytes, size_t len,
		    struct sonde_error *err);
/* All of it, or an error. */
int dump_file_read(const struct dump_file *file, uint64_t off, void *bytes, size_t len,
		   struct sonde_error *err);
/* A hole at its end makes it so long. */
int dump_file_extend(struct dump_file *file, uint64_t size, struct sonde_error *err);

/* It is whole: to the disk, and under its own name. */
int dump_file_commit(struct dump_file *file, struct sonde_error *err);

/* Let go of it. What was not committed is gone, unless it is kept. */
void dump_file_close(struct dump_file *file);

#endif
